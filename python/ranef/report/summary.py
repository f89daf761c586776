"""The summary of a fitted mixed model, as text and as HTML."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape
from typing import ClassVar

import numpy as np
import pandas as pd

from ..words.answers import Spoken
from ..words.rarer import SUMMARY
from .numbers import in_one_scale
from .varcorr import VarCorr

__all__ = ["Summary", "pvalue_text"]


@dataclass(frozen=True, repr=False)
class Summary(Spoken):
    """A printable summary: text when printed, HTML in a notebook.

    Attributes
    ----------
    title : str
        What was fitted and how.
    facts : sequence of (str, str)
        Label and value: formula, rows, groups, criterion ...
    varcorr : VarCorr or None
        The random effects; None for a model without.
    coefficients : DataFrame
        estimate, se, df, t, pvalue by coefficient.
    notes : sequence of str
        Remarks for the reader: dropped rows, aliased columns, singularity, the verdict.
    tests : str
        Where the degrees of freedom of the tests come from.
    smooths : WholeFrame or None
        The smooth terms; None for a model without.
    """

    spoken: ClassVar[Mapping[str, str]] = SUMMARY
    title: str
    facts: Sequence[tuple[str, str]]
    varcorr: VarCorr | None
    coefficients: pd.DataFrame
    notes: Sequence[str]
    tests: str = ""
    smooths: pd.DataFrame | None = None

    def __repr__(self) -> str:
        return str(self)

    def __str__(self) -> str:
        width = max(len(label) for label, _ in self.facts) + 2
        lines = [self.title, ""]
        for label, value in self.facts:
            first, *rest = value.split("\n")
            lines.append(f"{label + ':':<{width}}{first}")
            lines += [" " * width + line for line in rest]
        if self.varcorr is not None:
            lines += ["", "Random effects", repr(self.varcorr)]
        if self.smooths is not None:
            lines += ["", "Smooth terms", *(f" {line}" for line in repr(self.smooths).split("\n"))]
        lines += ["", self._heading()]
        lines += _table_text(self.coefficients)
        if self.notes:
            lines += ["", *(f"- {note}" for note in self.notes)]
        return "\n".join(lines)

    def _heading(self) -> str:
        """Title of the coefficient table."""
        title = "Coefficients" if self.varcorr is None else "Fixed effects"
        return f"{title}, {self.tests}" if self.tests else title

    def _repr_html_(self) -> str:
        facts = "".join(
            f"<tr><th style='text-align:left'>{escape(a)}</th>"
            f"<td style='text-align:left'>{escape(b).replace(chr(10), '<br>')}</td></tr>"
            for a, b in self.facts
        )
        head = "".join(f"<th>{escape(h)}</th>" for h in ["", *self.coefficients.columns])
        body = "".join(
            "<tr>"
            + f"<th style='text-align:left'>{escape(name)}</th>"
            + "".join(f"<td>{escape(cell)}</td>" for cell in cells)
            + "</tr>"
            for name, *cells in _cells(self.coefficients)
        )
        notes = "".join(f"<li>{escape(note)}</li>" for note in self.notes)
        return (
            f"<h3>{escape(self.title)}</h3><table>{facts}</table>"
            + self._random_html()
            + f"<h4>{escape(self._heading())}</h4>"
            + f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"
            + (f"<ul>{notes}</ul>" if notes else "")
        )

    def _random_html(self) -> str:
        """HTML of the random effects and the smooth terms, if there are any."""
        out = ""
        if self.varcorr is not None:
            out = f"<h4>Random effects</h4>{self.varcorr._repr_html_()}"
        if self.smooths is not None:
            out += f"<h4>Smooth terms</h4>{self.smooths.to_html()}"
        return out


def pvalue_text(p: float) -> str:
    """Write a p-value: four decimals, or a bound where that would be zero."""
    if np.isnan(p):
        return ""
    return "<0.0001" if p < 1e-4 else f"{p:.4f}"


def _cells(table: pd.DataFrame) -> list[list[str]]:
    """Rows of text of a coefficient table."""
    estimates = in_one_scale(table["estimate"], table["se"])
    errors = in_one_scale(table["se"], table["se"])
    out = []
    for (name, row), estimate, error in zip(table.iterrows(), estimates, errors, strict=True):
        if np.isnan(row["estimate"]):
            out.append([str(name), "aliased", "", "", "", ""])
            continue
        df = "" if np.isnan(row["df"]) else ("inf" if np.isinf(row["df"]) else f"{row['df']:.2f}")
        error = "" if np.isnan(row["se"]) else error
        t = "" if np.isnan(row.iloc[3]) else f"{row.iloc[3]:.3f}"
        out.append([str(name), estimate, error, df, t, pvalue_text(row["pvalue"])])
    return out


def _table_text(table: pd.DataFrame) -> list[str]:
    """Align a coefficient table."""
    rows = [["", "Estimate", "Std.Err.", "df", table.columns[3], "p"], *_cells(table)]
    sizes = [max(len(row[j]) for row in rows) for j in range(6)]
    return [
        " "
        + "  ".join(
            c.ljust(s) if j == 0 else c.rjust(s)
            for j, (c, s) in enumerate(zip(row, sizes, strict=True))
        ).rstrip()
        for row in rows
    ]
