"""Likelihood-ratio tables of fitted mixed models."""

from __future__ import annotations

import itertools
import warnings
from collections.abc import Callable, Sequence
from typing import Any, cast

import pandas as pd

from ..compare.generalised import anova_generalised
from ..compare.models import (
    boundary_notes,
    by_likelihood,
    check_comparable,
    check_likelihood,
    criteria_row,
    estimator_name,
    labels,
    same_fixed,
)
from ..errors import ComparisonWarning
from ..fitted.glmm.model import GeneralizedLinearMixedModel
from ..fitted.gls.model import GLSModel
from ..fitted.lmm.model import LinearMixedModel
from ..formula import parse
from ..inference.lrt.lrt import RatioTest, Relation, parts, ratio_test, relate
from ..inference.lrt.structured import StructuredParts, relate_structured, structured_parts
from ..report.whole_frame import WholeFrame

__all__ = ["anova"]


def anova(
    *models: LinearMixedModel | GLSModel | GeneralizedLinearMixedModel, refit: bool | None = None
) -> pd.DataFrame:
    """Compare fitted mixed models by likelihood-ratio tests.

    Parameters
    ----------
    *models : LinearMixedModel, GLSModel or GeneralizedLinearMixedModel
        Two or more models for the same response on the same rows; generalised ones are compared
        with each other, and of one family and link.
    refit : bool, optional
        True refits REML fits by maximum likelihood, False compares the fits as they stand. By
        default REML is kept when all fits are by REML and their fixed parts span the same space,
        and everything is by maximum likelihood otherwise.

    Returns
    -------
    DataFrame
        A row a model, by number of parameters; each is tested against the row above. Columns npar,
        aic, bic, llf, deviance (-2 llf), chisq, df, pvalue, pvalue_boundary, estimator and note.

    Raises
    ------
    ModelError
        If the models rest on different rows, responses or weights, or are not mixed models.

    Warns
    -----
    ComparisonWarning
        If ``refit=False`` leaves a test that is not valid.

    Notes
    -----
    Fixed parts are compared as column spaces and random parts as families of covariance matrices,
    so names and codings do not matter. There is a p-value only for nested models that differ in one
    of the two.

    ``pvalue`` takes the statistic as chi-squared on ``df``. A variance that is tested at zero
    cannot go below it, so that this p-value is too large; ``pvalue_boundary`` is by the equal
    mixture of chi-squared on df - 1 and df, right for one variance and its covariances [1]_. For
    more variances at once see :func:`ranef.pbtest`, for one in a small sample :func:`ranef.rlrt`.

    References
    ----------
    .. [1] Stram and Lee (1994), Biometrics 50, 1171-1177.

    Examples
    --------
    >>> import ranef
    >>> sleep = ranef.datasets.load("sleepstudy")
    >>> slope = ranef.lmer("Reaction ~ Days + (Days | Subject)", sleep)
    >>> level = ranef.lmer("Reaction ~ Days + (1 | Subject)", sleep)
    >>> ranef.anova(level, slope)[["npar", "chisq", "df"]].round(2)
                                        npar  chisq   df
    Reaction ~ Days + (1 | Subject)        4    NaN  NaN
    Reaction ~ Days + (Days | Subject)     6  42.84  2.0
    """
    if any(isinstance(model, GeneralizedLinearMixedModel) for model in models):
        return anova_generalised(models)
    return _anova_linear(cast("tuple[LinearMixedModel, ...]", models), refit)


def _anova_linear(models: Sequence[LinearMixedModel], refit: bool | None) -> pd.DataFrame:
    structured = any(isinstance(model, GLSModel) for model in models)
    check_comparable(models, "anova", structured=structured)
    check_likelihood([m for m in models if not isinstance(m, GLSModel)], "anova")
    spaces: Sequence[Any]
    relate_parts: Callable[[Any, Any], Relation]
    if structured:
        spaces, relate_parts = [_structured_parts(model) for model in models], relate_structured
    else:
        spaces, relate_parts = [parts(m._design, m._estimate) for m in models], relate
    fits = _one_estimator(models, spaces, refit)
    names = labels(models)
    order = sorted(range(len(models)), key=lambda i: fits[i].npar)
    rows = [criteria_row(fits[i]) for i in order]
    refitted = ["refitted by ML" if fits[i] is not models[i] else "" for i in order]
    tests, notes = [RatioTest()], [refitted[0]]
    for k, (i, j) in enumerate(itertools.pairwise(order), start=1):
        test, remarks = _tested(fits[i], fits[j], relate_parts(spaces[i], spaces[j]))
        tests.append(test)
        notes.append("; ".join(text for text in [refitted[k], *remarks] if text))
    table = pd.DataFrame(rows, index=[names[i] for i in order])
    for column in ("chisq", "df", "pvalue", "pvalue_boundary"):
        table[column] = [getattr(test, column) for test in tests]
    table["estimator"] = [estimator_name(fits[i]) for i in order]
    table["note"] = notes
    return WholeFrame(table)


def _structured_parts(model: LinearMixedModel | GLSModel) -> StructuredParts:
    """Prepare a model for comparison with others whose residuals are structured."""
    if isinstance(model, LinearMixedModel):
        return structured_parts(model._design, model._estimate)
    rows = model._structured
    return structured_parts(
        rows.design, model._estimate, model.call.corr, rows.cluster, rows.time, rows.D
    )


def _one_estimator(
    models: Sequence[LinearMixedModel], spaces: Sequence[Any], refit: bool | None
) -> list[LinearMixedModel]:
    """Give the fits of the table: as they stand, or all by maximum likelihood."""
    if refit is False:
        return list(models)
    if refit is None and all(model.reml for model in models) and same_fixed(spaces):
        return list(models)
    return [by_likelihood(model) for model in models]


def _tested(
    small: LinearMixedModel, large: LinearMixedModel, relation: Relation
) -> tuple[RatioTest, list[str]]:
    """One row's test against the row above, and what to know about it."""
    untested = _why_untested(small, large, relation)
    if untested:
        return RatioTest(), [untested]
    shift = relation.shift if small.reml else 0.0
    deviances = (-2.0 * small.llf, -2.0 * large.llf - shift)
    test = ratio_test(deviances, (small.npar, large.npar), relation)
    if not (relation.same_fixed or relation.same_random):
        return RatioTest() if small.reml else test, [_two_steps(small, large)]
    notes = _cautions(small, large, relation)
    if relation.same_fixed:
        both = isinstance(small, LinearMixedModel) and isinstance(large, LinearMixedModel)
        simulate = "; ranef.pbtest simulates the distribution" if both else ""
        notes += boundary_notes(relation, test, is_singular=small.is_singular, simulate=simulate)
    return test, notes


def _why_untested(
    small: LinearMixedModel, large: LinearMixedModel, relation: Relation
) -> str | None:
    """Why a pair has no statistic at all; None when it has."""
    if small.reml != large.reml:
        text = "one fit is by REML and one by ML: their likelihoods are never differenced"
        warnings.warn(
            f"{text}; leave out refit=False to compare both by ML", ComparisonWarning, stacklevel=4
        )
        return text
    if relation.same_fixed and relation.same_random:
        return "the same model as the row above, written in another way"
    if small.npar == large.npar:
        return "as many parameters as the row above, so not nested: compare by criteria"
    if not relation.nested:
        return "the row above is not nested in this model: compare by criteria"
    return None


def _two_steps(small: LinearMixedModel, large: LinearMixedModel) -> str:
    """Why no p-value is given when both parts differ, and the model that lies between."""
    formula, random = parse(large.call.formula), parse(small.call.formula).random
    between = " + ".join([str(formula.without_random()), *(bar.source() for bar in random)])
    return (
        "fixed and random parts both differ, so no p-value would say which of them matters. Two "
        f"steps: fit {between}, test the random part between it and this "
        "model by REML, then the fixed part between it and the row above by ML"
    )


def _cautions(small: LinearMixedModel, large: LinearMixedModel, relation: Relation) -> list[str]:
    """Say what spoils a test of fits as they stand."""
    notes = []
    if small.reml and not relation.same_fixed:
        notes.append(
            "not a valid p-value: restricted likelihoods of different fixed parts cannot be "
            "compared"
        )
        warnings.warn(
            "the fits are by REML and their fixed parts differ, so the p-value of "
            f"{large.call.formula!r} is not valid; leave out refit=False to compare by ML",
            ComparisonWarning,
            stacklevel=5,
        )
    if small.reml and abs(relation.shift) > 1e-8:
        notes.append(
            "the fixed part is coded otherwise than above, which shifts restricted criteria by "
            f"{relation.shift:.4g}; the test allows for it"
        )
    if not (small._estimate.converged and large._estimate.converged):
        notes.append("a fit has not converged: see model.convergence")
    return notes
