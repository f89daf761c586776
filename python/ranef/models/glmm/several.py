"""The fit of a model of several linear predictors: a plan in, arrays out."""

from __future__ import annotations

import numpy as np

from ... import _core
from ..._typing import Array
from ...errors import FitError
from ..lmm import DECREMENT, SINGULAR, Control
from ..states import of_size, packed, smallest
from .approach import approached, without_random
from .estimate import Block, PartsEstimate
from .model import SOME, hermite
from .plan import Plan
from .search import Minimum, proved, search_scaled

__all__ = ["at_parts", "fit_parts"]

#: Standard deviations of standardised random effects to start from, best first.
STARTS, WIDE = (1.0, 0.3), 5.0
#: Random effects up to which a second search is made, and up to which when the fit is singular.
SMALL, LARGE = 100, 5000
#: Information on a combination of standardised columns, relative to the largest, that is nil.
VANISHED = 1e-8
#: Predicted decrease at which the search gives way to Newton's method with the Hessian itself.
NEAR = 1e-7
#: Step along a covariance parameter over which its curvature is guessed.
ASIDE = 0.05


class PartsCriterion:
    """-2 log-likelihood by theta and whitened coefficients of all parts."""

    def __init__(self, core: _core.Predictors, constant: float):
        self.core = core
        self.constant = constant
        self.m = len(core.parameters)
        self.centre = np.zeros(0)
        self.root = np.zeros((0, 0))
        self.rule: tuple[Array, Array] | None = None
        self.n_values = self.n_gradients = 0
        self.point: _core.GlmmPoint | None = None
        self.added: _core.GlmmQuadrature | None = None

    def whiten(self, beta: Array, information: Array) -> None:
        """Measure the coefficients from ``beta``, in units of their own standard errors."""
        values, vectors = np.linalg.eigh(information)
        size = np.maximum(np.abs(values), 1e-10 * np.abs(values).max())
        self.centre, self.root = beta, vectors / np.sqrt(size)

    def split(self, x: Array) -> tuple[Array, Array]:
        """Return theta and the standardised coefficients."""
        return x[: self.m], self.centre + self.root @ x[self.m :]

    def value(self, x: Array) -> float:
        """Evaluate the criterion."""
        self.n_values += 1
        self.point = self.core.evaluate(*self.split(x))
        if not self.point.value < 1e300:
            return np.inf
        if self.rule is None:
            return self.point.value + self.constant
        self.added = self.core.quadrature(*self.rule)
        total = self.point.value + self.added.value + self.constant
        return total if np.isfinite(total) else np.inf

    def gradient(self) -> Array:
        """Differentiate at the last point."""
        self.n_gradients += 1
        out = self.core.gradient() if self.added is None else np.array(self.added.gradient)
        out[self.m :] = self.root.T @ out[self.m :]
        return out

    def count(self, other: PartsCriterion) -> None:
        """Add the evaluations of another search."""
        self.n_values += other.n_values
        self.n_gradients += other.n_gradients


def fit_parts(
    plan: Plan, *, nagq: int, control: Control, near: tuple[Array, Array] | None = None
) -> PartsEstimate:
    """Maximise the approximated likelihood over covariances and the coefficients of all parts.

    Parameters
    ----------
    plan : Plan
        What is fitted.
    nagq : int
        Points of the quadrature; 1 is Laplace's approximation.
    control : Control
        Limits of the search.
    near : (ndarray of shape (n_theta,), ndarray of shape (p,)), optional
        Covariance parameters, none of them at a limit, and standardised coefficients, from which
        one search starts.

    Raises
    ------
    FitError
        When the criterion is not finite at the start.

    Notes
    -----
    Without ``near`` the search begins at the coefficients of the model without random effects,
    found by Newton's method with the exact Hessian.
    """
    core = plan.core()
    if near is None:
        surface, found = searched(plan, core, control)
    else:
        surface, found = descend_from(plan, core, *near, control)
    if nagq > 1:
        surface.rule = hermite(nagq)
        found = search_scaled(
            surface,
            found.x,
            found.hessian,
            max_steps=control.max_steps,
            tolerance=control.tolerance,
        )
    return describe(
        plan,
        surface,
        proved(surface, found, max_steps=control.max_steps, tolerance=control.tolerance),
        nagq,
    )


def searched(
    plan: Plan, core: _core.Predictors, control: Control
) -> tuple[PartsCriterion, Minimum]:
    """Search from the model without random effects, twice where there may be two minima."""
    beta = without_random(plan, core)
    surface, found = descend(plan, core, beta, control, STARTS)
    if len(core.parameters) and not control.start and may_have_rivals(plan, core, surface, found):
        return better(plan, core, beta, control, surface, found)
    return surface, found


def at_parts(plan: Plan, estimate: PartsEstimate) -> _core.Predictors:
    """Return a kernel whose last evaluation was at the estimate."""
    core = plan.core()
    core.evaluate(estimate.theta, estimate.standard)
    return core


def descend(
    plan: Plan, core: _core.Predictors, beta: Array, control: Control, sizes: tuple[float, ...]
) -> tuple[PartsCriterion, Minimum]:
    """Search from the best of some sizes of random effects."""
    core.restart()
    starts = [of_size(core.parameters, plan.structures, size) for size in sizes]
    if control.start:
        starts = [packed(core.parameters, control.start)]
    values = [core.evaluate(theta, beta).value for theta in starts]
    theta = starts[int(np.argmin(values))]
    if not min(values) < 1e300:
        theta = of_size(core.parameters, plan.structures, 1e-3)
    if len(sizes) > 1 and not control.start:
        theta, beta = approached(plan, core, theta, beta)
    return descend_from(plan, core, theta, beta, control)


def descend_from(
    plan: Plan, core: _core.Predictors, theta: Array, beta: Array, control: Control
) -> tuple[PartsCriterion, Minimum]:
    """Search from given covariance parameters and standardised coefficients."""
    surface = PartsCriterion(core, plan.constant)
    if not core.evaluate(theta, beta).value < 1e300:
        raise FitError("the likelihood is not finite where its search begins")
    surface.whiten(beta, core.information_beta())
    x = np.concatenate([theta, np.zeros(len(beta))])
    return surface, search_scaled(
        surface,
        x,
        curvature_guess(surface, x),
        max_steps=control.max_steps,
        tolerance=max(NEAR, control.tolerance),
    )


def curvature_guess(surface: PartsCriterion, x: Array) -> Array:
    """Curvature along covariance parameters by differences of gradients; whitened coefficients."""
    m, out = surface.m, 2.0 * np.eye(len(x))
    aside = []
    for j in range(m):
        moved = x.copy()
        moved[j] += ASIDE
        aside.append(surface.gradient() if np.isfinite(surface.value(moved)) else None)
    surface.value(x)  # from where the search goes on
    base = surface.gradient()
    for j, gradient in enumerate(aside):
        out[j, j] = 1.0
        if gradient is not None:
            bend = (gradient - base) / ASIDE
            out[j, j] = max(abs(bend[j]), 1e-2)
            out[j, m:] = out[m:, j] = bend[m:]
    return out


def may_have_rivals(
    plan: Plan, core: _core.Predictors, surface: PartsCriterion, found: Minimum
) -> bool:
    """Return whether the likelihood may have a second maximum, so that another start pays."""
    n_effects = sum(term[1] * term[2].shape[1] for term in plan.terms)
    theta = found.x[: surface.m]
    least = smallest(core.parameters, theta, plan.structures, core.factors(theta))
    return bool(n_effects <= (LARGE if least < SINGULAR else SMALL))


def better(
    plan: Plan,
    core: _core.Predictors,
    beta: Array,
    control: Control,
    surface: PartsCriterion,
    found: Minimum,
) -> tuple[PartsCriterion, Minimum]:
    """Search again from wide covariances; return the lower of two minima."""
    try:
        rival, other = descend(plan, core, beta, control, (WIDE,))
    except FitError:
        return surface, found
    if other.value < found.value - DECREMENT:
        rival.count(surface)
        return rival, other
    surface.count(rival)
    return surface, found


def describe(plan: Plan, surface: PartsCriterion, found: Minimum, nagq: int) -> PartsEstimate:
    """Map the minimum to the user's scale and freeze it."""
    core = surface.core
    value = surface.value(found.x)
    if not np.isfinite(value):
        raise FitError("the likelihood cannot be computed where the search ended")
    theta, standard = surface.split(found.x)
    assert surface.point is not None
    T = basis_of(plan)
    standard_cov = covariance(surface, found)
    separated, edges = run_away(plan, core.information_beta())
    cov = T @ standard_cov @ T.T
    for part, name in separated:
        block = next(b for b in plan.blocks if b.part == part)
        at = block.first + [block.names[j] for j in block.kept].index(name)
        cov[at], cov[:, at] = np.nan, np.nan
    lambda_standard = tuple(core.factors(theta))
    lambda_ = tuple(
        lower(basis @ block) for basis, block in zip(plan.bases, lambda_standard, strict=True)
    )
    least = smallest(core.parameters, theta, plan.structures, lambda_standard)
    eigenvalues = np.full(len(found.x), np.nan)
    if np.isfinite(found.hessian).all():
        eigenvalues = np.asarray(np.linalg.eigvalsh(found.hessian))
    return PartsEstimate(
        blocks=plan.blocks,
        nagq=nagq,
        objective=value,
        conditional_log_likelihood=surface.point.log_likelihood - 0.5 * plan.constant,
        coefficients=T @ standard,
        standard=standard,
        cov=cov,
        standard_cov=standard_cov,
        theta=theta,
        lambda_=lambda_,
        lambda_standard=lambda_standard,
        modes=tuple(
            np.ascontiguousarray((basis @ b).T)
            for basis, b in zip(plan.bases, core.modes(), strict=True)
        ),
        eta=plan.in_unit(np.array(core.eta)),
        converged=found.decrement < DECREMENT and found.status != "saddle" and not separated,
        is_singular=least < SINGULAR,
        separated=separated,
        edges=edges,
        status=found.status,
        gradient=found.gradient,
        eigenvalues=eigenvalues,
        decrement=found.decrement,
        n_objective=surface.n_values,
        n_gradient=surface.n_gradients,
        path=np.array(found.path).reshape(-1, 3),
    )


def lower(B: Array) -> Array:
    """Lower triangular L, diagonal >= 0, with L L' = B B'."""
    L = np.asarray(np.linalg.qr(B.T, mode="r")).T
    signs = np.where(np.diag(L) < 0.0, -1.0, 1.0)
    return np.asarray(L * signs)


def basis_of(plan: Plan) -> Array:
    """Map standardised coefficients of all parts to those as written."""
    T = np.zeros((len(plan.start), len(plan.start)))
    for block in plan.blocks:
        T[block.places, block.places] = block.T
    return T


def covariance(surface: PartsCriterion, found: Minimum) -> Array:
    """Covariance of the standardised coefficients: twice the inverse of the Hessian."""
    p = len(surface.centre)
    if not np.isfinite(found.hessian).all():
        return np.full((p, p), np.nan)
    inverse = 2.0 * np.asarray(np.linalg.pinv(found.hessian, rcond=1e-12, hermitian=True))
    return surface.root @ inverse[surface.m :, surface.m :] @ surface.root.T


def run_away(plan: Plan, information: Array) -> tuple[tuple[tuple[str, str], ...], tuple[str, ...]]:
    """Find the coefficients that run to infinity, and the shapes that run to their limits.

    Where columns separate the responses the likelihood rises without end along a combination of
    their coefficients, and the search stops where it is flat: no information is left there.
    """
    separated: list[tuple[str, str]] = []
    edges: list[str] = []
    for block in plan.blocks:
        separated_here, edge = flat_columns(block, information[block.places, block.places], plan)
        if block.part in ("location", "zero", "thresholds", "scale"):
            separated += [(block.part, name) for name in separated_here]
        elif edge:
            edges.append(block.part)
    return tuple(separated), tuple(edges)


def flat_columns(block: Block, information: Array, plan: Plan) -> tuple[list[str], bool]:
    """Name the columns of one part on which there is no information."""
    if not len(block.kept):
        return [], False
    values, vectors = np.linalg.eigh(information)
    nil = VANISHED * max(float(values[-1]), 1e-2 * float(plan.weights.sum()))
    lost = vectors[:, values < min(nil, SOME)]
    if not lost.shape[1]:
        return [], False
    moved = np.abs(block.T @ lost).max(axis=1) * reach(block, plan)
    named = [
        block.names[j]
        for j, size in zip(block.kept, moved, strict=True)
        if size > 0.3 * moved.max()
    ]
    return [name for name in named if name != "Intercept"] or named, True


def reach(block: Block, plan: Plan) -> Array:
    """Range of each kept column of a part; 1 for a constant."""
    X = next(X for X, index, _ in plan.inputs if index and index[0] == block.first)
    size = np.ptp(np.linalg.solve(block.T.T, X.T), axis=1)
    return np.where(size > 1e-12, size, 1.0)
