"""Fits of many formulas to the same rows, and differences between two formulas."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from .. import design as designs
from ..errors import ModelError, RanefError, RanefWarning
from ..formula import Formula, like, parse
from ..parallel.progress import tracked
from .refits import rows_of

__all__ = ["changes", "fitted_by", "on_its_rows", "shared_rows", "text_of"]


def text_of(formula: Any) -> str:
    """Write a formula in one line."""
    return " ".join(str(formula).split())


def changes(small: Formula, large: Formula) -> str:
    """State what a formula adds to another one, and what it leaves out."""
    before = [*_parts(small)]
    after = [*_parts(large)]
    added = [f"+ {part}" for part in after if part not in before]
    gone = [f"- {part}" for part in before if part not in after]
    return ", ".join([*added, *gone]) or "the same terms"


def _parts(formula: Formula) -> list[str]:
    fixed = [term.name for term in formula.terms if term.factors]
    if not any(not term.factors for term in formula.terms):
        fixed.append("0")
    return [*fixed, *(bar.source() for bar in formula.random)]


def shared_rows(formulas: Sequence[str], data: Any) -> tuple[Any, int]:
    """Return the rows that all formulas can use, and how many are left out.

    Raises
    ------
    ModelError
        If one of the formulas cannot be read; the message names it.
    """
    kept = None
    for text in formulas:
        try:
            design = designs.build(parse(text), data)
        except RanefError as error:
            raise ModelError(f"the ladder stops at {text_of(text)!r}: {error}") from error
        rows = np.arange(design.n_data) if design.rows is None else design.rows
        kept = rows if kept is None else np.intersect1d(kept, rows)
    assert kept is not None
    lost = design.n_data - len(kept)
    return (rows_of(data, kept) if lost else data), lost


def on_its_rows(model: Any) -> tuple[Any, dict[str, Any]]:
    """Return the rows of the data that a model used, and its row-wise arguments."""
    data, design = model.parts.training_data(), model.parts.design
    position = np.arange(design.n_obs) if design.rows is None else design.rows
    cut = {
        name: np.asarray(value)[position]
        for name in ("weights", "offset")
        if (value := getattr(model.call, name, None)) is not None and not isinstance(value, str)
    }
    return rows_of(data, position), cut


def fitted_by(
    model: Any, formulas: Sequence[str], *, progress: bool, by_likelihood: bool = True
) -> list[Any]:
    """Fit formulas as in a model's call, by maximum likelihood, to the rows that it used."""
    data, cut = on_its_rows(model)
    options: dict[str, Any] = {**cut}
    fields = type(model.call).__dataclass_fields__
    if "reml" in fields and by_likelihood:
        options["reml"] = False
    if "strict" in fields:
        options["strict"] = False
    base = replace(model.call, **{name: cut[name] for name in cut}) if cut else model.call
    out = []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RanefWarning)
        for text in tracked(formulas, len(formulas), "models", shown=progress):
            try:
                found = model.update(like(text, parse(base.formula)), data=data, **options)
            except RanefError as error:
                raise ModelError(f"{text}: {error}") from error
            out.append(found)
    return out
