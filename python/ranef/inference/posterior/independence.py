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
#: Rounds at most where the proposal is not good enough yet, and the share of points that is.
MOST_ROUNDS, GOOD = 12, 0.5
#: Proposals for one draw at most.
MOST_PROPOSALS = 8
#: Points of a round at least.
FEWEST = 200


@dataclass(frozen=True)
class Adapted:
    """A proposal, and the points that it was fitted to.

    Attributes
    ----------
    mixtures : tuple of Mixture
        Proposals so far; the last is the one to use, and drew no points yet.
    points : ndarray of shape (n, d)
        Points of all others, as many of each.
    values : ndarray of shape (n,)
        Log density there.
    share : float
        Effective sample size of the last points' importance weights, by their number: 1 where the
        proposal is the posterior.
    """

    mixtures: tuple[Mixture, ...]
    points: Array
    values: Array
    share: float

    @property
    def mixture(self) -> Mixture:
        """The proposal to use."""
        return self.mixtures[-1]

    @property
    def log_weights(self) -> Array:
        """Importance weights of the points against the mixture of all that drew them."""
        return weights_of(self.mixtures[:-1], self.points, self.values)

    def refitted(self, new: Array, at: Array, rng: np.random.Generator) -> Adapted:
        """Fit again with points that the last proposal drew, and their log density."""
        points, values = np.vstack([self.points, new]), np.append(self.values, at)
        share = effective_share(at - self.mixture.log_density(new))
        weights = _tempered(weights_of(self.mixtures, points, values))
        more = (*self.mixtures, fitted_mixture(points, weights, rng))
        return Adapted(more, points, values, share)


def weights_of(mixtures: tuple[Mixture, ...], points: Array, values: Array) -> Array:
    """Log density minus that of the mixture of all proposals, shape (n,)."""
    logs = scipy.special.logsumexp([m.log_density(points) for m in mixtures], axis=0)
    return np.asarray(values - (logs - np.log(len(mixtures))))


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
        Evaluations to spend; up to three times as many where the proposal is not good by then.
    rng : Generator
        Source of the draws.
    advance : callable
        Called with the number of evaluations.

    Notes
    -----
    Points of all rounds are weighed against the mixture of all proposals so far.

    References
    ----------
    Cornuet, Marin, Mira and Robert (2012), Scand. J. Stat. 39, 798-812.
    """
    size = max(n // ROUNDS, FEWEST)
    found = Adapted((start,), np.empty((0, start.means.shape[1])), np.empty(0), 0.0)
    for done in range(MOST_ROUNDS):
        if done >= ROUNDS and found.share > GOOD:
            break
        new = found.mixture.draw(rng, size)
        found = found.refitted(new, density(new), rng)
        if done < ROUNDS:
            advance(size)
    return found


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
) -> tuple[Array, Array, Array]:
    """Run chains of the independence sampler.

    Returns
    -------
    x : ndarray of shape (chains, draws, d)
        The chains, each from a point drawn by its weight.
    proposed : ndarray of shape (n, d)
        All proposals.
    values : ndarray of shape (n,)
        Their log density.

    References
    ----------
    Tierney (1994), Ann. Statist. 22, 1701-1762, section 2.3.3.
    """
    every = int(np.clip(np.ceil(1.0 / max(found.share, 1e-3)), 1, MOST_PROPOSALS))
    log_weights = found.log_weights
    begin = np.exp(log_weights - log_weights.max())
    out, proposals, values = [], [], []
    for _ in range(chains):
        first = int(rng.choice(len(begin), p=begin / begin.sum()))
        proposed = found.mixture.draw(rng, draws * every)
        at = density(proposed)
        advance(draws)
        points = np.vstack([found.points[first], proposed])
        own = np.append(found.values[first], at) - found.mixture.log_density(points)
        accepted = walk(own, np.log(rng.uniform(size=len(at))))
        out.append(points[accepted[every - 1 :: every]])
        proposals.append(proposed)
        values.append(at)
    return np.array(out), np.concatenate(proposals), np.concatenate(values)


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
