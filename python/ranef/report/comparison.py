"""Rankings of models by information criteria, in a table and in words."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from .._counted import counted
from ..inference.criteria import CRITERIA, lowest
from .tabled import Tabled

__all__ = ["Comparison", "agreement_notes"]


@dataclass(frozen=True, repr=False)
class Comparison(Tabled):
    """Models ranked by a criterion; see :func:`ranef.compare`.

    Attributes
    ----------
    table : DataFrame
        One row per model, lowest criterion first: npar, llf, the criteria, delta, weight,
        estimator, and flag where the criteria must not be ranked.
    criterion : str
        The column that ranks.
    notes : tuple of str
        What the ranking says and where criteria disagree.
    """

    criterion: str = "aic"

    @property
    def title(self) -> str:
        """The criterion that ranks."""
        return f"{counted(len(self.table), 'model')} by {CRITERIA[self.criterion]}"

    def plot(self, *, ax: Any = None) -> Any:
        """Draw how far each model's criterion is above the lowest, with the weights.

        Parameters
        ----------
        ax : matplotlib Axes, optional
            Where to draw; a new figure by default.

        Returns
        -------
        matplotlib Axes
        """
        from .plots.results import ranking_axes

        return ranking_axes(self.table, self.criterion, CRITERIA[self.criterion], ax)


def agreement_notes(table: pd.DataFrame, by: str, nobs: int) -> list[str]:
    """State which model is lowest, by how much, and which criteria say otherwise.

    Parameters
    ----------
    table : DataFrame
        Criteria by model, sorted by ``by``.
    by : str
        The criterion that ranks.
    nobs : int
        Rows, which set the penalty of BIC.
    """
    name = CRITERIA[by]
    gap = float(table[by].iloc[1] - table[by].iloc[0])
    notes = [f"lowest {name}: {table.index[0]}; the next is {gap:.3f} higher ({table.index[1]})."]
    found = lowest(table)
    others = {c: row for c, row in found.items() if row != found[by]}
    if not others:
        agreeing = ", ".join(CRITERIA[c] for c in found if c != by)
        return [
            *notes,
            f"{agreeing} {'is' if len(found) == 2 else 'are'} lowest for the same model.",
        ]
    for criterion, row in others.items():
        notes.append(
            f"criteria disagree: lowest {CRITERIA[criterion]} is {row}.{_why(by, criterion, nobs)}"
        )
    return notes


def _why(by: str, other: str, nobs: int) -> str:
    """State how two criteria differ."""
    if "caic" in (by, other):
        return (
            " The conditional AIC is about new data from the same groups, the others about new "
            "groups."
        )
    if "bic" in (by, other):
        return (
            f" BIC charges log({nobs}) = {np.log(nobs):.2f} a parameter where AIC charges 2, and "
            "so asks for stronger evidence."
        )
    return " AICc charges more where parameters are many for the rows."
