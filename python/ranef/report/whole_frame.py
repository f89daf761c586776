"""A frame that prints whole: every column, numbers at a readable length, remarks below."""

from __future__ import annotations

from html import escape
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from .summary import pvalue_text

__all__ = ["WholeFrame", "column_text", "latex_of"]


class WholeFrame(pd.DataFrame):
    """A data frame in every respect but how it prints.

    All columns are shown whatever pandas' display options say, p-values with a bound, and texts of
    a column ``note`` below the table. What is computed from it is a plain frame.

    Examples
    --------
    >>> WholeFrame({"F": [45.853], "pvalue": [3e-9], "note": ["by REML"]}, index=["Days"])
               F   pvalue
    Days  45.853  <0.0001
    <BLANKLINE>
    - Days: by REML
    """

    @property
    def _constructor(self) -> type[pd.DataFrame]:
        return pd.DataFrame

    def to_latex(self, buf: Any = None, **options: Any) -> Any:
        """Write the table for LaTeX as it prints, without the notes, which are sentences.

        With ``formatters`` or ``float_format`` numbers are written by them instead.
        """
        table = pd.DataFrame(self).drop(columns="note", errors="ignore")
        return latex_of(table, self._shown(), buf, options)

    def to_markdown(self, *args: Any, **kwargs: Any) -> Any:
        """Write the table for Markdown, without the notes, which are sentences."""
        return pd.DataFrame(self).drop(columns="note", errors="ignore").to_markdown(*args, **kwargs)

    def _shown(self) -> pd.DataFrame:
        """Write the numbers as text."""
        plain = pd.DataFrame(self).drop(columns="note", errors="ignore")
        return plain.apply(column_text)

    def _remarks(self) -> list[str]:
        """Return the notes, each with the row that it is of."""
        if "note" not in self.columns:
            return []
        return [f"{name}: {text}" for name, text in self["note"].items() if text]

    def __repr__(self) -> str:
        remarks = "".join(f"\n- {remark}" for remark in self._remarks())
        return self._shown().to_string() + (f"\n{remarks}" if remarks else "")

    def _repr_html_(self) -> str:
        remarks = "".join(f"<li>{escape(remark)}</li>" for remark in self._remarks())
        return self._shown().to_html() + (f"<ul>{remarks}</ul>" if remarks else "")


def latex_of(table: pd.DataFrame, shown: pd.DataFrame, buf: Any, options: dict[str, Any]) -> Any:
    """Write a table for LaTeX as it prints, or by the formats of the caller."""
    if {"formatters", "float_format"} & options.keys():
        return table.to_latex(buf, **options)
    sides = "".join("r" if pd.api.types.is_numeric_dtype(t) else "l" for t in table.dtypes)
    names = "l" * table.index.nlevels if options.get("index", True) else ""
    text = shown.to_latex(**{"column_format": names + sides, "escape": True, **options})
    text = text.replace("& <0.0001", "& $<$0.0001")
    if buf is None:
        return text
    if hasattr(buf, "write"):
        return buf.write(text)
    return Path(buf).write_text(text, encoding="utf-8")


def column_text(column: pd.Series[Any]) -> pd.Series[Any]:
    """Write a column: three decimals, more where the smallest number asks for them."""
    if not pd.api.types.is_numeric_dtype(column):
        return column.map(str)
    if str(column.name).startswith("pvalue"):
        return column.map(pvalue_text)
    values = column.to_numpy(float)
    known = np.abs(values[np.isfinite(values) & (values != 0.0)])
    if np.all(np.isnan(values) | (values == np.round(values))):
        decimals = 0
    else:
        decimals = int(np.clip(3 - np.floor(np.log10(known.min())), 3, 6))
    long = known.size and (known.min() < 1e-5 or known.max() >= 1e9)
    return column.map(
        lambda x: "" if np.isnan(x) else (f"{x:.4g}" if long else f"{x:.{decimals}f}")
    )
