"""A checklist: topics, what holds, what to call."""

from __future__ import annotations

from dataclasses import dataclass
from textwrap import fill

import pandas as pd

from .._html import Preformatted

__all__ = ["Checklist", "Item"]

#: Columns of the text.
WIDTH = 88


@dataclass(frozen=True)
class Item:
    """One topic.

    Attributes
    ----------
    topic : str
        The issue.
    answer : str
        What holds of this model.
    call : str
        What to call next; empty where there is nothing to do.
    """

    topic: str
    answer: str
    call: str = ""


@dataclass(frozen=True, repr=False)
class Checklist(Preformatted):
    """The issues of the field, filled in for one model.

    Attributes
    ----------
    formula : str
        The model.
    items : tuple of Item
        Topics in the order of the page on issues in mixed models.
    """

    formula: str
    items: tuple[Item, ...]

    @property
    def table(self) -> pd.DataFrame:
        """A topic a row: topic, answer, call."""
        return pd.DataFrame([vars(item) for item in self.items])

    def __repr__(self) -> str:
        parts = [self.formula]
        for item in self.items:
            text = fill(item.answer, WIDTH, initial_indent="  ", subsequent_indent="  ")
            parts.append(f"{item.topic}\n{text}" + (f"\n  > {item.call}" if item.call else ""))
        return "\n\n".join(parts)
