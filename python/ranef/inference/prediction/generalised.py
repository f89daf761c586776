"""Predictive distributions of a generalised linear mixed model."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import scipy

from ..._typing import Array
from ...design.design import Design
from ...design.encode import NewRows
from ...models.glmm import model as glmm
from ...models.glmm.estimate import GlmmEstimate, GlmmSpec
from ..families import mean_of, slope_of, unit_variance
from .predict import complete_rows

__all__ = ["Predictive", "predictor_variance"]


#: Standard deviations of the linear predictor on both sides, and their division at least and most.
REACH, FEWEST, MOST = 7.0, 41, 2001
#: Nodes to a standard deviation of a response, on the scale of the linear predictor.
DENSITY = 1.5
#: Means that are worked out together, which bounds the memory.
AT_ONCE = 400_000
#: Halvings in the search for a quantile of a continuous distribution.
HALVINGS = 60


def predictor_variance(
    design: Design, estimate: GlmmEstimate, rows: NewRows, groups: Sequence[str]
) -> Array:
    """Compute the variance of the error of the linear predictor of new rows.

    Parameters
    ----------
    rows : NewRows
        From ``design.encode``.
    groups : sequence of str
        Grouping factors that take part; a level the fit has not seen adds its whole variance.

    Returns
    -------
    ndarray of shape (m,)
        NaN in rows with missing values.

    Notes
    -----
    With D the conditional covariance of the random effects at their modes, W the observed weights
    and C the covariance of the fixed effects, z'D z + r'C r, r = x - X'W Z D z. Covariance
    parameters and dispersion are taken as known but for their part in C.
    """
    out = np.full(len(rows.missing), np.nan)
    if not groups:
        X = rows.X[~rows.missing][:, estimate.kept]
        out[~rows.missing] = np.einsum("ij,jk,ik->i", X, estimate.cov_beta, X)
        return out
    X, terms = complete_rows(design, estimate, rows, groups)
    core = glmm.at_estimate(design, estimate)
    out[~rows.missing] = core.prediction_variances(X, estimate.cov_beta, terms)
    return out


@dataclass(frozen=True)
class Predictive:
    """Distributions of new responses: the family's, mixed over a normal linear predictor.

    Attributes
    ----------
    spec : GlmmSpec
        Family and link.
    dispersion : float
        phi or size.
    eta, variance : ndarray of shape (m,)
        Mean and variance of the linear predictor.
    trials : ndarray of shape (m,)
        Trials of a binomial response, which is the share of successes; not used otherwise.

    Notes
    -----
    The integral over the linear predictor is the trapezoidal rule, which is all but exact for
    analytic functions that vanish at both ends, with nodes closer than the responses' own spread.
    """

    spec: GlmmSpec
    dispersion: float
    eta: Array
    variance: Array
    trials: Array

    def _parts(self) -> Iterator[tuple[slice, Array, Array]]:
        """Give some rows at a time, their means at nodes (rows, nodes), and weights (nodes,)."""
        sd = np.sqrt(self.variance)
        count = self._nodes(sd)
        nodes = np.linspace(-REACH, REACH, count)
        weights = np.exp(-0.5 * nodes**2)
        weights /= weights.sum()
        step = max(1, AT_ONCE // count)
        for start in range(0, len(self.eta), step):
            part = slice(start, start + step)
            eta = self.eta[part, None] + sd[part, None] * nodes
            if self.spec.link == "inverse":  # no mean is negative
                eta = np.maximum(eta, 1e-8 * np.abs(self.eta[part, None]))
            yield part, mean_of(self.spec.link, eta.ravel()).reshape(eta.shape), weights

    def _nodes(self, sd: Array) -> int:
        """Count the nodes that leave no gap between the distributions at neighbouring ones."""
        widest = 0.0
        for side in (-2.0, 0.0, 2.0):
            eta = self.eta + side * sd
            mu = mean_of(self.spec.link, eta)
            with np.errstate(all="ignore"):
                information = slope_of(self.spec.link, eta) ** 2 / self._variance(mu, self.trials)
                spread = sd * np.sqrt(information)
            widest = max(widest, float(spread[np.isfinite(spread)].max(initial=0.0)))
        return int(np.clip(2.0 * REACH * DENSITY * widest, FEWEST, MOST)) | 1

    def _variance(self, mu: Array, trials: Array) -> Array:
        """Variance of a response given its mean."""
        own = unit_variance(self.spec, mu, self.dispersion)
        if self.spec.family == "binomial":
            return own / trials
        return own * self.dispersion if self.spec.family == "gamma" else own

    def moments(self) -> tuple[Array, Array]:
        """Mean and standard deviation, shape (m,) each."""
        mean, sd = np.empty((2, len(self.eta)))
        for part, mu, weights in self._parts():
            mean[part] = mu @ weights
            between = (mu - mean[part, None]) ** 2
            sd[part] = np.sqrt((self._variance(mu, self.trials[part, None]) + between) @ weights)
        return mean, sd

    def log_density(self, y: Array) -> Array:
        """Log predictive density, or probability, of a response for each row, shape (m,)."""
        out = np.empty(len(y))
        for part, mu, weights in self._parts():
            rows = self._log_density(y[part, None], mu, self.trials[part, None])
            out[part] = scipy.special.logsumexp(rows, axis=1, b=weights)
        return out

    def quantile(self, probability: float) -> Array:
        """Smallest response whose distribution function reaches a probability, shape (m,)."""
        out = np.empty(len(self.eta))
        for part, mu, weights in self._parts():
            known = np.asarray(np.isfinite(mu).all(axis=1))
            found = np.full(len(mu), np.nan)
            if known.any():
                trials = self.trials[part][known]
                find = self._continuous if self.spec.family == "gamma" else self._discrete
                found[known] = find(probability, mu[known], trials, weights)
            out[part] = found
        return out

    def _discrete(self, probability: float, mu: Array, trials: Array, weights: Array) -> Array:
        """Bisect whole numbers: the function is below ``probability`` at low, not at high."""
        low = np.full(len(mu), -1.0)
        if self.spec.family == "binomial":
            high = trials.copy()
        else:
            high = np.ceil(mu.max(axis=1)) + 1.0
            while bool((short := self._cdf(high, mu, trials, weights) < probability).any()):
                high[short] *= 2.0
        while bool(((high - low) > 1.0).any()):
            middle = np.floor(0.5 * (low + high))
            below = self._cdf(middle, mu, trials, weights) < probability
            low, high = np.where(below, middle, low), np.where(below, high, middle)
        return high / trials if self.spec.family == "binomial" else high

    def _continuous(self, probability: float, mu: Array, trials: Array, weights: Array) -> Array:
        """Bisect the logarithm of a response above zero."""
        spread = 40.0 * (1.0 + self.dispersion)
        low, high = np.log(mu.min(axis=1)) - spread, np.log(mu.max(axis=1)) + spread
        for _ in range(HALVINGS):
            middle = 0.5 * (low + high)
            below = self._cdf(np.exp(middle), mu, trials, weights) < probability
            low, high = np.where(below, middle, low), np.where(below, high, middle)
        return np.asarray(np.exp(high))

    def _cdf(self, y: Array, mu: Array, trials: Array, weights: Array) -> Array:
        """Distribution function at a response, or a number of successes, for each row."""
        y, n = y[:, None], trials[:, None]
        special = scipy.special
        if self.spec.family == "binomial":
            failures = np.maximum(n - y, 1.0)
            values = special.betainc(failures, np.maximum(y, 0.0) + 1.0, 1.0 - mu)
            values = np.where(y < n, np.where(y < 0.0, 0.0, values), 1.0)
        elif self.spec.family == "poisson":
            values = special.gammaincc(y + 1.0, mu)
        elif self.spec.family == "gamma":
            values = special.gammainc(1.0 / self.dispersion, y / (mu * self.dispersion))
        else:
            k = self.dispersion
            values = special.betainc(k, y + 1.0, k / (k + mu))
        return np.asarray(values @ weights)

    def _log_density(self, y: Array, mu: Array, n: Array) -> Array:
        stats = scipy.stats
        if self.spec.family == "binomial":
            return np.asarray(stats.binom.logpmf(np.round(y * n), n, mu))
        if self.spec.family == "poisson":
            return np.asarray(stats.poisson.logpmf(y, mu))
        if self.spec.family == "gamma":
            return np.asarray(
                stats.gamma.logpdf(y, 1.0 / self.dispersion, scale=mu * self.dispersion)
            )
        k = self.dispersion
        return np.asarray(stats.nbinom.logpmf(y, k, k / (k + mu)))
