"""Marginal slopes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from ..design.frame import open_frame
from ..design.values import is_numbers
from ..fitted.kinds import Answering
from ..inference.emmeans import STEP, reference_grid, slopes
from ..marginal.grid import assemble, check_known, check_model, names_of, training
from ..missing.means import pooled_means
from ..missing.pooled import PooledModel
from ..report.emmeans import MarginalMeans
from ..words.answers import answering

__all__ = ["emtrends"]


@answering
def emtrends(
    model: Answering | PooledModel,
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
    model : fitted model
        Of :func:`ranef.lmer`, :func:`ranef.glmer`, :func:`ranef.clmm`, :func:`ranef.gls`,
        :func:`ranef.feols` or :func:`ranef.feglm`.
        A fitted model; slopes of a generalised one are of its linear predictor. Or a
        :class:`PooledModel` of such, whose slopes are pooled by Rubin's rules.
    specs : str or sequence of str
        Variables to compute slopes for, or a formula as in :func:`emmeans`.
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
    if isinstance(model, PooledModel):
        options: dict[str, Any] = {"by": by, "at": at, "ddf": ddf, "level": level, "data": data}
        return pooled_means([emtrends(one, specs, var, **options) for one in model.models])
    check_model(model, "emtrends")
    keep, within, method = names_of(specs, by)
    frame = training(model, data)
    grid = reference_grid(model.parts.design, frame, at or {})
    check_known([*keep, *within, var], grid)
    if not is_numbers(grid[var], var):
        numeric = [name for name in keep if is_numbers(grid[name], name)]
        hint = (
            f"; write emtrends(model, {var!r}, {numeric[0]!r})"
            if len(keep) == 1 == len(numeric)
            else ""
        )
        raise ValueError(f"{var!r} is not numeric, so it has no slope{hint}")
    spread = float(np.std(open_frame(frame).series(var).to_numpy(dtype=float, na_value=np.nan)))
    step = STEP * (spread if np.isfinite(spread) and spread > 0 else 1.0)
    cells, L = slopes(model.parts.design, grid, var, step, [*keep, *within])
    trends = assemble(model, "trend", cells, within, L, np.zeros(len(L)), grid, ddf, level)
    return replace(trends, method=method)
