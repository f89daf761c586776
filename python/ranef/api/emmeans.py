"""Estimated marginal means and trends of fitted models."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ..compare.models import Model, check_mixed
from ..design.frame import did_you_mean, open_frame
from ..fitted.glmm.model import GeneralizedLinearMixedModel
from ..fitted.gls.model import GLSModel
from ..inference.emmeans import STEP, marginal_rows, reference_grid, slopes
from ..report.emmeans import MarginalMeans, on_response

__all__ = ["emmeans", "emtrends"]

#: Models that have marginal means.
Answering: TypeAlias = Model | GLSModel


def emmeans(
    model: Answering,
    specs: str | Sequence[str],
    *,
    by: str | Sequence[str] | None = None,
    at: Mapping[str, Any] | None = None,
    type: str = "link",
    ddf: str | None = None,
    level: float = 0.95,
    data: Any = None,
) -> MarginalMeans:
    """Estimate marginal means over a reference grid.

    Parameters
    ----------
    model : LinearMixedModel, GLSModel or GeneralizedLinearMixedModel
        A fitted model.
    specs : str or sequence of str
        Variables to give means for.
    by : str or sequence of str, optional
        Variables to give means for as well, within whose levels contrasts are taken.
    at : mapping of str to value or sequence, optional
        Values of variables. By default a categorical variable takes all of its levels and a numeric
        one its mean.
    type : {"link", "response"}
        Of a generalised model: means of the linear predictor, or these turned back into means of
        the response, with their limits and errors by the delta method; comparisons are then
        ratios where the link is a log, odds ratios where it is a logit, and of the linear predictor
        otherwise.
    ddf : {"satterthwaite", "kenward-roger", "residual", "inf"}, optional
        Degrees of freedom: Satterthwaite's by default, and infinite for a generalised model.
    level : float
        Coverage of the intervals.
    data : DataFrame, optional
        The data of the fit, for a model that was unpickled.

    Returns
    -------
    MarginalMeans
        ``frame`` has the means; ``pairs()`` and ``contrast()`` compare them.

    Notes
    -----
    The means are averages of the fixed part over all levels of the other categorical variables with
    equal weights, as in a balanced experiment, whatever the frequencies in the data [1]_. Means of
    a generalised model are averaged on the scale of the link, and belong to a level whose random
    effects are zero.

    References
    ----------
    .. [1] Searle, Speed and Milliken (1980), The American Statistician 34(4), 216-221.

    Examples
    --------
    >>> import ranef
    >>> cake = ranef.datasets.load("cake")
    >>> model = ranef.lmer("angle ~ recipe * temperature + (1 | recipe:replicate)", cake)
    >>> ranef.emmeans(model, "recipe").frame["emmean"].round(3).tolist()
    [33.122, 31.644, 31.6]
    """
    _check(model, "emmeans")
    if type not in ("link", "response"):
        raise ValueError(f"type must be 'link' or 'response', not {type!r}")
    keep, within = names_of(specs, by)
    grid = reference_grid(model._design, training(model, data), at or {})
    check_known([*keep, *within], grid)
    cells, L, offset = marginal_rows(model._design, grid, [*keep, *within])
    means = assemble(model, "emmean", cells, within, L, offset, grid, ddf, level)
    if type == "response" and isinstance(model, GeneralizedLinearMixedModel):
        return on_response(means, model.link)
    return means


def emtrends(
    model: Answering,
    specs: str | Sequence[str],
    var: str,
    *,
    by: str | Sequence[str] | None = None,
    at: Mapping[str, Any] | None = None,
    ddf: str | None = None,
    level: float = 0.95,
    data: Any = None,
) -> MarginalMeans:
    """Estimate marginal slopes along a numeric variable.

    Parameters
    ----------
    model : LinearMixedModel, GLSModel or GeneralizedLinearMixedModel
        A fitted model; slopes of a generalised one are of its linear predictor.
    specs : str or sequence of str
        Variables to give slopes for.
    var : str
        The numeric variable; the slope is taken at its mean, or at the values of ``at``.
    by, at, ddf, level, data
        As in :func:`emmeans`.

    Returns
    -------
    MarginalMeans
        ``frame`` has the slopes, in column trend; ``pairs()`` and ``contrast()`` compare them.

    Examples
    --------
    >>> import ranef
    >>> sleep = ranef.datasets.load("sleepstudy")
    >>> model = ranef.lmer("Reaction ~ Days + (Days | Subject)", sleep)
    >>> ranef.emtrends(model, [], "Days").frame.round(2)
       trend    se    df  lower  upper
    0  10.47  1.55  17.0   7.21  13.73
    """
    _check(model, "emtrends")
    keep, within = names_of(specs, by)
    frame = training(model, data)
    grid = reference_grid(model._design, frame, at or {})
    check_known([*keep, *within, var], grid)
    if not pd.api.types.is_numeric_dtype(grid[var].dtype):
        raise ValueError(f"{var!r} is not numeric, so it has no slope")
    spread = float(np.std(open_frame(frame).series(var).to_numpy(dtype=float, na_value=np.nan)))
    step = STEP * (spread if np.isfinite(spread) and spread > 0 else 1.0)
    cells, L = slopes(model._design, grid, var, step, [*keep, *within])
    return assemble(model, "trend", cells, within, L, np.zeros(len(L)), grid, ddf, level)


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


def _check(model: Any, caller: str) -> None:
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
