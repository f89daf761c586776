"""Findings about a fit: not converged, zero variances and their causes, correlations of one."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from .. import _core
from ..design.design import Design, RandomTerm
from ..formula import Bar, Formula
from ..models import lmm
from ..models.lmm import SINGULAR, Control, LmmEstimate
from .diagnosis import Finding, fix, spelled, varies_within
from .optimum import Optimum
from .predict import simulate

__all__ = ["check_fit"]

Array = NDArray[np.float64]

#: Above so many rows no fits are simulated.
MANY_ROWS = 20_000


@dataclass(frozen=True)
class _Fit:
    """What the checks look at."""

    design: Design
    core: _core.Lmm
    estimate: LmmEstimate


def check_fit(
    design: Design,
    core: _core.Lmm,
    estimate: LmmEstimate,
    optimum: Optimum,
    reused: list[str],
    seed: int = 1,
) -> Iterator[Finding]:
    """Give the findings about the optimum and the covariances.

    Parameters
    ----------
    design, core, estimate, optimum
        The fit.
    reused : list of str
        Grouping factors whose labels were found to be used again.
    seed : int
        Of the simulated fits that give the chance of a zero.
    """
    fit = _Fit(design, core, estimate)
    if not optimum.holds:
        yield Finding(
            "not-converged",
            "error",
            f"-2 log-likelihood can still fall by about {optimum.decrement:.2g}; slope into the "
            f"covariance cone {optimum.cone:.3g}, smallest curvature {optimum.curvature:.3g}.",
            "Go on from here with other starts and optimisers.",
            "ranef.converge(model)",
        )
        return
    for t, term in enumerate(design.random):
        for block in term.blocks:
            yield from _singular(fit, t, block, reused, seed)


def _singular(
    fit: _Fit, t: int, block: tuple[int, ...], reused: list[str], seed: int
) -> Iterator[Finding]:
    """Tell a zero variance from a correlation of one."""
    term = fit.design.random[t]
    index = np.ix_(block, block)
    sizes = np.linalg.svd(fit.estimate.lambda_standard[t][index], compute_uv=False)
    if sizes.min() >= SINGULAR:
        return
    names = [term.names[i] for i in block]
    factor = fit.estimate.lambda_[t][index]
    cov = factor @ factor.T
    sd = np.sqrt(np.diag(cov))
    zero = [n for n, s in zip(names, sd, strict=True) if s < SINGULAR * max(sd.max(), SINGULAR)]
    if sizes.max() < SINGULAR:
        zero = names
    if zero:
        cause, fix_ = _cause(fit, t, zero, reused, seed)
        yield Finding(
            "zero-variance",
            "warning",
            f"the variance of {', '.join(zero)} between levels of {term.group} is estimated as "
            f"zero. {cause}",
            "Leaving it out gives the same fit; a zero here does not show that levels are equal.",
            fix_,
        )
        return
    vary = f"{len(sizes) - int((sizes < SINGULAR).sum())} of {len(sizes)} directions"
    a, b = _most_correlated(cov)
    sign = "+1" if cov[a, b] > 0 else "-1"
    meaning = (
        f"levels with a higher {names[a]} have a {'higher' if cov[a, b] > 0 else 'lower'} "
        f"{names[b]}, by {abs(cov[a, b] / cov[a, a]):.3g} for each unit, without exception"
    )
    yield Finding(
        "correlation-one",
        "warning",
        f"the covariance of ({' + '.join(names)} | {term.group}) has {vary}: the correlation of "
        f"{names[a]} and {names[b]} is {sign}; {meaning}.",
        "The data support fewer directions of variation than the model has. Leave the correlation "
        "out, or the column with the least variation.",
        fix(_uncorrelated(fit.design, term, names)),
    )


def _most_correlated(cov: Array) -> tuple[int, int]:
    sd = np.sqrt(np.diag(cov))
    correlation = np.abs(cov / np.outer(sd, sd)) - np.eye(len(cov))
    a, b = np.unravel_index(int(correlation.argmax()), correlation.shape)
    return int(min(a, b)), int(max(a, b))


def _uncorrelated(design: Design, term: RandomTerm, names: list[str]) -> str:
    """Write the formula with one term's correlations left out."""
    formula: Formula = design.encoder.formula
    bars = [
        replace(bar, uncorrelated=True) if bar.group == term.group and len(bar.terms) >= 2 else bar
        for bar in formula.random
    ]
    return spelled(formula, bars)


def _cause(fit: _Fit, t: int, zero: list[str], reused: list[str], seed: int) -> tuple[str, str]:
    """Say why a variance is zero, and the change that helps."""
    design = fit.design
    term = design.random[t]
    formula: Formula = design.encoder.formula
    drop = fix(_without(formula, term, zero))
    if term.group in reused:
        return f"Its labels are used again (see labels-reused): {term.group} is another factor.", ""
    for name in zero:
        reference = term.columns[term.names.index(name)]
        if reference >= 0 and not varies_within(term, design.columns[reference]).any():
            return f"{name} is constant within every level of {term.group}.", drop
    if (rank := int(np.linalg.matrix_rank(_scaled(design.z(term))))) < term.n_cols:
        return f"Its {term.n_cols} columns have rank {rank}: some are sums of others.", drop
    spread = _plausible(fit, t, [term.names.index(name) for name in zero])
    chance = _chance(fit, t, zero, spread, seed)
    if chance is None:
        return "The levels differ no more than chance makes them differ.", drop
    sd = spread * fit.estimate.sigma
    return (
        f"With {term.n_levels} levels this is {'likely' if chance > 0.1 else 'unlikely'} even if "
        f"levels do differ: at a standard deviation of {sd:.3g}, which these data allow, "
        f"{chance:.0%} of simulated fits give zero.",
        drop,
    )


def _scaled(z: Array) -> Array:
    return np.asarray(z / np.linalg.norm(z, axis=0))


def _without(formula: Formula, term: RandomTerm, zero: list[str]) -> str:
    """Write the formula without the terms whose variance is zero."""
    bars: list[Bar] = []
    for bar in formula.random:
        if bar.group != term.group:
            bars.append(bar)
            continue
        kept = [part for part in bar.terms if part.name not in zero]
        if kept:
            left = [part.source() if part.factors else "1" for part in kept]
            left = left if any(not part.factors for part in kept) else ["0", *left]
            bars.append(replace(bar, left=" + ".join(left), terms=tuple(kept)))
    return spelled(formula, bars)


def _plausible(fit: _Fit, t: int, columns: list[int]) -> float:
    """Relative standard deviation at which -2 log-likelihood has risen by one."""
    basis = fit.core.term_basis(t)
    lambda_ = [np.asfortranarray(b) for b in fit.estimate.lambda_standard]
    scale = 1.0 / np.linalg.norm(basis[columns], axis=1).max()

    def rise(sd: float) -> float:
        moved = [b.copy(order="F") for b in lambda_]
        for j in columns:
            moved[t][j, j] = sd * scale
        value = fit.core.objective_standard(moved, fit.estimate.reml)
        return value - fit.estimate.objective

    low, high = 0.0, 1e-3
    while rise(high) < 1.0 and high < 1e6:
        low, high = high, 2.0 * high
    for _ in range(30):
        middle = 0.5 * (low + high)
        low, high = (middle, high) if rise(middle) < 1.0 else (low, middle)
    return high


def _chance(fit: _Fit, t: int, zero: list[str], spread: float, seed: int) -> float | None:
    """Share of simulated fits with a zero variance where the truth is ``spread``."""
    design, estimate = fit.design, fit.estimate
    if design.n_obs > MANY_ROWS:
        return None
    names = design.random[t].names
    lambda_ = [b.copy(order="F") for b in estimate.lambda_]
    for name in zero:
        lambda_[t][names.index(name), names.index(name)] = spread
    truth = replace(estimate, lambda_=tuple(lambda_))
    draws = simulate(design, truth, 100 if design.n_obs <= 2000 else 20, seed)
    zeros = 0
    for y in draws.T:
        again = lmm.fit(design, lmm.kernel(design, y), reml=estimate.reml, control=Control())
        sd = np.sqrt([again.sigmas[t][names.index(n), names.index(n)] for n in zero])
        zeros += bool((sd < 1e-3 * spread * estimate.sigma).any())
    return float(zeros / draws.shape[1])
