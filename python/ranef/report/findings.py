"""Findings about a model, in order of severity, as text and as a table."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from html import escape
from textwrap import fill
from typing import overload

import pandas as pd

from ..inference.diagnosis.finding import SEVERITIES, Finding
from ..words.answers import Spoken

__all__ = ["Diagnosis"]


class Diagnosis(Spoken, Sequence[Finding]):
    """Findings, worst first; prints as text, with ``table`` as a frame.

    Parameters
    ----------
    findings : iterable of Finding
        The findings, in any order.
    looked_at, not_looked_at : tuple of str
        What was checked, and what was not.

    Attributes
    ----------
    looked_at, not_looked_at : tuple of str
        The same.
    """

    def __init__(
        self,
        findings: Iterable[Finding],
        looked_at: tuple[str, ...] = (),
        not_looked_at: tuple[str, ...] = (),
    ):
        self._findings = tuple(sorted(findings, key=lambda f: SEVERITIES.index(f.severity)))
        self.looked_at, self.not_looked_at = looked_at, not_looked_at

    @overload
    def __getitem__(self, index: int) -> Finding: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[Finding]: ...
    def __getitem__(self, index: int | slice) -> Finding | Sequence[Finding]:
        return self._findings[index]

    def __len__(self) -> int:
        return len(self._findings)

    def __iter__(self) -> Iterator[Finding]:
        return iter(self._findings)

    @property
    def codes(self) -> list[str]:
        """Codes of the findings, worst first."""
        return [finding.code for finding in self._findings]

    @property
    def table(self) -> pd.DataFrame:
        """One row per finding: code, severity, evidence, advice, fix."""
        columns = ["code", "severity", "evidence", "advice", "fix"]
        return pd.DataFrame([vars(f) for f in self._findings], columns=columns)

    def find(self, code: str) -> Finding | None:
        """Return the first finding of a code, or None."""
        return next((f for f in self._findings if f.code == code), None)

    def __repr__(self) -> str:
        parts = [] if self._findings else ["Nothing found."]
        for f in self._findings:
            lines = [f"{f.severity}: {f.code}", _wrapped(f.evidence), _wrapped(f.advice)]
            parts.append("\n".join(lines + ([f"    >>> {f.fix}"] if f.fix else [])))
        return "\n\n".join([*parts, *self._scope()])

    def _scope(self) -> list[str]:
        """State what was looked at and what was not."""
        told = (("Looked at", self.looked_at), ("Not looked at", self.not_looked_at))
        return [
            fill(f"{title}: {'; '.join(what)}.", 94, subsequent_indent="  ")
            for title, what in told
            if what
        ]

    def _repr_html_(self) -> str:
        items = "".join(
            f"<li><b>{escape(f.severity)}: {escape(f.code)}</b><br>{escape(f.evidence)}<br>"
            f"{escape(f.advice)}" + (f"<br><code>{escape(f.fix)}</code>" if f.fix else "") + "</li>"
            for f in self._findings
        )
        first = f"<ul>{items}</ul>" if items else "<p>Nothing found.</p>"
        return first + "".join(f"<p>{escape(text)}</p>" for text in self._scope())


def _wrapped(text: str) -> str:
    return fill(text, 92, initial_indent="  ", subsequent_indent="  ")
