"""Fitted learners, and what the alternation with random effects requires of them."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import numpy as np

from .._typing import Array, Positions
from ..design.design import INTERCEPT, Design
from .task import Task

__all__ = ["Learned", "Learner", "beside"]


@dataclass(frozen=True, eq=False)
class Learned(ABC):
    """A learner fitted to one response.

    Attributes
    ----------
    fitted : ndarray of shape (n,)
        Predictions of the rows of the fit that the random effects are estimated from.
    """

    fitted: Array

    #: How ``fitted`` was made.
    how: ClassVar[str] = "in-sample"

    @property
    @abstractmethod
    def estimator(self) -> Any:
        """What was fitted to all rows."""

    @abstractmethod
    def predict(self, X: Array) -> Array:
        """Predict new rows, shape (m,)."""

    @abstractmethod
    def held_out(self, X: Array, rows: Positions) -> Array:
        """Predict rows of the fit whose predictors were changed, as ``fitted`` was made.

        Parameters
        ----------
        X : ndarray of shape (m, p)
            Predictors of these rows.
        rows : ndarray of shape (m,), int
            Their positions among the rows of the fit.
        """

    def step(self, base: Design) -> Design:
        """Return the linear mixed model to fit next: what the learner left, minus its mean."""
        return beside(base, self.fitted)

    def column(self) -> tuple[str, Any, str]:
        """Return a column for the mixed model beside the learner.

        Returns
        -------
        name : str
            What to call it.
        values : ndarray of shape (n,)
            Of the rows of the fit.
        fixed : str
            The fixed part of the formula, the column as ``{}``.
        """
        return "learner", self.fitted, "1 + offset({})"

    def mean(self, X: Array, beta: Array) -> Array:
        """Predict new rows with the coefficients of the mixed model, random effects zero."""
        return np.asarray(self.predict(X) + beta[0])

    def fitted_mean(self, beta: Array) -> Array:
        """Predict the rows of the fit, with the coefficients and without random effects."""
        return np.asarray(self.fitted + beta[0])

    def held_out_mean(self, X: Array, rows: Positions, beta: Array) -> Array:
        """Predict changed rows of the fit as ``fitted_mean`` predicts the rows themselves."""
        return np.asarray(self.held_out(X, rows) + beta[0])

    def notes(self) -> list[str]:
        """State what a reader must know about the learner."""
        return []


class Learner(ABC):
    """A kind of learner with its settings."""

    #: What a summary calls it.
    label: str = ""
    #: Change of the log-likelihood, relative to itself, that counts as none.
    tolerance: ClassVar[float] = 1e-3
    #: Rounds without gain after which the alternation ends.
    patience: ClassVar[int] = 2

    @abstractmethod
    def fit(self, task: Task) -> Learned:
        """Fit while the random effects have not settled yet."""

    def finish(self, task: Task, learned: Learned) -> Learned:
        """Make the final fit; ``learned`` is the last fit of the alternation."""
        return learned


def beside(base: Design, fitted: Array) -> Design:
    """Make the mixed model of a response minus predictions: a constant and random effects."""
    return replace(
        base,
        y=base.y - fitted,
        fixed=(INTERCEPT,),
        fixed_names=("Intercept",),
        fixed_terms=(("Intercept", (0,)),),
    )
