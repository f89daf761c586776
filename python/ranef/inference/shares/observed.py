"""Shares of the variance of the responses themselves, for models of any linear predictors."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import reduce

import numpy as np
import pandas as pd

from ..._typing import Array
from ..prediction.integrated import NODES, REACH
from .r2 import variance as variance_over_rows

__all__ = ["Moments", "Observed", "observed"]

#: Degree of the polynomials that carry over covariances, by the number of predictors that vary.
DEGREE = {0: 0, 1: 20, 2: 20, 3: 12}
#: Values that are computed together, which bounds the memory.
AT_ONCE = 400_000

#: Takes predictors of shape (rows, nodes) each, and the rows they are of; gives the mean and the
#: variance of a response at each.
Moments = Callable[[list[Array], slice], tuple[Array, Array]]


@dataclass(frozen=True)
class Observed:
    """What the variance of the responses is made of, averaged over rows and new random effects.

    Attributes
    ----------
    fixed : float
        Variance over rows of E[y | x].
    random : float
        Mean over rows of the variance of E[y | x, b] over the random effects b of groups.
    residual : float
        Mean over rows of the variance of y given x and b.
    by_group : dict of str to float
        Mean covariance of two responses that share x and a level of this factor alone.
    """

    fixed: float
    random: float
    residual: float
    by_group: Mapping[str, float]

    @property
    def total(self) -> float:
        """Sum of all parts."""
        return self.fixed + self.random + self.residual

    def table(self) -> pd.DataFrame:
        """Lay out the parts: component, group, variance, share."""
        rows = [
            ("fixed", "", self.fixed),
            ("random", ", ".join(self.by_group), self.random),
            ("residual", "", self.residual),
        ]
        frame = pd.DataFrame(rows, columns=["component", "group", "variance"])
        frame["share"] = frame["variance"] / self.total
        return frame


def observed(
    moments: Moments,
    eta: Sequence[Array],
    variance: Sequence[Mapping[str, Array]],
    by_row: set[str],
    counts: Array | None,
) -> Observed:
    """Compute the parts of the variance of the responses.

    Parameters
    ----------
    moments : callable
        Mean and variance of responses at values of the predictors.
    eta : sequence of ndarray of shape (n,)
        Predictors without random effects.
    variance : sequence of mapping of str to ndarray of shape (n,)
        Variance of each predictor's random effects by grouping factor; those of a factor are
        independent between predictors.
    by_row : set of str
        Factors with a level for each row, whose effects are part of the residual.
    counts : ndarray of shape (n,), optional
        How often each row counts.

    Notes
    -----
    By the law of total variance. With m = E[y | x, b] as a series of Hermite polynomials in the
    standardised random parts, m = sum c_k h_k, two responses that share a part of the random
    effects with correlations r have covariance sum over k > 0 of c_k² r^k (Mehler), so that one
    expansion serves every grouping factor. What the series leaves out of E[m²] is multiplied by the
    power of r at which it ends.
    """
    total = [sum(part.values(), np.zeros(len(eta[0]))) for part in variance]
    varying = [a for a, part in enumerate(variance) if part]
    groups = list(dict.fromkeys(name for part in variance for name in part if name not in by_row))
    sets = {"": groups, **{name: [name] for name in groups}}
    shares = {
        key: [_correlation(variance[a], chosen, total[a]) for a in varying]
        for key, chosen in sets.items()
    }
    n = len(eta[0])
    mean, own = np.empty(n), np.empty(n)
    shared = {key: np.empty(n) for key in sets}
    nodes, weights, basis = _rule(len(varying))
    step = max(1, AT_ONCE // max(1, len(nodes) ** len(varying)))
    for first in range(0, n, step):
        rows = slice(first, min(first + step, n))
        at, shape = _grid(eta, total, varying, nodes, rows)
        m, v = moments(at, rows)
        series = _contracted(m.reshape(shape), [basis] * len(varying))
        flat = reduce(np.multiply.outer, [weights] * len(varying), np.ones(())).ravel()
        mean[rows] = m @ flat
        spread = np.maximum(m**2 @ flat - mean[rows] ** 2, 0.0)
        own[rows] = spread + v @ flat
        for key, r in shares.items():
            shared[key][rows] = _covariance(series, spread, [one[rows] for one in r])
    average = float(np.average(shared[""], weights=counts))
    fixed = variance_over_rows(mean, counts)
    return Observed(
        fixed,
        average,
        float(np.average(own, weights=counts)) - average,
        {name: float(np.average(shared[name], weights=counts)) for name in groups},
    )


def _correlation(own: Mapping[str, Array], chosen: Sequence[str], total: Array) -> Array:
    """Share of a predictor's random variance that some factors have, row by row."""
    part = sum((own[name] for name in chosen if name in own), np.zeros(len(total)))
    return np.divide(part, total, out=np.zeros(len(total)), where=total > 0.0)


def _rule(count: int) -> tuple[Array, Array, Array]:
    """Nodes and weights in one direction, and weighted normalised Hermite polynomials there."""
    nodes = np.linspace(-REACH, REACH, NODES[count]) if count else np.zeros(1)
    weights = np.exp(-0.5 * nodes**2)
    weights /= weights.sum()
    h = [np.ones(len(nodes)), nodes]
    for k in range(1, DEGREE[count]):
        h.append((nodes * h[k] - np.sqrt(k) * h[k - 1]) / np.sqrt(k + 1.0))
    return nodes, weights, np.column_stack(h[: DEGREE[count] + 1]) * weights[:, None]


def _grid(
    eta: Sequence[Array], total: Sequence[Array], varying: list[int], nodes: Array, rows: slice
) -> tuple[list[Array], tuple[int, ...]]:
    """Predictors at all nodes, (rows, nodes) each, and the shape with a direction an axis."""
    count = len(eta[0][rows])
    shape = (count, *[len(nodes)] * len(varying))
    at = []
    for a, center in enumerate(eta):
        wide = np.broadcast_to(center[rows].reshape(-1, *[1] * len(varying)), shape)
        if a in varying:
            axis = [1] * (len(varying) + 1)
            axis[1 + varying.index(a)] = len(nodes)
            sd = np.sqrt(total[a][rows]).reshape(-1, *[1] * len(varying))
            wide = wide + sd * nodes.reshape(axis)
        at.append(np.ascontiguousarray(wide).reshape(count, -1))
    return at, shape


def _contracted(values: Array, bases: Sequence[Array]) -> Array:
    """Coefficients of the series, (rows, degrees...)."""
    for basis in bases:
        values = np.tensordot(values, basis, axes=(1, 0))
    return values


def _covariance(series: Array, spread: Array, r: Sequence[Array]) -> Array:
    """Covariance of two responses whose random parts have correlations r, (rows,)."""
    if not r:
        return np.zeros(len(spread))
    square = series**2
    square.reshape(len(spread), -1)[:, 0] = 0.0
    left = np.maximum(spread - square.reshape(len(spread), -1).sum(axis=1), 0.0)
    degree = series.shape[1]
    for one in r:
        powers = one[:, None] ** np.arange(degree)
        square = np.einsum("nk...,nk->n...", square, powers)
    return np.asarray(square + left * np.max(r, axis=0) ** degree)
