"""Fixed parts too wide to be meant, and numbers that arrived as text."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ..errors import ModelError
from ..formula import Term
from .coding import FittedFactor
from .design import Design
from .scope import Column

__all__ = ["check_width", "number_hint", "numbers_as_text"]

#: Columns below which nothing is refused; operations of the cross products, n p^2, above which
#: it is; and the share of the machine's memory that a matrix, twice, may take.
WIDE, OPERATIONS, SHARE = 2000, 1e12, 0.5
#: Levels from which a text column of numbers is reported.
MANY = 30
#: Least share of texts that must read as numbers.
NUMERIC = 0.8


def check_width(
    layout: Sequence[tuple[Term, Sequence[Column]]], factors: Mapping[str, FittedFactor], n: int
) -> None:
    """Refuse a fixed part whose dense algebra is out of reach, before any of it is computed.

    Raises
    ------
    ModelError
        With the widest term, the size, and what to do.
    """
    p = sum(len(columns) for _, columns in layout)
    need = 16.0 * n * p + 24.0 * p * p
    if p < WIDE or (float(n) * p * p < OPERATIONS and need < SHARE * machine_memory()):
        return
    term, columns = max(layout, key=lambda item: len(item[1]))
    name = term.source()
    known = factors.get(name)
    levels = "" if known is None or known.levels is None else f" ({len(known.levels):,} levels)"
    raise ModelError(
        f"the fixed part has {p:,} columns, {len(columns):,} of them from {name!r}{levels}: on "
        f"{n:,} rows its dense algebra takes about {need / 1e9:.1f} GB and {n * p * p:.0e} "
        f"operations. If {name!r} labels groups, write (1 | {name}), or absorb it: "
        f"ranef.feols(..., absorb={name!r}); if it should be numbers, convert it, e.g. with "
        "pd.to_numeric"
    )


def machine_memory() -> float:
    """Return the bytes of this machine's memory; infinite if the system does not report it."""
    try:
        return float(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"))
    except (AttributeError, ValueError, OSError):
        return float("inf")


def numbers_as_text(design: Design) -> list[str]:
    """State which predictors are text of many levels that mostly read as numbers."""
    if design.encoder is None:
        return []
    found = []
    for expr, factor in design.encoder.factors.items():
        levels = factor.levels
        if levels is None or len(levels) < MANY or "(" in expr or levels.dtype.kind in "iufbmM":
            continue
        texts = levels.astype(str)
        cure, numbers = conversion(texts, expr)
        if not cure or (numbers.all() and 4 * len(levels) < design.n_obs):
            continue
        odd = [repr(text) for text in texts[~numbers][:3]]
        but = f", but not {', '.join(odd)}" if odd else ""
        found.append(
            f"{expr!r} is text of {len(levels):,} levels that read as numbers{but}: each has a "
            f"coefficient of its own. If it is a number, convert it first, e.g. with {cure}"
        )
    return found


def conversion(texts: pd.Index[Any], name: str) -> tuple[str, NDArray[np.bool_]]:
    """Return the code that makes a column numbers, and which of its texts it can read.

    The code is empty where too few of them read as numbers.
    """
    numbers = readable(texts)
    if numbers.mean() >= NUMERIC:
        return f"pd.to_numeric(data[{name!r}], errors='coerce')", numbers
    numbers = readable(texts.str.replace(",", ".", n=1, regex=False))
    cure = f"pd.to_numeric(data[{name!r}].str.replace(',', '.'), errors='coerce')"
    return (cure if numbers.mean() >= NUMERIC else ""), numbers


def number_hint(texts: pd.Index[Any], name: str) -> str:
    """State how text that reads as numbers becomes numbers; empty for any other text."""
    cure, _ = conversion(texts, name) if len(texts) else ("", None)
    if not cure:
        return ""
    if "replace" in cure:
        return (
            'these are numbers with decimal commas: read the file with decimal=",", as in '
            f'pd.read_csv(file, sep=";", decimal=","), or convert the column with {cure}'
        )
    return f"these read as numbers: convert the column with {cure}"


def readable(texts: pd.Index[Any]) -> NDArray[np.bool_]:
    """Return which texts read as numbers."""
    return np.asarray(pd.to_numeric(pd.Series(texts), errors="coerce").notna())
