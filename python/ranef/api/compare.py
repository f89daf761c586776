"""Rankings of fitted mixed models by information criteria."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import Any

import pandas as pd

from ..compare.generalised import check_same_rows
from ..compare.models import (
    Model,
    by_likelihood,
    check_comparable,
    check_likelihood,
    estimator_name,
    labels,
    same_fixed,
)
from ..errors import ComparisonWarning, UnsupportedError
from ..fitted.glmm.model import GeneralizedLinearMixedModel
from ..fitted.lmm.model import LinearMixedModel
from ..inference import criteria
from ..inference.lrt.lrt import parts
from ..report.comparison import Comparison, agreement_notes

__all__ = ["compare"]


def compare(*models: Model, by: str = "aic", estimator: str = "ml") -> Comparison:
    """Rank fitted mixed models by an information criterion.

    Parameters
    ----------
    *models : LinearMixedModel or GeneralizedLinearMixedModel
        Two or more models of one kind for the same response on the same rows. Generalised ones may
        have different links and families, as Poisson and negative binomial.
    by : {"aic", "aicc", "bic", "caic"}
        Criterion that ranks: Akaike's, with the small-sample correction, Schwarz's on the number of
        rows, or the conditional one, which generalised models do not have.
    estimator : {"ml", "as_fitted"}
        "ml" takes the criteria from maximum-likelihood fits, refitting where needed; "as_fitted"
        from the fits at hand.

    Returns
    -------
    Comparison
        ``table`` with npar, llf, the criteria, delta and weight, lowest first; ``notes`` in words.

    Raises
    ------
    ModelError
        If the models rest on different rows, responses or weights, or are not mixed models.

    Warns
    -----
    ComparisonWarning
        If the fits at hand have restricted likelihoods that must not be ranked.

    Notes
    -----
    The weight of a model is exp(-delta / 2) over their sum [1]_. Differences of criteria rank
    models for prediction; they are no tests, and the lowest of a set may still be a poor model.

    References
    ----------
    .. [1] Burnham and Anderson (2002), Model Selection and Multimodel Inference, section 2.9.

    Examples
    --------
    >>> import ranef
    >>> sleep = ranef.datasets.load("sleepstudy")
    >>> slope = ranef.lmer("Reaction ~ Days + (Days | Subject)", sleep)
    >>> level = ranef.lmer("Reaction ~ Days + (1 | Subject)", sleep)
    >>> ranef.compare(level, slope).table[["npar", "aic", "delta"]].round(1)
                                        npar     aic  delta
    Reaction ~ Days + (Days | Subject)     6  1763.9    0.0
    Reaction ~ Days + (1 | Subject)        4  1802.1   38.1
    """
    if by not in criteria.CRITERIA:
        raise ValueError(f"by must be one of {', '.join(criteria.CRITERIA)}, not {by!r}")
    if estimator not in ("ml", "as_fitted"):
        raise ValueError(f"estimator must be 'ml' or 'as_fitted', not {estimator!r}")
    notes: list[str] = []
    fits: Sequence[Model]
    if any(isinstance(model, GeneralizedLinearMixedModel) for model in models):
        check_same_rows(models, "compare")
        fits, notes = models, _generalised_notes(models, by)
    else:
        check_comparable(models, "compare")
        fits = [by_likelihood(m) if estimator == "ml" else m for m in models]
    check_likelihood(models, "compare")
    table = pd.DataFrame([_all_criteria(fit, by) for fit in fits], index=labels(models))
    table["delta"] = criteria.deltas(table[by])
    table["weight"] = criteria.weights(table[by])
    table["estimator"] = [estimator_name(fit) for fit in fits]
    flags = _flags(fits)
    if any(flags):
        table["flag"] = flags
    table = table.sort_values(by, kind="stable")
    notes = [*_flag_notes(flags), *notes, *agreement_notes(table, by, fits[0].nobs)]
    return Comparison(table, tuple(notes), by)


def _generalised_notes(models: Sequence[Any], by: str) -> list[str]:
    """Say where approximations differ; refuse the criterion that there is not."""
    if by == "caic":
        raise UnsupportedError(
            "the conditional AIC is known for normal responses; rank generalised models by 'aic' "
            "or 'bic', or by ranef.cross_validate(model, folds=10)"
        )
    if len({model.call.spec.nagq for model in models}) == 1:
        return []
    return [
        "the models integrate by different numbers of points (nagq), and part of a difference is "
        "that of the approximations."
    ]


def _all_criteria(model: Model, by: str) -> dict[str, float]:
    row = {
        "npar": model.npar,
        "llf": model.llf,
        "aic": model.aic,
        "aicc": model.aicc,
        "bic": model.bic,
    }
    if by == "caic" and isinstance(model, LinearMixedModel):
        row["caic"] = float(model.caic().caic)
    return row


def _flags(fits: Sequence[Model]) -> list[str]:
    """Say what forbids ranking fits as they stand, a text a fit; empty where nothing does."""
    if not any(fit.reml for fit in fits):
        return [""] * len(fits)
    if not all(fit.reml for fit in fits):
        return ["REML beside ML" if fit.reml else "ML beside REML" for fit in fits]
    spaces = [parts(fit._design, fit._estimate) for fit in fits]
    if not same_fixed(spaces):
        return ["REML, fixed parts differ"] * len(fits)
    first = spaces[0].fixed
    recoded = [abs(s.fixed.logdet - first.logdet) > 1e-8 for s in spaces]
    return ["REML, fixed part coded differently" if any(recoded) else ""] * len(fits)


def _flag_notes(flags: list[str]) -> list[str]:
    """Say, and warn, that the ranking does not mean what it seems to."""
    reasons = [flag for flag in dict.fromkeys(flags) if flag]
    if not reasons:
        return []
    text = (
        f"these criteria must not be ranked ({', '.join(reasons)}): a restricted likelihood "
        "depends on the fixed part and on its coding. estimator='ml' gives criteria that can be"
    )
    warnings.warn(text, ComparisonWarning, stacklevel=3)
    return [text + "."]
