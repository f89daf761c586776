"""Effects of a treatment through a mediator, for one or many draws of the coefficients."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np

from ..._typing import Array
from ...models.roots import root_of

__all__ = ["Effects", "LinearPaths", "Paths", "Side", "effects_of"]


@dataclass(frozen=True)
class Side:
    """Coefficients of one model and their covariance.

    Attributes
    ----------
    beta : ndarray of shape (p,)
        Estimates.
    cov : ndarray of shape (p, p)
        Their covariance.
    """

    beta: Array
    cov: Array

    def draw(self, n: int, rng: np.random.Generator) -> Array:
        """Draw coefficients, (n, p), normal about the estimates."""
        noise = rng.standard_normal((n, len(self.beta)))
        return np.asarray(self.beta + noise @ root_of(self.cov).T)


@dataclass(frozen=True)
class Effects:
    """Effects of each draw, arrays of shape (n,).

    Attributes
    ----------
    a, b : ndarray
        Treatment on mediator; mediator on outcome, mean over treatment and control.
    b_at, indirect_at, direct_at : tuple of ndarray
        The same at control and at treatment.
    """

    a: Array
    b_at: tuple[Array, Array]
    indirect_at: tuple[Array, Array]
    direct_at: tuple[Array, Array]

    @property
    def b(self) -> Array:
        """Mediator on outcome, mean over treatment and control."""
        return 0.5 * (self.b_at[0] + self.b_at[1])


class Paths(Protocol):
    """How effects follow from coefficients of the mediator's model and of the outcome's."""

    def __call__(self, mediator: Array, outcome: Array) -> Effects:
        """Compute effects for draws of shape (n, p_mediator) and (n, p_outcome)."""


def effects_of(a: Array, b_at: tuple[Array, Array], means: dict[tuple[int, int], Array]) -> Effects:
    """Difference mean outcomes, keyed by treatment, and by the treatment that the mediator has."""
    return Effects(
        a,
        b_at,
        (means[0, 1] - means[0, 0], means[1, 1] - means[1, 0]),
        (means[1, 0] - means[0, 0], means[1, 1] - means[0, 1]),
    )


@dataclass(frozen=True)
class LinearPaths:
    """Both models linear: cross products of their rows say all.

    Attributes
    ----------
    a : ndarray of shape (p_mediator,)
        Mean change of the mediator's row from control to treatment.
    b : ndarray of shape (2, p_outcome)
        Mean change of the outcome's row by one unit of the mediator, at control and treatment.
    rest : ndarray of shape (2, p_outcome)
        Mean row of the outcome with a mediator of zero, at control and treatment.
    cross : ndarray of shape (2, 2, p_mediator, p_outcome)
        Mean product of the mediator's row, at the first treatment, and that change at the second.
    """

    a: Array
    b: Array
    rest: Array
    cross: Array

    def __call__(self, mediator: Array, outcome: Array) -> Effects:
        """Compute effects for draws of shape (n, p_mediator) and (n, p_outcome)."""
        means = {
            (t, of): outcome @ self.rest[t]
            + np.einsum("sp,pq,sq->s", mediator, self.cross[of, t], outcome, optimize=True)
            for t in (0, 1)
            for of in (0, 1)
        }
        return effects_of(mediator @ self.a, (outcome @ self.b[0], outcome @ self.b[1]), means)

    @classmethod
    def of_rows(cls, mediator: Array, changes: Array, rest: Array) -> LinearPaths:
        """Average rows.

        Parameters
        ----------
        mediator : ndarray of shape (2, n, p_mediator)
            Rows of the mediator's model at control and treatment.
        changes, rest : ndarray of shape (2, n, p_outcome)
            Change of the outcome's rows by a unit of the mediator, and rows at zero of it.
        """
        n = mediator.shape[1]
        cross = np.array([[m.T @ d / n for d in changes] for m in mediator])
        a = mediator[1].mean(axis=0) - mediator[0].mean(axis=0)
        return cls(a, changes.mean(axis=1), rest.mean(axis=1), cross)

    @classmethod
    def of_coefficients(cls, a: Array, b: Array, direct: Array) -> LinearPaths:
        """Take effects that are linear functions of the coefficients, without interaction."""
        nothing = np.zeros((len(a), len(b)))
        product = np.outer(a, b)
        return cls(
            a,
            np.array([b, b]),
            np.array([np.zeros(len(direct)), direct]),
            np.array([[nothing, nothing], [product, product]]),
        )
