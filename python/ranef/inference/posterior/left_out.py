"""Densities of rows or levels given all others, random effects integrated out: linear models."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from ... import _core
from ..._typing import Array
from ...design.design import Design, only_plain
from ...errors import ModelError
from ...models import lmm
from ...parallel.progress import tracked
from .coordinates import Coordinates
from .draws import Draws
from .linear import LinearTarget, fixed_moments
from .priors import PosteriorPriors

__all__ = ["level_densities", "row_densities"]

#: Draws that leave-one-out takes at most, evenly spaced.
MOST_DRAWS = 2_000


def spaced(total: int) -> Array:
    """Return the draws that are taken."""
    return np.linspace(0, total - 1, min(total, MOST_DRAWS)).round().astype(int)


def row_densities(
    design: Design,
    core: _core.Lmm,
    draws: Draws,
    coordinates: Coordinates,
    priors: PosteriorPriors,
) -> tuple[Array, Array]:
    """Log density of each row given all others, covariances and sigma, and given all: (S, n) each.

    Notes
    -----
    With m and v the mean and variance of x'beta + z'b given the data, and h = w v / sigma^2 the
    leverage of row i, the others predict it with mean y - (y - m) / (1 - h) and variance sigma^2 /
    (w (1 - h)). With a the derivative of x'beta + z'b by beta, v = z'C z + a'Cov(beta) a, C the
    conditional covariance of the random effects; the kernel's variance of x'beta + z'b is z'C z
    where x is minus the derivative of z'b by beta.
    """
    n, kept = design.n_obs, np.asarray(core.kept)
    X = np.asfortranarray(design.X[:, kept])
    z = [np.asfortranarray(design.z(term)) for term in design.random]
    codes = [np.ascontiguousarray(term.codes) for term in design.random]
    y = design.y if design.offset is None else design.y - design.offset
    w = np.ones(n) if design.weights is None else design.weights
    zero = [np.zeros((t.n_cols, t.n_levels), order="F") for t in design.random]
    sigma = draws.scale.ravel()
    target = LinearTarget(core, n, coordinates, priors)
    chosen = spaced(len(sigma))
    beta, beta_root = fixed_moments(target, draws.x.reshape(len(sigma), -1)[chosen], sigma[chosen])
    roots = [L.reshape(len(sigma), *L.shape[2:]) for L in draws.roots]

    def spread(effects: list[Array]) -> Array:
        total = np.zeros(n)
        for code, columns, b in zip(codes, z, effects, strict=True):
            total += np.einsum("ij,ji->i", columns, b[:, code])
        return total

    out, seen = np.empty((len(chosen), n)), np.empty((len(chosen), n))
    for row, s in enumerate(tracked(chosen, len(chosen), "draws")):
        factors = [L[s] / sigma[s] for L in roots]
        base = spread(core.draw(factors, beta[row], sigma[s], zero))
        moved = np.empty_like(X)
        for k in range(len(kept)):
            step = beta[row].copy()
            step[k] += 1.0
            moved[:, k] = base - spread(core.draw(factors, step, sigma[s], zero))
        standard = list(core.evaluate(factors, True).lambda_standard)
        variance = core.prediction_variances(standard, moved, list(zip(codes, z, strict=True)))
        variance += np.sum(((X - moved) @ beta_root[row]) ** 2, axis=1) / sigma[s] ** 2
        left = 1.0 - np.clip(w * variance, 0.0, 1.0 - 1e-12)
        squares = (y - X @ beta[row] - base) ** 2 * w / sigma[s] ** 2
        constant = 0.5 * np.log(w / (2.0 * np.pi)) - np.log(sigma[s])
        out[row] = constant + 0.5 * (np.log(left) - squares / left)
        seen[row] = constant - 0.5 * (np.log(2.0 - left) + squares / (2.0 - left))
    return out, seen


def level_densities(
    design: Design,
    core: _core.Lmm,
    draws: Draws,
    coordinates: Coordinates,
    priors: PosteriorPriors,
    group: str,
) -> Array:
    """Log density of all rows of each level given those of the others, and covariances: (S, l).

    It is the difference of two marginal likelihoods, with and without the level, whose cost does
    not depend on the number of rows.

    Raises
    ------
    ModelError
        If the rows that are left do not determine every coefficient.
    """
    term = next(term for term in design.random if term.group == group)
    if not term.is_plain:
        only_plain(replace(design, random=(term,)), "leaving levels out", "use loo(), by rows")
    x = draws.x.reshape(-1, draws.x.shape[2])
    x = x[spaced(len(x))]
    whole = LinearTarget(core, design.n_obs, coordinates, priors).log_density(x)
    out = np.empty((len(x), term.n_levels))
    for level in tracked(range(term.n_levels), term.n_levels, "levels"):
        gone = term.codes == level
        rest = design.take(np.flatnonzero(~gone))
        other = lmm.kernel(rest)
        if list(other.kept) != list(core.kept):
            lost = next(j for j in core.kept if j not in other.kept)
            raise ModelError(
                f"without {term.levels[level]!r} of {group} the rows do not determine "
                f"{design.fixed_names[lost]!r}, so that what they predict has no density"
            )
        without = LinearTarget(other, rest.n_obs, coordinates, priors).log_density(x)
        constant = -0.5 * np.log(2.0 * np.pi) * gone.sum()
        if design.weights is not None:
            constant += 0.5 * np.log(design.weights[gone]).sum()
        out[:, level] = whole - without + constant
    return out
