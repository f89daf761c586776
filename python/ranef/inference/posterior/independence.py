"""Sample a posterior of few parameters by a proposal that does not depend on where a chain is."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import scipy
from numpy.typing import NDArray

from ..._typing import Array
from .proposal import Density, Mixture, fitted_mixture

__all__ = ["Adapted", "adapted", "effective_share", "sample_independent"]

#: Rounds of the warm-up, each of which fits the proposal again to all points so far.
ROUNDS = 4
#: Proposals for one draw at most.
MOST_PROPOSALS = 8
#: Points of a round at least.
FEWEST = 200


@dataclass(frozen=True)
class Adapted:
    """A proposal after the warm-up.

    Attributes
    ----------
    mixture : Mixture
        The proposal.
    share : float
        Effective sample size of importance weights of its last round, by their number: 1 where
        the proposal is the posterior.
    points : ndarray of shape (n, d)
        Points of the warm-up.
    log_weights : ndarray of shape (n,)
        Their importance weights.
    """

    mixture: Mixture
    share: float
    points: Array
    log_weights: Array


def adapted(
    density: Density,
    start: Mixture,
    n: int,
    rng: np.random.Generator,
    advance: Callable[[int], object],
) -> Adapted:
    """Fit a proposal to a posterior, by importance sampling in rounds.

    Parameters
    ----------
    density : callable
        Log density at points of shape (n, d).
    start : Mixture
        The first proposal.
    n : int
        Evaluations to spend.
    rng : Generator
        Source of the draws.
    advance : callable
        Told of the evaluations made.

    Notes
    -----
    Points of all rounds are weighed against the mixture of all proposals so far.

    References
    ----------
    Cornuet, Marin, Mira and Robert (2012), Scand. J. Stat. 39, 798-812.
    """
    size = max(n // ROUNDS, FEWEST)
    mixtures, points, values = [start], np.empty((0, start.means.shape[1])), np.empty(0)
    share = 0.0
    for _ in range(ROUNDS):
        new = mixtures[-1].draw(rng, size)
        at = density(new)
        advance(size)
        share = effective_share(at - mixtures[-1].log_density(new))
        points, values = np.vstack([points, new]), np.append(values, at)
        together = scipy.special.logsumexp([m.log_density(points) for m in mixtures], axis=0)
        log_weights = values - (together - np.log(len(mixtures)))
        mixtures.append(fitted_mixture(points, _tempered(log_weights), rng))
    return Adapted(mixtures[-1], share, points, log_weights)


def _tempered(log_weights: Array) -> Array:
    """Flatten weights until a tenth of the points count, so that a fit has something to rest on."""
    power = 1.0
    while power > 0.05 and effective_share(power * log_weights) < 0.05:
        power *= 0.8
    return np.asarray(power * log_weights)


def effective_share(log_weights: Array) -> float:
    """Return the effective sample size of weights, divided by their number."""
    if not np.isfinite(log_weights).any():
        return 0.0
    weights = np.exp(log_weights - log_weights.max())
    return float(weights.sum() ** 2 / (weights**2).sum() / len(weights))


def sample_independent(
    density: Density,
    found: Adapted,
    draws: int,
    chains: int,
    rng: np.random.Generator,
    advance: Callable[[int], object],
) -> tuple[Array, Array]:
    """Run chains of the independence sampler.

    Returns
    -------
    x : ndarray of shape (chains, draws, d)
        The chains, each from a point drawn by its weight.
    log_weights : ndarray of shape (n,)
        Importance weights of all proposals, which tell whether the proposal suits.

    References
    ----------
    Tierney (1994), Ann. Statist. 22, 1701-1762, section 2.3.3.
    """
    every = int(np.clip(np.ceil(1.0 / max(found.share, 1e-3)), 1, MOST_PROPOSALS))
    out, weights = [], []
    begin = np.exp(found.log_weights - found.log_weights.max())
    for _ in range(chains):
        first = int(rng.choice(len(begin), p=begin / begin.sum()))
        proposed = found.mixture.draw(rng, draws * every)
        at = density(proposed)
        advance(len(proposed))
        points = np.vstack([found.points[first], proposed])
        own = np.append(density(points[:1]), at) - found.mixture.log_density(points)
        accepted = walk(own, np.log(rng.uniform(size=len(at))))
        out.append(points[accepted[every - 1 :: every]])
        weights.append(own[1:])
    return np.array(out), np.concatenate(weights)


def walk(log_weights: Array, log_uniform: Array) -> NDArray[np.intp]:
    """Which point a chain stands at after each proposal, shape (n,)."""
    weights, thresholds = log_weights.tolist(), log_uniform.tolist()
    here, value = 0, weights[0]
    out = np.empty(len(thresholds), dtype=np.intp)
    for i, threshold in enumerate(thresholds):
        if threshold < weights[i + 1] - value:
            here, value = i + 1, weights[i + 1]
        out[i] = here
    return out
