"""The same model by several optimisers, and what to do when the search stopped too early."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ..compare.models import check_mixed
from ..fitted.lmm.fit import estimated
from ..fitted.lmm.model import LinearMixedModel
from ..inference.optimum.optimizers import available, estimate_at, run
from ..inference.optimum.optimum import judged
from ..models.lmm import LmmEstimate
from ..parallel.workers import worker_count
from ..report.searches import AllFit, Trail, all_fit_table

__all__ = ["all_fit", "converge"]

Array = NDArray[np.float64]


def all_fit(
    model: LinearMixedModel,
    optimizers: Sequence[str] | None = None,
    *,
    workers: int | None = None,
) -> AllFit:
    """Fit a model by every optimiser at hand and compare what they find.

    Parameters
    ----------
    model : LinearMixedModel
        A fitted model.
    optimizers : sequence of str, optional
        Names from the table's index; all by default. nlopt's BOBYQA takes part when nlopt is
        installed.
    workers : int, optional
        Optimisers that run side by side, one by default.

    Returns
    -------
    AllFit
        ``table``, ``theta``, ``coefficients``, a ``verdict`` in units of standard errors, and
        ``best``, the model at the lowest criterion.

    Notes
    -----
    All minimise the same objective in the same standardised basis; L-BFGS-B and trust-constr are
    given its exact gradient, trust-constr its average-information Hessian as well. All but the
    first start where every relative standard deviation is one.
    """
    check_mixed(model, "all_fit")
    model._likelihood_only("all_fit")
    names = available()
    for name in optimizers or ():
        if name not in names:
            raise ValueError(f"there is no optimiser {name!r} here; there are {names}")
    chosen = [name for name in names if optimizers is None or name in optimizers]
    with ThreadPoolExecutor(max_workers=worker_count(workers, 1)) as pool:
        runs = list(pool.map(lambda name: run(model._design, name, reml=model.reml), chosen))
    estimates = [
        estimate_at(model._design, model._core, found.lambda_standard, reml=model.reml)
        for found in runs
    ]
    fits = [_with(model, estimate) for estimate in estimates]
    lowest = min(range(len(runs)), key=lambda i: runs[i].objective)
    best = _with(model, judged(model._design, model._core, estimates[lowest]))
    thetas, params = [fit.theta for fit in fits], [fit.params for fit in fits]
    return all_fit_table(runs, estimates, thetas, params, best)


def _with(model: LinearMixedModel, estimate: LmmEstimate) -> LinearMixedModel:
    """Give the model with another estimate."""
    return LinearMixedModel(model._design, estimate, model.call, core=model._core, data=model._data)


def converge(model: LinearMixedModel, *, seed: int = 1) -> Trail:
    """Bring a fit that stopped too early to its optimum; leave a converged one alone.

    Tries, in this order, to go on from where it stopped, from perturbed places near there, from
    the start with more steps, and from what L-BFGS-B finds, until the conditions of an optimum
    hold.

    Parameters
    ----------
    model : LinearMixedModel
        A fitted model.
    seed : int
        Of the perturbations.

    Returns
    -------
    Trail
        ``model``, ``table`` of the attempts and ``converged``.
    """
    check_mixed(model, "converge")
    columns = ["criterion", "gain", "converged"]
    if model._optimum().holds:
        return Trail(model, pd.DataFrame(columns=columns), True)
    rows: dict[str, list[object]] = {}
    best, done = model, False
    for name, start in _starts(model, seed):
        control = replace(model.call.control, max_steps=1000, start=start)
        call = replace(model.call, control=control)
        found = _with(model, estimated(model._design, model._core, call))
        done = found._optimum().holds
        rows[name] = [_criterion(found), _criterion(model) - _criterion(found), done]
        best = found if _criterion(found) <= _criterion(best) else best
        if done:
            break
    return Trail(best, pd.DataFrame.from_dict(rows, orient="index", columns=columns), done)


def _criterion(model: LinearMixedModel) -> float:
    """Give what the fit minimises: -2 log-likelihood and the penalty of any priors."""
    return model._estimate.objective + model.penalty


def _starts(model: LinearMixedModel, seed: int) -> Iterator[tuple[str, tuple[Array, ...]]]:
    """Places to start from, the nearest first."""
    rng = np.random.default_rng(seed)
    here = model._estimate.lambda_standard
    yield "restart from here", tuple(_inside(block, 0.0, rng) for block in here)
    for size in (0.1, 0.5):
        yield f"perturbed by {size}", tuple(_inside(block, size, rng) for block in here)
    yield "restart from the beginning", ()
    found = run(model._design, "L-BFGS-B", reml=model.reml).lambda_standard
    yield "from L-BFGS-B", tuple(_inside(block, 0.0, rng) for block in found)


def _inside(block: Array, size: float, rng: np.random.Generator) -> Array:
    """Move a factor off the boundary, and about by a relative ``size``."""
    moved = np.tril(block * np.exp(size * rng.standard_normal(block.shape)))
    raised = moved @ moved.T + 0.02**2 * np.eye(len(block))
    return np.asfortranarray(np.linalg.cholesky(raised))
