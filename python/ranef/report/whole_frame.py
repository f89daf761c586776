"""Frames that are written for readers: numbers at a readable length, p-values with a bound."""

from __future__ import annotations

from html import escape
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from .numbers import in_one_scale
from .summary import pvalue_text

__all__ = ["WholeFrame", "WrittenFrame", "column_text", "html_of", "latex_of", "markdown_of"]


class WrittenFrame(pd.DataFrame):
    """A data frame in every respect but how LaTeX, HTML and Markdown are written.

    Estimates are as precise as their standard errors and p-values have a bound, as in summaries.
    What is computed from it is a plain frame.

    Examples
    --------
    >>> table = WrittenFrame({"estimate": [10.4672], "se": [1.5457], "pvalue": [3e-9]}, ["Days"])
    >>> "<td>10.467</td>" in table.to_html(), "&lt;0.0001" in table.to_html()
    (True, True)
    """

    @property
    def _constructor(self) -> type[pd.DataFrame]:
        return pd.DataFrame

    def to_latex(self, buf: Any = None, **options: Any) -> Any:
        """Write the table for LaTeX as a summary prints it, without notes, which are sentences.

        With ``formatters`` or ``float_format`` numbers are written by them instead.
        """
        return latex_of(self._plain(), self._shown(), buf, options)

    def to_html(self, buf: Any = None, **options: Any) -> Any:
        """Write the table for HTML, as ``to_latex`` does."""
        return html_of(self._plain(), self._shown(), buf, options)

    def to_markdown(self, buf: Any = None, **options: Any) -> Any:
        """Write the table for Markdown, as ``to_latex`` does; ``floatfmt`` is for numbers."""
        return markdown_of(self._plain(), self._shown(), buf, options)

    def _plain(self) -> pd.DataFrame:
        """Return the table without the notes."""
        return pd.DataFrame(self).drop(columns="note", errors="ignore")

    def _shown(self) -> pd.DataFrame:
        """Write the numbers as text."""
        plain = self._plain()
        shown = plain.apply(column_text)
        for error in {"se", "std.error"} & set(plain.columns):
            scale = plain[error].to_numpy(float)
            for name in ("estimate", error, "lower", "upper", "conf.low", "conf.high"):
                if name in plain:
                    shown[name] = _known(plain[name], scale)
        return shown


class WholeFrame(WrittenFrame):
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

    def _shown(self) -> pd.DataFrame:
        """Write the numbers as text."""
        return self._plain().apply(column_text)

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


def html_of(table: pd.DataFrame, shown: pd.DataFrame, buf: Any, options: dict[str, Any]) -> Any:
    """Write a table for HTML as it prints, or by the formats of the caller."""
    written = table if {"formatters", "float_format"} & options.keys() else shown
    return written.to_html(buf, **options)


def markdown_of(table: pd.DataFrame, shown: pd.DataFrame, buf: Any, options: dict[str, Any]) -> Any:
    """Write a table for Markdown as it prints, or by the formats of the caller."""
    if "floatfmt" in options:
        return table.to_markdown(buf, **options)
    names = ["left"] * table.index.nlevels if options.get("index", True) else []
    sides = ["right" if pd.api.types.is_numeric_dtype(t) else "left" for t in table.dtypes]
    # digits as they are written: the package tabulate would read them as numbers again
    return shown.to_markdown(
        buf, **{"disable_numparse": True, "colalign": names + sides, **options}
    )


def _known(column: pd.Series[Any], scale: Any) -> list[str]:
    """Write numbers as precisely as their errors; nothing where there is none."""
    values = column.to_numpy(float)
    return ["" if text == "nan" else text for text in in_one_scale(values, scale)]


def column_text(column: pd.Series[Any]) -> pd.Series[Any]:
    """Write a column: three decimals, more where the smallest number asks for them."""
    if not pd.api.types.is_numeric_dtype(column):
        return column.map(lambda value: "" if value is None or value is np.nan else str(value))
    if str(column.name).startswith(("pvalue", "p.value")):
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
