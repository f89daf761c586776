"""The exact null distribution of the restricted likelihood ratio for all variances at once."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import linalg

from ... import _core
from ..._typing import Array
from ...design.design import Design, assemble, only_plain
from ...errors import UnsupportedError
from ...models.batch.blocks import Progress
from ...models.batch.estimate import Settings
from .pbtest import NUMBERS_AT_ONCE, objectives

__all__ = ["fitted_statistics", "objective_at_zero"]


def objective_at_zero(core: _core.Lmm, design: Design) -> float:
    """Return the REML criterion without random effects."""
    only_plain(design, "the exact restricted test", "use ranef.pbtest")
    for term in design.random:
        if term.is_structured:
            raise UnsupportedError(
                f"the exact restricted test is not available with {term.written}, whose covariance "
                "has a structure; use ranef.pbtest"
            )
    return float(core.objective([np.zeros((t.n_cols, t.n_cols)) for t in design.random], True))


def fitted_statistics(
    design: Design,
    kept: NDArray[np.intp],
    zero: float,
    n: int,
    seed: Any,
    settings: Settings,
    *,
    progress: bool,
) -> tuple[Array, int]:
    """Draw restricted likelihood ratios under variances of zero, by fits of normal errors.

    Parameters
    ----------
    design : Design
        The model.
    kept : ndarray of int
        Positions in ``design.fixed`` of the columns that are not aliased.
    zero : float
        The REML criterion of the design's own response without random effects.
    n : int
        Number of draws.
    seed : int or None
        Each draw has a seed of its own that follows from this one.
    settings : Settings
        Threads and search. The number of threads does not change the results.
    progress : bool
        Whether to show a progress bar.

    Returns
    -------
    ndarray of shape (n,)
        Statistics; NaN where a fit failed.
    int
        Draws in which a fit stopped short.

    Notes
    -----
    The restricted likelihood ratio depends neither on the fixed effects nor on the residual
    variance, so that its distribution where all other variances are zero has no parameters:
    responses are errors of variance one. Without random effects the criterion is (n - p) log of
    the residual sum of squares but for a constant, which the design's own response gives.
    """
    root = np.ones(design.n_obs) if design.weights is None else np.sqrt(design.weights)
    X = assemble(design.columns, tuple(design.fixed[j] for j in kept), design.n_obs)
    X = X * root[:, None]
    Q = linalg.qr(X / np.linalg.norm(X, axis=0), mode="economic")[0]
    offset = np.zeros(design.n_obs) if design.offset is None else design.offset
    df = design.n_obs - len(kept)

    def squares(E: Array) -> Array:
        return np.asarray((E**2).sum(axis=0) - ((Q.T @ E) ** 2).sum(axis=0))

    own = root * (design.y - offset)
    constant = zero - df * float(np.log(squares((own - Q @ (Q.T @ own))[:, None])[0]))
    seeds = np.random.SeedSequence(seed).spawn(n)
    size = max(1, NUMBERS_AT_ONCE // design.n_obs)
    out, stopped = [], 0
    with Progress(n, "fits", shown=progress) as line:
        for first in range(0, n, size):
            draws = [
                np.random.default_rng(each).standard_normal(design.n_obs)
                for each in seeds[first : first + size]
            ]
            E = np.column_stack(draws)
            Y = offset[:, None] + E / root[:, None]
            found, short = objectives(design, Y, settings, line)
            out.append(np.maximum(constant + df * np.log(squares(E)) - found, 0.0))
            stopped += int((short & ~np.isnan(found)).sum())
    return np.concatenate(out), stopped
