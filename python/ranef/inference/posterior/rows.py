"""Rows by draws of a posterior: linear predictors and log densities."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from ..._typing import Array
from ...design.design import Design
from ...design.encode import NewRows, NewTerm
from .draws import Draws

__all__ = ["drawn_predictor", "rows_of_fit"]


def drawn_predictor(
    draws: Draws,
    rows: NewRows,
    kept: NDArray[np.intp],
    effects: Sequence[Array | None],
    rng: np.random.Generator,
) -> Array:
    """Linear predictor of rows at every draw, shape (S, m).

    Parameters
    ----------
    draws : Draws
        The posterior.
    rows : NewRows
        Encoded rows.
    kept : ndarray of int
        Columns of X with a coefficient.
    effects : sequence of ndarray of shape (S, l, s), or None
        Random effects of each term, None for one that takes no part.
    rng : Generator
        Draws the effects of levels that the fit has not seen; one for each label-less code of -1.
    """
    S = draws.scale.size
    eta = draws.beta.reshape(S, -1) @ rows.X[:, kept].T
    if rows.offset is not None:
        eta += rows.offset
    for term, b, root in zip(rows.terms, effects, draws.roots, strict=True):
        if term is None or b is None:
            continue
        known = term.codes >= 0
        for j in range(term.z.shape[1]):
            eta[:, known] += b[:, term.codes[known], j] * term.z[known, j]
        if not known.all():
            L = root.reshape(S, *root.shape[2:])
            scale = np.linalg.norm(np.einsum("mi,sij->smj", term.z[~known], L), axis=2)
            eta[:, ~known] += scale * rng.standard_normal(scale.shape)
    eta[:, rows.missing] = np.nan
    return np.asarray(eta)


def rows_of_fit(design: Design) -> NewRows:
    """Encode the rows of the fit without reading the data again."""
    terms = tuple(NewTerm(term.group, term.codes, design.z(term)) for term in design.random)
    return NewRows(design.X, design.offset, terms, np.zeros(design.n_obs, dtype=bool), design.index)
