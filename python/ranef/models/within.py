"""Least squares with absorbed factors: everything is fitted to what they leave unexplained."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from .. import _core
from .._typing import Array, Codes
from ..errors import FitError
from .ols import ABSORB_FLOOR, OlsEstimate, column_lengths, fit_ols

__all__ = [
    "Absorption",
    "WithinEstimate",
    "absorb",
    "absorbed_df",
    "fit_within",
    "is_nested",
    "near_zero",
]


#: Absorbed levels, besides those of the largest factor, up to which their rank is computed exactly.
EXACT_RANK = 2000
#: Mean of a column, in units of its range, beyond which it is far from zero.
FAR = 100.0


@dataclass(frozen=True)
class Absorption:
    """The factors to absorb.

    Attributes
    ----------
    names : tuple of str
        Their names.
    codes : ndarray of shape (n, K), int32, Fortran order
        Levels of each row.
    n_levels : ndarray of shape (K,), int32
        Number of levels of each factor.
    """

    names: tuple[str, ...]
    codes: Codes
    n_levels: Codes

    def select(self, chosen: list[int]) -> Absorption:
        """Take some of the factors."""
        return Absorption(
            tuple(self.names[k] for k in chosen),
            np.asfortranarray(self.codes[:, chosen]),
            self.n_levels[chosen],
        )


@dataclass(frozen=True)
class WithinEstimate:
    """Least squares after absorption.

    Attributes
    ----------
    ols : OlsEstimate
        The fit on absorbed columns; its ``resid`` are those of the full model.
    df_absorbed : int
        Rank of the absorbed indicators.
    tss, tss_within : float
        Weighted sums of squares of y around its mean, and around the absorbed effects.
    aliased : dict of int to str
        Why a column has no coefficient.
    """

    ols: OlsEstimate
    df_absorbed: int
    tss: float
    tss_within: float
    aliased: dict[int, str]


def fit_within(
    y: Array,
    X: Array,
    absorption: Absorption,
    weights: Array | None = None,
    offset: Array | None = None,
) -> WithinEstimate:
    """Fit y on X and on the effects of all absorbed factors.

    Parameters
    ----------
    y : ndarray of shape (n,)
        Response.
    X : ndarray of shape (n, p)
        Columns, the constant left out.
    absorption : Absorption
        The factors.
    weights, offset : ndarray of shape (n,), optional
        Positive weights, and a known part of the mean.

    Returns
    -------
    WithinEstimate
    """
    X = near_zero(X)
    target = y if offset is None else y - offset
    both = absorb(np.column_stack([target, X]), absorption, weights)
    inner = np.asfortranarray(both[:, 1:])
    scale = column_lengths(X, weights)
    df = absorbed_df(absorption)
    ols = fit_ols(both[:, 0], inner, weights, scale=scale, df_absorbed=df)
    w = np.ones(len(y)) if weights is None else weights
    mean = (w @ target) / w.sum()
    return WithinEstimate(
        ols=replace(ols, fitted=y - ols.resid),
        df_absorbed=df,
        tss=float(w @ (target - mean) ** 2),
        tss_within=float(w @ both[:, 0] ** 2),
        aliased=_reasons(X, inner, scale, ols, absorption, weights),
    )


def absorb(X: Array, absorption: Absorption, weights: Array | None = None) -> Array:
    """Return the residuals of all columns from the absorbed factors, shape of X.

    Parameters
    ----------
    X : ndarray of shape (n, m)
        Columns.
    absorption : Absorption
        The factors.
    weights : ndarray of shape (n,), optional
        Positive weights.

    Returns
    -------
    ndarray of shape (n, m)

    Notes
    -----
    The factor with most levels is eliminated and conjugate gradients solve for the rest, which is
    alternating projection with optimal acceleration.
    """
    return np.asarray(_absorbed(X, absorption, weights).residual)


def absorbed_effects(x: Array, absorption: Absorption, weights: Array | None = None) -> list[Array]:
    """Return the least squares effects of each factor on one column.

    Effects of the factors after the first add up to zero over the rows; the first holds the mean.

    Parameters
    ----------
    x : ndarray of shape (n,)
        What the effects are fitted to.
    absorption : Absorption
        The factors.
    weights : ndarray of shape (n,), optional
        Positive weights.

    Returns
    -------
    list of ndarray
        One array of length n_levels for each factor.
    """
    effects = _absorbed(x[:, None], absorption, weights).effects[:, 0]
    parts = np.split(effects, np.cumsum(absorption.n_levels)[:-1])
    for k in range(1, len(parts)):
        mean = parts[k][absorption.codes[:, k]].mean()
        parts[k] = parts[k] - mean
        parts[0] = parts[0] + mean
    return parts


def _absorbed(X: Array, absorption: Absorption, weights: Array | None) -> _core.Absorbed:
    """Run the absorption; raise unless it converged."""
    found = _core.absorb(
        np.asfortranarray(X),
        absorption.codes,
        absorption.n_levels,
        np.empty(0) if weights is None else weights,
    )
    if not found.converged:
        raise FitError(
            f"absorbing {' and '.join(absorption.names)} did not converge: their levels are hardly "
            "connected; absorb one of them and write the other into the formula"
        )
    return found


def absorbed_df(absorption: Absorption) -> int:
    """Count the degrees of freedom of the absorbed effects: the rank of their indicators.

    Exact for one and two factors, and for more while all but the largest have at most
    `EXACT_RANK` levels; beyond that each further factor is charged its levels minus the connected
    parts it forms with an earlier one, which is never too few.
    """
    levels = absorption.n_levels
    if len(levels) == 1:
        return int(levels[0])
    largest = int(np.argmax(levels))
    rest = [k for k in range(len(levels)) if k != largest]
    if len(levels) > 2 and int(levels[rest].sum()) <= EXACT_RANK:
        return int(levels[largest]) + _rank_of_rest(absorption, largest, rest)
    total = int(levels[0])
    for k in range(1, len(levels)):
        total += int(levels[k]) - max(_components(absorption, j, k) for j in range(k))
    return total


def _components(absorption: Absorption, j: int, k: int) -> int:
    """Count connected parts of two factors."""
    pair = absorption.select([j, k])
    return int(_core.count_components(pair.codes, pair.n_levels))


def _rank_of_rest(absorption: Absorption, largest: int, rest: list[int]) -> int:
    """Rank of the other factors' indicators after the largest factor is taken out."""
    offsets = np.concatenate([[0], np.cumsum(absorption.n_levels[rest])])
    q = int(offsets[-1])
    columns = np.stack([absorption.codes[:, k] + offsets[i] for i, k in enumerate(rest)], axis=1)
    main = absorption.codes[:, largest]
    cross = np.zeros((int(absorption.n_levels[largest]), q))
    gram = np.zeros((q, q))
    for i in range(len(rest)):
        np.add.at(cross, (main, columns[:, i]), 1.0)
        for j in range(len(rest)):
            np.add.at(gram, (columns[:, i], columns[:, j]), 1.0)
    counts = np.bincount(main, minlength=len(cross))[:, None]
    gram -= (cross / counts).T @ cross
    size = np.sqrt(np.maximum(np.diag(gram), 1e-300))
    return int(np.sum(np.linalg.eigvalsh(gram / size / size[:, None]) > 1e-9))


def is_nested(inner: Codes, outer: Codes) -> bool:
    """Return whether every level of ``inner`` lies within one level of ``outer``."""
    first = np.full(int(inner.max()) + 1, -1, np.int32)
    first[inner] = outer
    return bool(np.all(first[inner] == outer))


def _reasons(
    X: Array,
    inner: Array,
    scale: Array,
    ols: OlsEstimate,
    absorption: Absorption,
    weights: Array | None,
) -> dict[int, str]:
    """State why each column without a coefficient has none."""
    reasons = {}
    left = column_lengths(inner, weights)
    for j in np.flatnonzero(~ols.kept):
        if left[j] > ABSORB_FLOOR * scale[j]:
            reasons[int(j)] = "a combination of the columns before it and the absorbed effects"
            continue
        constant = [
            name
            for k, name in enumerate(absorption.names)
            if is_constant_within(X[:, j], absorption.codes[:, k])
        ]
        reasons[int(j)] = (
            f"constant within {constant[0]}"
            if constant
            else f"a sum of effects of {' and '.join(absorption.names)}"
        )
    return reasons


def near_zero(X: Array) -> Array:
    """Move columns that vary little about a number far from zero, such as years, to about zero.

    Absorbed effects take up the difference; the length of such a column says nothing about how much
    of it is noise.
    """
    mean, spread = X.mean(axis=0), np.ptp(X, axis=0)
    far = (np.abs(mean) > FAR * spread) & (spread > 0.0)
    return np.asfortranarray(X - np.where(far, mean, 0.0)) if far.any() else X


def is_constant_within(x: Array, codes: Codes) -> bool:
    """Return whether a column has one value in each level."""
    first = np.zeros(int(codes.max()) + 1)
    first[codes] = x
    size = float(np.abs(x).max(initial=0.0))
    return bool(np.all(np.abs(first[codes] - x) <= 1e-9 * size))


def singletons(absorption: Absorption) -> dict[str, int]:
    """Count, for each factor, the levels that occur in a single row."""
    return {
        name: int(np.sum(np.bincount(absorption.codes[:, k]) == 1))
        for k, name in enumerate(absorption.names)
    }
