"""Rows and notes of a ranking by information criteria."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from .._caller import warn_caller
from .._options import check_option
from ..errors import ComparisonWarning, ModelError, UnsupportedError
from ..fitted.gee.model import GEEModel
from ..fitted.gls.model import GLSModel
from ..fitted.kinds import is_generalised
from ..fitted.lmm.model import LinearMixedModel
from ..inference import criteria
from ..inference.lrt.lrt import parts
from .models import same_fixed

__all__ = ["all_criteria", "check_criterion", "flag_notes", "flags_of", "generalised_notes"]


def check_criterion(models: Sequence[Any], by: str) -> str:
    """Return the criterion that ranks models: as requested, or QIC for marginal models.

    Raises
    ------
    UnsupportedError
        If the models do not have it.
    """
    by = check_option("by", by, criteria.CRITERIA)
    marginal = [isinstance(model, GEEModel) for model in models]
    if all(marginal) and models:
        if by not in ("aic", "qic"):
            raise UnsupportedError(
                f"models of ranef.gee have no likelihood and so no {by}; rank them by 'qic'"
            )
        return "qic"
    if any(marginal):
        raise ModelError(
            "models of ranef.gee have no likelihood, so they are compared with each other only, by "
            "'qic'; compare results of ranef.cross_validate to compare them with other models"
        )
    if by == "qic":
        raise UnsupportedError("'qic' is the criterion of models of ranef.gee; use 'aic' or 'bic'")
    linear = all(isinstance(model, LinearMixedModel) for model in models)
    others = any(isinstance(model, GLSModel) or not hasattr(model, "caic") for model in models)
    if by == "caic" and not linear and others:
        raise UnsupportedError(
            "the conditional AIC is that of models of ranef.lmer; rank these by 'aic' or 'bic'"
        )
    return by


def generalised_notes(models: Sequence[Any], by: str) -> list[str]:
    """State where approximations differ; refuse a criterion that does not exist."""
    if by == "caic":
        raise UnsupportedError(
            "the conditional AIC is known for normal responses; rank generalised models by 'aic' "
            "or 'bic', or by ranef.cross_validate(model, folds=10)"
        )
    points = {model.parts.nagq for model in models if is_generalised(model)}
    if len(points) < 2:
        return []
    return [
        "the models integrate by different numbers of points (nagq), and part of a difference is "
        "that of the approximations."
    ]


def all_criteria(model: Any, by: str) -> dict[str, float]:
    """Compute the criteria of one model."""
    if isinstance(model, GEEModel):
        found = model.qic()
        npar = float(len(model.parts.kept))
        return {"npar": npar, "qic": found.qic, "qicu": found.qicu, "cic": found.cic}
    row = {
        "npar": model.npar,
        "llf": model.llf,
        **{
            name: criteria.value(name, model.llf, model.npar, model.nobs)
            for name in ("aic", "aicc", "bic")
        },
    }
    if by == "caic" and isinstance(model, LinearMixedModel):
        row["caic"] = float(model.caic().caic)
    return row


def flags_of(fits: Sequence[Any]) -> list[str]:
    """State what forbids ranking fits as they are, one text per fit; empty where nothing does."""
    restricted = [bool(getattr(fit, "reml", False)) for fit in fits]
    if not any(restricted):
        return [""] * len(fits)
    if not all(restricted):
        return ["REML beside ML" if each else "ML beside REML" for each in restricted]
    spaces = [parts(fit.parts.design, fit.parts.estimate) for fit in fits]
    if not same_fixed(spaces):
        return ["REML, fixed parts differ"] * len(fits)
    first = spaces[0].fixed
    recoded = [abs(s.fixed.logdet - first.logdet) > 1e-8 for s in spaces]
    return ["REML, fixed part coded differently" if any(recoded) else ""] * len(fits)


def flag_notes(flags: list[str]) -> list[str]:
    """State, and warn, that the ranking does not mean what it seems to."""
    reasons = [flag for flag in dict.fromkeys(flags) if flag]
    if not reasons:
        return []
    text = (
        f"these criteria must not be ranked ({', '.join(reasons)}): a restricted likelihood "
        "depends on the fixed part and on its coding. estimator='ml' gives criteria that can be"
    )
    warn_caller(ComparisonWarning(text))
    return [text + "."]
