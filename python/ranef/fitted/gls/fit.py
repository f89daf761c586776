"""Options, checks and the estimate of a linear model with structured residuals."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Any

import numpy as np

from ..._options import check_option
from ...design.design import Design
from ...design.structured import StructuredDesign, build_structured
from ...design.structures.structure import check_free
from ...errors import ConvergenceWarning, RanefWarning, RankWarning, SingularFitWarning
from ...formula import parse
from ...models import lmm
from ...models.gls.checks import check_rows
from ...models.gls.model import CORRELATIONS, fit_gls, gls_model
from ...models.spanned import Spanned, spanned_terms
from ...report.structured import correlation_text
from ...report.verdict import Convergence, alias_notes
from ..warned import dropped_rows
from .call import GLSCall
from .parts import GlsParts

__all__ = ["checked_corr", "convergence", "fit", "fit_rows"]

#: Curvature below which the likelihood does not separate the covariance's parameters.
FLAT = 1e-8


def checked_corr(corr: Any, groups: str | None) -> str:
    """Check the name of a correlation, and that it has groups."""
    name = check_option("corr", corr, CORRELATIONS)
    if name != "independence" and groups is None:
        raise ValueError(
            f'corr="{name}" correlates rows within groups; name the groups by groups="..."'
        )
    return name


def fit(call: GLSCall, data: Any) -> GlsParts:
    """Fit as a call says."""
    formula = parse(call.formula)
    check_free(formula, "gls")
    rows = build_structured(
        formula,
        data,
        groups=call.groups,
        time=call.time,
        variance=call.variance,
        weights=call.weights,
        offset=call.offset,
        contrasts=call.contrasts,
        missing=call.missing,
    )
    return fit_rows(rows, call, data)


def fit_rows(rows: StructuredDesign, call: GLSCall, data: Any = None) -> GlsParts:
    """Fit a structured design as a call says."""
    if rows.design.random and call.corr == "independence":
        lmm.check(rows.design)
    model = gls_model(rows, call.corr)
    check_rows(rows, model.layout, call.corr, call.groups, call.time)
    held = [one.term for one in spanned_terms(rows.design) if _is_whole(one, rows.design)]
    estimate = fit_gls(rows, model, reml=call.reml, control=call.control, held=held)
    parts = GlsParts(rows.design, estimate, call, data, model, structured=rows)
    return replace(parts, warnings=tuple(findings(parts)))


def _is_whole(one: Spanned, design: Design) -> bool:
    """Whether the fixed effects span all columns of a term."""
    return one.held and len(one.columns) == design.random[one.term].n_cols


def findings(parts: GlsParts) -> Iterable[RanefWarning]:
    """Everything worth a warning."""
    design, estimate = parts.design, parts.estimate
    yield from dropped_rows(design)
    if len(estimate.kept) < len(design.fixed):
        notes = alias_notes(design, *parts.aliasing(), estimate.kept)
        yield RankWarning("the fixed-effects matrix has less than full rank: " + " ".join(notes))
    spanned = parts.spanned
    for one in spanned:
        yield ConvergenceWarning(one.text(design))
    if estimate.is_singular and estimate.converged and not spanned:
        yield SingularFitWarning(
            "singular fit: a variance of the random effects is zero, or one of their "
            "correlations is 1; drop the term or the residual correlation, which may describe the "
            "same dependence"
        )
    if estimate.at_bound:
        yield SingularFitWarning(
            "a residual correlation or variance is at the boundary of its range "
            f"({correlation_text(parts.call.corr, parts.correlation)}); a model with fewer "
            "parameters fits as well"
        )
    if not estimate.converged:
        verdict = convergence(parts)
        yield ConvergenceWarning(f"{verdict.verdict} {verdict.advice[0]}")
    elif not (spanned or estimate.is_singular or estimate.at_bound) and estimate.lowest < FLAT:
        yield ConvergenceWarning(
            "the likelihood is flat in a direction of the covariance's parameters: the data cannot "
            "separate random effects from residuals; use fewer of them"
        )
    if not (estimate.sigma > 0.0 and np.isfinite(estimate.sigma)):
        names = ", ".join(parts.rows.D_names)
        yield RanefWarning(
            f"sigma, the residual standard deviation where {names} is zero, is so far from the "
            f"data that it is {estimate.sigma:g}; see resid_sd, or centre within the data, as "
            f"in variance='~ I({parts.rows.D_names[0]} - {estimate.centre[0]:.6g})'"
        )


def convergence(parts: GlsParts) -> Convergence:
    """Whether the search stopped at an optimum, with the evidence."""
    estimate = parts.estimate
    spanned = parts.spanned
    if spanned:
        terms = "; ".join(one.short(parts.design) for one in spanned)
        verdict = f"Not identified: {terms}."
    elif estimate.converged:
        end = estimate.is_singular or estimate.at_bound
        verdict = "Converged to a boundary of the parameters." if end else "Converged."
    elif estimate.lowest < -1e-6:
        verdict = "Not converged: -2 log-likelihood bends down along a direction."
    else:
        verdict = (
            f"Not converged: -2 log-likelihood can still fall by about {estimate.decrement:.2g}"
            " by the exact gradient and curvature."
        )
    advice = "Simplify the correlation, the variances or the random effects."
    if spanned:
        advice = "Leave the term out, or take its factor out of the fixed part."
    elif parts.call.corr in ("toeplitz", "unstructured") and not parts.design.random:
        advice = (
            "The correlation runs towards a singular matrix, as it does when groups are few "
            'for the number of times; use corr="ar1", "car1" or "exchangeable".'
        )
    converged = estimate.converged and not spanned
    return Convergence(
        converged=converged,
        verdict=verdict,
        status=estimate.status,
        gradient=estimate.gradient,
        curvature=estimate.lowest,
        decrement=estimate.decrement,
        cone=0.0,
        n_null=0,
        n_objective=estimate.n_objective,
        n_gradient=estimate.n_gradient,
        path=np.empty((0, 3)),
        advice=() if converged else (advice,),
    )
