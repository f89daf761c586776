"""The mean formula, the checks and the estimate of a growth curve."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Any

import numpy as np

from ..._options import check_option
from ...design.structured import StructuredDesign, build_structured
from ...errors import (
    ConvergenceWarning,
    DataError,
    ModelError,
    RanefWarning,
    RankWarning,
    SingularFitWarning,
)
from ...formula import parse
from ...formula.terms import quoted
from ...models.gls.model import fit_gls, gls_model
from ..warned import dropped_rows
from .call import GrowthCall
from .parts import GrowthParts

__all__ = [
    "INFORMATION",
    "RESIDUALS",
    "SHAPES",
    "check",
    "checked_call",
    "fit",
    "formula_of",
    "powers",
]


SHAPES = {"intercept": 1, "linear": 2, "quadratic": 3}


RESIDUALS = ("equal", "free")


INFORMATION = ("expected", "observed")


def checked_call(call: GrowthCall) -> GrowthCall:
    """Check the options of a call."""
    columns = (call.covariates,) if isinstance(call.covariates, str) else tuple(call.covariates)
    information = call.information
    checked = replace(
        call,
        shape=check_option("shape", call.shape, SHAPES),
        random=check_option("random", call.random, SHAPES),
        residuals=check_option("residuals", call.residuals, RESIDUALS),
        information=information and check_option("information", information, INFORMATION),
        covariates=columns,
    )
    if SHAPES[checked.random] > SHAPES[checked.shape]:
        raise ValueError(
            f"random={call.random!r} has factors that shape={call.shape!r} does not; the mean "
            "curve needs every factor that varies"
        )
    return checked


def powers(time: str, shape: str) -> list[str]:
    """Spell the columns of the factors after the intercept."""
    name = quoted(time)
    return [name, f"I({name} ** 2)"][: SHAPES[shape] - 1]


def formula_of(call: GrowthCall) -> str:
    """Spell the mixed model that a growth model is."""
    curve = powers(call.time, call.shape)
    effects = [quoted(x) for x in call.covariates]
    crossed = [f"{x}:{power}" for power in curve for x in effects]
    fixed = " + ".join(["1", *curve, *effects, *crossed])
    varying = " + ".join(["1", *powers(call.time, call.random)])
    return (
        f"{call.outcome} ~ {fixed} + ({varying} | {':'.join(map(quoted, call.groups.split(':')))})"
    )


def check(rows: StructuredDesign, call: GrowthCall) -> None:
    """Refuse rows that are not one an occasion, and covariates that vary within groups."""
    design = rows.design
    assert rows.time is not None
    assert rows.time_levels is not None
    if rows.time_levels.dtype.kind not in "iuf":
        raise DataError(
            f"time is numeric in a growth model, and {call.time!r} is not; number the occasions "
            "0, 1, 2, ...",
            call.time,
        )
    order = np.lexsort((rows.time, rows.cluster))
    again = (np.diff(rows.cluster[order]) == 0) & (np.diff(rows.time[order]) == 0.0)
    if again.any():
        at = order[np.flatnonzero(again)[0]]
        raise DataError(
            f"group {rows.levels[rows.cluster[at]]!r} has {call.time!r} = {rows.time[at]:g} more "
            "than once; a growth model has one row an occasion",
            call.time,
        )
    for name, places in design.fixed_terms:
        if name not in call.covariates:
            continue
        for j in places:
            column = design.X[:, j]
            first = np.zeros(len(rows.levels))
            first[rows.cluster] = column
            if np.any(first[rows.cluster] != column):
                raise DataError(
                    f"covariate {name!r} varies within groups of {call.groups!r}; a covariate of "
                    "growth factors is constant there. Fit one that varies by ranef.gls or "
                    "ranef.lmer",
                    name,
                )
    k = SHAPES[call.random]
    if call.residuals == "equal" and len(np.unique(rows.time)) <= k:
        raise ModelError(
            f"{k} varying factors and a residual cannot be told apart on "
            f"{len(np.unique(rows.time))} occasions; take a simpler shape or random part"
        )


def fit(call: GrowthCall, data: Any) -> GrowthParts:
    """Fit as a call says."""
    rows = build_structured(
        parse(formula_of(call)),
        data,
        groups=call.groups,
        time=call.time,
        variance=call.time if call.residuals == "free" else None,
        missing=call.missing,
    )
    check(rows, call)
    model = gls_model(rows, "independence")
    estimate = fit_gls(rows, model, reml=False, control=call.control)
    parts = GrowthParts(rows.design, estimate, call, data, model, structured=rows)
    return replace(parts, warnings=tuple(findings(parts)))


def findings(parts: GrowthParts) -> Iterable[RanefWarning]:
    """Everything worth a warning."""
    yield from dropped_rows(parts.design)
    estimate = parts.estimate
    if len(estimate.kept) < len(parts.design.fixed):
        lost = ", ".join(n for n, b in zip(parts.names, estimate.beta, strict=False) if b != b)
        yield RankWarning(
            f"no coefficient can be estimated for {lost}: combinations of the columns before"
        )
    if not estimate.converged:
        yield ConvergenceWarning(
            f"the search stopped ({estimate.status}) where -2 log-likelihood can still fall by "
            f"about {estimate.decrement:.2g}; take a simpler shape or random part"
        )
    elif estimate.is_singular or estimate.at_bound:
        yield SingularFitWarning(
            "a variance stands at zero, or a correlation of the factors at 1: the likelihood "
            "has its maximum at the end of the parameters' range. Errors and p-values are "
            "rough there; a model with fewer variances says as much"
        )
