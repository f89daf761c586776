"""Calls with some arguments changed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields, replace
from typing import Any, TypeVar

from .._options import nearest
from ..formula import parse
from ..formula import update as updated

__all__ = ["changed"]

C = TypeVar("C")


def changed(call: C, formula: str | None, changes: Mapping[str, Any], function: str) -> C:
    """Change arguments of a call; a dot in the formula stands for that side of the present one.

    Raises
    ------
    ValueError
        If the function has no such argument.
    """
    known = sorted({field.name for field in fields(call)} - {"formula"})  # type: ignore[arg-type]
    for name in changes:
        if name not in known:
            raise ValueError(
                f"{function} has no argument {name!r}{nearest(name, known)}; it has {known}"
            )
    new = replace(call, **changes)  # type: ignore[type-var]
    if formula is not None:
        text = updated(parse(getattr(call, "formula")), formula).text  # noqa: B009
        new = replace(new, formula=text)  # type: ignore[type-var]
    return new
