"""Rows of a likelihood-ratio table."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Sequence
from typing import Any

import pandas as pd

from .._caller import warn_caller
from ..errors import ComparisonWarning
from ..fitted.gls.model import GLSModel
from ..fitted.lmm.model import LinearMixedModel
from ..formula import parse
from ..inference.lrt.lrt import RatioTest, Relation, parts, ratio_test, relate
from ..inference.lrt.structured import StructuredParts, relate_structured, structured_parts
from ..report.whole_frame import WholeFrame
from .models import (
    boundary_notes,
    by_likelihood,
    check_comparable,
    check_likelihood,
    criteria_row,
    estimator_name,
    labels,
    same_fixed,
)

__all__ = [
    "anova_linear",
    "cautions",
    "one_estimator",
    "parts_of",
    "tested",
    "two_steps",
    "why_untested",
]


def anova_linear(
    models: Sequence[LinearMixedModel], refit: bool | None, names: Sequence[str] | None = None
) -> pd.DataFrame:
    """Compare linear models, structured ones among them, row by row."""
    structured = any(isinstance(model, GLSModel) for model in models)
    check_comparable(models, "anova", structured=structured)
    check_likelihood([m for m in models if not isinstance(m, GLSModel)], "anova")
    spaces: Sequence[Any]
    relate_parts: Callable[[Any, Any], Relation]
    if structured:
        spaces, relate_parts = [parts_of(model) for model in models], relate_structured
    else:
        spaces, relate_parts = [parts(m.parts.design, m.parts.estimate) for m in models], relate
    fits = one_estimator(models, spaces, refit)
    names = names or labels(models)
    order = sorted(range(len(models)), key=lambda i: fits[i].npar)
    rows = [criteria_row(fits[i]) for i in order]
    refitted = ["refitted by ML" if fits[i] is not models[i] else "" for i in order]
    tests, notes = [RatioTest()], [refitted[0]]
    for k, (i, j) in enumerate(itertools.pairwise(order), start=1):
        test, remarks = tested(fits[i], fits[j], relate_parts(spaces[i], spaces[j]))
        tests.append(test)
        notes.append("; ".join(text for text in [refitted[k], *remarks] if text))
    table = pd.DataFrame(rows, index=[names[i] for i in order])
    for column in ("chisq", "df", "pvalue", "pvalue_boundary"):
        table[column] = [getattr(test, column) for test in tests]
    table["estimator"] = [estimator_name(fits[i]) for i in order]
    table["note"] = notes
    return WholeFrame(table)


def parts_of(model: LinearMixedModel | GLSModel) -> StructuredParts:
    """Prepare a model for comparison with others whose residuals are structured."""
    if isinstance(model, LinearMixedModel):
        return structured_parts(model.parts.design, model.parts.estimate)
    rows = model.parts.rows
    return structured_parts(
        rows.design, model.parts.estimate, model.call.corr, rows.cluster, rows.time, rows.D
    )


def one_estimator(
    models: Sequence[LinearMixedModel], spaces: Sequence[Any], refit: bool | None
) -> list[LinearMixedModel]:
    """Return the fits of the table: as they are, or all by maximum likelihood."""
    if refit is False:
        return list(models)
    if refit is None and all(model.reml for model in models) and same_fixed(spaces):
        return list(models)
    return [by_likelihood(model) for model in models]


def tested(
    small: LinearMixedModel, large: LinearMixedModel, relation: Relation
) -> tuple[RatioTest, list[str]]:
    """Test a row against the row above; also return notes."""
    untested = why_untested(small, large, relation)
    if untested:
        return RatioTest(), [untested]
    shift = relation.shift if small.reml else 0.0
    deviances = (-2.0 * small.llf, -2.0 * large.llf - shift)
    test = ratio_test(deviances, (small.npar, large.npar), relation)
    if not (relation.same_fixed or relation.same_random):
        return RatioTest() if small.reml else test, [two_steps(small, large)]
    notes = cautions(small, large, relation)
    if relation.same_fixed:
        both = isinstance(small, LinearMixedModel) and isinstance(large, LinearMixedModel)
        simulate = "; ranef.pbtest simulates the distribution" if both else ""
        notes += boundary_notes(relation, test, is_singular=small.is_singular, simulate=simulate)
    return test, notes


def why_untested(
    small: LinearMixedModel, large: LinearMixedModel, relation: Relation
) -> str | None:
    """Say why a pair has no statistic at all; None if it has one."""
    if small.reml != large.reml:
        text = "one fit is by REML and one by ML: their likelihoods are never differenced"
        warn_caller(ComparisonWarning(f"{text}; leave out refit=False to compare both by ML"))
        return text
    if relation.same_fixed and relation.same_random:
        return "the same model as the row above, written in another way"
    if small.npar == large.npar:
        return "as many parameters as the row above, so not nested: compare by criteria"
    if not relation.nested:
        return "the row above is not nested in this model: compare by criteria"
    return None


def two_steps(small: LinearMixedModel, large: LinearMixedModel) -> str:
    """Say why there is no p-value when both parts differ, and which model lies between."""
    formula, random = parse(large.call.formula), parse(small.call.formula).random
    between = " + ".join([str(formula.without_random()), *(bar.source() for bar in random)])
    return (
        "fixed and random parts both differ, so no p-value would say which of them matters. Two "
        f"steps: fit {between}, test the random part between it and this "
        "model by REML, then the fixed part between it and the row above by ML"
    )


def cautions(small: LinearMixedModel, large: LinearMixedModel, relation: Relation) -> list[str]:
    """State what invalidates a test of fits as they are."""
    notes = []
    if small.reml and not relation.same_fixed:
        notes.append(
            "not a valid p-value: restricted likelihoods of different fixed parts cannot be "
            "compared"
        )
        warn_caller(
            ComparisonWarning(
                "the fits are by REML and their fixed parts differ, so the p-value of "
                f"{large.call.formula!r} is not valid; leave out refit=False to compare by ML"
            )
        )
    if small.reml and abs(relation.shift) > 1e-8:
        notes.append(
            "the fixed part is coded otherwise than above, which shifts restricted criteria by "
            f"{relation.shift:.4g}; the test allows for it"
        )
    if not (small.parts.estimate.converged and large.parts.estimate.converged):
        notes.append("a fit has not converged: see model.convergence")
    return notes + sampled_notes(small, large)


def sampled_notes(small: Any, large: Any) -> list[str]:
    """Describe how well the statistic of iterative fits is known."""
    found = [getattr(model.parts.estimate, "approximation", None) for model in (small, large)]
    error = 2.0 * math.hypot(*(each.llf_error if each else 0.0 for each in found))
    if error == 0.0:
        return []
    return [f"log-likelihoods by iteration: chisq has a Monte Carlo error of {error:.2g} at most"]
