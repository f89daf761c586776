"""Likelihood-ratio tables of generalised linear mixed models."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Any

import pandas as pd

from ..errors import ModelError, UnsupportedError
from ..fitted.feglm.model import GeneralizedFixedEffectsModel
from ..fitted.kinds import is_generalised
from ..inference.lrt.lrt import RatioTest, Relation, ratio_test
from ..report.whole_frame import WholeFrame
from .models import boundary_notes, check_likelihood, criteria_row, difference_between, labels
from .spaces import related

__all__ = ["anova_generalised", "check_generalised", "check_same_rows"]


def anova_generalised(models: Sequence[Any], names: Sequence[str] | None = None) -> pd.DataFrame:
    """Compare generalised linear mixed models; see :func:`ranef.anova`."""
    check_generalised(models)
    check_likelihood(models, "anova")
    names = names or labels(models)
    order = sorted(range(len(models)), key=lambda i: models[i].npar)
    tests, notes = [RatioTest()], [""]
    for i, j in itertools.pairwise(order):
        check_kept_rows(models[i], models[j])
        test, remarks = tested(models[i], models[j], related(models[i].parts, models[j].parts))
        tests.append(test)
        notes.append("; ".join(remarks))
    table = pd.DataFrame([criteria_row(models[i]) for i in order], index=[names[i] for i in order])
    for column in ("chisq", "df", "pvalue", "pvalue_boundary"):
        table[column] = [getattr(test, column) for test in tests]
    table["estimator"] = "ML"
    table["note"] = notes
    return WholeFrame(table)


def check_kept_rows(small: Any, large: Any) -> None:
    """Refuse models of data in chunks that keep different rows, on which columns are compared."""
    if small.parts.design.n_obs != large.parts.design.n_obs:
        raise UnsupportedError(
            "anova finds out whether models are nested from their columns on the same rows, and "
            "models of data in chunks keep the distinct rows of their own columns only; use "
            "ranef.compare(...) for criteria, large.anova() for tests of its terms, or fit frames "
            "in memory"
        )


def check_generalised(models: Sequence[Any], caller: str = "anova") -> None:
    """Raise unless the likelihoods of all models are those of one response and one distribution."""
    check_same_rows(models, caller)
    first, *others = models
    for place, model in enumerate(others, start=2):
        for what, a, b in (
            ("family", family_of(first), family_of(model)),
            ("link", first.link, model.link),
            ("nagq", first.parts.nagq, model.parts.nagq),
        ):
            if a != b:
                raise ModelError(
                    f"model {place}, {model.call.formula!r}, has {what}={b!r} and the first {a!r}, "
                    f"so that the models are not nested; use model.update({what}={a!r}) or "
                    "ranef.compare"
                )


def check_same_rows(models: Sequence[Any], caller: str) -> None:
    """Raise unless all are generalised models of one response on the same rows.

    Counts and shares have probabilities, gamma responses densities: neither compares with the
    other, nor with a model of lmer.
    """
    for place, model in enumerate(models, start=1):
        if not (is_generalised(model) or (caller == "compare" and is_absorbing(model))):
            also = ", ranef.feglm" if caller == "compare" else ""
            raise ModelError(
                f"argument {place} is a {type(model).__name__}: {caller} compares models of "
                f"ranef.glmer{also}, or of ranef.clmm, with each other, for their likelihoods are "
                "those of one distribution"
            )
    if len(models) < 2:
        raise ModelError(
            f"{caller} compares two or more models and was given {len(models)}"
            + (
                "; for tests of the terms of one model write model.anova()"
                if caller == "anova"
                else ""
            )
        )
    check_whole_likelihoods(models)
    first, *others = models
    for place, model in enumerate(others, start=2):
        difference = difference_between(first, model)
        if not difference and _counted(first) != _counted(model):
            difference = (
                f"is of the {family_of(model)} family and the first of the {family_of(first)} one: "
                "probabilities of counts and densities are not comparable"
            )
        if difference:
            raise ModelError(f"model {place}, {model.call.formula!r}, {difference}.")


def is_absorbing(model: Any) -> bool:
    """Return whether a model was fitted by feglm."""
    return isinstance(model, GeneralizedFixedEffectsModel)


def check_whole_likelihoods(models: Sequence[Any]) -> None:
    """Refuse to compare likelihoods conditional on group sums with others."""
    given: list[tuple[str, ...]] = [
        model.call.absorb if is_absorbing(model) and model.parts.is_conditional else ()
        for model in models
    ]
    if len(set(given)) > 1:
        place = next(i for i, groups in enumerate(given) if groups)
        raise ModelError(
            f"the likelihood of {models[place].call.formula!r} is that given the number of "
            f"successes of each {given[place][0]}, which is not comparable with that of the other "
            "models; compare conditional models of the same groups with each other"
        )


def family_of(model: Any) -> str:
    """Name the distribution of the response."""
    if is_absorbing(model):
        return str(model.call.family)
    return "ordinal" if model.model_kind == "ordinal" else str(model.family)


def _counted(model: Any) -> bool:
    """Return whether responses have probabilities, not densities."""
    if is_absorbing(model):
        return bool(model.parts.family.support.discrete)
    if model.model_kind == "generalised":
        return bool(model.call.spec.distribution.support.discrete)
    return model.model_kind == "ordinal" or bool(model.parts.family.support.discrete)


def tested(small: Any, large: Any, relation: Relation) -> tuple[RatioTest, list[str]]:
    """Test a row against the row above; also return notes."""
    if relation.same_fixed and relation.same_random:
        return RatioTest(), ["the same model as the row above, written in another way"]
    if small.npar == large.npar:
        same = "as many parameters as the row above, so not nested: compare by criteria"
        return RatioTest(), [same]
    if not relation.nested:
        return RatioTest(), ["the row above is not nested in this model: compare by criteria"]
    test = ratio_test((-2.0 * small.llf, -2.0 * large.llf), (small.npar, large.npar), relation)
    if not (relation.same_fixed or relation.same_random):
        both = "fixed and random parts both differ, so no p-value would say which of them matters"
        return test, [both]
    notes = []
    if not (small.parts.estimate.converged and large.parts.estimate.converged):
        notes.append("a fit has not converged: see model.convergence")
    if relation.same_fixed:
        notes += boundary_notes(relation, test, is_singular=small.is_singular)
    return test, notes
