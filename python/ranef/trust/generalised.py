"""Searches of generalised models from other starts, and by other optimisers."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import scipy

from .._typing import Array
from ..errors import FitError
from ..fitted.generalised.likelihood import by_likelihood
from ..fitted.generalised.refits import from_start
from ..inference.optimum.optimizers import Run
from ..models.glmm.several import lower
from ..models.glmm.standing import Standing
from ..models.lmm import Control, off_boundary
from ..parallel.progress import tracked
from ..report.influence import Whole
from ..report.searches import AllFit, Trail, all_fit_table
from ..report.surface import MultiStart
from .searches import inside, random_state

__all__ = ["by_every_optimizer", "gone_on", "many_starts"]


def many_starts(model: Any, n: int, seed: int, *, progress: bool) -> MultiStart:
    """Search from random covariance factors."""
    parts = model.parts
    by_likelihood(parts, "multistart")
    rng = np.random.default_rng(seed)
    rows = []
    for _ in tracked(range(n), n, "starts", shown=progress):
        start = tuple(random_state(t, rng) for t in parts.design.random)
        try:
            found = from_start(parts, Control(max_steps=1000, start=start)).estimate
        except FitError:
            rows.append((np.inf, 0, False))
            continue
        rows.append((found.objective, found.n_gradient, bool(found.converged)))
    table = pd.DataFrame(rows, columns=["criterion", "gradients", "converged"])
    best = min(table["criterion"].min(), parts.estimate.objective)
    table.insert(1, "above_best", table["criterion"] - best)
    return MultiStart(table, parts.estimate.objective)


def starts(model: Any, seed: int) -> Iterator[tuple[str, tuple[Array, ...]]]:
    """Places to start from, the nearest first."""
    rng = np.random.default_rng(seed)
    here = model.parts.estimate.lambda_standard
    yield "restart from here", tuple(inside(block, 0.0, rng) for block in here)
    for size in (0.1, 0.5):
        yield f"perturbed by {size}", tuple(inside(block, size, rng) for block in here)
    yield "restart from the beginning", ()


def gone_on(model: Any, seed: int) -> Trail:
    """Continue from the best point until the conditions of an optimum hold."""
    columns = ["criterion", "gain", "converged"]
    own = model.parts.estimate
    if model.convergence.converged:
        return Trail(model, pd.DataFrame(columns=columns), True)
    rows: dict[str, list[object]] = {}
    best, done = model, False
    for name, start in starts(model, seed):
        control = replace(model.call.control, max_steps=1000, start=start)
        try:
            found = type(model)(replace(from_start(model.parts, control), data=model.parts.data))
        except FitError:
            rows[name] = [np.nan, np.nan, False]
            continue
        at = found.parts.estimate.objective
        done = found.convergence.converged
        rows[name] = [at, own.objective - at, done]
        best = found if at <= best.parts.estimate.objective else best
        if done:
            break
    return Trail(best, pd.DataFrame.from_dict(rows, orient="index", columns=columns), done)


def available() -> list[str]:
    """Names of the optimisers."""
    return ["ranef", *SOLVERS]


#: Optimisers of scipy and their options; those that take the exact gradient first.
SOLVERS: dict[str, dict[str, Any]] = {
    "L-BFGS-B": {"jac": True, "options": {"ftol": 1e-14, "gtol": 1e-7, "maxiter": 2000}},
    "BFGS": {"jac": True, "options": {"gtol": 1e-6, "maxiter": 2000}},
    "Nelder-Mead": {"options": {"fatol": 1e-9, "xatol": 1e-7, "maxfev": 20_000, "adaptive": True}},
    "COBYQA": {"options": {"final_tr_radius": 1e-8, "maxfev": 20_000}},
}
#: What stands for a value that does not exist.
INFEASIBLE = 1e10


def by_every_optimizer(model: Any, optimizers: Sequence[str] | None, *, progress: bool) -> AllFit:
    """Minimise the criterion of a model by every optimiser, from standard deviations of one."""
    parts = model.parts
    by_likelihood(parts, "all_fit")
    for name in optimizers or ():
        if name not in available():
            raise ValueError(f"there is no optimiser {name!r} here; there are {available()}")
    chosen = [name for name in available() if optimizers is None or name in optimizers]
    at = parts.standing()
    found = [
        solved(at, name) for name in tracked(chosen, len(chosen), "optimisers", shown=progress)
    ]
    stood = [at.at(x) for _, x in found]
    rows, kept = parts.location_rows(), np.asarray(parts.kept)
    estimates, params, thetas = [], [], []
    for one in stood:
        beta = np.full(len(parts.names), np.nan)
        beta[kept] = rows @ one.x
        estimates.append(Whole(beta, kept, rows @ one.cov @ rows.T))
        params.append(pd.Series(beta, index=pd.Index(parts.names)))
        factors = tuple(
            lower(basis @ own) for basis, own in zip(one.plan.bases, one.factors, strict=True)
        )
        thetas.append(replace(parts, estimate=replace(parts.estimate, lambda_=factors)).theta)
    runs = [run for run, _ in found]
    lowest = stood[int(np.argmin([run.objective for run in runs]))]
    start = off_boundary(lowest.factors)
    control = replace(model.call.control, start=start)
    best = type(model)(replace(from_start(parts, control), data=parts.data))
    return all_fit_table(runs, estimates, thetas, params, best)


def solved(at: Standing, name: str) -> tuple[Run, Array]:
    """Minimise by one optimiser; return what it found, and the parameters."""
    begin, count = time.perf_counter(), 0
    if name == "ranef":
        value = at.value(at.x)
        return Run(name, at.factors, value, time.perf_counter() - begin, 1, "the model"), at.x
    size, m = at.scale, at.m
    start = at.x.copy()
    start[:m] = [float(i == j) for _, i, j in at.elements]

    def criterion(x: Array) -> tuple[float, Array]:
        nonlocal count
        count += 1
        value, gradient = at.value_and_gradient(x * size)
        if not np.isfinite(value):
            return INFEASIBLE, np.zeros_like(x)
        return value, gradient * size

    exact = SOLVERS[name].get("jac", False)
    function: Callable[[Array], Any] = criterion if exact else lambda x: criterion(x)[0]
    minimize: Any = scipy.optimize.minimize  # its stub requires the type of jac beforehand
    found = minimize(function, start / size, method=name, **SOLVERS[name])
    x = np.asarray(found.x) * size
    run = Run(
        name,
        at.at(x).factors,
        float(found.fun),
        time.perf_counter() - begin,
        count,
        str(found.message),
    )
    return run, x
