"""What backward elimination removed, and what it kept."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from .._counted import counted
from .tabled import Tabled

__all__ = ["Elimination"]


@dataclass(frozen=True, repr=False)
class Elimination(Tabled):
    """Steps of a backward elimination; see :func:`ranef.step`.

    Attributes
    ----------
    table : DataFrame
        Columns part, term, eliminated (the round, 0 for what stayed), statistic, num_df, den_df,
        pvalue.
    notes : tuple of str
        What is left, and what the columns are.
    model : object
        The last model.
    """

    model: Any

    @property
    def title(self) -> str:
        """How many terms were dropped."""
        went = int((self.table["eliminated"] > 0).sum())
        return f"Backward elimination: {counted(went, 'term')} dropped"
