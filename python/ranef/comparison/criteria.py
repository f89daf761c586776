"""Rows and notes of a ranking by information criteria."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from .._caller import warn_caller
from ..errors import ComparisonWarning, UnsupportedError
from ..fitted.kinds import Model
from ..fitted.lmm.model import LinearMixedModel
from ..inference.lrt.lrt import parts
from .models import same_fixed

__all__ = ["all_criteria", "flag_notes", "flags_of", "generalised_notes"]


def generalised_notes(models: Sequence[Any], by: str) -> list[str]:
    """Say where approximations differ; refuse the criterion that there is not."""
    if by == "caic":
        raise UnsupportedError(
            "the conditional AIC is known for normal responses; rank generalised models by 'aic' "
            "or 'bic', or by ranef.cross_validate(model, folds=10)"
        )
    if len({model.parts.nagq for model in models}) == 1:
        return []
    return [
        "the models integrate by different numbers of points (nagq), and part of a difference is "
        "that of the approximations."
    ]


def all_criteria(model: Model, by: str) -> dict[str, float]:
    """Compute the criteria of one model."""
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


def flags_of(fits: Sequence[Model]) -> list[str]:
    """Say what forbids ranking fits as they stand, a text a fit; empty where nothing does."""
    if not any(fit.reml for fit in fits):
        return [""] * len(fits)
    if not all(fit.reml for fit in fits):
        return ["REML beside ML" if fit.reml else "ML beside REML" for fit in fits]
    spaces = [parts(fit.parts.design, fit.parts.estimate) for fit in fits]
    if not same_fixed(spaces):
        return ["REML, fixed parts differ"] * len(fits)
    first = spaces[0].fixed
    recoded = [abs(s.fixed.logdet - first.logdet) > 1e-8 for s in spaces]
    return ["REML, fixed part coded differently" if any(recoded) else ""] * len(fits)


def flag_notes(flags: list[str]) -> list[str]:
    """Say, and warn, that the ranking does not mean what it seems to."""
    reasons = [flag for flag in dict.fromkeys(flags) if flag]
    if not reasons:
        return []
    text = (
        f"these criteria must not be ranked ({', '.join(reasons)}): a restricted likelihood "
        "depends on the fixed part and on its coding. estimator='ml' gives criteria that can be"
    )
    warn_caller(ComparisonWarning(text))
    return [text + "."]
