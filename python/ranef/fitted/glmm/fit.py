"""Checks and the estimate of a generalised linear mixed model."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Any

import numpy as np

from ... import _core
from ... import design as designs
from ..._options import options_text
from ...chunks.distinct import COUNT, distinct_rows
from ...chunks.rows import check_by_row
from ...chunks.source import is_source
from ...design.design import Design, only_plain
from ...design.frame import is_frame
from ...errors import (
    ConvergenceWarning,
    DroppedRowsWarning,
    RanefWarning,
    RankWarning,
    SingularFitWarning,
    UnsupportedError,
)
from ...families import find
from ...families.response import check_response, check_whole
from ...formula import parse
from ...inference.identified import ENDLESS, FINER, coarse_quadrature, endless_variances
from ...inference.priors.generalised import CovariancePenalty
from ...inference.priors.parts import prior_parts
from ...models.glmm import model as glmm
from ...models.glmm.crossed import exact_cost
from ...models.glmm.estimate import GlmmEstimate, GlmmSpec
from ...models.glmm.restricted import fit_restricted
from ...report.verdict import by_notes, data_warnings, not_reached, singular_notes
from ..method import by_method, checked_method, settled
from .call import GlmerCall
from .parts import GlmmParts

__all__ = [
    "MOST_COLUMNS",
    "REMEDY",
    "check_counts",
    "check_quadrature",
    "estimated",
    "fit",
    "fit_design",
    "specification",
]


#: What may help a search that stopped early.
REMEDY = (
    "Fewer random effects, a prior on their covariances (prior='weak'), merged levels of a "
    "predictor, or with || predictors centred within the data may help."
)

#: Most random effects per level for quadrature: the points are nagq to their power.
MOST_COLUMNS = 3


def estimated(design: Design, core: Any, call: GlmerCall) -> GlmmEstimate:
    """Fit a design as a call says: by likelihood, or with its prior."""
    if call.spec.reml:
        if call.prior is not None:
            raise UnsupportedError(
                "a prior goes with the likelihood, and reml=True maximises the restricted one; "
                "leave one of them out"
            )
        return fit_restricted(design, call.spec, control=call.control)
    penalty = None if call.prior is None else CovariancePenalty(design, core, call.prior)
    known = None if penalty is None else penalty.known
    return glmm.fit(design, core, call.spec, control=call.control, penalty=penalty, known=known)


def specification(family: str, link: str | None, nagq: int, reml: bool = False) -> GlmmSpec:
    """Check the options of the model."""
    found = find(family, "glmm")
    links = [choice.name for choice in found.links]
    chosen = links[0] if link is None else str(link).lower()
    if chosen not in links:
        raise ValueError(f"the link of {found.named} family is {options_text(links)}, not {link!r}")
    if not isinstance(nagq, int | np.integer) or isinstance(nagq, bool) or not 0 <= nagq <= 100:
        raise ValueError(f"nagq is a number of points from 0 to 100, not {nagq!r}")
    if not isinstance(reml, bool | np.bool_):
        raise ValueError(f"reml must be True or False, not {reml!r}")
    if reml and nagq != 1:
        raise ValueError(
            f"reml=True integrates the fixed effects out by Laplace's approximation, which is "
            f"nagq=1, not {nagq}"
        )
    return GlmmSpec(found.name, chosen, int(nagq), bool(reml))


def check_counts(design: Design, spec: GlmmSpec) -> None:
    """Refuse a response outside the family's range, and counts that are not whole.

    Raises
    ------
    DataError
        With the number of rows at fault and what to give instead.
    """
    check_response(design, spec.distribution)
    check_whole(design, spec.distribution)


def check_quadrature(design: Design, spec: GlmmSpec) -> None:
    """Refuse quadrature over more than one grouping factor, or too many columns."""
    if spec.nagq <= 1:
        return
    only_plain(design, f"nagq={spec.nagq}", "use nagq=1, Laplace's approximation")
    widest = max(term.n_cols for term in design.random)
    if len(design.random) > 1 or widest > MOST_COLUMNS:
        groups = ", ".join(f"{term.group} ({term.n_cols})" for term in design.random)
        raise ValueError(
            f"nagq={spec.nagq} needs one grouping factor with at most {MOST_COLUMNS} columns; this "
            f"model has {groups}. Use nagq=1, Laplace's approximation."
        )


def fit(call: GlmerCall, data: Any) -> GlmmParts:
    """Carry out a call: parse, build, check, fit."""
    if not is_frame(data) and is_source(data):
        return fit_chunks(call, data)
    return fit_design(with_method(built(call, data), call), call, data)


def built(call: GlmerCall, data: Any) -> Design:
    """Read the rows of a frame, and check that they are data of the family."""
    spec = call.spec
    design = designs.build(
        parse(call.formula),
        data,
        weights=call.weights,
        offset=call.offset,
        contrasts=call.contrasts,
        missing=call.missing,
        response="counts" if spec.distribution.has_trials else "numeric",
        smooths=True,
        covariance=call.covariance,
    )
    glmm.check(design, spec, prior_parts(call.prior).points)
    check_counts(design, spec)
    check_quadrature(design, spec)
    return design


def fit_chunks(call: GlmerCall, data: Any) -> GlmmParts:
    """Fit the distinct rows of data that come in chunks, each with its count.

    Raises
    ------
    UnsupportedError
        Where rows have several trials, whose counts cannot be added up, or known covariances.
    """
    parsed = parse(call.formula)
    trials = call.spec.distribution.has_trials
    if trials and (call.weights is not None or parsed.left.expr.startswith("cbind(")):
        raise UnsupportedError(
            "a binomial response of data in chunks is one trial a row, 0 or 1 or two levels; "
            "write a row for each trial, or give a frame in memory"
        )
    if call.covariance is not None or any(bar.members for bar in parsed.random):
        raise UnsupportedError("covariance= and mm() need a frame in memory")
    found, frame = distinct_rows(parsed, data, call.weights, call.offset, call.missing)
    alike = replace(call, weights=COUNT, missing="raise")
    design = built(alike, frame)
    check_by_row(design)
    parts = fit_design(with_method(design, alike), alike, frame)
    told = parts.warnings
    if lost := {name: count for name, count in found.dropped.items() if count}:
        where = ", ".join(f"{name} ({count})" for name, count in lost.items())
        told = (
            DroppedRowsWarning(f"rows were dropped because values are missing in {where}"),
            *told,
        )
    return replace(parts, call=call, data=None, warnings=told, n_read=found.n_read)


def with_method(design: Design, call: GlmerCall) -> Design:
    """Note in a design how a call wants it computed.

    Raises
    ------
    UnsupportedError
        If iteration is asked for and cannot be done.
    """
    method = checked_method(call.method, call.threads)
    if call.spec.reml:
        if method == "iterative":
            raise UnsupportedError(
                "method='iterative' maximises the likelihood, and reml=True the restricted one; "
                "leave one of them out"
            )
        return design
    return by_method(
        design, method, call.threads, call.control.seed, has_prior=call.prior is not None
    )


def fit_design(design: Design, call: GlmerCall, data: Any = None) -> GlmmParts:
    """Fit a design as a call says."""
    core = glmm.kernel(design, call.spec)
    estimate = estimated(design, core, call)
    parts = GlmmParts(settled(design, estimate), estimate, call, data)
    found = tuple(findings(parts, core))
    return replace(parts, warnings=found) if found else parts


def findings(parts: GlmmParts, core: _core.Glmm) -> Iterable[RanefWarning]:
    """List everything worth a warning, in the order of the analysis."""
    design, estimate = parts.design, parts.estimate
    yield from data_warnings(design, lambda: core, estimate.kept)
    yield from (RanefWarning(note) for note in by_notes(design))
    spanned = parts.spanned
    yield from (RankWarning(one.text(design)) for one in spanned)
    left_out = [one.term for one in spanned if one.held]
    notes = singular_notes(design, core, estimate, left_out) if estimate.is_singular else []
    if notes:
        yield SingularFitWarning("singular fit: " + "; ".join(notes))
    endless = endless_variances(design, estimate)
    yield from (ConvergenceWarning(f"{reason}. {ENDLESS}") for reason in endless)
    if not endless and (reason := coarse_quadrature(estimate)):
        yield ConvergenceWarning(f"{reason}. {FINER}")
    if estimate.separated:
        far = [repr(design.fixed_names[j]) for j in estimate.separated]
        yield ConvergenceWarning(
            f"{' and '.join(far)} separate{'s' if len(far) == 1 else ''} the responses: fitted "
            "means go to the edge of their range, so no finite coefficient exists and "
            "its standard error is omitted. Leave the column out, or merge its levels."
        )
    elif not estimate.converged:
        left = (
            f"-2 log-likelihood can still fall by about {estimate.decrement:.2g}"
            if np.isfinite(estimate.decrement)
            else "the curvature of the likelihood cannot be computed"
        )
        yield ConvergenceWarning(f"the search stopped ({estimate.status}) where {left}. {REMEDY}")
    found = estimate.approximation
    if found is not None and not found.reached:
        yield ConvergenceWarning(not_reached(found, *exact_cost(design)))
