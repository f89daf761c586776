"""Kinds of fitted models, and what a function that treats one kind says to another."""

from __future__ import annotations

from typing import Any, TypeAlias

from ..errors import ModelError
from .glmm.model import GeneralizedLinearMixedModel
from .gls.model import GLSModel
from .lmm.model import LinearMixedModel

__all__ = ["Answering", "Model", "check_mixed"]

Model: TypeAlias = LinearMixedModel | GeneralizedLinearMixedModel

#: Models that have marginal means.
Answering: TypeAlias = Model | GLSModel

#: What to do with a generalised model in place of what treats linear ones alone.
INSTEAD = {
    "all_fit": "model.convergence proves the optimum by gradient and curvature",
    "anova": "give models of ranef.glmer alone",
    "average": "give models of ranef.glmer alone",
    "bias_check": "take model.refit(y) of the columns of model.simulate(n)",
    "compare": "give models of ranef.glmer alone",
    "converge": "take model.update(control=ranef.Control(max_steps=...)), which goes on for longer",
    "doctor": "ranef.diagnose(model) says what to change",
    "for_marginaleffects": 'take ranef.emmeans(model, ..., type="response")',
    "multistart": "take model.update(control=ranef.Control(start=...))",
    "pbtest": "ranef.anova gives a p-value for the boundary",
    "rlrt": "ranef.anova gives a p-value for the boundary",
}


def check_mixed(
    model: Any, caller: str, place: int | None = None, *, generalised: bool = False
) -> None:
    """Raise unless the argument is a fitted mixed model that ``caller`` treats."""
    if isinstance(model, LinearMixedModel):
        return
    known = isinstance(model, GeneralizedLinearMixedModel)
    if known and generalised:
        return
    which = "" if place is None else f"argument {place} is "
    kind = type(model).__name__
    advice = "pass the models one by one, not as a list" if isinstance(model, list | tuple) else ""
    if known:
        advice = f"for one of ranef.glmer, {INSTEAD[caller]}" if caller in INSTEAD else ""
    elif isinstance(model, GLSModel):
        advice = "ranef.anova compares those of ranef.gls, and their aic does"
    elif not advice and type(model).__module__.startswith("ranef."):
        advice = "its likelihood, if it has one, is not that of a mixed model for the same response"
    fitted_by = "ranef.lmer or ranef.glmer" if generalised else "ranef.lmer"
    raise ModelError(
        f"{caller} takes mixed models fitted by {fitted_by}; {which or 'it was given '}a {kind}"
        + (f" ({advice})" if advice else "")
    )
