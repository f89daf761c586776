"""Effects where a link is not the identity: mean outcomes over rows and random effects."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from ..._typing import Array
from .effects import Effects, effects_of

__all__ = ["AveragedPaths", "Mediated", "discrete", "normal"]

#: Nodes of the normal distributions that are integrated over.
NODES = 25
Z, WEIGHTS = np.polynomial.hermite_e.hermegauss(NODES)
WEIGHTS = WEIGHTS / WEIGHTS.sum()

#: The inverse of a link.
Inverse = Callable[[Array], Array]
#: Mean outcome by row from what the outcome's linear predictor is at a mediator of zero, what a
#: unit of the mediator adds to it, and the linear predictor of the mediator: each (n,).
Mediated = Callable[[Array, Array, Array], Array]


def averaged(inverse: Inverse, eta: Array, variance: Array) -> Array:
    """Average the inverse link over a normal linear predictor, (n,)."""
    if not np.any(variance > 0.0):
        return inverse(eta)
    at = eta[:, None] + np.sqrt(variance)[:, None] * Z
    return np.asarray(inverse(at.ravel()).reshape(at.shape) @ WEIGHTS)


def normal(inverse: Inverse, mediator: Array, outcome: Array) -> Mediated:
    """Return the mean outcome for a normal mediator.

    Parameters
    ----------
    inverse : callable
        The outcome's inverse link.
    mediator, outcome : ndarray of shape (n,)
        Variance of the mediator given its linear predictor, and of the outcome's random effects.
    """

    def mean(rest: Array, change: Array, eta: Array) -> Array:
        return averaged(inverse, rest + change * eta, change**2 * mediator + outcome)

    return mean


def expected(
    inverse: Inverse, mediator_inverse: Inverse, mediator: Array, outcome: Array
) -> Mediated:
    """Return the mean outcome of a linear model, which needs the mean of the mediator alone."""

    def mean(rest: Array, change: Array, eta: Array) -> Array:
        return rest + change * averaged(mediator_inverse, eta, mediator)

    return mean


def discrete(
    inverse: Inverse,
    chances: Callable[[Array], Array],
    values: Array,
    mediator: Array,
    outcome: Array,
) -> Mediated:
    """Return the mean outcome for a mediator of few values.

    Parameters
    ----------
    inverse : callable
        The outcome's inverse link.
    chances : callable
        Probabilities (m, values) of the values for linear predictors (m,).
    values : ndarray of shape (values,)
        Values of the mediator.
    mediator, outcome : ndarray of shape (n,)
        Variances of the random effects.
    """

    def mean(rest: Array, change: Array, eta: Array) -> Array:
        at = eta[:, None] + np.sqrt(mediator)[:, None] * Z
        p = chances(at.ravel()).reshape(len(eta), NODES, len(values))
        share = np.einsum("njk,j->nk", p, WEIGHTS)
        total = np.zeros(len(eta))
        for k, value in enumerate(values):
            total += share[:, k] * averaged(inverse, rest + value * change, outcome)
        return total

    return mean


@dataclass(frozen=True)
class AveragedPaths:
    """Mean outcomes by counterfactual: treatment t, mediator as under treatment s.

    Attributes
    ----------
    mediator : ndarray of shape (2, n, p_mediator)
        Rows of the mediator's model at control and treatment.
    changes, rest : ndarray of shape (2, n, p_outcome)
        Change of the outcome's rows by a unit of the mediator, and rows at zero of it.
    weights : ndarray of shape (n,)
        Share of each row; sums to one.
    means : dict of (int, int) to callable
        Mean outcome by row for each pair of treatments.
    """

    mediator: Array
    changes: Array
    rest: Array
    weights: Array
    means: dict[tuple[int, int], Mediated]

    def __call__(self, mediator: Array, outcome: Array) -> Effects:
        """Compute effects for draws of shape (n, p_mediator) and (n, p_outcome)."""
        found = {key: np.empty(len(mediator)) for key in self.means}
        for i, (m, y) in enumerate(zip(mediator, outcome, strict=True)):
            eta, change, rest = self.mediator @ m, self.changes @ y, self.rest @ y
            for (t, of), mean in self.means.items():
                found[t, of][i] = self.weights @ mean(rest[t], change[t], eta[of])
        average = self.weights @ self.changes  # (2, p_outcome)
        a = self.weights @ (self.mediator[1] - self.mediator[0])
        return effects_of(mediator @ a, (outcome @ average[0], outcome @ average[1]), found)
