"""Many tests at once: false-discovery rates, and variances that borrow from each other."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import scipy
from numpy.typing import ArrayLike

from ..._typing import Array

__all__ = ["Squeezed", "benjamini_hochberg", "squeeze_variances", "storey"]


def benjamini_hochberg(pvalues: ArrayLike) -> Array:
    """Adjust p-values so that those below q have a false-discovery rate of at most q.

    Parameters
    ----------
    pvalues : array_like of shape (m,)
        P-values; NaN where there is none.

    Returns
    -------
    ndarray of shape (m,)
        Adjusted p-values, NaN where the p-value is; those do not count among the tests.

    References
    ----------
    Benjamini and Hochberg (1995), J. R. Stat. Soc. B 57, 289-300.
    """
    p = np.asarray(pvalues, dtype=np.float64)
    out = np.full(p.shape, np.nan)
    known = np.flatnonzero(~np.isnan(p))
    m = len(known)
    order = known[np.argsort(p[known], kind="stable")]
    scaled = p[order] * m / np.arange(1, m + 1)
    out[order] = np.minimum(1.0, np.minimum.accumulate(scaled[::-1])[::-1])
    return out


def storey(pvalues: ArrayLike, *, lambda_: float = 0.5) -> Array:
    """Return q-values: Benjamini-Hochberg times the estimated share of true null hypotheses.

    Parameters
    ----------
    pvalues : array_like of shape (m,)
        P-values; NaN where there is none.
    lambda_ : float
        P-values above it are taken to come from true null hypotheses.

    Returns
    -------
    ndarray of shape (m,)
        q-values.

    References
    ----------
    Storey (2002), J. R. Stat. Soc. B 64, 479-498.
    """
    p = np.asarray(pvalues, dtype=np.float64)
    known = p[~np.isnan(p)]
    if len(known) == 0:
        return np.full(p.shape, np.nan)
    null_share = min(1.0, ((known > lambda_).sum() + 1.0) / (len(known) * (1.0 - lambda_)))
    return np.asarray(np.minimum(1.0, null_share * benjamini_hochberg(p)))


@dataclass(frozen=True)
class Squeezed:
    """Variances moved towards a common value.

    Attributes
    ----------
    variance : ndarray of shape (m,)
        (d0 s0^2 + d s^2) / (d0 + d).
    prior_variance, prior_df : float
        s0^2 and d0 of the scaled inverse chi-squared prior; d0 may be infinite.
    """

    variance: Array
    prior_variance: float
    prior_df: float


def squeeze_variances(variance: ArrayLike, df: ArrayLike) -> Squeezed:
    """Shrink residual variances to the centre of their own distribution (empirical Bayes).

    Parameters
    ----------
    variance, df : array_like of shape (m,)
        Variances and their degrees of freedom; NaN where there is none.

    Returns
    -------
    Squeezed
        Posterior variances and the prior.

    Notes
    -----
    With s^2 | sigma^2 ~ sigma^2 chi^2_d / d and 1 / sigma^2 ~ chi^2_d0 / (d0 s0^2), log s^2 has
    mean log s0^2 + psi(d/2) - log(d/2) - psi(d0/2) + log(d0/2) and variance
    psi'(d/2) + psi'(d0/2), which are solved for d0 and s0^2.

    References
    ----------
    Smyth (2004), Stat. Appl. Genet. Mol. Biol. 3(1), article 3.
    """
    s2, d = np.broadcast_arrays(np.asarray(variance, float), np.asarray(df, float))
    known = np.isfinite(s2) & (s2 > 0.0) & (d > 0.0)
    if known.sum() < 2:
        raise ValueError("moderation needs at least two fits with a residual variance")
    half = d[known] / 2.0
    centred = np.log(s2[known]) - scipy.special.digamma(half) + np.log(half)
    mean = centred.mean()
    excess = centred.var(ddof=1) - scipy.special.polygamma(1, half).mean()
    if excess <= 0.0:
        prior_df, prior = np.inf, float(np.exp(mean))
        return Squeezed(np.where(known, prior, np.nan), prior, prior_df)
    prior_df = 2.0 * inverse_trigamma(float(excess))
    prior = float(np.exp(mean + scipy.special.digamma(prior_df / 2.0) - np.log(prior_df / 2.0)))
    posterior = (prior_df * prior + d * s2) / (prior_df + d)
    return Squeezed(np.where(known, posterior, np.nan), prior, prior_df)


def inverse_trigamma(value: float) -> float:
    """Solve psi'(x) = value for x > 0 by Newton steps on 1 / psi', which is nearly linear."""
    x = 0.5 + 1.0 / value
    for _ in range(50):
        trigamma = float(scipy.special.polygamma(1, x))
        step = trigamma * (1.0 - trigamma / value) / float(scipy.special.polygamma(2, x))
        x += step
        if abs(step) < 1e-12 * x:
            break
    return x
