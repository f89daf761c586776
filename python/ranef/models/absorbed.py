"""Generalised linear models with absorbed factors: least squares in rounds."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .._typing import Array
from ..families import Family
from .ols import OlsEstimate, column_lengths, fit_ols
from .within import Absorption, WithinEstimate, absorb, fit_within

__all__ = ["GlmEstimate", "GlmRows", "fit_absorbed"]

#: Most rounds, and most halvings of a step that does not lower the deviance.
MOST_ROUNDS, HALVINGS = 100, 30
#: Squared length, in standard errors, at which a step is the last.
SETTLED = 1e-14
#: By how much a round still moves the linear predictor of a row whose mean runs to the edge of its
#: range: it is 1 in the limit, and 0 for a row whose mean stays put.
RUNNING = 0.5


@dataclass(frozen=True)
class GlmRows:
    """Rows of a model whose link is the canonical one.

    Attributes
    ----------
    y : ndarray of shape (n,)
        Responses, shares of trials where the family has trials.
    X : ndarray of shape (n, p)
        Columns.
    family : Family
        The distribution.
    absorption : Absorption or None
        Factors that are absorbed.
    weights, offset : ndarray of shape (n,) or None
        Weights of the log-likelihood, or trials; known part of the linear predictor.
    """

    y: Array
    X: Array
    family: Family
    absorption: Absorption | None
    weights: Array | None
    offset: Array | None

    @property
    def prior(self) -> Array:
        """Weight of each row."""
        return np.ones(len(self.y)) if self.weights is None else self.weights

    @property
    def known(self) -> Array:
        """Known part of the linear predictor of each row."""
        return np.zeros(len(self.y)) if self.offset is None else self.offset

    def deviance(self, eta: Array) -> float:
        """Return the deviance; infinite if undefined."""
        with np.errstate(over="ignore", invalid="ignore"):
            mu = self.family.link.mean(eta)
            found = float(self.prior @ self.family.need("deviance")(self.y, mu, {"trials": 1.0}))
        return found if np.isfinite(found) else np.inf

    def working(self, eta: Array) -> tuple[Array, Array]:
        """Return working weights, and working responses without the known part."""
        mu = self.family.link.mean(eta)
        variance = np.maximum(self.family.unit_variance(mu, {"trials": 1.0}), 1e-300)
        return self.prior * variance, eta - self.known + (self.y - mu) / variance

    def start(self) -> Array:
        """Return linear predictors between the responses and their mean."""
        if self.family.has_trials:
            return self.family.link.function((self.prior * self.y + 0.5) / (self.prior + 1.0))
        mean = float(self.prior @ self.y / self.prior.sum())
        return self.family.link.function(0.5 * (self.y + mean))


@dataclass(frozen=True)
class GlmEstimate:
    """What the rounds ended at.

    Attributes
    ----------
    within : WithinEstimate
        The last weighted least squares; its ``ols.resid`` are working residuals.
    weights : ndarray of shape (n,)
        Its weights: variance of each row, times its own weight.
    eta, mu : ndarray of shape (n,)
        Linear predictors and means.
    converged : bool
        Whether the last step was negligible.
    rounds : int
        Number of rounds.
    running : ndarray of shape (n,), bool
        Rows whose mean runs to the edge of its range.
    """

    within: WithinEstimate
    weights: Array
    eta: Array
    mu: Array
    converged: bool
    rounds: int
    running: NDArray[np.bool_]


def fit_absorbed(rows: GlmRows) -> GlmEstimate:
    """Maximise the likelihood by iterated weighted least squares.

    Notes
    -----
    Each round absorbs the factors from working response and columns, with the working weights
    [1]_. With the canonical link that is Newton's method. Steps that raise the deviance are halved.

    References
    ----------
    .. [1] Correia, Guimaraes and Zylkin (2020), Stata J. 20, 95-115.
    """
    eta = rows.start()
    deviance, converged, used = rows.deviance(eta), False, 0
    step = np.zeros_like(eta)
    for used in range(1, MOST_ROUNDS + 1):
        weights, response = rows.working(eta)
        step = response + rows.known - solved(rows, response, weights).resid - eta
        eta, deviance = descended(rows, eta, step, deviance, first=used == 1)
        if float(weights @ (step * step)) < SETTLED * (1.0 + deviance):
            converged = True
            break
    weights, response = rows.working(eta)
    within = whole(rows, response, weights)
    running = (np.abs(step) > RUNNING) & at_edge(rows.y, rows.family)
    return GlmEstimate(within, weights, eta, rows.family.link.mean(eta), converged, used, running)


def at_edge(y: Array, family: Family) -> NDArray[np.bool_]:
    """Find which responses are at an end of the range of the mean."""
    return np.asarray((y == 0.0) | (family.has_trials & (y == 1.0)))


def descended(
    rows: GlmRows, eta: Array, step: Array, deviance: float, *, first: bool
) -> tuple[Array, float]:
    """Take a step, or the part of it that does not raise the deviance."""
    for _ in range(HALVINGS):
        found = rows.deviance(eta + step)
        if found <= deviance * (1.0 + 1e-12) + 1e-12 or (first and np.isfinite(found)):
            break
        step = 0.5 * step
    return eta + step, found


def solved(rows: GlmRows, response: Array, weights: Array) -> OlsEstimate:
    """Solve one round."""
    if rows.absorption is None:
        return fit_ols(response, rows.X, weights)
    both = absorb(np.column_stack([response, rows.X]), rows.absorption, weights)
    scale = column_lengths(rows.X, weights)
    return fit_ols(both[:, 0], np.asfortranarray(both[:, 1:]), weights, scale=scale)


def whole(rows: GlmRows, response: Array, weights: Array) -> WithinEstimate:
    """Solve the last round, with all that inference needs."""
    if rows.absorption is not None:
        return fit_within(response, rows.X, rows.absorption, weights)
    ols = fit_ols(response, rows.X, weights)
    reasons = {int(j): "a combination of the columns before it" for j in np.flatnonzero(~ols.kept)}
    return WithinEstimate(ols, 0, 0.0, 0.0, reasons)
