"""Least squares with absorbed factors: formula, options, estimate."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from ...design import INTERCEPT, Design
from ...design.grouped import build_grouped, group_term
from ...errors import FormulaError, ModelError, RanefWarning, RankWarning
from ...formula import Formula, parse
from ...models.ols import ABSORB_FLOOR, fit_ols
from ...models.within import Absorption, WithinEstimate, fit_within
from ..warned import dropped_rows
from .call import FeolsCall
from .fitted import Fitted
from .parts import FeolsParts

__all__ = [
    "Fitted",
    "absorption_of",
    "aliased_columns",
    "check_formula",
    "fit",
    "fit_design",
    "names",
    "pooled",
]


def check_formula(formula: Formula, function: str) -> Formula:
    """Refuse random-effects terms."""
    if formula.random:
        bar = formula.random[0]
        raise FormulaError(
            f"{function} has no random effects; use ranef.lmer, or take the term out",
            formula.text,
            bar.start,
            bar.stop,
        )
    return formula


def names(asked: str | Sequence[str] | None) -> tuple[str, ...]:
    """Turn one name, several or none into a tuple."""
    if asked is None:
        return ()
    names = (asked,) if isinstance(asked, str) else tuple(asked)
    if not all(isinstance(name, str) for name in names):
        raise TypeError(
            "absorb and cluster take names of columns; model.robust takes clusters as an array too"
        )
    return tuple(dict.fromkeys(names))


def fit_design(design: Design, absorbed: Sequence[str]) -> Fitted:
    """Fit a design, absorbing some of its grouping columns."""
    if not absorbed:
        return Fitted(tuple(range(len(design.fixed))), pooled(design), None)
    absorption = absorption_of(design, absorbed)
    positions = tuple(j for j, column in enumerate(design.fixed) if column != INTERCEPT)
    X = np.asfortranarray(design.X[:, positions])
    within = fit_within(design.y, X, absorption, design.weights, design.offset)
    if within.tss_within <= (ABSORB_FLOOR * ABSORB_FLOOR) * within.tss:
        raise ModelError(
            f"absorbing {' and '.join(absorbed)} explains {design.response!r} completely: it is "
            "constant within their levels, or a sum of their effects"
        )
    if not within.ols.kept.any():
        told = "; ".join(
            f"{design.fixed_names[positions[j]]!r} is {reason}"
            for j, reason in within.aliased.items()
        )
        raise ModelError(
            f"nothing is left to estimate after absorbing {' and '.join(absorbed)}"
            f"{': ' + told if told else ', for the formula has a constant only'}"
        )
    return Fitted(positions, within, absorption)


def absorption_of(design: Design, names: Sequence[str]) -> Absorption:
    """Collect the codes of absorbed factors."""
    terms = [group_term(design, name) for name in names]
    return Absorption(
        tuple(names),
        np.asfortranarray(np.column_stack([term.codes for term in terms])),
        np.array([term.n_levels for term in terms], np.int32),
    )


def pooled(design: Design) -> WithinEstimate:
    """Fit without absorption."""
    ols = fit_ols(design.y, design.X, design.weights, design.offset)
    w = np.ones(design.n_obs) if design.weights is None else design.weights
    target = design.y if design.offset is None else design.y - design.offset
    constant = INTERCEPT in design.fixed
    total = float(w @ (target - (w @ target) / w.sum() * constant) ** 2)
    reasons = {int(j): "a combination of the columns before it" for j in np.flatnonzero(~ols.kept)}
    return WithinEstimate(ols, 0, total, total, reasons)


#: What is said where a fit has no residual.
NOTHING_LEFT = (
    "the {} rows leave nothing to estimate the residual variance from, so there are no standard "
    "errors and no tests; use fewer coefficients or absorbed levels"
)


def aliased_columns(design: Design, fitted: Fitted) -> list[RanefWarning]:
    """State which columns have no coefficient, and why."""
    told = [
        f"{design.fixed_names[fitted.positions[j]]!r} is {reason}"
        for j, reason in fitted.within.aliased.items()
    ]
    return [RankWarning("without a coefficient: " + "; ".join(told))] if told else []


def fit(call: FeolsCall, data: Any) -> FeolsParts:
    """Carry out a call: parse, build, fit."""
    design = build_grouped(
        check_formula(parse(call.formula), "feols"),
        data,
        [*call.absorb, *call.cluster],
        weights=call.weights,
        offset=call.offset,
        contrasts=call.contrasts,
        missing=call.missing,
    )
    fitted = fit_design(design, call.absorb)
    found = (*dropped_rows(design), *aliased_columns(design, fitted))
    parts = FeolsParts(design, fitted, call, data, warnings=found)
    if parts.df_resid <= 0 and not call.cluster:
        parts = replace(parts, warnings=(*found, RanefWarning(NOTHING_LEFT.format(design.n_obs))))
    _ = parts.vcov  # needs the data, which are lost by pickling
    return parts
