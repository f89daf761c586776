"""Results in a titled table with remarks: text when printed, HTML in a notebook."""

from __future__ import annotations

from dataclasses import dataclass
from html import escape
from typing import Any

import numpy as np
import pandas as pd

from .summary import pvalue_text
from .whole_frame import html_of, latex_of, markdown_of

__all__ = ["Tabled"]


@dataclass(frozen=True, repr=False)
class Tabled:
    """A table and what must be known about it.

    Attributes
    ----------
    table : DataFrame
        The numbers.
    notes : tuple of str
        Remarks, in words.
    """

    table: pd.DataFrame
    notes: tuple[str, ...]

    @property
    def title(self) -> str:
        """What the table shows."""
        return ""

    def _shown(self) -> pd.DataFrame:
        """Write the table as text."""
        return self.table.apply(_column_text)

    def to_latex(self, buf: Any = None, **options: Any) -> Any:
        """Write the table for LaTeX as it prints; arguments are those of ``DataFrame.to_latex``."""
        return latex_of(self.table, self._shown(), buf, options)

    def to_html(self, buf: Any = None, **options: Any) -> Any:
        """Write the table for HTML as it prints; arguments are those of ``DataFrame.to_html``."""
        return html_of(self.table, self._shown(), buf, options)

    def to_markdown(self, buf: Any = None, **options: Any) -> Any:
        """Write the table for Markdown as it prints, as ``DataFrame.to_markdown`` does."""
        return markdown_of(self.table, self._shown(), buf, options)

    def __repr__(self) -> str:
        lines = [self.title, "", self._shown().to_string()]
        if self.notes:
            lines += ["", *(f"- {note}" for note in self.notes)]
        return "\n".join(lines)

    def _repr_html_(self) -> str:
        notes = "".join(f"<li>{escape(note)}</li>" for note in self.notes)
        return f"<h3>{escape(self.title)}</h3>{self._shown().to_html()}" + (
            f"<ul>{notes}</ul>" if notes else ""
        )


def _column_text(column: pd.Series[Any]) -> pd.Series[Any]:
    """Write a column: whole numbers as they are, p-values with a bound, others to 3 decimals."""
    if not pd.api.types.is_numeric_dtype(column) or pd.api.types.is_bool_dtype(column):
        return column.map(str)
    if str(column.name).startswith("pvalue"):
        return column.map(pvalue_text)
    values = column.to_numpy(float)
    decimals = 0 if np.all(np.isnan(values) | (values == np.round(values))) else 3
    return column.map(lambda x: "" if np.isnan(x) else f"{x:.{decimals}f}")
