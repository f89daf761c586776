"""The generalised linear mixed model: a design in, arrays out."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from .. import _core
from ..design.design import Design
from ..errors import FitError, ModelError
from .glmm_search import Minimum, downhill, minimise, polish
from .lmm import DECREMENT, LARGE, SINGULAR, SMALL, WIDE, Control

__all__ = [
    "DISPERSIONS",
    "FAMILIES",
    "GlmmEstimate",
    "GlmmSpec",
    "Penalty",
    "at_estimate",
    "check",
    "fit",
    "kernel",
]

Array = NDArray[np.float64]

#: Families and their links, the usual one first.
FAMILIES = {
    "binomial": ("logit", "probit", "cloglog"),
    "poisson": ("log",),
    "gamma": ("inverse", "log"),
    "negative_binomial": ("log",),
}
#: Families with a dispersion parameter, and what it is called.
DISPERSIONS = {"gamma": "phi", "negative_binomial": "size"}
#: Dispersions are sought between these, relative to 1.
SMALLEST_DISPERSION, LARGEST_DISPERSION = 1e-8, 1e8
#: Information on a combination of standardised columns, in units of the largest, that is none.
VANISHED = 1e-8
#: Step over which a quadrature is differentiated, in units in which the criterion bends by about 1.
STEP = 1e-4


@dataclass(frozen=True)
class GlmmSpec:
    """What is asked of the model.

    Attributes
    ----------
    family, link : str
        Distribution of the response given the random effects, and link of its mean.
    nagq : int
        Points of the quadrature for each random effect; 1 is Laplace's approximation, and 0 takes
        the fixed effects to the joint mode with the random ones.
    """

    family: str
    link: str
    nagq: int = 1

    @property
    def has_dispersion(self) -> bool:
        """Whether the family has a dispersion parameter that is estimated."""
        return self.family in DISPERSIONS


@dataclass(frozen=True)
class GlmmEstimate:
    """What the search found; arrays in the order of the design.

    Attributes
    ----------
    spec : GlmmSpec
        The model.
    objective : float
        -2 log-likelihood, by the approximation that was asked for.
    conditional_log_likelihood : float
        Log-likelihood given the random effects at their modes.
    beta : ndarray of shape (p,)
        Fixed effects; NaN for aliased columns.
    kept : ndarray of int
        Positions in ``Design.fixed`` of the columns that are not aliased.
    cov_beta : ndarray of shape (n_kept, n_kept)
        Covariance of the kept fixed effects.
    theta : ndarray of shape (m,)
        Covariance parameters in the standardised basis, in the kernel's order.
    dispersion : float
        phi of a gamma, size of a negative binomial; 1 for other families.
    dispersion_se : float
        Standard error of the dispersion's logarithm; NaN where it is not estimated.
    lambda_, lambda_standard : tuple of ndarray of shape (s, s)
        Factors of the covariances of the random effects, lower triangular: as the formula scales
        its columns, and in the standardised basis.
    modes : tuple of ndarray of shape (l, s)
        Conditional modes of the random effects.
    eta : ndarray of shape (n,)
        Linear predictor at the modes, offset included.
    converged, is_singular : bool
        Whether gradient and curvature say that this is an optimum; whether a covariance is
        singular.
    separated : tuple of int
        Positions in ``Design.fixed`` of columns that separate the responses: their coefficients
        run to infinity, and have no errors.
    status : str
        "converged", "step limit", "stalled", or "saddle" where the criterion still falls away.
    gradient : ndarray
        Of -2 log-likelihood by theta, the whitened fixed effects and the log dispersion.
    eigenvalues : ndarray
        Of the Hessian by the same parameters, ascending.
    decrement : float
        Decrease that gradient and Hessian still predict.
    n_objective, n_gradient : int
        Evaluations.
    path : ndarray of shape (steps, 3)
        Objective, predicted decrease and trust radius of each step.
    """

    spec: GlmmSpec
    objective: float
    conditional_log_likelihood: float
    beta: Array
    kept: NDArray[np.intp]
    cov_beta: Array
    theta: Array
    dispersion: float
    dispersion_se: float
    lambda_: tuple[Array, ...]
    lambda_standard: tuple[Array, ...]
    modes: tuple[Array, ...]
    eta: Array
    converged: bool
    is_singular: bool
    separated: tuple[int, ...]
    status: str
    gradient: Array
    eigenvalues: Array
    decrement: float
    n_objective: int
    n_gradient: int
    path: Array

    @property
    def sigmas(self) -> tuple[Array, ...]:
        """Covariance matrices of the random effects, shape (s, s) each."""
        return tuple(block @ block.T for block in self.lambda_)

    @property
    def sigma(self) -> float:
        """Root of the dispersion of a gamma; 1 for other families."""
        return float(np.sqrt(self.dispersion)) if self.spec.family == "gamma" else 1.0


class Penalty(Protocol):
    """-2 log prior density of the covariances, by theta."""

    def __call__(self, theta: Array) -> tuple[float, Array]:
        """Give the penalty and its gradient; an infinite penalty where there is no density."""


def check(design: Design, spec: GlmmSpec) -> None:
    """Refuse a model that cannot be estimated from these rows, with the counts.

    Raises
    ------
    ModelError
        When there is no random effect, or more of them or of fixed effects than the rows carry.
    """
    n = design.n_obs
    if not design.random:
        raise ModelError(
            "the formula has no random-effects term such as (1 | group); a mixed model needs one. "
            "Without one, fit by ranef.gee(), whose errors are robust to grouping."
        )
    if not design.fixed:
        raise ModelError(
            "the fixed part of the formula is empty; give it at least an intercept, as in y ~ 1 "
            "+ (1 | g)."
        )
    if len(design.fixed) >= n:
        raise ModelError(
            f"there are {len(design.fixed)} fixed effects and {n} rows; the model needs more rows "
            "than coefficients. Take predictors out of the fixed part."
        )
    # Counts carry an effect of each row: their variance is known.
    own_rows = spec.family == "poisson" or (spec.family == "binomial" and _has_trials(design))
    for term in design.random:
        q = term.n_levels * term.n_cols
        if q < n or (q == n and own_rows):
            continue
        raise ModelError(
            f"({' + '.join(term.names)} | {term.group}) has {q} random effects for {n} rows, so "
            "they cannot be told from what each row varies by itself. Group by something that "
            "several rows share, or take columns out of the left side of the bar."
        )


def _has_trials(design: Design) -> bool:
    return design.weights is not None and bool(np.median(design.weights) > 1.0)


def kernel(design: Design, spec: GlmmSpec) -> _core.Glmm:
    """Standardise the rows and plan the factor."""
    n = design.n_obs
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
        spec.family,
        spec.link,
    )


def at_estimate(design: Design, estimate: GlmmEstimate) -> _core.Glmm:
    """Give a kernel whose last evaluation was at the estimate."""
    core = kernel(design, estimate.spec)
    p = len(estimate.kept)
    beta = np.zeros(0)  # at the joint mode
    if estimate.spec.nagq > 0:
        beta = np.asarray(np.linalg.solve(core.T[:p, :p], estimate.beta[estimate.kept]))
    core.evaluate(estimate.theta, beta, estimate.dispersion)
    return core


class _Criterion:
    """-2 log-likelihood, penalty included, by theta, whitened beta, and log dispersion.

    Without a ``root`` beta is at the joint mode, and no coordinate of the search.
    """

    def __init__(self, core: _core.Glmm, spec: GlmmSpec, penalty: Penalty | None):
        self.core = core
        self.spec = spec
        self.penalty = penalty
        self.m = len(core.parameters)
        self.centre = np.zeros(0)  # beta in the standardised basis where the whitened one is zero
        self.root: Array | None = None  # (p, p) whitened to standardised
        self.rule: tuple[Array, Array] | None = None  # of the quadrature, above one point
        self.n_values = self.n_gradients = 0
        self.last = np.zeros(0)
        self.point: _core.GlmmPoint | None = None

    def split(self, x: Array) -> tuple[Array, Array, float]:
        """Give theta, beta (none at the joint mode) and the dispersion."""
        stop = len(x) - self.spec.has_dispersion
        dispersion = float(np.exp(x[stop])) if self.spec.has_dispersion else 1.0
        if self.root is None:
            return x[:stop], np.zeros(0), dispersion
        return x[: self.m], self.centre + self.root @ x[self.m : stop], dispersion

    def value(self, x: Array) -> float:
        """Evaluate the criterion."""
        self.n_values += 1
        self.last = x
        theta, beta, dispersion = self.split(x)
        if not SMALLEST_DISPERSION < dispersion < LARGEST_DISPERSION:
            return np.inf
        penalty = 0.0 if self.penalty is None else self.penalty(theta)[0]
        if not np.isfinite(penalty):
            return np.inf
        self.point = self.core.evaluate(theta, beta, dispersion)
        if self.point.value >= 1e300:
            return np.inf
        return self.point.value + self.correction() + penalty

    def count(self, other: _Criterion) -> None:
        """Add the evaluations of another search."""
        self.n_values += other.n_values
        self.n_gradients += other.n_gradients

    def correction(self) -> float:
        """Give what quadrature adds to Laplace's approximation."""
        return 0.0 if self.rule is None else self.core.quadrature(*self.rule)

    def gradient(self) -> Array:
        """Differentiate at the last point: exactly, or a quadrature by central differences."""
        self.n_gradients += 1
        x = self.last
        if self.rule is not None:
            ends = [[self.value(x + side * e) for side in (STEP, -STEP)] for e in np.eye(len(x))]
            self.value(x)
            return np.array([(up - down) / (2.0 * STEP) for up, down in ends])
        out = self.core.gradient()
        if self.root is not None:
            stop = len(out) - self.spec.has_dispersion
            out[self.m : stop] = self.root.T @ out[self.m : stop]
        if self.penalty is not None:
            out[: self.m] += self.penalty(x[: self.m])[1]
        return out

    def release_beta(self) -> None:
        """Make beta a coordinate, whitened by its information where the criterion stands."""
        assert self.point is not None
        self.centre = self.point.beta
        information = self.core.information_beta()
        values, vectors = np.linalg.eigh(information)
        values = np.maximum(values, 1e-10 * values[-1])
        self.root = vectors / np.sqrt(values)


def fit(
    design: Design,
    core: _core.Glmm,
    spec: GlmmSpec,
    *,
    control: Control,
    penalty: Penalty | None = None,
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
    blocks = control.start or tuple(np.eye(term.n_cols) for term in design.random)
    surface, found = _descend(design, core, spec, control, penalty, blocks)
    if not control.start and _may_have_rivals(design, core, surface, found):
        wide = tuple(WIDE * np.eye(term.n_cols) for term in design.random)
        rival, other = _descend(design, core, spec, control, penalty, wide)
        rival.count(surface)
        if other.value < found.value - DECREMENT:
            surface, found = rival, other
        else:
            surface.count(rival)
    if spec.nagq > 1:
        surface.rule = hermite(spec.nagq)
        found = _search(surface, found.x, found.hessian, control, control.tolerance)
    return _describe(design, surface, _proved(surface, found, control))


def _descend(
    design: Design,
    core: _core.Glmm,
    spec: GlmmSpec,
    control: Control,
    penalty: Penalty | None,
    blocks: tuple[Array, ...],
) -> tuple[_Criterion, Minimum]:
    """Search from standardised covariance factors: at the joint mode, then over all parameters."""
    core.restart()
    surface = _Criterion(core, spec, penalty)
    start = _start(design, core, spec, blocks)
    loose = control.tolerance if spec.nagq == 0 else max(1e-3, control.tolerance)
    found = _search(surface, start, _curvature_guess(surface, start), control, loose)
    surface.value(found.x)
    if spec.nagq == 0:
        return surface, found
    surface.release_beta()
    assert surface.root is not None
    p, m = len(surface.root), surface.m
    x = np.concatenate([found.x[:m], np.zeros(p), found.x[m:]])
    hessian = 2.0 * np.eye(len(x))
    own = np.r_[0:m, m + p : len(x)]
    hessian[np.ix_(own, own)] = found.hessian
    return surface, _search(surface, x, hessian, control, control.tolerance)


def _may_have_rivals(design: Design, core: _core.Glmm, surface: _Criterion, found: Minimum) -> bool:
    """Tell whether the likelihood may well have a second maximum, so that another start pays."""
    n_effects = sum(term.n_levels * term.n_cols for term in design.random)
    factors = core.factors(found.x[: surface.m], True)
    smallest = min(float(np.linalg.svd(block, compute_uv=False).min()) for block in factors)
    return n_effects <= (LARGE if smallest < SINGULAR else SMALL)


def hermite(points: int) -> tuple[Array, Array]:
    """Nodes and weights of the Gauss-Hermite rule."""
    nodes, weights = np.polynomial.hermite.hermgauss(points)
    return np.asarray(nodes), np.asarray(weights)


def _start(design: Design, core: _core.Glmm, spec: GlmmSpec, blocks: tuple[Array, ...]) -> Array:
    """Elements of standardised covariance factors, and a dispersion by moments."""
    theta = [blocks[t][i, j] for t, i, j in core.parameters]
    if not spec.has_dispersion:
        return np.array(theta)
    mean, variance = float(design.y.mean()), float(design.y.var())
    if spec.family == "gamma":
        return np.array([*theta, np.log(np.clip(0.5 * variance / mean**2, 1e-6, 10.0))])
    size = mean**2 / max(variance - mean, 0.01 * mean)
    return np.array([*theta, np.log(np.clip(2.0 * size, 0.1, 1e3))])


def _curvature_guess(surface: _Criterion, x: Array) -> Array:
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


def _search(
    surface: _Criterion, x: Array, hessian: Array, control: Control, tolerance: float
) -> Minimum:
    """Search in coordinates in which the guessed curvature is one."""
    scaled = _Scaled(surface, 1.0 / np.sqrt(np.maximum(np.diag(hessian), 1e-2)))
    guess = hessian * np.outer(scaled.scale, scaled.scale)
    found = minimise(
        scaled, x / scaled.scale, guess, max_steps=control.max_steps, tolerance=tolerance
    )
    if not np.isfinite(found.value):
        raise FitError("the likelihood is not finite where its search begins")
    return scaled.back(found)


class _Scaled:
    """A criterion in other units."""

    def __init__(self, surface: _Criterion, scale: Array):
        self.surface = surface
        self.scale = scale
        self.n_values = self.n_gradients = 0

    def value(self, x: Array) -> float:
        """Evaluate the criterion."""
        return self.surface.value(x * self.scale)

    def gradient(self) -> Array:
        """Differentiate where it was last evaluated."""
        return self.surface.gradient() * self.scale

    def back(self, found: Minimum) -> Minimum:
        """Give a minimum in the criterion's own units."""
        found.x = found.x * self.scale
        found.gradient = found.gradient / self.scale
        found.hessian = found.hessian / np.outer(self.scale, self.scale)
        return found


def _proved(surface: _Criterion, found: Minimum, control: Control) -> Minimum:
    """Polish a minimum by its Hessian; step off it where the criterion falls away."""
    for _ in range(3):
        path = found.path
        bends = np.maximum(np.abs(np.diag(found.hessian)), 1e-2)
        found = polish(surface, found, 1.0 / np.sqrt(bends))
        if not np.isfinite(found.hessian).all():
            return found
        lower = downhill(surface, found)
        if lower is None:
            surface.value(found.x)
            return found
        values, vectors = np.linalg.eigh(found.hessian)
        hessian = (vectors * np.maximum(np.abs(values), 1e-2)) @ vectors.T
        found = _search(surface, lower, hessian, control, control.tolerance)
        found.path = path + found.path
    found.status = "saddle"
    return found


def _describe(design: Design, surface: _Criterion, found: Minimum) -> GlmmEstimate:
    """Map the minimum to the user's scale and freeze it."""
    core, spec, m = surface.core, surface.spec, surface.m
    value = surface.value(found.x)
    theta, _, dispersion = surface.split(found.x)
    theta = theta[:m]
    penalty = 0.0 if surface.penalty is None else surface.penalty(theta)[0]
    assert surface.point is not None
    kept = np.asarray(core.kept, dtype=np.intp)
    p = len(kept)
    T = core.T[:p, :p]
    beta = np.full(len(design.fixed), np.nan)
    beta[kept] = T @ surface.point.beta
    cov, dispersion_se = _covariance(surface, found)
    separated = _separated(design, core, kept)
    cov_beta = T @ cov @ T.T
    for j in separated:
        at = int(np.flatnonzero(kept == j)[0])
        cov_beta[at], cov_beta[:, at] = np.nan, np.nan
    standard = tuple(core.factors(theta, True))
    sds = [float(np.linalg.svd(block, compute_uv=False).min()) for block in standard]
    return GlmmEstimate(
        spec=spec,
        objective=value - penalty,
        conditional_log_likelihood=surface.point.log_likelihood,
        beta=beta,
        kept=kept,
        cov_beta=cov_beta,
        theta=theta,
        dispersion=dispersion,
        dispersion_se=dispersion_se,
        lambda_=tuple(core.factors(theta)),
        lambda_standard=standard,
        modes=tuple(np.ascontiguousarray(b.T) for b in core.modes()),
        eta=np.array(core.eta),
        converged=found.decrement < DECREMENT and found.status != "saddle" and not separated,
        is_singular=min(sds) < SINGULAR,
        separated=separated,
        status=found.status,
        gradient=found.gradient,
        eigenvalues=_eigenvalues(found.hessian),
        decrement=found.decrement,
        n_objective=surface.n_values,
        n_gradient=surface.n_gradients,
        path=np.array(found.path).reshape(-1, 3),
    )


def _separated(design: Design, core: _core.Glmm, kept: NDArray[np.intp]) -> tuple[int, ...]:
    """Find the columns whose coefficients run away.

    Where columns separate the responses the likelihood rises without end along a combination of
    their coefficients, and the search stops where it is flat: no information is left there.
    """
    values, vectors = np.linalg.eigh(core.information_beta())
    trials = design.n_obs if design.weights is None else float(design.weights.sum())
    lost = vectors[:, values < VANISHED * max(float(values[-1]), 1e-2 * trials)]
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


def _eigenvalues(hessian: Array) -> Array:
    """Eigenvalues, ascending; NaN where the Hessian could not be computed."""
    if not np.isfinite(hessian).all():
        return np.full(len(hessian), np.nan)
    return np.asarray(np.linalg.eigvalsh(hessian))


def _covariance(surface: _Criterion, found: Minimum) -> tuple[Array, float]:
    """Covariance of the standardised beta, and the error of the log dispersion.

    Twice the inverse of the Hessian of -2 log-likelihood over all parameters; at the joint mode of
    ``nagq=0``, given the covariances, the inverse information.
    """
    with_dispersion = surface.spec.has_dispersion
    if not np.isfinite(found.hessian).all():
        p = len(surface.core.kept)
        return np.full((p, p), np.nan), np.nan
    inverse = 2.0 * np.asarray(np.linalg.pinv(found.hessian, rcond=1e-12, hermitian=True))
    error = float(np.sqrt(max(inverse[-1, -1], 0.0))) if with_dispersion else np.nan
    if surface.root is None:
        return np.asarray(np.linalg.inv(surface.core.information_beta())), error
    stop = len(found.x) - with_dispersion
    block = inverse[surface.m : stop, surface.m : stop]
    return surface.root @ block @ surface.root.T, error
