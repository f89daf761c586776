"""Generalised linear models with absorbed factors: formula, options, estimate."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..._counted import counted
from ..._typing import Array
from ...design import INTERCEPT, Design
from ...design.grouped import build_grouped, group_term
from ...errors import (
    ConvergenceWarning,
    DroppedRowsWarning,
    ModelError,
    RanefWarning,
    RankWarning,
    UnsupportedError,
)
from ...families import Family, find
from ...families.response import check_response, check_whole
from ...formula import parse
from ...models.absorbed import GlmRows, at_edge, fit_absorbed
from ...models.conditional import Strata, fit_conditional
from ...models.within import Absorption, fit_within, near_zero
from ..feols.fit import absorption_of, check_formula
from ..warned import dropped_rows
from .call import FeglmCall
from .fitted import AbsorbedFit, ConditionalFit, GlmFit

__all__ = ["Lost", "fit_call", "fit_design", "informative", "log_likelihood"]


@dataclass(frozen=True)
class Lost:
    """Rows that say nothing about the coefficients and were left out.

    Attributes
    ----------
    levels : dict of str to int
        Levels of each absorbed factor without variation of the response.
    level_rows : int
        Their rows.
    running : int
        Rows whose mean runs to the edge of its range with a coefficient or an effect.
    """

    levels: dict[str, int]
    level_rows: int = 0
    running: int = 0


def fit_call(call: FeglmCall, data: Any) -> tuple[Design, GlmFit, tuple[RanefWarning, ...], Lost]:
    """Carry out a call: parse, build, check, leave out what says nothing, fit."""
    family = find(call.family, "feglm")
    design = build_grouped(
        check_formula(parse(call.formula), "feglm"),
        data,
        [*call.absorb, *call.cluster],
        weights=call.weights,
        offset=call.offset,
        contrasts=call.contrasts,
        missing=call.missing,
        response="counts" if family.has_trials else "numeric",
    )
    check_response(design, family)
    check_whole(design, family)
    check_conditional(design, call, family)
    told = dropped_rows(design)
    design, fitted, lost = fit_design(design, call)
    told += [*lost_rows(lost, call, family), *findings(design, fitted)]
    return design, fitted, tuple(told), lost


def check_conditional(design: Design, call: FeglmCall, family: Family) -> None:
    """Refuse several factors, weights and trials where the likelihood is a conditional one."""
    if not (family.has_trials and call.absorb):
        return
    if len(call.absorb) > 1:
        raise UnsupportedError(
            f"a binomial model absorbs one factor, by conditional logistic regression, and "
            f"{' and '.join(call.absorb)} are {len(call.absorb)}: with an effect for every level "
            "of each its coefficients are biased; write the factor with few levels into the "
            "formula, or fit ranef.glmer with random effects"
        )
    if design.weights is not None:
        raise UnsupportedError(
            f"with {call.absorb[0]!r} absorbed each row is one trial, 0 or 1; write a row for each "
            "trial in place of weights or cbind()"
        )


def fit_design(design: Design, call: FeglmCall) -> tuple[Design, GlmFit, Lost]:
    """Fit a design, in rounds while rows turn out to say nothing."""
    family = find(call.family, "feglm")
    size, counts = design.n_obs, dict.fromkeys(call.absorb, 0)
    design = informative(design, call.absorb, family, counts)
    lost = Lost(counts, size - design.n_obs)
    if family.has_trials and call.absorb:
        return design, conditional(design, call.absorb), lost
    while True:
        fitted = absorbed(design, call.absorb, family)
        running = fitted.glm.running
        if not running.any():
            return design, fitted, lost
        lost = replace(lost, running=lost.running + int(running.sum()))
        design = design.take(np.flatnonzero(~running))
        nothing_left(design, family)


def informative(
    design: Design, absorb: tuple[str, ...], family: Family, counts: dict[str, int]
) -> Design:
    """Leave out levels of absorbed factors without variation, and count them.

    Where one level goes another may lose its variation, so this is repeated.
    """
    while True:
        kept = np.ones(design.n_obs, dtype=bool)
        for name in absorb:
            term = group_term(design, name)
            empty = without_variation(design.y, term.codes, family)
            counts[name] += int(empty.sum())
            kept &= ~empty[term.codes]
        if kept.all():
            return design
        if not kept.any():
            raise ModelError(
                f"no level of {' or '.join(absorb)} has {variation(family)}, so nothing is left to "
                "estimate"
            )
        design = design.take(np.flatnonzero(kept))


def without_variation(y: Array, codes: NDArray[np.int32], family: Family) -> NDArray[np.bool_]:
    """Find which levels have responses at one end of the range only."""
    count = int(codes.max()) + 1
    size, total = np.bincount(codes, minlength=count), np.bincount(codes, y, count)
    return np.asarray((total == 0.0) | (family.has_trials & (total == size)))


def variation(family: Family) -> str:
    """Say what a level must have."""
    return "both successes and failures" if family.has_trials else "a response above zero"


def nothing_left(design: Design, family: Family) -> None:
    """Refuse data whose rows are all at the edge."""
    if at_edge(design.y, family).all() and len(np.unique(design.y)) < 2:
        raise ModelError(
            "the columns separate the responses completely, so no finite coefficients exist; "
            "leave a column out, or merge its levels"
        )


def columns_beside(design: Design) -> tuple[int, ...]:
    """Positions of the columns but the constant."""
    return tuple(j for j, column in enumerate(design.fixed) if column != INTERCEPT)


def absorbed(design: Design, absorb: tuple[str, ...], family: Family) -> AbsorbedFit:
    """Fit with an effect for every level of the absorbed factors."""
    absorption = absorption_of(design, absorb) if absorb else None
    positions = columns_beside(design) if absorb else tuple(range(len(design.fixed)))
    X = np.asfortranarray(design.X[:, positions])
    X = near_zero(X) if absorb else X
    rows = GlmRows(design.y, X, family, absorption, design.weights, design.offset)
    check_enough(design, absorption, len(positions))
    found = fit_absorbed(rows)
    something_left(design, positions, found.within.ols.kept, found.within.aliased, absorb)
    return AbsorbedFit(positions, found, absorption, log_likelihood(design, family, found.mu))


def check_enough(design: Design, absorption: Absorption | None, count: int) -> None:
    """Refuse a formula without columns."""
    if not count:
        raise ModelError(
            "the formula has no column to estimate"
            + (" beside the absorbed effects" if absorption is not None else "")
        )


def log_likelihood(design: Design, family: Family, mu: Array) -> float:
    """Return the log-likelihood of means."""
    weights = np.ones(design.n_obs) if design.weights is None else design.weights
    logpdf = family.need("logpdf")
    if family.has_trials:
        return float(logpdf(design.y, mu, {"trials": weights}).sum())
    return float(weights @ logpdf(design.y, mu, {}))


def conditional(design: Design, absorb: tuple[str, ...]) -> ConditionalFit:
    """Fit given the number of successes of each group."""
    absorption = absorption_of(design, absorb)
    positions = columns_beside(design)
    check_enough(design, absorption, len(positions))
    X = near_zero(np.asfortranarray(design.X[:, positions]))
    # which columns vary within groups, by least squares with the same groups
    linear = fit_within(design.y, X, absorption)
    something_left(design, positions, linear.ols.kept, linear.aliased, absorb)
    offset = np.zeros(design.n_obs) if design.offset is None else design.offset
    codes = absorption.codes[:, 0]
    strata = Strata(design.y, centred(X[:, linear.ols.kept], codes), offset, codes)
    found = fit_conditional(strata)
    return ConditionalFit(
        positions, strata, found, absorption, linear.aliased, strata.means(found.beta)
    )


def centred(X: Array, codes: NDArray[np.int32]) -> Array:
    """Take the groups' means from columns, which the conditional likelihood does not depend on."""
    size = np.bincount(codes)
    means = np.column_stack([np.bincount(codes, x) / size for x in X.T])
    return X - means[codes]


def something_left(
    design: Design,
    positions: tuple[int, ...],
    kept: NDArray[np.bool_],
    aliased: dict[int, str],
    absorb: tuple[str, ...],
) -> None:
    """Refuse a fit in which no column has a coefficient."""
    if not kept.any():
        told = "; ".join(f"{design.fixed_names[positions[j]]!r} is {w}" for j, w in aliased.items())
        raise ModelError(
            f"nothing is left to estimate after absorbing {' and '.join(absorb)}: {told}"
        )


def lost_rows(lost: Lost, call: FeglmCall, family: Family) -> list[RanefWarning]:
    """State which rows were left out because they say nothing."""
    out: list[RanefWarning] = []
    if lost.level_rows:
        which = ", ".join(f"{count} of {name}" for name, count in lost.levels.items() if count)
        out.append(
            DroppedRowsWarning(
                f"{counted(lost.level_rows, 'row was', 'rows were')} left out: levels without "
                f"{variation(family)} ({which}) say nothing about the coefficients"
            )
        )
    if lost.running:
        out.append(
            DroppedRowsWarning(
                f"{counted(lost.running, 'row was', 'rows were')} left out: a column or an effect "
                "separates them, their fitted means run to the edge of the range, and they say "
                "nothing about the other coefficients"
            )
        )
    return out


def findings(design: Design, fitted: GlmFit) -> list[RanefWarning]:
    """State which columns have no coefficient, and problems of the search."""
    out: list[RanefWarning] = []
    names = [design.fixed_names[j] for j in fitted.positions]
    told = [f"{names[j]!r} is {reason}" for j, reason in fitted.aliased.items()]
    if told:
        out.append(RankWarning("without a coefficient: " + "; ".join(told)))
    far = [repr(names[j]) for j in fitted.separated]
    if far:
        out.append(
            ConvergenceWarning(
                f"{' and '.join(far)} separate{'s' if len(far) == 1 else ''} successes from "
                "failures within the groups, so no finite coefficient exists and its standard "
                "error is omitted; leave the column out, or merge its levels"
            )
        )
    elif not fitted.converged:
        out.append(
            ConvergenceWarning(
                "the likelihood was not maximised within the steps that are made; look for "
                "columns on very different scales, or for one that nearly separates the responses"
            )
        )
    return out
