"""Variances that tend to zero: EM nears such an optimum by ever smaller steps."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from ... import _core
from ..._typing import Array

__all__ = ["at_boundary", "psi_places"]

#: Variances of standardised factors, in units of the residual variance, that may be zero.
SMALL = 0.2


def psi_places(at: Array, classes: int, p: int, r: int) -> Iterator[tuple[slice, float]]:
    """Return the places of each class's root of Psi, and its residual variance."""
    first, size = classes * (2 + p), r * (r + 1) // 2
    for k in range(classes):
        place = slice(first + k * size, first + (k + 1) * size)
        yield place, float(np.exp(at[classes * (1 + p) + k]))


def at_boundary(
    core: _core.Mixture,
    at: Array,
    llf: float,
    shape: tuple[int, int, int],
    team: _core.Team,
    *,
    equal: bool,
) -> tuple[Array, float]:
    """Set small variances to zero where the likelihood is no lower there.

    Parameters
    ----------
    core : Mixture
        The compiled object.
    at, llf : ndarray, float
        Where a search ended, and its log-likelihood.
    shape : tuple of int
        Classes, coefficients, random effects.
    team : Team
        Threads.
    equal : bool
        Whether all classes have the same variances.

    Returns
    -------
    tuple of ndarray and float
        Parameters and log-likelihood, no lower than what was given.
    """
    K, p, r = shape
    lower = np.tril_indices(r)
    for k in range(1 if equal else K):
        for _ in range(r):
            places = list(psi_places(at, K, p, r))
            L = np.zeros((r, r))
            L[lower] = at[places[k][0]]
            values, vectors = np.linalg.eigh(L @ L.T)
            positive = np.flatnonzero(values > 1e-14 * max(values[-1], 1e-300))
            if len(positive) == 0 or values[positive[0]] > SMALL * places[k][1]:
                break
            values[: positive[0] + 1] = 0.0
            root = np.asarray(np.linalg.qr((vectors * np.sqrt(values)).T, mode="r")).T
            tried = at.copy()
            for place, _ in places if equal else [places[k]]:
                tried[place] = root[lower]
            run = core.refine(np.asfortranarray(tried[:, None]), team)
            if not (run.status[0] <= 1 and run.llf[0] >= llf - 1e-8):
                break
            at, llf = run.at[:, 0], float(run.llf[0])
    return at, llf
