"""The same objective by several optimisers: ours, EM, scipy's and nlopt's."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from importlib.util import find_spec
from typing import Any

import numpy as np
import scipy

from ... import _core
from ..._typing import Array
from ...design.design import Design
from ...models import lmm
from ...models.lmm import LmmEstimate
from ...models.states import of_size, packed, unpacked
from .em import em, lower_factor

__all__ = ["Run", "Space", "available", "estimate_at", "run", "user_factors"]

Blocks = list[Array]

#: Stands for an objective that cannot be computed.
INFEASIBLE = 1e30


@dataclass(frozen=True)
class Run:
    """What one optimiser found.

    Attributes
    ----------
    optimizer : str
        Its name.
    lambda_standard : tuple of ndarray of shape (s, s)
        Relative covariance factors in the standardised basis.
    objective : float
        -2 log-likelihood there.
    seconds : float
        Time taken.
    evaluations : int
        Objectives, or steps of EM.
    message : str
        What the optimiser said when it stopped.
    """

    optimizer: str
    lambda_standard: tuple[Array, ...]
    objective: float
    seconds: float
    evaluations: int
    message: str


class Space:
    """The covariance parameters of a model as one vector: elements of lambda, standardised basis.

    Parameters
    ----------
    design : Design
        The model.
    core : Lmm
        Its kernel, which is used by one thread at a time.
    reml : bool
        Which criterion.
    """

    def __init__(self, design: Design, core: _core.Lmm, *, reml: bool):
        self.design = design
        self.core = core
        self.reml = reml
        self.parameters = core.parameters
        self.evaluations = 0
        self.lowest = (np.inf, self.identity)

    @property
    def lower(self) -> Array:
        """Lower bounds: zero on the diagonal."""
        return np.array([0.0 if i == j else -np.inf for _, i, j in self.parameters])

    @property
    def identity(self) -> Array:
        """All relative standard deviations one, no correlation."""
        return of_size(self.parameters, self.design.structures, 1.0)

    def unpack(self, theta: Array) -> Blocks:
        """Return the blocks of a vector."""
        return unpacked(self.parameters, theta, self.design.random)

    def pack(self, blocks: Blocks | tuple[Array, ...]) -> Array:
        """Return the vector of blocks."""
        return packed(self.parameters, blocks)

    def value(self, theta: Array) -> float:
        """-2 log-likelihood."""
        self.evaluations += 1
        found = self.core.objective_standard(self.unpack(theta), self.reml)
        if found < self.lowest[0]:
            self.lowest = (found, np.array(theta))
        return found if np.isfinite(found) else INFEASIBLE

    def value_and_gradient(self, theta: Array) -> tuple[float, Array]:
        """-2 log-likelihood and its exact gradient."""
        self.evaluations += 1
        at = self.core.curvature(self.unpack(theta), self.reml)
        return (at.objective if np.isfinite(at.objective) else INFEASIBLE), at.gradient

    def hessian(self, theta: Array) -> Array:
        """Average-information Hessian."""
        return self.core.curvature(self.unpack(theta), self.reml).hessian


def _ours(space: Space, start: Array | None) -> tuple[Array, str]:
    blocks = [] if start is None else space.unpack(start)
    found = space.core.fit(space.reml, start=blocks)
    space.evaluations = found.n_objective + found.n_gradient
    return space.pack(found.lambda_standard), ("converged", "step limit", "stalled")[found.status]


def _moments(space: Space) -> tuple[Array, str]:
    return _ours(space, None)


def _identity(space: Space) -> tuple[Array, str]:
    return _ours(space, space.identity)


def _em(space: Space) -> tuple[Array, str]:
    start = space.unpack(space.identity)
    found, steps = em(space.design, space.core, start, reml=space.reml)
    space.evaluations = steps
    return space.pack(found), "stands still" if steps < 5000 else "step limit"


def _scipy(
    method: str, *, derivatives: int, **options: Any
) -> Callable[[Space], tuple[Array, str]]:
    """Wrap one of scipy's methods, with as many derivatives as it takes."""

    def solve(space: Space) -> tuple[Array, str]:
        minimize: Any = scipy.optimize.minimize  # its stub requires the type of jac beforehand
        found = minimize(
            space.value_and_gradient if derivatives else space.value,
            space.identity,
            method=method,
            jac=derivatives > 0,
            hess=space.hessian if derivatives > 1 else None,
            bounds=scipy.optimize.Bounds(space.lower, np.inf),
            options=options,
        )
        return np.asarray(found.x), str(found.message)

    return solve


def _nlopt(space: Space) -> tuple[Array, str]:
    import nlopt

    solver = nlopt.opt(nlopt.LN_BOBYQA, len(space.parameters))
    solver.set_lower_bounds(space.lower)
    solver.set_min_objective(lambda theta, _: space.value(theta))
    solver.set_ftol_rel(1e-12)
    solver.set_maxeval(20_000)
    try:
        found = np.asarray(solver.optimize(space.identity))
    except nlopt.RoundoffLimited:  # its way to say that it can see no further decrease
        return space.lowest[1], "limited by rounding"
    return found, f"code {solver.last_optimize_result()}"


_SOLVERS: dict[str, Callable[[Space], tuple[Array, str]]] = {
    "ranef": _moments,
    "ranef from identity": _identity,
    "EM": _em,
    "L-BFGS-B": _scipy("L-BFGS-B", derivatives=1, ftol=1e-14, gtol=1e-7, maxiter=2000),
    "trust-constr": _scipy("trust-constr", derivatives=2, gtol=1e-8, maxiter=1000),
    "Nelder-Mead": _scipy(
        "Nelder-Mead", derivatives=0, fatol=1e-9, xatol=1e-7, maxfev=20_000, adaptive=True
    ),
    "COBYQA": _scipy("COBYQA", derivatives=0, final_tr_radius=1e-8, maxfev=20_000),
    "nlopt BOBYQA": _nlopt,
}


def user_factors(core: _core.Lmm, lambda_standard: Blocks | tuple[Array, ...]) -> Blocks:
    """Return relative covariance factors as the formula scales its columns."""
    structured = {t for t, _, j in core.parameters if j < 0}
    return [
        np.asfortranarray(block) if t in structured else lower_factor(core.term_basis(t) @ block)
        for t, block in enumerate(lambda_standard)
    ]


def estimate_at(
    design: Design, core: _core.Lmm, lambda_standard: Blocks | tuple[Array, ...], *, reml: bool
) -> LmmEstimate:
    """Compute the estimate that belongs to factors in the standardised basis, without a search."""
    return lmm.evaluate(design, core, tuple(user_factors(core, lambda_standard)), reml=reml)


def available() -> list[str]:
    """Names of the optimisers that can run here."""
    missing = set() if find_spec("nlopt") else {"nlopt BOBYQA"}
    return [name for name in _SOLVERS if name not in missing]


def run(design: Design, name: str, *, reml: bool, core: _core.Lmm | None = None) -> Run:
    """Minimise by one optimiser.

    Parameters
    ----------
    design : Design
        The model.
    name : str
        One of :func:`available`.
    reml : bool
        Which criterion.
    core : Lmm, optional
        Its kernel; built again by default, so that runs may go side by side.
    """
    space = Space(design, core or lmm.kernel(design), reml=reml)
    begin = time.perf_counter()
    theta, message = _SOLVERS[name](space)
    seconds = time.perf_counter() - begin
    blocks = tuple(space.unpack(theta))
    count = space.evaluations
    return Run(name, blocks, space.value(theta), seconds, count, message)
