"""From a model and its priors to draws."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from ... import _core
from ..._typing import Array
from ...design.design import Design
from ...models.lmm import LmmEstimate
from ...parallel.progress import bar
from .coordinates import Coordinates
from .diagnosis import diagnostics
from .draws import Draws, chains_that_stand
from .generalised import GeneralisedTarget
from .improper import check_ends
from .independence import adapted, effective_share, sample_independent
from .linear import LinearTarget, draw_fixed
from .nuts import by_differences, sample_nuts
from .priors import PosteriorPriors
from .proposal import Mixture, laplace

__all__ = ["Settings", "inside", "sample_generalised", "sample_linear"]

#: Share of effective proposals below which NUTS takes over, and dimensions above which it begins.
POOR, MANY = 0.15, 25
#: Times that the sampler is run, and the share of effective draws with which it is not run again.
ATTEMPTS, MIXED = 3, 0.3
#: Smallest standard deviation to start from, relative to a typical one.
INSIDE = 0.05


@dataclass(frozen=True)
class Settings:
    """How much to sample.

    Attributes
    ----------
    draws, chains, warmup, seed : int
        Draws of each chain, chains, draws of each that are not kept, and the seed.
    progress : bool
        Whether to show a progress bar.
    """

    draws: int
    chains: int
    warmup: int
    seed: int
    progress: bool = True


def inside(sigmas: Sequence[Array], typical: Sequence[Array]) -> list[Array]:
    """Return covariance matrices moved off the boundary, so that they have coordinates."""
    out = []
    for cov, size in zip(sigmas, typical, strict=True):
        raised = cov + np.diag((INSIDE * size) ** 2)
        out.append(raised + 0.05 * np.diag(np.diag(raised)))
    return out


def sample_linear(
    design: Design,
    estimate: LmmEstimate,
    core: _core.Lmm,
    coordinates: Coordinates,
    priors: PosteriorPriors,
    typical: Sequence[Array],
    settings: Settings,
) -> Draws:
    """Sample a linear mixed model: covariances and sigma, then the fixed effects given them.

    Parameters
    ----------
    design, estimate, core
        The model; the kernel is that of the rows alone.
    coordinates, priors
        Parameters and their densities.
    typical : sequence of ndarray of shape (s,)
        Typical standard deviations of the effects of each term's columns.
    settings : Settings
        How much.

    Raises
    ------
    ModelError
        If the posterior is improper.
    """
    target = LinearTarget(core, design.n_obs, coordinates, priors)
    rng = np.random.default_rng(settings.seed)
    start = coordinates.position(inside(estimate.sigmas, typical), estimate.sigma)
    check_ends(target.log_density, start, coordinates, design)
    first, mode = laplace(target.log_density, start)
    x, sampler, divergences = _sample(target, mode, first, rng, settings)
    flat = x.reshape(-1, x.shape[2])
    values = coordinates.values(flat)
    beta = draw_fixed(target, target.given(flat), values.scale, rng)
    shape = x.shape[:2]
    return Draws(
        x=x,
        beta=beta.reshape(*shape, -1),
        roots=tuple(L.reshape(*shape, *L.shape[1:]) for L in coordinates.factors(values)),
        scale=values.scale.reshape(shape),
        effects=None,
        sampler=sampler,
        divergences=divergences,
        still=chains_that_stand(x),
    )


def _sample(
    target: LinearTarget, mode: Array, first: Mixture, rng: np.random.Generator, settings: Settings
) -> tuple[Array, str, int]:
    """Sample by independent proposals where they suit, by NUTS where not."""
    total = settings.chains * (settings.draws + settings.warmup)
    with bar(total, "draws", shown=settings.progress) as advance:
        if target.size <= MANY:
            drawn = _independent(target, first, rng, settings, advance)
            if drawn is not None:
                return *drawn, 0
        x, divergences = nuts_chains(
            by_differences(target.log_density), mode, rng, settings, advance
        )
    return x, "NUTS over the covariance parameters", divergences


def _independent(
    target: LinearTarget,
    first: Mixture,
    rng: np.random.Generator,
    settings: Settings,
    advance: Callable[[int], object],
) -> tuple[Array, str] | None:
    """Sample by independent proposals; None where these do not suit.

    Chains that mix badly are thrown away, and their points serve to fit the proposal again.
    """
    density, wanted = target.log_density, MIXED * settings.chains * settings.draws
    found = adapted(density, first, settings.chains * settings.warmup, rng, advance)
    for attempt in range(ATTEMPTS):
        if found.share < POOR:
            return None
        x, points, values = sample_independent(
            density, found, settings.draws, settings.chains, rng, advance
        )
        share = effective_share(values - found.mixture.log_density(points))
        if attempt + 1 == ATTEMPTS or np.nanmin(diagnostics(x)[1], initial=np.inf) > wanted:
            said = f"independent proposals, {share:.0%} of them effective"
            return (x, said) if share > POOR else None
        found = found.refitted(points, values, rng)
    return None


def nuts_chains(
    target: Callable[[Array], tuple[float, Array]],
    start: Array,
    rng: np.random.Generator,
    settings: Settings,
    advance: Callable[[int], object],
) -> tuple[Array, int]:
    """Run NUTS with a seed of its own."""
    return sample_nuts(
        target,
        start,
        draws=settings.draws,
        chains=settings.chains,
        warmup=settings.warmup,
        seed=int(rng.integers(2**31)),
        advance=advance,
    )


def sample_generalised(target: GeneralisedTarget, settings: Settings) -> Draws:
    """Sample a generalised model: covariances, coefficients and random effects together.

    ``beta`` of the draws are the standardised coefficients of all parts.
    """
    rng = np.random.default_rng(settings.seed)
    total = settings.chains * (settings.draws + settings.warmup)
    with bar(total, "draws", shown=settings.progress) as advance:
        x, divergences = nuts_chains(target.value_and_slope, target.start(), rng, settings, advance)
    found = target.split(x.reshape(-1, x.shape[2]))
    shape = x.shape[:2]
    return Draws(
        x=x[:, :, : target.m],
        beta=found.standard.reshape(*shape, -1),
        roots=tuple(L.reshape(*shape, *L.shape[1:]) for L in found.factors),
        scale=np.ones(shape),
        effects=tuple(b.reshape(*shape, *b.shape[1:]) for b in found.effects),
        sampler="NUTS over covariances, coefficients and random effects",
        divergences=divergences,
        still=chains_that_stand(x),
    )
