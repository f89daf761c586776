"""Predictive distributions of a generalised linear mixed model."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import scipy

from ... import _core
from ..._typing import Array
from ...design.design import Design
from ...design.encode import NewRows
from ...families import Params
from ...models.glmm import model as glmm
from ...models.glmm.estimate import GlmmEstimate, GlmmSpec
from .general import glmm_variances
from .places import left_over
from .predict import complete_rows

__all__ = ["Predictive", "predictor_variance"]


#: Standard deviations of the linear predictor on both sides, and their division at least and most.
REACH, FEWEST, MOST = 7.0, 41, 2001
#: Nodes to a standard deviation of a response, on the scale of the linear predictor.
DENSITY = 1.5
#: Means that are computed together, which bounds the memory.
AT_ONCE = 400_000
#: Halvings in the search for a quantile of a continuous distribution.
HALVINGS = 60


def predictor_variance(
    design: Design, estimate: GlmmEstimate, rows: NewRows, groups: Sequence[str]
) -> Array:
    """Compute the variance of the error of the linear predictor of new rows.

    Parameters
    ----------
    design : Design
        The design of the fit.
    estimate : GlmmEstimate
        The fit.
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
    core = glmm.at_estimate(design, estimate)
    if isinstance(core, _core.GeneralGlmm):
        return glmm_variances(design, estimate, core, rows, groups)
    X, terms = complete_rows(design, estimate, rows, groups)
    out[~rows.missing] = core.prediction_variances(X, estimate.cov_beta, terms)
    return out + left_over(rows, groups)


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
        """Return some rows at a time, their means at nodes (rows, nodes), and weights (nodes,)."""
        sd = np.sqrt(self.variance)
        count = self._nodes(sd)
        nodes = np.linspace(-REACH, REACH, count)
        weights = np.exp(-0.5 * nodes**2)
        weights /= weights.sum()
        step = max(1, AT_ONCE // count)
        for start in range(0, len(self.eta), step):
            part = slice(start, start + step)
            eta = self.eta[part, None] + sd[part, None] * nodes
            link = self.spec.transform
            yield (
                part,
                link.mean(link.keep_inside(eta, 1e-8 * np.abs(self.eta[part, None]))),
                weights,
            )

    def _nodes(self, sd: Array) -> int:
        """Count the nodes that leave no gap between the distributions at neighbouring ones."""
        widest = 0.0
        for side in (-2.0, 0.0, 2.0):
            eta = self.eta + side * sd
            mu = self.spec.transform.mean(eta)
            with np.errstate(all="ignore"):
                information = self.spec.transform.slope(eta) ** 2 / self._variance(mu, self.trials)
                spread = sd * np.sqrt(information)
            widest = max(widest, float(spread[np.isfinite(spread)].max(initial=0.0)))
        return int(np.clip(2.0 * REACH * DENSITY * widest, FEWEST, MOST)) | 1

    def _variance(self, mu: Array, trials: Array) -> Array:
        """Variance of a response given its mean."""
        return self.spec.distribution.variance(mu, self._params(trials))

    def _params(self, trials: Array) -> Params:
        """Name the parameters of the family."""
        return self.spec.distribution.params(self.dispersion, trials)

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
        out, logpdf = np.empty(len(y)), self.spec.distribution.need("logpdf")
        for part, mu, weights in self._parts():
            rows = logpdf(y[part, None], mu, self._params(self.trials[part, None]))
            out[part] = scipy.special.logsumexp(rows, axis=1, b=weights)
        return out

    def distribution(self, y: Array) -> Array:
        """Probability of a response of each row that is not larger than y, shape (m,)."""
        out = np.empty(len(y))
        for part, mu, weights in self._parts():
            out[part] = self._cdf(y[part], mu, self.trials[part], weights)
        return out

    def quantile(self, probability: float) -> Array:
        """Smallest response whose distribution function reaches a probability, shape (m,)."""
        out = np.empty(len(self.eta))
        for part, mu, weights in self._parts():
            known = np.asarray(np.isfinite(mu).all(axis=1))
            found = np.full(len(mu), np.nan)
            if known.any():
                trials = self.trials[part][known]
                discrete = self.spec.distribution.support.discrete
                find = self._discrete if discrete else self._continuous
                found[known] = find(probability, mu[known], trials, weights)
            out[part] = found
        return out

    def _discrete(self, probability: float, mu: Array, trials: Array, weights: Array) -> Array:
        """Bisect whole numbers: the function is below ``probability`` at low, not at high."""
        units = trials if self.spec.distribution.has_trials else np.ones(len(mu))
        low, top = np.full(len(mu), -1.0), self.spec.distribution.support.high
        high = top * units if np.isfinite(top) else np.ceil(mu.max(axis=1)) + 1.0
        while bool((short := self._cdf(high / units, mu, trials, weights) < probability).any()):
            high[short] *= 2.0
        while bool(((high - low) > 1.0).any()):
            middle = np.floor(0.5 * (low + high))
            below = self._cdf(middle / units, mu, trials, weights) < probability
            low, high = np.where(below, middle, low), np.where(below, high, middle)
        return high / units

    def _continuous(self, probability: float, mu: Array, trials: Array, weights: Array) -> Array:
        """Bisect responses, or the logarithms of responses above zero."""
        support = self.spec.distribution.support
        positive = support.low == 0.0 and support.high == np.inf
        sd = np.sqrt(self._variance(mu, trials[:, None]))
        if positive:
            spread = 40.0 * (1.0 + ((sd / mu) ** 2).max(axis=1))
            low, high = np.log(mu.min(axis=1)) - spread, np.log(mu.max(axis=1)) + spread
        else:
            spread = 40.0 * sd.max(axis=1)
            low = np.maximum(mu.min(axis=1) - spread, support.low)
            high = np.minimum(mu.max(axis=1) + spread, support.high)
        for _ in range(HALVINGS):
            middle = 0.5 * (low + high)
            y = np.exp(middle) if positive else middle
            below = self._cdf(y, mu, trials, weights) < probability
            low, high = np.where(below, middle, low), np.where(below, high, middle)
        return np.asarray(np.exp(high) if positive else high)

    def _cdf(self, y: Array, mu: Array, trials: Array, weights: Array) -> Array:
        """Distribution function at a response for each row."""
        values = self.spec.distribution.need("cdf")(y[:, None], mu, self._params(trials[:, None]))
        return np.asarray(values @ weights)
