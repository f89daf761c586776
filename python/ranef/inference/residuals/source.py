"""What checks of residuals need from a fit: its responses as probabilities, and new responses."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import scipy

from ..._typing import Array
from ...design.design import Design

__all__ = ["FITTED", "KINDS", "Source", "Transform", "by_cdf", "by_draws", "normal"]

#: Given the random effects at their modes, or with new random effects.
KINDS = ("conditional", "marginal")
#: What residuals are drawn along by default.
FITTED = "fitted values"
#: Normal scores are kept within this distance of zero, where probabilities round to 0 or 1.
FARTHEST = 8.2


@dataclass(frozen=True)
class Transform:
    """Responses as probabilities of a distribution.

    Attributes
    ----------
    lower, upper : ndarray of shape (n,)
        Probability of a smaller response, and of one that is not larger; equal where the
        distribution is continuous.
    pearson : ndarray of shape (n,)
        Responses minus their means, over their standard deviations.
    fitted : ndarray of shape (n,)
        Means.
    scores : ndarray of shape (n,), optional
        Normal scores where they are known better than as probabilities.
    zeros : float
        Expected number of responses that are zero; NaN where responses are continuous.
    """

    lower: Array
    upper: Array
    pearson: Array
    fitted: Array
    scores: Array | None = None
    zeros: float = np.nan

    def normal_scores(self, rng: np.random.Generator) -> Array:
        """Return standard normal residuals; a point between the two probabilities is drawn.

        References
        ----------
        .. [1] Dunn and Smyth (1996), J. Comput. Graph. Stat. 5, 236-244.
        """
        if self.scores is not None:
            return self.scores
        at = self.lower + rng.random(len(self.lower)) * (self.upper - self.lower)
        return np.asarray(np.clip(scipy.special.ndtri(at), -FARTHEST, FARTHEST))


@dataclass(frozen=True)
class Source:
    """A fit, for checks of its residuals.

    Attributes
    ----------
    design : Design
        Rows of the fit.
    data : frame or None
        The caller's.
    own : Transform
        Of the responses.
    draw : callable
        ``(rng)``, a new response of each row, new random effects included.
    again : callable
        ``(y)``, the transform of other responses, by the same model fitted to them.
    held : callable, optional
        The same where the covariance parameters are kept; None where there are none.
    discrete : bool
        Whether responses are counts, or shares of counts.
    scale_is_free : bool
        Whether a residual variance is estimated that makes the residuals' overall spread right
        whatever the data.
    categories : tuple
        Ordered categories whose positions the responses are; none for numbers.
    along : str
        What ``fitted`` of the transforms is called.
    """

    design: Design
    data: Any
    own: Transform
    draw: Callable[[np.random.Generator], Array]
    again: Callable[[Array], Transform]
    held: Callable[[Array], Transform] | None = None
    discrete: bool = False
    scale_is_free: bool = False
    categories: tuple[Any, ...] = ()
    along: str = FITTED


def normal(y: Array, fitted: Array, sd: Array | float) -> Transform:
    """Transform normal responses, exactly."""
    scores = np.asarray((y - fitted) / sd)
    probability = scipy.special.ndtr(scores)
    return Transform(probability, probability, scores, fitted, scores)


def by_cdf(
    y: Array, cdf: Callable[[Array], Array], unit: Array | None, mean: Array, variance: Array
) -> Transform:
    """Transform responses by their distribution function.

    Parameters
    ----------
    y : ndarray of shape (n,)
        Responses.
    cdf : callable
        Probability of a response that is not larger.
    unit : ndarray of shape (n,) or None
        Distance to the next smaller response; None where responses are continuous.
    mean, variance : ndarray of shape (n,)
        Moments.
    """
    upper = np.clip(cdf(y), 0.0, 1.0)
    lower = upper if unit is None else np.clip(cdf(y - unit), 0.0, upper)
    zeros = np.nan if unit is None else float(np.sum(cdf(np.zeros(len(y)))))
    return Transform(lower, upper, (y - mean) / np.sqrt(variance), mean, zeros=zeros)


def by_draws(y: Array, draws: Array, mean: Array, variance: Array) -> Transform:
    """Transform responses by draws from their distribution, shape (n, m)."""
    m = draws.shape[1] + 1.0
    below = (draws < y[:, None]).sum(axis=1)
    ties = (draws == y[:, None]).sum(axis=1) + 1
    zeros = float((draws == 0.0).mean(axis=1).sum())
    pearson = (y - mean) / np.sqrt(variance)
    return Transform(below / m, (below + ties) / m, pearson, mean, zeros=zeros)
