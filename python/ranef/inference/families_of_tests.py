"""Several tests at once: adjusted p-values, and limits that hold together."""

from __future__ import annotations

from typing import TypeAlias

import numpy as np
import scipy
from numpy.typing import NDArray

from .._typing import Array
from .coverage import check_level, t_quantile
from .hypotheses.linear import f_pvalue
from .studentized import range_ppf, range_sf

__all__ = ["ADJUSTMENTS", "adjusted", "critical", "joint_tail"]

ADJUSTMENTS = ("tukey", "mvt", "dunnett", "sidak", "bonferroni", "holm", "fdr", "none")
Mask: TypeAlias = NDArray[np.bool_]
#: Contrasts whose joint distribution is integrated, and binary logarithms of its points.
MOST_JOINT, FINE, COARSE = 60, 15, 13


def adjusted(
    t: Array, df: Array, adjust: str, n_means: int, correlation: Array | None = None
) -> Array:
    """Two-sided p-values of a family of t statistics, adjusted for their number.

    Parameters
    ----------
    t, df : ndarray of shape (r,)
        Statistics and degrees of freedom.
    adjust : {"tukey", "mvt", "dunnett", "sidak", "bonferroni", "holm", "fdr", "none"}
        Tukey's studentised range (for all pairs of means); the multivariate t distribution, which
        Dunnett's is for comparisons with a control; or an adjustment of plain p-values. "fdr" is
        Benjamini and Hochberg's, of the rate of false discoveries.
    n_means : int
        Means that are compared.
    correlation : ndarray of shape (r, r), optional
        Correlations of the estimates, for "mvt" and "dunnett".

    Returns
    -------
    ndarray of shape (r,)
        Adjusted p-values.
    """
    r = int(np.isfinite(t).sum())
    plain = f_pvalue(t**2, 1.0, df)
    if adjust == "none" or r <= 1:
        return plain
    if adjust == "tukey":
        return range_sf(np.sqrt(2.0) * np.abs(t), n_means, df)
    if adjust in ("mvt", "dunnett"):
        return _jointly(t, df, plain, correlation)
    if adjust == "sidak":
        return np.asarray(-np.expm1(r * np.log1p(-plain)))
    if adjust == "bonferroni":
        return np.asarray(np.minimum(r * plain, 1.0))
    if adjust not in ("holm", "fdr"):
        raise ValueError(f"adjust must be one of {ADJUSTMENTS}, not {adjust!r}")
    order = np.argsort(plain)
    out = np.empty(len(t))
    if adjust == "holm":
        factors = np.maximum(r - np.arange(len(t)), 1)
        out[order] = np.minimum(np.maximum.accumulate(factors * plain[order]), 1.0)
        return np.asarray(np.where(np.isfinite(plain), out, np.nan))
    share = r / np.arange(1.0, len(t) + 1.0) * np.where(np.isfinite(plain), plain, 1.0)[order]
    out[order] = np.minimum(np.minimum.accumulate(share[::-1])[::-1], 1.0)
    return np.asarray(np.where(np.isfinite(plain), out, np.nan))


def critical(
    df: Array, level: float, adjust: str, n_means: int, correlation: Array | None = None
) -> Array:
    """Half widths, in standard errors, of intervals that hold for a family of contrasts.

    Holm's adjustment, and that of false discoveries, have no intervals of their own; Bonferroni's
    stand in.
    """
    check_level(level)
    known = np.isfinite(df) | np.isinf(df)
    r = int(known.sum())
    if adjust == "tukey" and r > 1:
        return np.asarray(range_ppf(level, n_means, df) / np.sqrt(2.0))
    if adjust in ("mvt", "dunnett") and r > 1:
        return _joint_quantile(df, level, known, correlation)
    if adjust == "sidak":
        level = level ** (1.0 / max(r, 1))
    elif adjust in ("bonferroni", "holm", "fdr"):
        level = 1.0 - (1.0 - level) / max(r, 1)
    return t_quantile(level, df)


def _jointly(t: Array, df: Array, plain: Array, correlation: Array | None) -> Array:
    """Probability that the largest of all statistics exceeds each, kept within its bounds."""
    known = np.isfinite(t)
    R, freedom = _known(df, known, correlation)
    out = np.full(len(t), np.nan)
    out[known] = joint_tail(np.abs(t[known]), R, freedom)
    return np.asarray(np.clip(out, plain, np.minimum(known.sum() * plain, 1.0)))


def _joint_quantile(df: Array, level: float, known: Mask, correlation: Array | None) -> Array:
    """Find the bound that all keep with a probability, between that of one and Bonferroni's."""
    R, freedom = _known(df, known, correlation)
    low = float(t_quantile(level, freedom))
    high = float(t_quantile(1.0 - (1.0 - level) / known.sum(), freedom))

    def excess(bound: float) -> float:
        return float(joint_tail(np.array([bound]), R, freedom)[0]) - (1.0 - level)

    # the tail of few points may miss its bounds by a little
    found = scipy.optimize.brentq(excess, 0.9 * low, 1.1 * high, xtol=1e-8)
    return np.where(known, found, np.nan)


def _known(df: Array, known: Mask, correlation: Array | None) -> tuple[Array, float]:
    """Correlations of the contrasts that have an estimate, and the fewest degrees of freedom."""
    if correlation is None:
        raise ValueError("the joint distribution needs the correlations of the estimates")
    if known.sum() > MOST_JOINT:
        raise ValueError(
            f"the joint distribution of {known.sum()} contrasts is not integrated, only of up to "
            f"{MOST_JOINT}; use adjust='holm' or, for all pairs, 'tukey'"
        )
    return correlation[np.ix_(known, known)], float(df[known].min())


def joint_tail(bounds: Array, correlation: Array, df: float) -> Array:
    """Compute the probability that some statistic of a multivariate t exceeds each bound.

    Parameters
    ----------
    bounds : ndarray of shape (b,)
        Positive numbers.
    correlation : ndarray of shape (r, r)
        Of the statistics, of any rank m.
    df : float
        Degrees of freedom, or infinity.

    Notes
    -----
    The statistics are A u R, with A A' the correlation, u a direction in m dimensions and R^2 / m
    an F variable on m and df degrees of freedom, independent of u. So the tail is the mean over u
    of F's tail at bound^2 / (m max|A u|^2), which is smooth. Sobol's points, with a fixed seed, do
    the mean, whose error is below 1e-3 of the tail.
    """
    sizes, vectors = np.linalg.eigh(correlation)
    kept = sizes > 1e-10 * sizes.max()
    A, m = vectors[:, kept] * np.sqrt(sizes[kept]), int(kept.sum())
    points = scipy.stats.qmc.Sobol(m, seed=1).random_base2(FINE if m <= 10 else COARSE)
    u = scipy.special.ndtri(np.clip(points, 1e-12, 1.0 - 1e-12))
    largest = np.abs(u @ A.T).max(axis=1) / np.linalg.norm(u, axis=1)
    ratio = (bounds[:, None] / largest) ** 2
    if np.isinf(df):
        return np.asarray(scipy.special.chdtrc(m, ratio).mean(axis=1))
    return np.asarray(scipy.special.fdtrc(m, df, ratio / m).mean(axis=1))
