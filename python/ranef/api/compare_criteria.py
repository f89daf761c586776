"""Rankings of fitted mixed models by information criteria."""

from __future__ import annotations

import warnings
from collections.abc import Sequence

import pandas as pd

from ..errors import ComparisonWarning
from ..inference import criteria
from ..inference.lrt import parts
from ..report.comparison import Comparison, agreement_notes
from .compare_models import (
    by_likelihood,
    check_comparable,
    check_likelihood,
    estimator_name,
    labels,
    same_fixed,
)
from .mixed_model import LinearMixedModel

__all__ = ["compare"]


def compare(*models: LinearMixedModel, by: str = "aic", estimator: str = "ml") -> Comparison:
    """Rank fitted mixed models by an information criterion.

    Parameters
    ----------
    *models : LinearMixedModel
        Two or more models of the same response on the same rows.
    by : {"aic", "aicc", "bic", "caic"}
        Criterion that ranks: Akaike's, with the small-sample correction, Schwarz's on the number of
        rows, or the conditional one.
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
    check_comparable(models, "compare")
    check_likelihood(models, "compare")
    if by not in criteria.CRITERIA:
        raise ValueError(f"by must be one of {', '.join(criteria.CRITERIA)}, not {by!r}")
    if estimator not in ("ml", "as_fitted"):
        raise ValueError(f"estimator must be 'ml' or 'as_fitted', not {estimator!r}")
    fits = [by_likelihood(model) if estimator == "ml" else model for model in models]
    table = pd.DataFrame([_all_criteria(fit, by) for fit in fits], index=labels(models))
    table["delta"] = criteria.deltas(table[by])
    table["weight"] = criteria.weights(table[by])
    table["estimator"] = [estimator_name(fit) for fit in fits]
    flags = _flags(fits)
    if any(flags):
        table["flag"] = flags
    table = table.sort_values(by, kind="stable")
    return Comparison(table, (*_flag_notes(flags), *agreement_notes(table, by, fits[0].nobs)), by)


def _all_criteria(model: LinearMixedModel, by: str) -> dict[str, float]:
    row = {
        "npar": model.npar,
        "llf": model.llf,
        "aic": model.aic,
        "aicc": model.aicc,
        "bic": model.bic,
    }
    if by == "caic":
        row["caic"] = float(model.caic().caic)
    return row


def _flags(fits: Sequence[LinearMixedModel]) -> list[str]:
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
