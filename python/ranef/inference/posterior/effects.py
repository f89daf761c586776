"""Random effects of a linear mixed model given draws of everything else."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from ... import _core
from ..._typing import Array
from .draws import Draws

__all__ = ["averaged_effects", "drawn_effects", "summed_effects"]


def _relative(draws: Draws) -> Iterator[tuple[list[Array], Array, float]]:
    """Relative factors, coefficients and sigma of each draw, chain by chain."""
    sigma = draws.scale.ravel()
    beta = draws.beta.reshape(len(sigma), -1)
    roots = [L.reshape(len(sigma), *L.shape[2:]) for L in draws.roots]
    for s in range(len(sigma)):
        yield [L[s] / sigma[s] for L in roots], beta[s], float(sigma[s])


def drawn_effects(core: _core.Lmm, draws: Draws, levels: list[int], seed: int) -> tuple[Array, ...]:
    """Draw the random effects of every draw, jointly over levels and terms.

    Parameters
    ----------
    core : Lmm
        The kernel of the rows alone.
    draws : Draws
        Covariances, coefficients and sigma.
    levels : list of int
        Levels of each term.
    seed : int
        Makes the draws repeatable.

    Returns
    -------
    tuple of ndarray of shape (C, N, l, s)
        One for each term.
    """
    rng = np.random.default_rng(seed)
    sizes = [L.shape[-1] for L in draws.roots]
    out = [np.empty((draws.scale.size, n, s)) for n, s in zip(levels, sizes, strict=True)]
    for i, (factors, beta, sigma) in enumerate(_relative(draws)):
        noise = [rng.standard_normal((n, s)).T for n, s in zip(levels, sizes, strict=True)]
        for term, b in zip(out, core.draw(factors, beta, sigma, noise), strict=True):
            term[i] = b.T
    return tuple(b.reshape(*draws.shape, *b.shape[1:]) for b in out)


def averaged_effects(
    core: _core.Lmm, draws: Draws, levels: list[int]
) -> tuple[list[Array], list[Array]]:
    """Posterior means, (l, s), and covariances, (l, s, s), of each term's effects.

    Notes
    -----
    Means and covariances given each draw are exact, and are averaged over the draws
    (Rao and Blackwell): cov(b) = E cov(b | draw) + cov E(b | draw).
    """
    sizes = [L.shape[-1] for L in draws.roots]
    shapes = list(zip(levels, sizes, strict=True))
    zero = [np.zeros((s, n), order="F") for n, s in shapes]
    first = [np.zeros((n, s)) for n, s in shapes]
    second = [np.zeros((n, s, s)) for n, s in shapes]
    shift: list[Array] = []
    for factors, beta, sigma in _relative(draws):
        means = [b.T for b in core.draw(factors, beta, sigma, zero)]
        standard = core.evaluate(factors, True).lambda_standard
        shift = shift or means
        spread = core.conditional_covariances(list(standard))
        for t, (n, s) in enumerate(shapes):
            away = means[t] - shift[t]
            first[t] += away
            second[t] += away[:, :, None] * away[:, None, :]
            second[t] += sigma**2 * spread[t].T.reshape(n, s, s)
    count = draws.scale.size
    means = [base + total / count for base, total in zip(shift, first, strict=True)]
    centred = [total / count for total in first]
    covs = [
        total / count - away[:, :, None] * away[:, None, :]
        for total, away in zip(second, centred, strict=True)
    ]
    return means, covs


def summed_effects(effects: tuple[Array, ...]) -> tuple[list[Array], list[Array]]:
    """Posterior means and covariances of effects that were drawn, as ``averaged_effects``."""
    means, covs = [], []
    for b in effects:
        flat = b.reshape(-1, *b.shape[2:])
        mean = flat.mean(axis=0)
        away = flat - mean
        means.append(mean)
        covs.append(np.einsum("sli,slj->lij", away, away) / len(flat))
    return means, covs
