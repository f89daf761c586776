"""Effects within groups and between them, from models whose columns are split."""

from __future__ import annotations

from typing import Any

import numpy as np

from .._typing import Array
from ..errors import DataError, ModelError, UnsupportedError
from ..fitted.panel.parts import WithinBetweenParts
from ..inference.mediation.effects import LinearPaths
from ..models.within import is_constant_within
from .checks import constant_within
from .levels import contrast_of, filled
from .paths import Question
from .roles import Role, variable

__all__ = ["split_paths"]

PARTS = ("within", "between")


def split_paths(mediator: Role, outcome: Role, question: Question) -> dict[str, LinearPaths]:
    """Find the effects by part: within, between, or both.

    Raises
    ------
    DataError
        If the requested part does not exist: the mediator is constant within groups, or its
        group means are all equal.
    """
    if question.at or question.contrast is not None:
        raise UnsupportedError(
            "at= and contrast= are for models whose columns are not split; the effects of split "
            "columns are for one unit of the treatment"
        )
    found: dict[str, LinearPaths] = {}
    gaps: dict[str, str] = {}
    for part in PARTS:
        b = coefficient(outcome.parts, question.mediator_name, part)
        a = treatment_effect(mediator, outcome, question.treatment, part)
        if isinstance(b, str) or isinstance(a, str):
            gaps[part] = b if isinstance(b, str) else str(a)
            continue
        direct = coefficient(outcome.parts, question.treatment, part)
        c = np.zeros(len(b)) if isinstance(direct, str) else direct
        found[part] = LinearPaths.of_coefficients(a, b, c)
    if question.part is not None:
        if question.part not in found:
            raise DataError(gaps[question.part], question.mediator_name)
        return {question.part: found[question.part]}
    if not found:
        raise DataError("; ".join(dict.fromkeys(gaps.values())), question.mediator_name)
    return found


def coefficient(parts: WithinBetweenParts, name: str, part: str) -> Array | str:
    """Combine kept coefficients into an effect, or say why there is none.

    Raises
    ------
    ValueError
        If the model does not use the column.
    """
    groups, names = parts.call.groups, list(parts.names)
    check_alone(names, name)
    out = np.zeros(len(names))
    hybrid = parts.call.form == "hybrid"
    pairs = {pair: places for pair, *places in parts.split.pairs}
    if name in pairs:
        within, between = pairs[name]
        out[within if part == "within" else between] = 1.0
        if part == "between" and not hybrid:
            out[within] = 1.0
    elif name in names and constant(parts, name):
        if part == "within":
            return f"{name!r} is constant within {groups}, so it has no effect within groups"
        out[names.index(name)] = 1.0
    elif name in names or f"{name} within" in names:
        if part == "between":
            return f"{name!r} has the same mean in all {groups}, so it has no effect between groups"
        out[names.index(f"{name} within" if hybrid else name)] = 1.0
    else:
        raise ValueError(f"the model for {parts.design.response!r} does not use {name!r}")
    if np.any(out[np.isnan(parts.beta)] != 0.0):
        return f"the coefficient of {name!r} {part} groups is aliased"
    return out[~np.isnan(parts.beta)]


def constant(parts: WithinBetweenParts, name: str) -> bool:
    """Return whether a column of the split design is constant within groups."""
    design = parts.split.design
    term = next(t for t in design.random if t.group == parts.call.groups)
    reference = design.fixed[list(design.fixed_names).index(name)]
    return bool(is_constant_within(design.columns[reference], term.codes))


def check_alone(names: list[str], name: str) -> None:
    """Refuse interactions, whose parts within and between groups are not products of parts."""
    for other in names:
        plain = other.removesuffix(" within").removesuffix(" between").removesuffix(" mean")
        if ":" in plain and name in plain.split(":"):
            raise UnsupportedError(
                f"{other!r} is an interaction of {name!r}, and mediate does not split effects that "
                "depend on another variable; use ranef.lmer with columns of your own"
            )


def treatment_effect(mediator: Role, outcome: Role, name: str, part: str) -> Array | str:
    """Effect of the treatment on the mediator, within or between groups."""
    if mediator.is_split:
        return coefficient(mediator.parts, name, part)
    if not mediator.is_linear:
        raise UnsupportedError(
            "effects within and between groups are those of linear models, and the mediator's has "
            f"the link {mediator.link!r}"
        )
    column = variable(outcome, outcome.columns, name, "treatment")
    groups = outcome.parts.call.groups
    term = next(t for t in outcome.parts.design.random if t.group == groups)
    if not constant_within(column, term.codes):
        raise ModelError(
            f"the treatment {name!r} varies within {groups}, so that its effect on the mediator "
            "mixes effects within and between groups; fit the mediator's model by "
            "ranef.within_between too"
        )
    if part == "within":
        return f"{name!r} is constant within {groups}, so it can have no effect within groups"
    rows: list[Any] = [
        mediator.rows({**outcome.columns, name: filled(column, value)})
        for value in contrast_of(column, name, None)
    ]
    change = rows[1] - rows[0]
    if not np.allclose(change, change[:1]):
        raise UnsupportedError(
            f"the effect of {name!r} on the mediator depends on another variable; mediate does not "
            "split such effects"
        )
    return np.asarray(change[0])
