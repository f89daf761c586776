"""Tests whether the coefficients of a node's model are the same along a variable."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.stats import chi2

from ..._typing import Array, Positions
from .suplm import suplm_log_pvalue

__all__ = ["Fluctuation", "Variable", "fluctuation"]

#: Share of the rows at each end of a numeric variable where no break is sought.
TRIM = 0.1


@dataclass(frozen=True, eq=False)
class Variable:
    """A variable that may divide the rows.

    Attributes
    ----------
    name : str
        Its column.
    values : ndarray of shape (n,)
        Numbers, or codes of levels.
    levels : tuple of str or None
        Labels of the levels; None for numbers.
    is_ordered : bool
        Whether levels have an order.
    group : str
        The coarsest grouping factor within whose levels it is constant, or "rows".
    codes : ndarray of shape (n,), int, or None
        Levels of that factor.
    """

    name: str
    values: Array
    levels: tuple[str, ...] | None
    is_ordered: bool
    group: str
    codes: Positions | None

    @property
    def is_nominal(self) -> bool:
        """Whether it has levels without an order."""
        return self.levels is not None and not self.is_ordered


@dataclass(frozen=True)
class Fluctuation:
    """One test.

    Attributes
    ----------
    statistic : float
        The largest Lagrange multiplier statistic of a numeric variable, chi-square of levels.
    log_pvalue : float
        Log of the p-value; 0 where nothing can be tested.
    units : int
        Rows, or groups, that were tested.
    """

    statistic: float
    log_pvalue: float
    units: int


UNTESTED = Fluctuation(np.nan, 0.0, 0)


def fluctuation(scores: Array, variable: Variable, rows: Positions, least: int) -> Fluctuation:
    """Test whether scores fluctuate along a variable more than by chance.

    Parameters
    ----------
    scores : ndarray of shape (m, k)
        Derivatives of each row's squared error by the coefficients of the node's model.
    variable : Variable
        Of all rows.
    rows : ndarray of shape (m,), int
        Rows of the node.
    least : int
        Rows on each side of a break at least.

    Notes
    -----
    A variable that is constant within groups is tested on the sums of the scores of the groups,
    which are independent where rows are not.

    References
    ----------
    Zeileis and Hornik (2007), Stat. Neerl. 61, 488-508.
    Zeileis, Hothorn and Hornik (2008), J. Comput. Graph. Stat. 17, 492-514.
    """
    z = variable.values[rows]
    if variable.codes is not None:
        groups, first, place = np.unique(
            variable.codes[rows], return_index=True, return_inverse=True
        )
        scores = np.column_stack([np.bincount(place, column, len(groups)) for column in scores.T])
        z, least = z[first], 1
    n, k = scores.shape
    if n <= 2 * k or np.ptp(z) == 0.0:
        return UNTESTED
    meat = scores.T @ scores / n
    values, vectors = np.linalg.eigh(meat)
    if values[0] <= 1e-10 * values[-1]:
        return UNTESTED
    standard = scores @ (vectors / np.sqrt(values)) / np.sqrt(n)
    if variable.levels is not None:
        return by_levels(standard, z.astype(np.intp), n, k)
    return by_order(standard, z, n, k, least)


def by_levels(standard: Array, codes: Positions, n: int, k: int) -> Fluctuation:
    """Compare sums of levels with zero."""
    used, place, counts = np.unique(codes, return_inverse=True, return_counts=True)
    sums = np.array([np.bincount(place, column) for column in standard.T])
    statistic = float(np.sum(sums**2 / (counts / n)))
    return Fluctuation(statistic, float(chi2.logsf(statistic, k * (len(used) - 1))), n)


def by_order(standard: Array, z: Array, n: int, k: int, least: int) -> Fluctuation:
    """Find the largest statistic over breaks between different values."""
    order = np.argsort(z, kind="stable")
    path = np.cumsum(standard[order], axis=0)
    first = max(int(np.ceil(n * TRIM)), least)
    last = n - first
    sorted_z = z[order]
    breaks = np.flatnonzero(sorted_z[1:] > sorted_z[:-1]) + 1
    breaks = breaks[(breaks >= first) & (breaks <= last)]
    if not len(breaks) or first >= n:
        return UNTESTED
    t = breaks / n
    statistic = float(np.max(np.sum(path[breaks - 1] ** 2, axis=1) / (t * (1.0 - t))))
    ratio = (n - first) * last / (first * (n - last))
    return Fluctuation(statistic, suplm_log_pvalue(statistic, k, ratio), n)
