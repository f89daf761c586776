"""Generalised estimating equations: options, checks, estimate."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd

from ..._counted import counted
from ..._options import check_option
from ..._typing import Array
from ...design import Design
from ...design.aligned import matrix_by_name
from ...design.grouped import build_grouped, group_term, times_of
from ...errors import ConvergenceWarning, DataError, ModelError, RanefWarning, RankWarning
from ...families import find
from ...families.response import check_response
from ...formula import parse
from ...models.gee import GeeEstimate, GeeSpec, Sorted, fit_gee, sort_rows
from ..feols.fit import check_formula
from ..warned import dropped_rows
from .call import GEECall
from .covariance import check_vcov
from .parts import GeeParts

__all__ = [
    "FAR",
    "PERFECT",
    "SIMPLE",
    "check_lags",
    "check_matrix",
    "check_pairs",
    "check_times",
    "findings",
    "fit",
    "reason",
    "specification",
]


#: Residuals of this size relative to the response are rounding.
PERFECT = 1e-12


#: Links of the mean.
LINKS = ("identity", "logit", "probit", "cloglog", "log", "inverse")
#: Working correlations that need no number.
SIMPLE = ("independence", "exchangeable", "ar1", "unstructured")


def specification(family: str, link: str | None, corr: Any, times: Sequence[Any]) -> GeeSpec:
    """Check the options of the model; ``times`` are the distinct ones in order."""
    n, found = len(times), find(family, "gee")
    family = found.name
    link = check_option("link", found.link.name if link is None else link, LINKS)
    corr = corr.lower() if isinstance(corr, str) else corr
    if not isinstance(corr, str):
        return GeeSpec(
            family, link, "fixed", fixed=check_matrix(matrix_by_name(corr, times, "corr"), n)
        )
    steps = corr.removesuffix("-dependent")
    if steps != corr and steps.isdigit():
        return GeeSpec(family, link, "m-dependent", check_lags(int(steps), n))
    shown = (*SIMPLE, "2-dependent", "a matrix")
    return GeeSpec(family, link, check_option("corr", corr, SIMPLE, shown=shown))


def check_lags(lags: int, n: int) -> int:
    """Check the number of steps over which rows are correlated."""
    if not 1 <= lags < n:
        raise ValueError(
            f"with {counted(n, 'time')}, rows are at most {n - 1}-dependent, not {lags}-dependent"
        )
    return lags


def check_matrix(corr: Any, n: int) -> Array:
    """Check a correlation matrix that was given."""
    R = np.asarray(corr, float)
    if R.shape != (n, n):
        raise ValueError(
            f"corr has shape {R.shape}; there are {counted(n, 'time')}, so it must be ({n}, {n})"
        )
    if not np.allclose(R, R.T) or not np.allclose(np.diag(R), 1.0):
        raise ValueError("corr must be symmetric with ones on its diagonal")
    if np.linalg.eigvalsh(R)[0] <= 0.0:
        raise ValueError("corr is not positive definite, so it is not a correlation matrix")
    return R


def check_times(rows: Sorted, levels: pd.Index[Any], name: str) -> None:
    """Refuse a time that occurs twice in a group."""
    again = (rows.codes[1:] == rows.codes[:-1]) & (rows.wave[1:] == rows.wave[:-1])
    twice = np.flatnonzero(again)
    if len(twice):
        group, time = levels[rows.codes[twice[0]]], rows.time[rows.wave[twice[0]]]
        raise DataError(
            f"group {group!r} has {name!r} = {time:g} more than once ({len(twice)} repetitions in "
            "all); each row of a group needs its own time",
            name,
        )


def check_pairs(rows: Sorted, spec: GeeSpec) -> None:
    """Refuse correlations that no group has data on."""
    T = len(rows.time)
    if spec.corr == "m-dependent":
        steps = (rows.time - rows.time[0]) / np.min(np.diff(rows.time))
        if not np.allclose(steps, np.round(steps), atol=1e-6):
            raise ModelError(
                f"{spec.lags}-dependence counts equal steps, and the times are not evenly "
                'spaced; use corr="ar1", which takes distances as they are'
            )
        return
    if T > 200:
        raise ModelError(
            f"an unstructured correlation of {T} times has "
            f"{counted(T * (T - 1) // 2, 'parameter')}; use "
            'corr="exchangeable" or "ar1"'
        )
    seen = np.zeros((len(rows.start) - 1, T))
    seen[rows.codes, rows.wave] = 1.0
    apart = np.argwhere(np.triu((seen.T @ seen) == 0.0, 1))
    if len(apart):
        a, b = rows.time[apart[0]]
        raise ModelError(
            f"no group has rows at both times {a:g} and {b:g}, so their correlation cannot be "
            'estimated; use corr="ar1" or "exchangeable"'
        )


#: A coefficient that moves the linear predictor by more, over a standard deviation of its column,
#: has run away.
FAR = 4.0


def reason(design: Design, estimate: GeeEstimate, spec: GeeSpec) -> str:
    """Explain why the equations may have no solution, and what to do."""
    if not estimate.ran_away:
        return 'a solution may not exist. Try corr="independence", fewer terms, or the usual link.'
    moved = np.abs(np.nan_to_num(estimate.beta)) * design.X.std(axis=0)
    far = [repr(design.fixed_names[j]) for j in np.flatnonzero(moved > FAR)]
    who = f"{' and '.join(far) or 'a column'} separate{'' if len(far) > 1 else 's'}"
    edge = spec.distribution.support.at_edge
    return (
        f"fitted {edge}, so no finite coefficients exist and their standard errors are omitted: "
        f"{who} the responses, or the {spec.link} link cannot keep the "
        "means in range. Leave the column out, or merge its levels"
    )


def findings(design: Design, estimate: GeeEstimate, spec: GeeSpec) -> list[RanefWarning]:
    """Collect what the fit must warn of."""
    out: list[RanefWarning] = []
    aliased = [design.fixed_names[j] for j in np.flatnonzero(~estimate.kept)]
    if aliased:
        out.append(
            RankWarning(
                f"no coefficient can be estimated for {', '.join(aliased)}: combinations of the "
                "columns before them"
            )
        )
    if not estimate.converged:
        out.append(
            ConvergenceWarning(
                "the estimating equations are not solved after "
                f"{counted(estimate.iterations, 'step')}; " + reason(design, estimate, spec)
            )
        )
    if estimate.alpha_at_bound and not estimate.ran_away:
        out.append(
            ConvergenceWarning(
                f"the {spec.corr} correlation was estimated outside its range and put at "
                f"{estimate.alpha[0]:.4g}, inside it; the working correlation does not fit"
            )
        )
    return out


def fit_design(design: Design, rows: Sorted, spec: GeeSpec) -> GeeEstimate:
    """Fit sorted rows.

    Raises
    ------
    ModelError
        If the columns reproduce the response.
    """
    estimate = fit_gee(design.y, design.X, rows, spec, weights=design.weights, offset=design.offset)
    if estimate.phi <= (PERFECT * float(np.abs(design.y).max())) ** 2 and not estimate.ran_away:
        raise ModelError("the columns reproduce the response exactly, so no variance is left")
    return estimate


def fit(call: GEECall, data: Any) -> GeeParts:
    """Carry out a call: parse, build, check, fit."""
    call = replace(call, vcov=check_vcov(call.vcov))
    design = build_grouped(
        check_formula(parse(call.formula), "gee"),
        data,
        [call.groups] if call.time is None else [call.groups, call.time],
        weights=call.weights,
        offset=call.offset,
        contrasts=call.contrasts,
        missing=call.missing,
        response="binary" if find(call.family, "gee").has_trials else "numeric",
    )
    term = group_term(design, call.groups)
    times = None if call.time is None else times_of(group_term(design, call.time))
    rows = sort_rows(term.codes, times)
    labels: list[Any] = rows.time.tolist()
    if times is not None:
        waves = group_term(design, str(call.time))
        labels = waves.levels[waves.codes[np.unique(times, return_index=True)[1]]].tolist()
    spec = specification(call.family, call.link, call.corr, labels)
    check_response(design, spec.distribution)
    check_times(rows, term.levels, str(call.time))
    if spec.corr in ("unstructured", "m-dependent"):
        check_pairs(rows, spec)
    estimate = fit_design(design, rows, spec)
    found = (*dropped_rows(design), *findings(design, estimate, spec))
    parts = GeeParts(design, estimate, call, data, warnings=found, checked=spec)
    _ = parts.vcov  # what cannot be computed is refused here
    return parts
