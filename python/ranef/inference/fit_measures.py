"""How well a model of means and covariances fits, against the saturated and the null model."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import scipy

from .._html import Preformatted
from .._typing import Array

__all__ = ["FitMeasures", "Moments", "fit_measures", "srmr"]


@dataclass(frozen=True)
class Moments(Preformatted):
    """Means (p,) and covariances (p, p) of variables."""

    mean: Array
    cov: Array


@dataclass(frozen=True)
class FitMeasures(Preformatted):
    """Chi-squared test and indices of fit.

    Attributes
    ----------
    chisq, df, pvalue : float
        Twice the difference in log-likelihood from the saturated model, its degrees of freedom and
        p-value.
    cfi, tli : float
        Comparative fit index, and Tucker and Lewis's: 1 is best, against occasions that are
        independent of each other and of covariates.
    rmsea, rmsea_lower, rmsea_upper : float
        Root mean square error of approximation with its 90 % interval; 0 is best.
    srmr : float
        Root mean square of standardised differences between moments.
    unrestricted_llf : float
        Log-likelihood of the saturated model.
    baseline_chisq, baseline_df : float
        The test of independence.
    """

    chisq: float
    df: int
    pvalue: float
    cfi: float
    tli: float
    rmsea: float
    rmsea_lower: float
    rmsea_upper: float
    srmr: float
    unrestricted_llf: float
    baseline_chisq: float
    baseline_df: int


def fit_measures(
    llf: tuple[float, float, float], npar: tuple[int, int, int], n: int, srmr: float
) -> FitMeasures:
    """Compute measures of fit from three nested models.

    Parameters
    ----------
    llf, npar : tuple of three numbers
        Log-likelihoods and numbers of parameters of the null, the fitted and the saturated model.
    n : int
        Independent units.
    srmr : float
        Of the fitted model.

    Notes
    -----
    With d = max(chisq - df, 0): CFI = 1 - d / max(d0, d); TLI = 1 - ((chisq - df) / df) / ((chisq0
    - df0) / df0); RMSEA = sqrt(d / (df n)) with the limits of noncentral chi-squared [1]_.

    References
    ----------
    .. [1] Browne and Cudeck (1992), Sociol. Methods Res. 21(2), 230-258.
    """
    chisq, df = 2.0 * (llf[2] - llf[1]), npar[2] - npar[1]
    chisq0, df0 = 2.0 * (llf[2] - llf[0]), npar[2] - npar[0]
    beyond, beyond0 = max(chisq - df, 0.0), max(chisq0 - df0, 0.0)
    worst = max(beyond, beyond0)
    ratio0 = (chisq0 - df0) / df0 if df0 else 0.0
    lower, upper = _noncentrality(chisq, df)
    return FitMeasures(
        chisq=chisq,
        df=df,
        pvalue=float(scipy.special.chdtrc(df, max(chisq, 0.0))) if df else float("nan"),
        cfi=1.0 - beyond / worst if worst > 0.0 else 1.0,
        tli=1.0 - ((chisq - df) / df) / ratio0 if df and ratio0 else 1.0,
        rmsea=float(np.sqrt(beyond / (df * n))) if df else 0.0,
        rmsea_lower=float(np.sqrt(lower / (df * n))) if df else 0.0,
        rmsea_upper=float(np.sqrt(upper / (df * n))) if df else 0.0,
        srmr=srmr,
        unrestricted_llf=llf[2],
        baseline_chisq=chisq0,
        baseline_df=df0,
    )


def _noncentrality(chisq: float, df: int, level: float = 0.90) -> tuple[float, float]:
    """Noncentralities under which chisq is at the upper and lower (1 - level) / 2 point."""
    tail = 0.5 * (1.0 - level)

    def limit(probability: float) -> float:
        if df == 0 or scipy.special.chdtr(df, max(chisq, 0.0)) < probability:
            return 0.0
        high = chisq + 10.0 * np.sqrt(chisq + df) + 50.0

        def excess(noncentral: float) -> float:
            return float(scipy.special.chndtr(chisq, df, noncentral)) - probability

        return float(scipy.optimize.brentq(excess, 0.0, high, xtol=1e-10))

    return limit(1.0 - tail), limit(tail)


def srmr(sample: Moments, implied: Moments) -> float:
    """Root mean square of (sample - implied) means and covariances in sample standard deviations.

    References
    ----------
    Bentler (1995), EQS Structural Equations Program Manual; means included.
    """
    sd = np.sqrt(np.diag(sample.cov))
    gaps = ((sample.cov - implied.cov) / np.outer(sd, sd))[np.tril_indices(len(sd))]
    means = (sample.mean - implied.mean) / sd
    return float(np.sqrt(np.mean(np.concatenate([gaps, means]) ** 2)))
