"""Kinds of fitted models, and what a function for one kind says to another."""

from __future__ import annotations

from typing import Any, TypeAlias

from ..errors import ModelError
from .feglm.model import GeneralizedFixedEffectsModel
from .feols.model import FixedEffectsModel
from .glmm.model import GeneralizedLinearMixedModel
from .gls.model import GLSModel
from .lmm.model import LinearMixedModel
from .ordinal.model import CumulativeLinkModel
from .parts import Base
from .several.model import DistributionalModel

__all__ = ["Answering", "Generalised", "Model", "check_mixed", "is_generalised"]

Model: TypeAlias = LinearMixedModel | GeneralizedLinearMixedModel

#: Models whose likelihood is that of a distribution given random effects.
Generalised: TypeAlias = GeneralizedLinearMixedModel | DistributionalModel | CumulativeLinkModel

#: Models that have marginal means.
Answering: TypeAlias = (
    LinearMixedModel | Generalised | GLSModel | FixedEffectsModel | GeneralizedFixedEffectsModel
)

#: What generalised models call themselves, those of one predictor first.
KINDS = ("generalised", "several", "ordinal")


def is_generalised(model: Any) -> bool:
    """Return whether a model was fitted by glmer, of one predictor or several, or by clmm."""
    return isinstance(model, Base) and model.model_kind in KINDS


def check_mixed(
    model: Any,
    caller: str,
    place: int | None = None,
    *,
    generalised: bool = False,
    every: bool = False,
) -> None:
    """Raise unless the argument is a fitted mixed model that ``caller`` treats.

    ``generalised`` admits models of ranef.glmer with one predictor, ``every`` all of ranef.glmer
    and those of ranef.clmm.
    """
    kind = model.model_kind if isinstance(model, Base) else ""
    if kind == "linear" or (generalised and kind == "generalised") or (every and kind in KINDS):
        return
    which = "" if place is None else f"argument {place} is "
    advice = "pass the models one by one, not as a list" if isinstance(model, list | tuple) else ""
    if isinstance(model, str):
        advice = f"the model is the first argument: {caller}(model, ...)"
    if isinstance(model, Base):
        advice = model.elsewhere.get(caller, model.elsewhere.get("", ""))
        advice = f"for one of ranef.glmer, {advice}" if advice and kind in KINDS[:2] else advice
    elif type(model).__module__.startswith("ranef."):
        advice = Base.elsewhere[""]
    fitted_by = "ranef.lmer or ranef.glmer" if generalised else "ranef.lmer"
    fitted_by = "ranef.lmer, ranef.glmer or ranef.clmm" if every else fitted_by
    raise ModelError(
        f"{caller} takes mixed models fitted by {fitted_by}; {which or 'it was given '}a "
        f"{type(model).__name__}" + (f" ({advice})" if advice else "")
    )
