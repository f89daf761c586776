"""Searches for the optimum from other starts."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from .._typing import Array
from ..design.design import RandomTerm
from ..fitted.kinds import check_mixed
from ..fitted.lmm.fit import estimated, made
from ..fitted.lmm.model import LinearMixedModel
from ..inference.optimum.optimizers import available, estimate_at, run
from ..inference.optimum.optimum import judged
from ..models.lmm import LmmEstimate
from ..parallel.progress import tracked
from ..parallel.workers import worker_count
from ..report.searches import AllFit, Trail, all_fit_table

__all__ = ["criterion", "inside", "random_state", "starts", "with_estimate"]


def with_estimate(model: LinearMixedModel, estimate: LmmEstimate) -> LinearMixedModel:
    """Return the model with another estimate."""
    parts = model.parts
    return LinearMixedModel(made(parts.design, estimate, parts.call, parts.core, parts.data))


def criterion(model: LinearMixedModel) -> float:
    """Return what the fit minimises: -2 log-likelihood and the penalty of any priors."""
    return model.parts.estimate.objective + model.penalty


def starts(model: LinearMixedModel, seed: int) -> Iterator[tuple[str, tuple[Array, ...]]]:
    """Places to start from, the nearest first."""
    rng = np.random.default_rng(seed)
    here = model.parts.estimate.lambda_standard
    yield "restart from here", tuple(inside(block, 0.0, rng) for block in here)
    for size in (0.1, 0.5):
        yield f"perturbed by {size}", tuple(inside(block, size, rng) for block in here)
    yield "restart from the beginning", ()
    found = run(model.parts.design, "L-BFGS-B", reml=model.reml).lambda_standard
    yield "from L-BFGS-B", tuple(inside(block, 0.0, rng) for block in found)


def inside(block: Array, size: float, rng: np.random.Generator) -> Array:
    """Move a factor off the boundary, and perturb it by a relative ``size``."""
    if block.shape[0] != block.shape[1]:  # parameters of a structure
        return np.asfortranarray(block + size * rng.standard_normal(block.shape))
    moved = np.tril(block * np.exp(size * rng.standard_normal(block.shape)))
    raised = moved @ moved.T + 0.02**2 * np.eye(len(block))
    return np.asfortranarray(np.linalg.cholesky(raised))


def random_state(term: RandomTerm, rng: np.random.Generator) -> NDArray[np.float64]:
    """Draw a covariance factor, or the parameters of a term with structures."""
    if not term.is_structured:
        return random_factor(term.blocks, term.n_cols, rng)
    parts: list[Array] = []
    for block, structure in zip(term.blocks, term.block_structures, strict=True):
        if structure is None:
            k = len(block)
            own = random_factor((tuple(range(k)),), k, rng)
            parts.append(own.T[np.triu_indices(k)])
    for structure in term.structures:
        if structure is not None:
            sds = np.exp(rng.uniform(np.log(0.05), np.log(20.0), len(structure.names)))
            psi = structure.core.start(sds**2, int(rng.integers(3)))
            parts.append(psi + 0.3 * rng.standard_normal(len(psi)))
    return np.asfortranarray(np.concatenate(parts)[:, None])


def random_factor(
    blocks: tuple[tuple[int, ...], ...], size: int, rng: np.random.Generator
) -> NDArray[np.float64]:
    """Draw a covariance factor, block by block."""
    out = np.zeros((size, size), order="F")
    for block in blocks:
        k = len(block)
        sds = np.exp(rng.uniform(np.log(0.05), np.log(20.0), k))
        Q = np.linalg.qr(rng.standard_normal((k, k)))[0]
        out[np.ix_(block, block)] = np.linalg.cholesky((Q * sds**2) @ Q.T)
    return out


def every_optimizer(
    model: LinearMixedModel,
    optimizers: Sequence[str] | None = None,
    workers: int | None = None,
    *,
    progress: bool = False,
) -> AllFit:
    """Fit a model by every available optimiser."""
    check_mixed(model, "all_fit")
    model.parts.likelihood_only("all_fit")
    structured = any(term.is_structured for term in model.parts.design.random)
    # EM has no closed form for the parameters of a structure.
    names = [name for name in available() if not (structured and name == "EM")]
    for name in optimizers or ():
        if name not in names:
            raise ValueError(f"there is no optimiser {name!r} here; there are {names}")
    chosen = [name for name in names if optimizers is None or name in optimizers]
    with ThreadPoolExecutor(max_workers=worker_count(workers, 1)) as pool:
        each = pool.map(lambda name: run(model.parts.design, name, reml=model.reml), chosen)
        runs = list(tracked(each, len(chosen), "optimisers", shown=progress))
    estimates = [
        estimate_at(model.parts.design, model.parts.core, found.lambda_standard, reml=model.reml)
        for found in runs
    ]
    fits = [with_estimate(model, estimate) for estimate in estimates]
    lowest = min(range(len(runs)), key=lambda i: runs[i].objective)
    best = with_estimate(model, judged(model.parts.design, model.parts.core, estimates[lowest]))
    thetas, params = [fit.theta for fit in fits], [fit.params for fit in fits]
    return all_fit_table(runs, estimates, thetas, params, best)


def searched_again(model: LinearMixedModel, seed: int = 1) -> Trail:
    """Continue from the best point until the conditions of an optimum hold."""
    check_mixed(model, "converge")
    columns = ["criterion", "gain", "converged"]
    if model.parts.optimum().holds:
        return Trail(model, pd.DataFrame(columns=columns), True)
    rows: dict[str, list[object]] = {}
    best, done = model, False
    for name, start in starts(model, seed):
        control = replace(model.call.control, max_steps=1000, start=start)
        call = replace(model.call, control=control)
        found = with_estimate(model, estimated(model.parts.design, model.parts.core, call))
        done = found.parts.optimum().holds
        rows[name] = [criterion(found), criterion(model) - criterion(found), done]
        best = found if criterion(found) <= criterion(best) else best
        if done:
            break
    return Trail(best, pd.DataFrame.from_dict(rows, orient="index", columns=columns), done)
