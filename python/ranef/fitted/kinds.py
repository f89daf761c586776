"""Kinds of fitted models, and what a function that treats one kind says to another."""

from __future__ import annotations

from typing import Any, TypeAlias

from ..errors import ModelError
from .glmm.model import GeneralizedLinearMixedModel
from .gls.model import GLSModel
from .lmm.model import LinearMixedModel
from .parts import Base

__all__ = ["Answering", "Model", "check_mixed"]

Model: TypeAlias = LinearMixedModel | GeneralizedLinearMixedModel

#: Models that have marginal means.
Answering: TypeAlias = Model | GLSModel


def check_mixed(
    model: Any, caller: str, place: int | None = None, *, generalised: bool = False
) -> None:
    """Raise unless the argument is a fitted mixed model that ``caller`` treats."""
    kind = model.model_kind if isinstance(model, Base) else ""
    if kind == "linear" or (generalised and kind == "generalised"):
        return
    which = "" if place is None else f"argument {place} is "
    advice = "pass the models one by one, not as a list" if isinstance(model, list | tuple) else ""
    if isinstance(model, Base):
        advice = model.elsewhere.get(caller, model.elsewhere.get("", ""))
        advice = f"for one of ranef.glmer, {advice}" if advice and kind == "generalised" else advice
    elif type(model).__module__.startswith("ranef."):
        advice = Base.elsewhere[""]
    fitted_by = "ranef.lmer or ranef.glmer" if generalised else "ranef.lmer"
    raise ModelError(
        f"{caller} takes mixed models fitted by {fitted_by}; {which or 'it was given '}a "
        f"{type(model).__name__}" + (f" ({advice})" if advice else "")
    )
