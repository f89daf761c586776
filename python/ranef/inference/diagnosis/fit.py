"""Findings about a fit: not converged, zero variances and their causes, correlations of one."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

import numpy as np

from ... import _core
from ..._counted import counted
from ..._typing import Array
from ...chunks.summed import SummedDesign
from ...design.design import INTERCEPT, Design, RandomTerm
from ...errors import FitError, ModelError, listed
from ...models import lmm
from ...models.glmm.estimate import GlmmEstimate
from ...models.lmm import SINGULAR, Control, LmmEstimate, zero_columns
from ...models.spanned import held_columns
from ...models.states import packed
from ..optimum.optimum import Optimum
from ..prediction.predict import simulate
from .finding import Finding
from .formulas import fix, part_of, uncorrelated, without
from .limits import check_limits
from .terms import spanned_columns, varies_within

__all__ = ["check_fit", "least_varying"]


#: Rise of -2 log-likelihood below which two values of a parameter are as good as each other.
SAME = 0.1
#: What to say about a zero when nothing is simulated.
NO_MORE = "The levels differ no more than expected by chance."
#: Relative standard deviation above which none is looked for.
LARGEST = 1e4
#: Above so many rows no fits are simulated.
MANY_ROWS = 20_000


@dataclass(frozen=True)
class _Fit:
    """What the checks examine."""

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
    """Return the findings about the optimum and the covariances.

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
            "Continue from here with other starts and optimisers.",
            "ranef.converge(model)",
        )
        return
    yield from _flat(fit, optimum)
    for t, term in enumerate(design.random):
        if term.is_structured:
            yield from check_limits(term, estimate.lambda_standard[t], estimate.lambda_[t])
            continue
        for block in term.blocks:
            yield from _singular(fit, t, block, reused, seed)


def _flat(fit: _Fit, optimum: Optimum) -> Iterator[Finding]:
    """Report a direction along which the parameters may move by half without being noticed."""
    theta = packed(fit.core.parameters, fit.estimate.lambda_standard)
    # Standard deviations are relative to sigma: a quarter of it is no small move for any of them.
    move = max(0.25, 0.5 * float(np.linalg.norm(theta)))
    if not optimum.eigenvalues.size or 0.5 * optimum.curvature * move**2 > SAME:
        return
    heavy = np.flatnonzero(np.abs(optimum.flattest) > 0.1)
    named = dict.fromkeys(
        _named(fit.design.random[t], i, j) for t, i, j in (fit.core.parameters[a] for a in heavy)
    )
    yield Finding(
        "flat-ridge",
        "warning",
        f"-2 log-likelihood is almost flat along a direction of ({'), ('.join(named)}): half the "
        "size of the covariance factors along it changes it by less than "
        f"{SAME:g}. The data do not separate these variances from each other or from the "
        "residual variance.",
        "Look at model.surface(); take one of them out, or report their sum.",
    )


def _named(term: RandomTerm, i: int, j: int) -> str:
    """Name what a covariance parameter belongs to."""
    structure = term.structures[-1 - j] if j < 0 else None
    own = term.names[i] if structure is None else f"{structure.kind}: {structure.labels[i]}"
    return f"{own} | {term.group}"


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
    found = zero_columns(fit.core.term_basis(t)[index], factor, names)
    zero = [name for name in found if name not in held_columns(fit.design, t)]
    if found and not zero:  # held there, which has a finding of its own
        return
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
    vary = len(sizes) - int((sizes < SINGULAR).sum())
    a, b = _most_correlated(cov)
    up = cov[a, b] > 0
    has_rows = not isinstance(fit.design, SummedDesign)
    spanned = spanned_columns(fit.design, term) if has_rows else {}
    cause = f" {_list(spanned)} cannot differ from the others (see random-aliased)." * bool(spanned)
    yield Finding(
        "correlation-one",
        "warning",
        f"the covariance of ({listed(names)} | {term.group}) has variation in {vary} of "
        f"{len(sizes)} directions: the correlation of {names[a]} and {names[b]} is "
        f"{'+1' if up else '-1'}; levels with a higher {names[a]} have a "
        f"{'higher' if up else 'lower'} {names[b]}, by {abs(cov[a, b] / cov[a, a]):.3g} for each "
        f"unit, without exception.{cause}",
        "The data support fewer directions of variation than the model has. Leave the correlation "
        "out, or the column with the least variation.",
        fix(
            without(fit.design, term, list(spanned))
            if spanned
            else uncorrelated(fit.design, term.group)
        ),
    )


def least_varying(
    design: Design, core: _core.Lmm | _core.Glmm, estimate: LmmEstimate | GlmmEstimate
) -> Iterator[str]:
    """Write the formula without the slope that varies least, for each singular term."""
    for t, term in enumerate(design.random):
        if term.is_structured:
            continue
        blocks = [estimate.lambda_standard[t][np.ix_(block, block)] for block in term.blocks]
        if min(np.linalg.svd(block, compute_uv=False).min() for block in blocks) >= SINGULAR:
            continue
        basis = np.linalg.norm(core.term_basis(t), axis=1)
        relative = np.linalg.norm(estimate.lambda_[t], axis=1) / basis
        parts: dict[str, list[int]] = {}
        for j, name in enumerate(term.names):
            if term.columns[j] != INTERCEPT:
                parts.setdefault(part_of(name), []).append(j)
        if len(parts) + (INTERCEPT in term.columns) > 1:
            least = min(parts.values(), key=lambda columns: relative[columns].mean())
            yield without(design, term, [term.names[j] for j in least])


def _list(names: Iterable[str]) -> str:
    return ", ".join(names)


def _most_correlated(cov: Array) -> tuple[int, int]:
    sd = np.sqrt(np.diag(cov))
    correlation = np.abs(cov / np.outer(sd, sd)) - np.eye(len(cov))
    a, b = np.unravel_index(int(correlation.argmax()), correlation.shape)
    return int(min(a, b)), int(max(a, b))


def _cause(fit: _Fit, t: int, zero: list[str], reused: list[str], seed: int) -> tuple[str, str]:
    """Explain why a variance is zero, and the change that helps."""
    design = fit.design
    term = design.random[t]
    drop = fix(without(design, term, zero))
    if isinstance(design, SummedDesign):
        return NO_MORE, drop
    if term.group in reused:
        return f"Its labels are used again (see labels-reused): {term.group} is another factor.", ""
    for name in zero:
        reference = term.columns[term.names.index(name)]
        if reference >= 0 and not varies_within(term, design.columns[reference]).any():
            return f"{name} is constant within every level of {term.group}.", drop
    if spanned := [name for name in spanned_columns(design, term) if name in zero]:
        return f"{_list(spanned)} is a sum of other columns (see random-aliased).", drop
    spread = _plausible(fit, t, [term.names.index(name) for name in zero])
    chance = None if spread is None else _chance(fit, t, zero, spread, seed)
    if spread is None or chance is None:
        return NO_MORE, drop
    sd = spread * fit.estimate.sigma
    return (
        f"With {counted(term.n_levels, 'level')} this is "
        f"{'likely' if chance > 0.1 else 'unlikely'} even if levels do differ: at a standard "
        f"deviation of {sd:.3g}, which these data allow, {chance:.0%} of simulated fits give zero.",
        drop,
    )


def _plausible(fit: _Fit, t: int, columns: list[int]) -> float | None:
    """Relative standard deviation at which -2 log-likelihood has risen by one, or None."""
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
    while rise(high) < 1.0:
        low, high = high, 2.0 * high
        if high > LARGEST:
            return None
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
        try:
            again = lmm.fit(design, lmm.kernel(design, y), reml=estimate.reml, control=Control())
        except (ModelError, FitError):
            return None
        sd = np.sqrt([again.sigmas[t][names.index(n), names.index(n)] for n in zero])
        zeros += bool((sd < 1e-3 * spread * estimate.sigma).any())
    return float(zeros / draws.shape[1])
