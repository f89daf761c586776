"""From the arguments of a regression of a panel to its estimate."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..._options import check_option
from ...design import INTERCEPT, build
from ...design.grouped import build_grouped, group_term
from ...design.structures.structure import check_free
from ...errors import ModelError, RanefWarning, RankWarning
from ...formula import parse
from ...models import lmm
from ...models.re_gls import swamy_arora
from ...report.verdict import alias_notes
from ..feols.fit import absorption_of, check_formula
from ..lmm.call import Call
from ..lmm.fit import made
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
    options = {"weights": call.weights, "contrasts": call.contrasts, "missing": call.missing}
    raw = build(parsed, data, **options)
    split = split_columns(raw, group_term(raw, call.groups), form)
    lmm.check(split.design)
    core = lmm.kernel(split.design)
    estimate = lmm.fit(split.design, core, reml=call.reml, control=lmm.Control())
    own = Call(parsed.text, call.reml, call.weights, None, call.contrasts, call.missing)
    mixed = made(split.design, estimate, own, core, data)
    return WithinBetweenParts(
        split.design, estimate, call, data, warnings=mixed.warnings, mixed=mixed, pieces=split
    )
