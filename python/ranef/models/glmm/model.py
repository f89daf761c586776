"""The generalised linear mixed model: a design in, arrays out."""

from __future__ import annotations

import math
from collections.abc import Container, Mapping, Sequence
from dataclasses import replace
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from ... import _core
from ..._counted import counted
from ..._typing import Array
from ...design.design import Design
from ...design.structures.structure import Structure
from ...errors import FitError, ModelError, RanefError
from ...families import Family
from ...families.registry import lookup
from ..general import general_terms
from ..lmm import DECREMENT, SINGULAR, Control, is_correlated
from ..states import of_size, packed, smallest, unpacked
from .criterion import Criterion
from .crossed import SAMPLED, approximation_of, crossed_kernel, descend, refined
from .estimate import GlmmEstimate, GlmmSpec, Penalty
from .search import EXACT, Minimum, proved, search_scaled
from .separation import separated_rows, untold

__all__ = [
    "at_estimate",
    "check",
    "criterion_at",
    "curvature_guess",
    "eigenvalues",
    "fit",
    "hermite",
    "kernel",
    "separated_columns",
    "standard_states",
    "start_of",
]


Structures = tuple[tuple[Structure | None, ...], ...]
#: Settings of the search, -2 log prior density of theta, and elements of theta that are known.
Settings = tuple[Control, Penalty | None, Mapping[int, float] | None]

#: Standard deviation at which a second search starts; random effects up to which it is made, and up
#: to which it is made when the first fit is singular.
WIDE, SMALL, LARGE = 5.0, 100, 5000
#: Information on a combination of standardised columns, relative to the largest, that is nil.
VANISHED = 1e-8
#: Information that is not nil, whatever the others have: a standard error of ten.
SOME = 1e-2
#: Linear predictor beyond which a fitted mean is at the edge of its range.
EDGE = 7.0
#: Standard deviations that a search by quadrature starts from as well.
SIZES = (0.5, 1.5, 4.0)
#: Standard deviation of a predictor of trials that leaves little between nothing and all.
WIDE = 5.0


def check(design: Design, spec: GlmmSpec, known: Container[str] = frozenset()) -> None:
    """Refuse a model that cannot be estimated from these rows, with the counts.

    Parameters
    ----------
    design, spec
        The model.
    known : container of str
        Grouping factors of terms whose standard deviation is known.

    Raises
    ------
    ModelError
        When there is no random effect, or more of them or of fixed effects than the rows carry.
    """
    n = design.n_obs
    if not design.random:
        raise ModelError(
            "the formula has no random-effects term such as (1 | group); a mixed model needs one. "
            "Without one, fit by ranef.gee(), whose standard errors are robust to grouping."
        )
    if not design.fixed:
        raise ModelError(
            "the fixed part of the formula is empty; give it at least an intercept, as in y ~ 1 "
            "+ (1 | g)."
        )
    if len(design.fixed) >= n:
        raise ModelError(
            f"there are {counted(len(design.fixed), 'fixed effect')} and {counted(n, 'row')}; the "
            "model needs more rows than coefficients. Take predictors out of the fixed part."
        )
    for term in design.random:
        q = term.n_levels * term.n_cols
        if term.group in known or term.tells_levels_apart or is_correlated(term):
            continue
        if q < n or (q == n and _carries_own_rows(design, spec.distribution)):
            continue
        raise ModelError(
            f"{term.written} has {counted(q, 'random effect')} for {counted(n, 'row')}, so "
            "they cannot be separated from the variation of single rows. Group by something that "
            "several rows share, or take columns out of the left side of the bar."
        )


def _carries_own_rows(design: Design, family: Family) -> bool:
    """Return whether a row may have an effect of its own: counts, whose variance is known."""
    if family.has_dispersion:
        return False
    has_trials = design.weights is not None and bool(np.median(design.weights) > 1.0)
    return has_trials or not family.has_trials


def kernel(design: Design, spec: GlmmSpec) -> _core.Glmm:
    """Standardise the rows and plan the factor."""
    n = design.n_obs
    if not all(term.is_plain for term in design.random):
        return _of_general_terms(design, spec)
    crossed = crossed_kernel(design, spec)
    if crossed is not None:
        return crossed
    terms = [
        (
            term.codes,
            term.n_levels,
            list(term.columns),
            [b for b, block in enumerate(term.blocks) for _ in block],
        )
        for term in design.random
    ]
    return _core.Glmm(
        np.ascontiguousarray(design.y, dtype=np.float64),
        list(design.columns),
        list(design.fixed),
        terms,
        np.ones(n) if design.weights is None else design.weights,
        np.zeros(n) if design.offset is None else design.offset,
        spec.distribution.core,
        spec.link,
        structures=[term.cores for term in design.random],
    )


def _of_general_terms(design: Design, spec: GlmmSpec) -> _core.GeneralGlmm:
    n = design.n_obs
    return _core.GeneralGlmm(
        np.ascontiguousarray(design.y, dtype=np.float64),
        *general_terms(design),
        np.ones(n) if design.weights is None else design.weights,
        np.zeros(n) if design.offset is None else design.offset,
        spec.distribution.core,
        spec.link,
    )


def at_estimate(design: Design, estimate: GlmmEstimate) -> _core.Glmm:
    """Return a kernel whose last evaluation was at the estimate."""
    core = kernel(design, estimate.spec)
    _evaluate(core, estimate)
    return core


def _evaluate(core: _core.Glmm, estimate: GlmmEstimate) -> _core.GlmmPoint:
    p = len(estimate.kept)
    beta = np.zeros(0)  # at the joint mode
    if estimate.spec.nagq > 0:
        beta = np.asarray(np.linalg.solve(core.T[:p, :p], estimate.beta[estimate.kept]))
    return core.evaluate(estimate.theta, beta, estimate.dispersion)


def criterion_at(design: Design, estimate: GlmmEstimate) -> tuple[Criterion, Array]:
    """Return -2 log-likelihood in coordinates with a whitened beta of zero at the estimate."""
    spec = estimate.spec
    criterion = Criterion(kernel(design, spec), spec, None)
    criterion.point = _evaluate(criterion.core, estimate)
    criterion.release_beta()
    if spec.nagq > 1:
        criterion.rule = hermite(spec.nagq)
    log_dispersion = [np.log(estimate.dispersion)] if spec.has_dispersion else []
    return criterion, np.r_[estimate.theta, np.zeros(len(estimate.kept)), log_dispersion]


def fit(
    design: Design,
    core: _core.Glmm,
    spec: GlmmSpec,
    *,
    control: Control,
    penalty: Penalty | None = None,
    known: Mapping[int, float] | None = None,
) -> GlmmEstimate:
    """Maximise the approximated likelihood over covariances, fixed effects and dispersion.

    Parameters
    ----------
    design, core, spec
        The model.
    control : Control
        ``max_steps``, ``tolerance`` and ``start``.
    penalty : callable, optional
        -2 log prior density of theta.
    known : mapping of int to float, optional
        Elements of theta that are known.

    Raises
    ------
    FitError
        When the criterion is not finite at the start.

    Notes
    -----
    The search begins with the fixed effects at their joint mode with the random ones, where the
    criterion is one of the covariances alone; its minimum, which ``nagq=0`` stops at, is close to
    that of Laplace's approximation.
    """
    if _in_core(core, spec, control, penalty):
        rule = hermite(spec.nagq) if spec.nagq > 1 else ()
        start = _log_dispersion(design, spec)
        optimum = core.search(start, control.max_steps, control.tolerance, *rule)
        if np.isfinite(optimum.value) and optimum.value < 1e300:
            estimate = _describe(design, *_told(core, spec, optimum), optimum)
            return _without_separated(design, spec, estimate, control)
    own = packed(core.parameters, control.start) if control.start else None
    settings = (control, penalty, known)
    plain = own is None and penalty is None and not known
    whole = descend(core, spec, control) if plain else None
    if whole is None:
        theta = of_size(core.parameters, design.structures, 1.0) if own is None else own
        whole = _descend(design, core, spec, settings, theta)
    surface, found = whole
    if not control.start:
        for rival in _rivals(design, core, surface, found):
            surface, found = _better(design, core, spec, settings, surface, found, rival)
    if spec.nagq > 1:
        surface.rule = hermite(spec.nagq)
        found = _by_quadrature(design, core, surface, found, control)
    found = proved(
        surface,
        found,
        max_steps=control.max_steps,
        tolerance=control.tolerance,
        proof=SAMPLED if isinstance(core, _core.CrossedGlmm) else EXACT,
    )
    estimate = _describe(design, surface, refined(surface, found, control, prove=True))
    if penalty is not None or known:
        return estimate
    return _without_separated(design, spec, estimate, control)


#: Statuses of the kernel's search, in its order.
STATUSES = ("converged", "step limit", "stalled", "saddle")


def _in_core(core: _core.Glmm, spec: GlmmSpec, control: Control, penalty: Penalty | None) -> bool:
    """Return whether the kernel can do the search: the likelihood, with nothing added."""
    return spec.nagq >= 1 and penalty is None and not control.start and isinstance(core, _core.Glmm)


def _told(
    core: _core.Glmm, spec: GlmmSpec, optimum: _core.GlmmOptimum
) -> tuple[Criterion, Minimum]:
    """Return a criterion at the kernel's minimum, and the minimum."""
    surface = Criterion(core, spec, None)
    surface.centre, surface.root = optimum.centre, optimum.root
    surface.rule = hermite(spec.nagq) if spec.nagq > 1 else None
    surface.n_values, surface.n_gradients = optimum.n_values, optimum.n_gradients
    told = optimum.path
    path = list(zip(told[0::3], told[1::3], told[2::3], strict=True))
    return surface, Minimum(
        optimum.x,
        optimum.value,
        optimum.gradient,
        optimum.hessian,
        optimum.decrement,
        STATUSES[optimum.status],
        path,
    )


def _by_quadrature(
    design: Design, core: _core.Glmm, surface: Criterion, found: Minimum, control: Control
) -> Minimum:
    """Search with quadrature from every place that may lie in its basin; the lowest minimum.

    Places are the minima of Laplace's approximation and of the joint mode, which were found on the
    way, and covariances of several sizes with the fixed effects at their joint mode.
    """
    best = search_scaled(
        surface, found.x, found.hessian, max_steps=control.max_steps, tolerance=control.tolerance
    )
    n_effects = sum(term.n_levels * term.n_cols for term in design.random)
    if control.start or n_effects > LARGE:
        return best
    assert surface.root is not None
    places = [*surface.visited, *_of_sizes(surface, found.x, design.structures)]
    ends = [best.x]
    for theta, beta, rest in places:
        x = np.concatenate([theta, np.linalg.solve(surface.root, beta - surface.centre), rest])
        if any(np.abs(x - end).max() < 1e-3 * (1.0 + np.abs(end).max()) for end in ends):
            continue
        core.restart()
        try:
            other = search_scaled(
                surface,
                x,
                curvature_guess(surface, x),
                max_steps=control.max_steps,
                tolerance=control.tolerance,
            )
        except FitError:
            continue
        ends.append(other.x)
        if other.value < best.value - DECREMENT:
            best = other
    core.restart()
    surface.value(best.x)
    return best


def _of_sizes(
    surface: Criterion, x: Array, structures: Structures
) -> list[tuple[Array, Array, Array]]:
    """Theta of several sizes, beta at the joint mode, and what else there is."""
    spec = surface.spec
    rest = x[len(x) - spec.has_dispersion :]
    dispersion = float(np.exp(rest[0])) if spec.has_dispersion else 1.0
    out = []
    for size in SIZES:
        theta = surface.placed(of_size(surface.core.parameters, structures, size))
        surface.core.restart()
        point = surface.core.evaluate(theta, np.zeros(0), dispersion)
        if point.value < 1e300:
            out.append((theta, np.array(point.beta), rest))
    surface.core.restart()
    return out


def _without_separated(
    design: Design, spec: GlmmSpec, estimate: GlmmEstimate, control: Control
) -> GlmmEstimate:
    """Take standard errors from the rows left when separated ones are no longer informative.

    In the limit their likelihood is one, whatever the other parameters are.
    """
    if not estimate.separated and not _is_suspect(design, spec, estimate):
        return estimate
    moved = separated_rows(design, spec.family, estimate.kept)
    if not moved.any():
        return estimate
    separated = untold(design, ~moved, estimate.kept)
    if not separated:
        return estimate
    cov = np.full_like(estimate.cov_beta, np.nan)
    error = np.nan
    try:
        rest = design.take(np.flatnonzero(~moved))
        check(rest, spec)
        own = fit(rest, kernel(rest, spec), spec, control=replace(control, start=()))
    except (RanefError, ValueError):
        pass
    else:
        told = np.isin(estimate.kept, separated, invert=True)
        at = np.searchsorted(own.kept, estimate.kept[told])
        cov[np.ix_(told, told)] = own.cov_beta[np.ix_(at, at)]
        error = own.dispersion_se
    return replace(
        estimate, cov_beta=cov, dispersion_se=error, separated=separated, converged=False
    )


def _is_suspect(design: Design, spec: GlmmSpec, estimate: GlmmEstimate) -> bool:
    """Return whether fitted means are at an edge of their range, where rows may be separated."""
    family = lookup(spec.family)
    if family.has_trials:
        return bool(np.abs(estimate.eta).max() > EDGE)
    return family.support.discrete and bool(estimate.eta.min() < -EDGE)


def _better(
    design: Design,
    core: _core.Glmm,
    spec: GlmmSpec,
    settings: Settings,
    surface: Criterion,
    found: Minimum,
    start: Array,
) -> tuple[Criterion, Minimum]:
    """Search again from elsewhere; return the lower of two minima."""
    try:
        rival, other = _descend(design, core, spec, settings, start)
    except FitError:
        return surface, found
    if other.value < found.value - DECREMENT:
        rival.count(surface)
        rival.visited.extend(surface.visited)
        return rival, other
    surface.count(rival)
    surface.visited.extend(rival.visited)
    return surface, found


def _descend(
    design: Design,
    core: _core.Glmm,
    spec: GlmmSpec,
    settings: Settings,
    theta: Array,
) -> tuple[Criterion, Minimum]:
    """Search from standardised covariances: at the joint mode, then over all parameters."""
    control, penalty, known = settings
    core.restart()
    surface = Criterion(core, spec, penalty, known)
    start = start_of(design, spec, surface.placed(theta))
    loose = control.tolerance if spec.nagq == 0 else max(1e-3, control.tolerance)
    found = search_scaled(
        surface,
        start,
        curvature_guess(surface, start),
        max_steps=control.max_steps,
        tolerance=loose,
    )
    if not np.isfinite(surface.value(found.x)):
        raise FitError("the search diverged to where the likelihood cannot be computed")
    if spec.nagq == 0:
        return surface, found
    surface.release_beta()
    assert surface.root is not None
    p, m = len(surface.root), surface.m
    x = np.concatenate([found.x[:m], np.zeros(p), found.x[m:]])
    surface.visited.append((found.x[:m], surface.centre, found.x[m:]))
    hessian = 2.0 * np.eye(len(x))
    own = np.r_[0:m, m + p : len(x)]
    hessian[np.ix_(own, own)] = found.hessian
    found = search_scaled(
        surface, x, hessian, max_steps=control.max_steps, tolerance=control.tolerance
    )
    _, beta, _ = surface.split(found.x)
    surface.visited.append((found.x[:m], beta, found.x[m + p :]))
    return surface, found


def _rivals(design: Design, core: _core.Glmm, surface: Criterion, found: Minimum) -> list[Array]:
    """Other starts worth trying: wide covariances, and other correlations of structures."""
    out = []
    if _may_have_rivals(design, core, surface, found):
        out.append(of_size(core.parameters, design.structures, WIDE))
    if any(j < 0 for _, _, j in core.parameters):
        out += [of_size(core.parameters, design.structures, 1.0, number) for number in (1, 2)]
    return out


def _may_have_rivals(design: Design, core: _core.Glmm, surface: Criterion, found: Minimum) -> bool:
    """Return whether the likelihood may have a second maximum, so that another start pays."""
    n_effects = sum(term.n_levels * term.n_cols for term in design.random)
    theta = found.x[: surface.m]
    least = smallest(core.parameters, theta, design.structures, core.factors(theta, True))
    return n_effects <= (LARGE if least < SINGULAR else SMALL)


@lru_cache(maxsize=64)
def hermite(points: int) -> tuple[Array, Array]:
    """Nodes and weights of the Gauss-Hermite rule."""
    nodes, weights = np.polynomial.hermite.hermgauss(points)
    return np.asarray(nodes), np.asarray(weights)


def standard_states(
    core: _core.Glmm, theta: Array, design: Design, factors: Sequence[Array] | None = None
) -> tuple[Array, ...]:
    """State of each term: its standardised factor, or the parameters of its structures."""
    factors = core.factors(theta, True) if factors is None else factors
    if not any(term.is_structured for term in design.random):
        return tuple(factors)
    states = unpacked(core.parameters, theta, design.random)
    return tuple(
        state if term.is_structured else factor
        for term, state, factor in zip(design.random, states, factors, strict=True)
    )


def start_of(design: Design, spec: GlmmSpec, theta: Array) -> Array:
    """Covariance parameters, and a dispersion by moments."""
    if not spec.has_dispersion:
        return theta
    return np.array([*theta, _log_dispersion(design, spec)])


def _log_dispersion(design: Design, spec: GlmmSpec) -> float:
    """Logarithm of the dispersion by moments; 0 for a family without one."""
    return spec.distribution.shapes[0].start(design.y) if spec.has_dispersion else 0.0


def curvature_guess(surface: Criterion, x: Array) -> Array:
    """Bend of the criterion along each coordinate, by one difference of gradients each."""
    if not np.isfinite(surface.value(x)):
        raise FitError(
            "the likelihood is not finite at the starting values: with this link no linear "
            "predictor near the data keeps every mean in range. Take another link, or look for "
            "extreme values of the offset and the predictors."
        )
    base = surface.gradient()
    bends = np.ones(len(x))
    for j in range(len(x)):
        moved = x.copy()
        moved[j] += 0.05
        if np.isfinite(surface.value(moved)):
            bends[j] = max(abs(surface.gradient()[j] - base[j]) / 0.05, 1e-2)
    return np.diag(bends)


def _describe(
    design: Design, surface: Criterion, found: Minimum, told: _core.GlmmOptimum | None = None
) -> GlmmEstimate:
    """Map the minimum to the user's scale and freeze it.

    ``told`` is what the kernel's own search found there, where it did the search.
    """
    core, spec, m = surface.core, surface.spec, surface.m
    theta, _, dispersion = surface.split(found.x)
    theta = theta[:m]
    factors = core.factors(theta, True)
    states = standard_states(core, theta, design, factors)
    before = surface.n_values
    gap, doubled = _quadrature_gap(surface, found.x), _doubled(surface, found.x, design, states)
    stands = told is not None and surface.n_values == before
    value = told.value if told is not None and stands else surface.value(found.x)
    if not np.isfinite(value):
        raise FitError("the likelihood cannot be computed where the search ended")
    point = told if told is not None and stands else surface.point
    assert point is not None
    penalty = 0.0 if surface.penalty is None else surface.penalty(theta)[0]
    kept = np.asarray(core.kept, dtype=np.intp)
    p = len(kept)
    T = core.T[:p, :p]
    beta = np.full(len(design.fixed), np.nan)
    beta[kept] = T @ point.beta
    cov, dispersion_se, eigenvalues = _curvature(surface, found, told)
    separated: tuple[int, ...] = ()
    if told is None or told.is_separated:
        separated = separated_columns(design, core, kept)
    cov_beta = T @ cov @ T.T
    for j in [*separated, *kept[cov_beta.diagonal() < 0.0].tolist()]:
        at = int(np.flatnonzero(kept == j)[0])
        cov_beta[at], cov_beta[:, at] = np.nan, np.nan
    return GlmmEstimate(
        spec=spec,
        objective=value - penalty,
        conditional_log_likelihood=point.log_likelihood,
        beta=beta,
        kept=kept,
        cov_beta=cov_beta,
        theta=theta,
        dispersion=dispersion,
        dispersion_se=dispersion_se,
        lambda_=tuple(core.factors(theta)),
        lambda_standard=states,
        modes=tuple(np.ascontiguousarray(b.T) for b in core.modes()),
        eta=np.array(core.eta),
        converged=found.decrement < DECREMENT and found.status != "saddle" and not separated,
        is_singular=smallest(core.parameters, theta, design.structures, factors) < SINGULAR,
        separated=separated,
        status=found.status,
        gradient=found.gradient,
        eigenvalues=eigenvalues,
        decrement=found.decrement,
        n_objective=surface.n_values,
        n_gradient=surface.n_gradients,
        path=np.array(found.path).reshape(-1, 3),
        approximation=approximation_of(design, core),
        quadrature_gap=gap,
        doubled=doubled,
    )


def _curvature(
    surface: Criterion, found: Minimum, told: _core.GlmmOptimum | None
) -> tuple[Array, float, Array]:
    """Covariance of beta, error of the log dispersion, and eigenvalues of the Hessian."""
    if told is not None:
        return told.cov, told.dispersion_error, told.eigenvalues
    bends = np.linalg.eigh(found.hessian) if np.isfinite(found.hessian).all() else None
    eigenvalues = np.full(len(found.x), np.nan) if bends is None else bends[0]
    return *_covariance(surface, bends), eigenvalues


def _quadrature_gap(surface: Criterion, x: Array) -> float:
    """Return what doubling the points adds to the criterion; 0 without quadrature."""
    rule = surface.rule
    if rule is None:
        return 0.0
    value = surface.value(x)
    surface.rule = hermite(2 * surface.spec.nagq + 1)
    gap = surface.value(x) - value
    surface.rule = rule
    return gap


def _doubled(surface: Criterion, x: Array, design: Design, states: tuple[Array, ...]) -> float:
    """Return what doubling all effects adds to the criterion, if trials vary widely by level.

    With one trial a row the likelihood may rise to a limit as all effects grow together, and a
    search ends where it is flat.
    """
    bounded = surface.penalty is not None or design.offset is not None or surface.root is None
    if bounded or not surface.spec.distribution.has_trials:
        return math.inf
    if max((float(np.abs(block).max()) for block in states if block.size), default=0.0) < WIDE:
        return math.inf
    theta, beta, dispersion = surface.split(x)
    value = surface.value(x)
    point = surface.core.evaluate(2.0 * theta, 2.0 * beta, dispersion)
    added = 0.0 if surface.rule is None else surface.core.quadrature(*surface.rule).value
    rise = point.value + added - value
    return rise if math.isfinite(rise) else math.inf


def separated_columns(design: Design, core: _core.Glmm, kept: NDArray[np.intp]) -> tuple[int, ...]:
    """Find the columns whose coefficients run away.

    Where columns separate the responses the likelihood rises without end along a combination of
    their coefficients, and the search stops where it is flat: no information is left there. What
    few levels tell of a constant is little beside what large counts tell of the rest, but some.
    """
    values, vectors = np.linalg.eigh(core.information_beta())
    trials = design.n_obs if design.weights is None else float(design.weights.sum())
    nil = VANISHED * max(float(values.max(initial=0.0)), 1e-2 * trials)
    lost = vectors[:, values < min(nil, SOME)]
    if not lost.shape[1]:
        return ()
    p = len(kept)
    reach = np.array([_reach(design, design.fixed[j]) for j in kept])
    moved = np.abs(core.T[:p, :p] @ lost).max(axis=1) * reach
    named = [int(j) for j, size in zip(kept, moved, strict=True) if size > 0.3 * moved.max()]
    columns = [j for j in named if design.fixed[j] >= 0]
    return tuple(columns or named)


def _reach(design: Design, reference: int) -> float:
    """Range of a column; 1 for the constant."""
    return 1.0 if reference < 0 else float(np.ptp(design.columns[reference]))


def eigenvalues(hessian: Array) -> Array:
    """Eigenvalues, ascending; NaN where the Hessian could not be computed."""
    if not np.isfinite(hessian).all():
        return np.full(len(hessian), np.nan)
    return np.asarray(np.linalg.eigvalsh(hessian))


def _covariance(surface: Criterion, bends: tuple[Array, Array] | None) -> tuple[Array, float]:
    """Covariance of the standardised beta, and the error of the log dispersion.

    Twice the inverse of the Hessian of -2 log-likelihood over all parameters; at the joint mode of
    ``nagq=0``, given the covariances, the inverse information. ``bends`` are the Hessian's
    eigenvalues and eigenvectors; None where it could not be computed.
    """
    with_dispersion = surface.spec.has_dispersion
    if bends is None:
        p = len(surface.core.kept)
        return np.full((p, p), np.nan), np.nan
    values, vectors = bends
    told = np.abs(values) > 1e-12 * np.abs(values).max()
    inverse = (vectors[:, told] * (2.0 / values[told])) @ vectors[:, told].T
    error = float(np.sqrt(max(inverse[-1, -1], 0.0))) if with_dispersion else np.nan
    if surface.root is None:
        return np.asarray(np.linalg.inv(surface.core.information_beta())), error
    stop = len(inverse) - with_dispersion
    block = inverse[surface.m : stop, surface.m : stop]
    return surface.root @ block @ surface.root.T, error
