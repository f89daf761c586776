"""All models made of some terms, ranked."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from .._counted import counted
from .tabled import Tabled

__all__ = ["Dredge"]

#: Most models that are shown.
SHOWN = 20


@dataclass(frozen=True, repr=False)
class Dredge(Tabled):
    """Models made of subsets of the terms of one; see :func:`ranef.dredge`.

    Attributes
    ----------
    table : DataFrame
        One row per model, lowest criterion first: which terms it has, npar, llf, the criterion,
        delta and weight.
    notes : tuple of str
        How they were fitted.
    models : tuple
        The fits, in the order of the table.
    criterion : str
        What ranks them.
    """

    models: tuple[Any, ...]
    criterion: str
    free: tuple[str, ...]

    @property
    def title(self) -> str:
        """How many models."""
        return f"{counted(len(self.table), 'model')} by {self.criterion}"

    @property
    def best(self) -> Any:
        """The model with the lowest criterion."""
        return self.models[0]

    @property
    def importance(self) -> pd.Series[Any]:
        """Sum of the weights of the models with each term."""
        weights = self.table["weight"].to_numpy()
        sums = {term: float(weights[self.table[term]].sum()) for term in self.free}
        return pd.Series(sums, name="weight", dtype=float).sort_values(ascending=False)

    def within(self, delta: float) -> tuple[Any, ...]:
        """Return the models whose criterion is at most ``delta`` above the lowest."""
        return self.models[: int((self.table["delta"] <= delta).sum())]

    def _shown(self) -> pd.DataFrame:
        top = self.table.head(SHOWN)
        marks = {term: np.where(top[term], "+", "") for term in self.free}
        rest = Tabled(top.drop(columns=list(self.free)), ())._shown()  # noqa: SLF001
        numbers = {str(name): rest[name].to_numpy() for name in rest}
        return pd.DataFrame({**marks, **numbers}, index=range(1, len(top) + 1))
