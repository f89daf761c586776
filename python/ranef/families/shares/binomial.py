"""Shares of successes in trials."""

from __future__ import annotations

import numpy as np
import scipy

from ..._typing import Array
from ..family import Family, Params
from ..links import CLOGLOG, IDENTITY, LOG, LOGIT, PROBIT
from .common import LINKS, OF_TRIALS

__all__ = ["BINOMIAL"]


def unit_variance(mu: Array, params: Params) -> Array:
    """Return mu (1 - mu)."""
    return mu * (1.0 - mu)


def deviance(y: Array, mu: Array, params: Params) -> Array:
    """Return the deviance of a share for one trial."""
    part = scipy.special.xlogy
    return np.asarray(2.0 * (part(y, y / mu) + part(1.0 - y, (1.0 - y) / (1.0 - mu))))


def logpdf(y: Array, mu: Array, params: Params) -> Array:
    """Return the log probability of y * trials successes."""
    n = params["trials"]
    return np.asarray(scipy.stats.binom.logpmf(np.round(y * n), n, mu))


def cdf(y: Array, mu: Array, params: Params) -> Array:
    """Return the probability of at most y * trials successes."""
    n = params["trials"]
    k = np.floor(y * n + 1e-9)  # a share times its trials is a whole number but for rounding
    inner = scipy.special.betainc(np.maximum(n - k, 1.0), np.maximum(k, 0.0) + 1.0, 1.0 - mu)
    return np.where(k < n, np.where(k < 0.0, 0.0, inner), 1.0)


def quantile(p: Array | float, mu: Array, params: Params) -> Array:
    """Return the smallest share whose distribution function reaches p."""
    n = params["trials"]
    return np.asarray(scipy.stats.binom.ppf(p, n, mu) / n)


def draw(rng: np.random.Generator, mu: Array, params: Params) -> Array:
    """Draw shares of successes."""
    n = params["trials"]
    return np.asarray(rng.binomial(np.asarray(n).astype(np.int64), mu) / n)


def quasi_likelihood(y: Array, mu: Array) -> Array:
    """Return the quasi-likelihood of each row."""
    return np.asarray(y * np.log(mu / (1.0 - mu)) + np.log1p(-mu))


BINOMIAL = Family(
    name="binomial",
    core="binomial",
    estimators=("glmer", "glmm", "gee", "feglm"),
    links=(LOGIT, PROBIT, CLOGLOG),
    part_links=(*LINKS, LOG, IDENTITY),
    support=OF_TRIALS,
    unit_variance=unit_variance,
    deviance=deviance,
    logpdf=logpdf,
    cdf=cdf,
    quantile=quantile,
    draw=draw,
    has_trials=True,
    latent=True,
    takes_zero=True,
    quasi_likelihood=quasi_likelihood,
    aliases=("bernoulli", "binary", "logistic", "logit", "quasibinomial"),
)
