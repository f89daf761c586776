"""Reference grids of marginal means."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ..design.frame import did_you_mean
from ..fitted.glmm.model import GeneralizedLinearMixedModel
from ..fitted.gls.model import GLSModel
from ..fitted.kinds import Answering, check_mixed
from ..report.emmeans import MarginalMeans

__all__ = ["assemble", "check_known", "check_model", "grid_notes", "names_of", "training"]


def names_of(
    specs: str | Sequence[str], by: str | Sequence[str] | None
) -> tuple[list[str], list[str]]:
    """Names of the variables that means are for, and of those to condition on."""
    keep = [specs] if isinstance(specs, str) else list(specs)
    within = [] if by is None else [by] if isinstance(by, str) else list(by)
    return [name for name in keep if name not in within], within


def check_known(names: Sequence[str], grid: Mapping[str, Any]) -> None:
    """Refuse a variable that the fixed part does not use."""
    for name in names:
        if name not in grid:
            raise ValueError(
                f"the fixed part does not use {name!r}{did_you_mean(name, grid)}; it uses "
                f"{', '.join(grid)}"
            )


def check_model(model: Any, caller: str) -> None:
    """Refuse a model that has no means of this kind."""
    if not isinstance(model, GLSModel):
        check_mixed(model, caller, generalised=True)


def training(model: Answering, data: Any) -> Any:
    """Find the data of the fit."""
    data = model._data if data is None else data
    if data is None:
        raise ValueError(
            "this model was unpickled and no longer knows its data; give them as data="
        )
    return data


def assemble(
    model: Answering,
    what: str,
    cells: pd.DataFrame,
    within: Sequence[str],
    L: NDArray[np.float64],
    offset: NDArray[np.float64],
    grid: Mapping[str, pd.Series[Any]],
    ddf: str | None,
    level: float,
) -> MarginalMeans:
    """Put rows, coefficients and their covariance together."""
    estimate = model._estimate
    kept = L[:, estimate.kept]
    if len(estimate.kept) < L.shape[1]:
        aliased, alias = model._aliasing()
        gap = np.abs(L[:, aliased] - kept @ alias).max(axis=1)
        kept = np.where((gap > 1e-8 * (1.0 + np.abs(L).max(axis=1)))[:, None], np.nan, kept)
    if isinstance(model, GeneralizedLinearMixedModel):
        notes = [f"normal tests, on the scale of the link ({model.link})"]
    else:
        ddf = ddf or "satterthwaite"
        notes = [f"degrees of freedom: {ddf}"]
    notes = [*notes, *grid_notes(grid, list(cells.columns))]
    return MarginalMeans(
        what,
        cells,
        tuple(within),
        kept,
        offset,
        estimate.beta[estimate.kept],
        model._approximation(ddf),
        level,
        tuple(notes),
    )


def grid_notes(grid: Mapping[str, pd.Series[Any]], shown: Sequence[str]) -> list[str]:
    """Say what the other variables are averaged over or held at."""
    averaged, held = [], []
    for name, values in grid.items():
        if name in shown:
            continue
        if len(values) > 1:
            averaged.append(name)
            continue
        value = values.iloc[0]
        number = pd.api.types.is_numeric_dtype(values.dtype)
        held.append(f"{name} = {value:.5g}" if number else f"{name} = {value}")
    notes = []
    if averaged:
        notes.append(f"averaged with equal weights over {', '.join(averaged)}")
    if held:
        notes.append(f"at {', '.join(held)}")
    return notes
