"""Whether fits are of one model on the same rows, as fits to imputations are."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from typing import Any

import numpy as np

from ..errors import ModelError

__all__ = ["check_same", "models_of"]

#: Arguments of a fit that may differ: search options, and words that are compared by effect.
FREE = {"formula", "control", "start", "seed", "workers", "missing", "offset", "weights"}
SIMPLE = (str, bool, int, float, type(None))


def models_of(models: Any) -> tuple[Any, ...]:
    """Read a list of fitted models.

    Raises
    ------
    ModelError
        If it is not one.
    """
    if isinstance(models, Mapping) or not hasattr(models, "__iter__"):
        raise ModelError(
            f"pool takes a list of fitted models, one for each data set, not a "
            f"{type(models).__name__}"
        )
    fits = tuple(models)
    for place, model in enumerate(fits, start=1):
        if not all(hasattr(type(model), word) for word in ("params", "cov_params")):
            raise ModelError(
                f"pool takes fitted models, and element {place} is a {type(model).__name__}; fit "
                "the model to every data set first, or use imputations.fit()"
            )
    return fits


def check_same(first: Any, model: Any, place: int) -> None:
    """Refuse a model that differs from the first in more than imputed values.

    Raises
    ------
    ModelError
        With what differs.
    """
    for what, a, b in differences(first, model):
        raise ModelError(
            f"model {place} and model 1 differ in {what}: {b} and {a}; pool fits of one model to "
            "imputations of the same rows"
        )


def differences(first: Any, model: Any) -> Any:
    """Yield what differs, with both values."""
    one, other = first.parts.design, model.parts.design
    if one.response != other.response:
        yield "their response", one.response, other.response
    for name in ("weights", "offset"):
        here, there = (getattr(design, name, None) is None for design in (one, other))
        if here != there:
            yield name, "none" if here else "given", "none" if there else "given"
    a, b = arguments(first.call), arguments(model.call)
    for name in a:
        if name in b and a[name] != b[name]:
            yield name, a[name], b[name]
    terms = [
        [(term.group, term.names) for term in getattr(design, "random", ())]
        for design in (one, other)
    ]
    if terms[0] != terms[1]:
        yield "their random effects", shown(terms[0]), shown(terms[1])
    yield from rows(one, other)


def rows(one: Any, other: Any) -> Any:
    """Yield the groups of rows that differ, or responses that all differ."""
    for here, there in zip(getattr(one, "bars", ()), getattr(other, "bars", ()), strict=False):
        if len(here.memberships) != 1 or len(there.memberships) != 1:
            continue
        a, b = (np.asarray(term.levels.take(term.codes), object) for term in (here, there))
        if (a != b).any():
            at = int(np.argmax(a != b))
            yield f"the {here.group} of row {at + 1}", repr(a[at]), repr(b[at])
    if not np.any(one.y == other.y):
        yield "the response of every row", f"{one.y[0]:g} first", f"{other.y[0]:g} first"


def arguments(call: Any) -> dict[str, Any]:
    """Collect the options of a fit that are words or numbers."""
    if not is_dataclass(call):
        return {}
    found = {field.name: getattr(call, field.name) for field in fields(call)}
    spec = found.get("spec")
    if is_dataclass(spec):
        found |= {field.name: getattr(spec, field.name) for field in fields(spec)}
    return {k: v for k, v in found.items() if k not in FREE and isinstance(v, SIMPLE)}


def shown(terms: list[tuple[str, tuple[str, ...]]]) -> str:
    """Write terms as in a formula."""
    return ", ".join(f"({' + '.join(names)} | {group})" for group, names in terms) or "none"
