"""Means over the random effects: the expectation for a new level."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from ..._typing import Array
from ...design.design import Design, RandomTerm
from ...design.encode import encode
from ...errors import UnsupportedError

__all__ = ["INTEGRATE", "averaged", "no_interval", "spread_of_rows"]

#: The word that asks for it, in the place of groups.
INTEGRATE = "integrate"
#: Standard deviations on both sides, and nodes, by the number of predictors that vary.
REACH = 10.0
NODES = {0: 1, 1: 201, 2: 81, 3: 41}
#: Means that are computed together, which bounds the memory.
AT_ONCE = 400_000


def no_interval(interval: str | None) -> None:
    """Refuse limits of a mean over the random effects.

    Raises
    ------
    UnsupportedError
        With what to do instead.
    """
    if interval is not None:
        raise UnsupportedError(
            "a mean over the random effects has no normal limits; take quantiles of "
            'model.bootstrap(statistic=lambda m: m.predict(new, random="integrate")), or leave '
            "interval= out"
        )


def spread_of_rows(
    design: Design, terms: Sequence[RandomTerm], sigmas: Sequence[Array], data: Any = None
) -> Array:
    """Variance z' Sigma z of new levels of some terms, for new rows or those of the design."""
    if not all(term.is_plain for term in terms):
        raise UnsupportedError(
            "a mean over levels that have a known covariance, or of rows with several, is not "
            "available; average model.simulate(n)"
        )
    if data is None:
        rows = [design.z(term) for term in terms]
    else:
        found = encode(design, data, random=True, coded=False).terms
        rows = [new.z for new in found if new is not None]
    total = np.zeros(design.n_obs if data is None else len(rows[0]) if rows else 0)
    for z, cov in zip(rows, sigmas, strict=True):
        total = total + np.einsum("ij,jk,ik->i", z, cov, z)
    return total


def averaged(
    mean: Callable[[list[Array], slice], Array],
    eta: Sequence[Array],
    variance: Sequence[Array | None],
) -> Array:
    """Average a function of linear predictors that are normal and independent.

    Parameters
    ----------
    mean : callable
        Takes predictors of shape (rows, nodes) each, and the rows they are of; gives one value
        each.
    eta : sequence of ndarray of shape (m,)
        Means of the predictors.
    variance : sequence of ndarray of shape (m,) or None
        Their variances; None where a predictor does not vary.

    Returns
    -------
    ndarray of shape (m,)

    Notes
    -----
    By the trapezoidal rule, which is all but exact for analytic functions that vanish at both ends.
    """
    varying = [a for a, v in enumerate(variance) if v is not None]
    count = NODES[len(varying)]
    nodes = np.linspace(-REACH, REACH, count) if varying else np.zeros(1)
    weights = np.exp(-0.5 * nodes**2)
    weights /= weights.sum()
    grid = np.zeros((1, 0))
    if varying:
        grid = np.stack(np.meshgrid(*[nodes] * len(varying), indexing="ij"), axis=-1)
        grid = grid.reshape(-1, len(varying))
    product = np.ones(1)
    for _ in varying:
        product = np.multiply.outer(product, weights).ravel()
    m, step = len(eta[0]), max(1, AT_ONCE // len(product))
    out = np.empty(m)
    for first in range(0, m, step):
        part = slice(first, min(first + step, m))
        moved = []
        for a, center in enumerate(eta):
            wide = np.repeat(center[part, None], len(product), axis=1)
            if a in varying:
                sd = np.sqrt(np.asarray(variance[a])[part])
                wide = wide + sd[:, None] * grid[:, varying.index(a)]
            moved.append(wide)
        with np.errstate(over="ignore"):
            out[part] = mean(moved, part) @ product
    return out
