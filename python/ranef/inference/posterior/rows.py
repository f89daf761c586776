"""Rows by draws of a posterior: linear predictors and log densities."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from ..._typing import Array, Codes
from ...design.design import Design, RandomTerm
from ...design.encode import NewRows, NewTerm
from ...design.known.members import MemberTerm
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
        for codes, z in members_of(term):
            known = codes >= 0
            for j in range(z.shape[1]):
                eta[:, known] += b[:, codes[known], j] * z[known, j]
            if not known.all():
                L = root.reshape(S, *root.shape[2:])
                scale = np.linalg.norm(np.einsum("mi,sij->smj", z[~known], L), axis=2)
                eta[:, ~known] += scale * rng.standard_normal(scale.shape)
    eta[:, rows.missing] = np.nan
    return np.asarray(eta)


def members_of(term: NewTerm) -> list[tuple[Codes, Array]]:
    """Levels of the rows and columns times weights: once, or for each member of several."""
    if term.membership is None:
        return [(term.codes, term.z)]
    pairs = zip(term.membership.codes, term.membership.weights, strict=True)
    return [(codes, term.z * weights[:, None]) for codes, weights in pairs]


def rows_of_fit(design: Design) -> NewRows:
    """Encode the rows of the fit without reading the data again."""
    terms = tuple(term_of_fit(design, term) for term in design.random)
    return NewRows(design.X, design.offset, terms, np.zeros(design.n_obs, dtype=bool), design.index)


def term_of_fit(design: Design, term: RandomTerm) -> NewTerm:
    """Lay out one random-effects term of the fit."""
    if isinstance(term, MemberTerm):
        held = term.membership
        return NewTerm(term.group, held.codes[0], design.z(term), held)
    return NewTerm(term.group, term.codes, design.z(term))
