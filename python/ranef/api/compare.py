"""Rankings of fitted mixed models by information criteria."""

from __future__ import annotations

from typing import Any

import pandas as pd

from .._options import check_option
from ..comparison.criteria import (
    all_criteria,
    check_criterion,
    flag_notes,
    flags_of,
    generalised_notes,
)
from ..comparison.generalised import check_same_rows, is_absorbing
from ..comparison.models import (
    by_likelihood,
    check_comparable,
    check_likelihood,
    estimator_name,
    labels,
    named_models,
)
from ..comparison.predictive import PredictiveComparison, named_results, ranked
from ..fitted.kinds import is_generalised
from ..inference import criteria
from ..report.comparison import Comparison, agreement_notes
from ..words.answers import answering

__all__ = ["compare"]


@answering
def compare(
    *models: Any,
    by: str = "aic",
    estimator: str = "ml",
    **named: Any,
) -> Comparison | PredictiveComparison:
    """Rank fitted models by an information criterion, or by results of cross-validation.

    Parameters
    ----------
    *models : fitted models
        Two or more models for the same response on the same rows: linear ones of
        :func:`ranef.lmer`, :func:`ranef.gls` and :func:`ranef.feols` together; generalised ones and
        those of :func:`ranef.feglm`, with any links and families, as Poisson and negative
        binomial; or those of :func:`ranef.gee`. Or one mapping of names to models. Or results of
        :func:`ranef.cross_validate`, which are ranked by expected log predictive density.
    by : {"aic", "aicc", "bic", "caic", "qic"}
        Criterion that ranks: Akaike's, with the small-sample correction, Schwarz's on the number of
        rows, the conditional one of linear mixed models, or the quasi-likelihood one, which alone
        models of :func:`ranef.gee` have and are ranked by.
    estimator : {"ml", "as_fitted"}
        "ml" takes the criteria from maximum-likelihood fits, refitting where needed; "as_fitted"
        from the fits as they are.
    **named
        Models by the name that their row has: ``compare(level=first, slope=second)``. Rows of other
        models are named by their formulas.

    Returns
    -------
    Comparison or PredictiveComparison
        ``table`` with npar, llf, the criteria, delta and weight, lowest first; of results of
        cross-validation elpd, its difference from the best, and standard errors; ``notes``.

    Raises
    ------
    ModelError
        If the models use different rows, responses or weights, or their kinds have no
        criterion in common.

    Warns
    -----
    ComparisonWarning
        If the fits have restricted likelihoods that must not be ranked.

    Notes
    -----
    The weight of a model is exp(-delta / 2) over their sum [1]_. Differences of criteria rank
    models for prediction; they are not tests, and the lowest of a set may still be a poor model.

    References
    ----------
    .. [1] Burnham and Anderson (2002), Model Selection and Multimodel Inference, section 2.9.

    Examples
    --------
    >>> import ranef
    >>> sleep = ranef.datasets.load("sleepstudy")
    >>> slope = ranef.lmer("Reaction ~ Days + (Days | Subject)", sleep)
    >>> level = ranef.lmer("Reaction ~ Days + (1 | Subject)", sleep)
    >>> ranef.compare(level=level, slope=slope).table[["npar", "aic", "delta"]].round(1)
           npar     aic  delta
    slope     6  1763.9    0.0
    level     4  1802.1   38.1
    """
    if (results := named_results(models, named)) is not None:
        return ranked(results)
    estimator = check_option("estimator", estimator, ("ml", "as_fitted"))
    notes: list[str] = []
    given, names = named_models(models, named, "compare")
    by = check_criterion(given, by)
    if any(is_generalised(model) or is_absorbing(model) for model in given):
        check_same_rows(given, "compare")
        fits, notes = list(given), generalised_notes(given, by)
    else:
        check_comparable(given, "compare", structured=True, least_squares=True, marginal=True)
        fits = [by_likelihood(m) if estimator == "ml" else m for m in given]
    check_likelihood(given, "compare")
    table = pd.DataFrame([all_criteria(fit, by) for fit in fits], index=names or labels(given))
    table["delta"] = criteria.deltas(table[by])
    table["weight"] = criteria.weights(table[by])
    table["estimator"] = [estimator_name(fit) for fit in fits]
    flags = flags_of(fits)
    if any(flags):
        table["flag"] = flags
    table = table.sort_values(by, kind="stable")
    notes = [*flag_notes(flags), *notes, *agreement_notes(table, by, fits[0].nobs)]
    return Comparison(table, tuple(notes), by)
