"""From the arguments of a regression of a panel to its estimate."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..._options import check_option
from ...design import INTERCEPT, Design, build
from ...design.grouped import build_grouped, group_term
from ...design.structures.structure import check_free
from ...errors import ModelError, RanefWarning, RankWarning, UnsupportedError
from ...families import is_normal
from ...formula import parse
from ...models import lmm
from ...models.glmm import model as glmm
from ...models.glmm.estimate import GlmmSpec
from ...models.re_gls import swamy_arora
from ...report.verdict import alias_notes
from ..feols.fit import absorption_of, check_formula
from ..glmm.call import GlmerCall
from ..glmm.fit import check_counts, check_quadrature, fit_design, specification
from ..glmm.parts import GlmmParts
from ..lmm.call import Call
from ..lmm.fit import made
from ..lmm.parts import LmmParts
from ..warned import dropped_rows
from .call import RandomEffectsCall, WithinBetweenCall
from .parts import RandomEffectsParts, WithinBetweenParts
from .split import split_columns, with_intercept_of

__all__ = ["fit", "fit_within_between"]


def fit(call: RandomEffectsCall, data: Any) -> RandomEffectsParts:
    """Carry out a call of random-effects least squares."""
    factors = [call.groups] if call.time is None else [call.groups, call.time]
    parsed = check_formula(parse(call.formula), "random_effects_gls")
    options = {"contrasts": call.contrasts, "missing": call.missing}
    design = build_grouped(parsed, data, factors, **options)
    if INTERCEPT not in design.fixed:
        raise ModelError("Swamy and Arora's variances need an intercept in the formula")
    offset = 0.0 if design.offset is None else design.offset
    components = swamy_arora(design.y - offset, design.X, absorption_of(design, factors))
    with np.errstate(divide="ignore", invalid="ignore"):
        ratios = np.sqrt(components.effects / components.idiosyncratic)
    relative = tuple(np.array([[ratio]]) for ratio in ratios)
    core = lmm.kernel(design)
    estimate = lmm.evaluate(design, core, relative, reml=True)
    found: list[RanefWarning] = [*dropped_rows(design)]
    if len(estimate.kept) < len(design.fixed):
        notes = alias_notes(design, core.aliased, core.alias, estimate.kept)
        found.append(
            RankWarning("the fixed-effects matrix has less than full rank: " + " ".join(notes))
        )
    return RandomEffectsParts(design, estimate, call, data, warnings=tuple(found), found=components)


def fit_within_between(call: WithinBetweenCall, data: Any) -> WithinBetweenParts:
    """Carry out a call of a between-within regression."""
    form = check_option("form", call.form, ("hybrid", "mundlak"))
    parsed = with_intercept_of(parse(call.formula), call.groups)
    check_free(parsed, "within_between")
    spec = generalised(call)
    options = {"weights": call.weights, "contrasts": call.contrasts, "missing": call.missing}
    if spec is not None and spec.distribution.has_trials:
        options["response"] = "counts"
    raw = build(parsed, data, **options)
    split = split_columns(raw, group_term(raw, call.groups), form)
    mixed = (
        fit_linear(split.design, parsed.text, call, data)
        if spec is None
        else fit_generalised(split.design, parsed.text, call, spec, data)
    )
    return WithinBetweenParts(
        split.design, mixed.estimate, call, data, warnings=mixed.warnings, mixed=mixed, pieces=split
    )


def generalised(call: WithinBetweenCall) -> GlmmSpec | None:
    """Check the family; None for normal responses with an identity link.

    Raises
    ------
    UnsupportedError
        For another link of normal responses.
    """
    if not is_normal(call.family):
        return specification(call.family, call.link, call.nagq, bool(call.reml))
    if call.link not in (None, "identity") or call.nagq != 1:
        raise UnsupportedError(
            "link= and nagq= go with a family that is not gaussian; leave them out, or add the "
            "groups' means as columns and use ranef.glmer"
        )
    return None


def fit_linear(design: Design, formula: str, call: WithinBetweenCall, data: Any) -> LmmParts:
    """Fit a linear mixed model of split columns."""
    lmm.check(design)
    core, reml = lmm.kernel(design), call.reml is not False
    estimate = lmm.fit(design, core, reml=reml, control=lmm.Control())
    own = Call(formula, reml, call.weights, None, call.contrasts, call.missing)
    return made(design, estimate, own, core, data)


def fit_generalised(
    design: Design, formula: str, call: WithinBetweenCall, spec: GlmmSpec, data: Any
) -> GlmmParts:
    """Fit a generalised linear mixed model of split columns."""
    glmm.check(design, spec)
    check_counts(design, spec)
    check_quadrature(design, spec)
    options = {"weights": call.weights, "contrasts": call.contrasts, "missing": call.missing}
    return fit_design(design, GlmerCall(formula, spec, **options), data)
