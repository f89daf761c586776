"""The mean formula, the checks and the estimate of a growth curve."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from ..._counted import counted
from ..._options import check_option
from ..._typing import Array
from ...design.structured import StructuredDesign, build_structured
from ...errors import (
    ConvergenceWarning,
    DataError,
    ModelError,
    RanefWarning,
    RankWarning,
    SingularFitWarning,
    UnsupportedError,
)
from ...formula import parse
from ...formula.terms import quoted
from ...models.gls.model import fit_gls, gls_model
from ..warned import dropped_rows
from .call import FACTORS, SHAPES, GrowthCall
from .parts import GrowthParts

__all__ = [
    "INFORMATION",
    "RESIDUALS",
    "SHAPES",
    "check",
    "check_times",
    "checked_call",
    "fit",
    "formula_of",
    "powers",
]


RESIDUALS = ("equal", "free")
#: Values of ``random``: a latent basis varies by "linear".
FACTORS_VARY = ("intercept", "linear", "quadratic")


INFORMATION = ("expected", "observed")


def checked_call(call: GrowthCall) -> GrowthCall:
    """Check the options of a call."""
    columns, by_factor = named_covariates(call)
    varying = (call.time_varying,) if isinstance(call.time_varying, str) else call.time_varying
    information = call.information
    checked = replace(
        call,
        shape=check_option("shape", call.shape, SHAPES),
        random=check_option("random", call.random, FACTORS_VARY),
        residuals=check_option("residuals", call.residuals, RESIDUALS),
        information=information and check_option("information", information, INFORMATION),
        covariates=columns,
        by_factor=by_factor,
        time_varying=tuple(varying),
        paths=check_option("paths", call.paths, ("equal", "free")),
    )
    if SHAPES[checked.random] > SHAPES[checked.shape]:
        raise ValueError(
            f"random={call.random!r} has factors that shape={call.shape!r} does not; the mean "
            "curve needs every factor that varies"
        )
    if both := sorted(set(checked.time_varying) & set(checked.covariates)):
        raise ValueError(
            f"{both[0]!r} is given as covariate and as time_varying; it is one of them"
        )
    if call.time in checked.time_varying:
        raise ValueError(
            f"{call.time!r} is the time of the curve, whose slope is its effect; leave it out of "
            "time_varying="
        )
    if checked.time_varying and (checked.missing == "fiml" or checked.shape == "basis"):
        raise UnsupportedError(
            "time_varying= is for curves of a known shape, and rows with what they need; leave "
            "missing='fiml' or shape='basis' out"
        )
    return checked


def named_covariates(
    call: GrowthCall,
) -> tuple[tuple[str, ...], Mapping[str, tuple[str, ...]] | None]:
    """Read covariates for all factors, or by factor: all names, and those of each factor.

    Raises
    ------
    ValueError
        If a key is not a factor of the shape.
    """
    given: Any = call.covariates
    if isinstance(given, Mapping):
        factors = FACTORS[: SHAPES.get(call.shape, 3)]
        for factor in given:
            if factor not in factors:
                raise ValueError(
                    f"covariates names {factor!r}, which is not a factor; the factors are "
                    f"{', '.join(factors)}"
                )
        by = {f: (x,) if isinstance(x, str) else tuple(x) for f, x in given.items()}
        return tuple(dict.fromkeys(x for names in by.values() for x in names)), by
    columns = (given,) if isinstance(given, str) else tuple(given)
    known = call.by_factor or {}
    same = set(columns) == {x for names in known.values() for x in names}
    return columns, call.by_factor if same and known else None


def powers(time: str, shape: str) -> list[str]:
    """Spell the columns of the factors after the intercept."""
    name = quoted(time)
    return [name, f"I({name} ** 2)"][: SHAPES[shape] - 1]


def formula_of(call: GrowthCall) -> str:
    """Spell the mixed model that a growth model is."""
    curve = powers(call.time, call.shape)
    level, *slopes = call.regressors
    effects = [quoted(x) for x in level]
    crossed = [
        f"{quoted(x)}:{power}" for power, names in zip(curve, slopes, strict=True) for x in names
    ]
    own = [quoted(x) for x in call.time_varying]
    if call.paths == "free":
        own = [f"{x}:C({quoted(call.time)})" for x in own]
    fixed = " + ".join(["1", *curve, *effects, *crossed, *own])
    varying = " + ".join(["1", *powers(call.time, call.random)])
    return (
        f"{call.outcome} ~ {fixed} + ({varying} | {':'.join(map(quoted, call.groups.split(':')))})"
    )


def check_times(rows: StructuredDesign, call: GrowthCall) -> None:
    """Refuse times that are not numbers, and rows that are not one an occasion."""
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


def check(rows: StructuredDesign, call: GrowthCall) -> None:
    """Refuse rows that a curve cannot be fitted to."""
    check_times(rows, call)
    check_levels(rows, call)
    assert rows.time is not None
    k = SHAPES[call.random]
    if call.residuals == "equal" and len(np.unique(rows.time)) <= k:
        raise ModelError(
            f"{k} varying factors and a residual cannot be told apart on "
            f"{counted(len(np.unique(rows.time)), 'occasion')}; take a simpler shape or random part"
        )


def check_levels(rows: StructuredDesign, call: GrowthCall) -> None:
    """Refuse covariates that vary within groups, and varying ones that do not."""
    design, level = rows.design, set(call.regressors[0])
    if extra := sorted(set(call.covariates) - level):
        raise UnsupportedError(
            f"{extra[0]!r} predicts another factor and not the intercept, which would tie that "
            "effect to where time is zero; give it to the intercept too, or use missing='fiml'"
        )
    for name, places in design.fixed_terms:
        varies = any(varies_within(design.X[:, j], rows) for j in places)
        if name in call.covariates and varies:
            raise DataError(
                f"covariate {name!r} varies within groups of {call.groups!r}; a covariate of "
                "growth factors is constant there. Give one that varies as time_varying=",
                name,
            )
        if name in call.time_varying and not varies:
            raise DataError(
                f"{name!r} is constant within groups of {call.groups!r}, so it does not vary in "
                "time; pass it as covariates=",
                name,
            )
    if call.paths == "free":
        for name in call.time_varying:
            fitted = design.encoder.factors.get(name)
            if fitted is not None and fitted.is_categorical:
                raise UnsupportedError(
                    f"{name!r} is categorical; paths='free' takes numbers: code its levels 0 and 1"
                )


def varies_within(column: Array, rows: StructuredDesign) -> bool:
    """Return whether a column has more than one value in a group."""
    first = np.zeros(len(rows.levels))
    first[rows.cluster] = column
    return bool(np.any(first[rows.cluster] != column))


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
            "a variance is zero, or a correlation of the factors 1: the likelihood has its "
            "maximum on the boundary of the parameter space. Standard errors and p-values are "
            "approximate there; a model with fewer variances fits as well"
        )
