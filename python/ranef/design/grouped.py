"""Designs that group rows without random effects: by clusters, absorbed factors, times."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .._counted import counted
from ..errors import DataError
from ..formula import Bar, Formula, Term
from .build import build
from .design import Design, RandomTerm
from .frame import open_frame
from .groups import group_codes
from .times import times_of
from .values import read_codes

__all__ = ["build_grouped", "codes_of_column", "group_term", "times_of"]


def build_grouped(formula: Formula, data: Any, groups: Iterable[str], **options: Any) -> Design:
    """Build a design whose ``random`` terms hold the codes of grouping columns.

    Rows in which a grouping column is missing are left out together with those that the formula
    loses, and counted with them.

    Parameters
    ----------
    formula : Formula
        A formula without random-effects terms.
    data : frame or mapping
        The caller's data.
    groups : iterable of str
        Columns, or ``a:b`` for the combinations of two.
    **options
        Passed on to `build`.

    Returns
    -------
    Design
    """
    names = dict.fromkeys(groups)
    columns = set(map(str, open_frame(data).names)) if any(":" in name for name in names) else set()
    bars = tuple(Bar("1", (Term(),), name, _parts(name, columns), False) for name in names)
    return build(replace(formula, random=bars), data, **options)


def _parts(name: str, columns: set[str]) -> tuple[str, ...]:
    """Split ``a:b`` into its columns, unless a column has that name."""
    return (name,) if name in columns else tuple(name.split(":"))


def group_term(design: Design, group: str) -> RandomTerm:
    """Return the term of a design that holds a grouping column."""
    for term in design.random:
        if term.group == group:
            return term
    raise KeyError(group)


def codes_of_column(data: Any, name: str, design: Design) -> NDArray[np.int32]:
    """Code a grouping column, or ``a:b``, on the rows that a design uses.

    Parameters
    ----------
    data : frame or mapping
        The data the design was built from.
    name : str
        The column.
    design : Design
        The design.

    Returns
    -------
    ndarray of shape (n,), int32
        Level of each row.
    """
    frame = open_frame(data)
    parts = _parts(name, set(map(str, frame.names)))
    columns = []
    for part in parts:
        codes, levels = read_codes(frame.series(part), part)
        used = codes if design.rows is None else codes[design.rows]
        lost = int(np.sum(used < 0))
        if lost:
            raise DataError(
                f"{part!r} is missing in {counted(lost, 'row')} that the fit used; drop these rows "
                "before the fit, or fill it in",
                part,
            )
        columns.append((used, levels))
    return group_codes(parts, columns)[0]
