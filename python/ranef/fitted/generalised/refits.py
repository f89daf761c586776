"""How each kind of generalised model is fitted again: to other responses, or on some rows."""

from __future__ import annotations

from dataclasses import replace
from functools import singledispatch
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..._typing import Array
from ...design.design import Design
from ...errors import DataError
from ...models.glmm import model as glmm
from ...models.lmm import Control
from ..glmm.call import GlmerCall
from ..glmm.fit import check_counts, check_quadrature, fit_design
from ..glmm.parts import GlmmParts
from ..ordinal.fit import fit_found
from ..ordinal.parts import OrdinalParts
from ..several.checks import check_parts
from ..several.fit import fit_designs
from ..several.parts import SeveralParts
from .parts import GeneralisedParts

__all__ = ["from_start", "of_design", "on_rows", "with_response"]


@singledispatch
def with_response(parts: Any, y: Array) -> Any:
    """Fit the same model to another response of the same rows, without reporting.

    Raises
    ------
    RanefError
        If the model cannot be fitted to it.
    """
    raise TypeError(type(parts).__name__)


@singledispatch
def on_rows(parts: Any, rows: NDArray[np.intp]) -> Any:
    """Fit the same model on some of its rows, without reporting.

    Raises
    ------
    RanefError
        If the model cannot be fitted on them.
    """
    raise TypeError(type(parts).__name__)


def from_start(parts: GeneralisedParts, control: Control) -> Any:
    """Fit the same model to the same response with other settings of the search."""
    moved = replace(parts, call=replace(parts.call, control=control))
    return with_response(moved, parts.design.y)


@with_response.register
def _(parts: GlmmParts, y: Array) -> GlmmParts:
    return of_design(parts.call, replace(parts.design, y=y))


@on_rows.register
def _(parts: GlmmParts, rows: NDArray[np.intp]) -> GlmmParts:
    return of_design(parts.call, parts.design.take(rows))


def of_design(call: GlmerCall, design: Design) -> GlmmParts:
    """Check a design, and fit it as a call says."""
    glmm.check(design, call.spec)
    check_counts(design, call.spec)
    check_quadrature(design, call.spec)
    return fit_design(design, call)


@with_response.register
def _(parts: SeveralParts, y: Array) -> SeveralParts:
    found = tuple((name, replace(design, y=y)) for name, design in parts.designs)
    check_parts(parts.call, found)
    return fit_designs(parts.call, found)


@on_rows.register
def _(parts: SeveralParts, rows: NDArray[np.intp]) -> SeveralParts:
    found = tuple((name, design.take(rows)) for name, design in parts.designs)
    check_parts(parts.call, found)
    return fit_designs(parts.call, found)


@with_response.register
def _(parts: OrdinalParts, y: Array) -> OrdinalParts:
    check_categories(y, len(parts.categories))
    found = (replace(parts.design, y=y), parts.nominal, parts.scale, parts.categories)
    return fit_found(parts.call, found)


@on_rows.register
def _(parts: OrdinalParts, rows: NDArray[np.intp]) -> OrdinalParts:
    design = parts.design.take(rows)
    check_categories(design.y, len(parts.categories))
    nominal, scale = (
        None if part is None else part.take(rows) for part in (parts.nominal, parts.scale)
    )
    return fit_found(parts.call, (design, nominal, scale, parts.categories))


def check_categories(y: Array, count: int) -> None:
    """Refuse responses in which a category is missing.

    Raises
    ------
    DataError
        With the categories that a response has to hold.
    """
    if set(np.unique(y)) != set(range(count)):
        raise DataError(f"y must contain each of the categories 0 to {count - 1}")
