"""Draws of every parameter from its prior."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import scipy

from ..._typing import Array
from ...design.design import RandomTerm
from ...errors import ModelError, UnsupportedError
from ..priors.halves import HalfT
from .coordinates import Coordinates, Values, correlation_root
from .draws import Draws
from .priors import PosteriorPriors

__all__ = ["prior_draws"]


def prior_draws(
    priors: PosteriorPriors,
    coordinates: Coordinates,
    terms: Sequence[RandomTerm],
    names: Sequence[str],
    n: int,
    rng: np.random.Generator,
) -> Draws:
    """Draw coefficients, covariances, residual and random effects from their priors, one chain.

    Parameters
    ----------
    priors : PosteriorPriors
        The priors.
    coordinates : Coordinates
        Blocks and scales of the covariances.
    terms : sequence of RandomTerm
        The random-effects terms.
    names : sequence of str
        Coefficients that are kept.
    n : int
        Draws.
    rng : Generator
        Where random numbers come from.

    Raises
    ------
    ModelError
        If a coefficient has a flat prior, from which nothing can be drawn.
    """
    beta = _coefficients(priors, names, n, rng)
    sds, roots = [], []
    for block, prior, scale in zip(coordinates.blocks, priors.blocks, priors.scales, strict=True):
        group = terms[block.term].group
        sds.append(_half_t(prior, scale, (n, len(block.columns)), group, rng))
        z = _partial(priors.correlation.eta, len(block.columns), n, rng)
        roots.append(correlation_root(z, len(block.columns))[0])
    sigma = np.full(n, coordinates.known_scale)
    if priors.residual is not None and priors.known_scale is None:
        key = "residual"
        sigma = _half_t(priors.residual, np.ones(1) * _scale(priors.residual), (n, 1), key, rng)
        sigma = sigma[:, 0]
    factors = coordinates.factors(Values(sds, roots, sigma, np.zeros(n)))
    effects = [
        _spherical(term, n, rng) @ L.transpose(0, 2, 1)
        for term, L in zip(terms, factors, strict=True)
    ]
    return Draws(
        x=np.empty((1, n, 0)),
        beta=beta[None],
        roots=tuple(L[None] for L in factors),
        scale=sigma[None],
        effects=tuple(b[None] for b in effects),
        sampler="the prior",
        divergences=0,
        still=(),
    )


def _spherical(term: RandomTerm, n: int, rng: np.random.Generator) -> Array:
    """Draw effects of variance one, columns independent, (n, n_levels, n_cols)."""
    shape = (term.n_levels, n, term.n_cols)
    if term.known is None:
        return rng.standard_normal((n, term.n_levels, term.n_cols))
    return term.known.draw(rng, n * term.n_cols).reshape(shape).transpose(1, 0, 2)


def _coefficients(
    priors: PosteriorPriors, names: Sequence[str], n: int, rng: np.random.Generator
) -> Array:
    fixed = priors.fixed
    told = [] if fixed is None else fixed.index.tolist()
    flat = [name for j, name in enumerate(names) if j not in told]
    if fixed is None or flat:
        raise ModelError(
            f"the prior of {flat[0]!r} is flat, so that nothing can be drawn from it; give every "
            "coefficient one, as in prior={'fixed': ranef.Normal(sd={...}, mean={...})}"
        )
    if fixed.relative:
        raise UnsupportedError("draws from a prior relative to sigma are not available")
    beta = np.empty((n, len(names)))
    beta[:, fixed.index] = fixed.mean + fixed.sd * rng.standard_normal((n, len(told)))
    return beta


def _scale(prior: Any) -> float:
    scale: Any = prior.scale if isinstance(prior, HalfT) else 1.0
    return float(scale)


def _half_t(
    prior: Any, scale: Array, shape: tuple[int, int], key: str, rng: np.random.Generator
) -> Array:
    """Draw from a t distribution cut at zero, by its distribution function."""
    if not isinstance(prior, HalfT):
        raise UnsupportedError(
            f"the prior of {key!r} is {'flat' if prior is None else repr(prior)}; draws from a "
            "prior take a ranef.HalfT"
        )
    t: Any = scipy.stats.norm if np.isinf(prior.df) else scipy.stats.t(prior.df)
    below = t.cdf(-prior.location / scale)
    p = below + (1.0 - below) * rng.uniform(size=shape)
    return np.asarray(np.maximum(prior.location + scale * t.ppf(p), 1e-12))


def _partial(eta: float, k: int, n: int, rng: np.random.Generator) -> Array:
    """Coordinates of correlations under LKJ: partial correlations are beta distributed."""
    columns = [
        np.arctanh(np.clip(2.0 * rng.beta(a, a, n) - 1.0, -1.0 + 1e-12, 1.0 - 1e-12))
        for i in range(1, k)
        for a in (eta + 0.5 * (k - 2 - j) for j in range(i))
    ]
    return np.column_stack(columns) if columns else np.empty((n, 0))
