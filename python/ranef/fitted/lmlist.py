"""One regression per group."""

from __future__ import annotations

from dataclasses import dataclass
from html import escape
from typing import Any, ClassVar

import numpy as np
import pandas as pd

from .._counted import counted
from .._number import Real
from .._typing import Array
from ..errors import ModelError
from ..models.ols_groups import GroupEstimates
from ..words.answers import Spoken
from .lmm.call import Call
from .lmm.model import LinearMixedModel, fit_model

__all__ = ["GroupFits", "Mixed"]


@dataclass(frozen=True)
class Mixed:
    """The call of the mixed model in which all coefficients vary over the groups."""

    formula: str
    options: dict[str, Any]


@dataclass(frozen=True, repr=False, eq=False)
class GroupFits(Spoken):
    """Separate least squares fits of all groups.

    Attributes
    ----------
    groups : str
        The grouping column.
    levels : Index
        Its levels.
    names : tuple of str
        Names of the coefficients.
    """

    model_is: ClassVar[str] = "a mixed model, such as that of ranef.lmer"

    groups: str
    levels: pd.Index[Any]
    names: tuple[str, ...]
    _fits: GroupEstimates
    _mixed: Mixed
    _data: Any

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_data": None}

    def coef(self) -> pd.DataFrame:
        """Return the coefficients, levels by terms; NaN where it cannot be estimated."""
        return self._frame(self._fits.beta)

    def _frame(self, values: Array) -> pd.DataFrame:
        """Label values by level and term."""
        return pd.DataFrame(values, index=self.levels, columns=list(self.names))

    @property
    def sigma(self) -> Real:
        """Residual standard deviation, pooled over groups."""
        return Real(np.sqrt(self._fits.ssr.sum() / self.df_resid))

    @property
    def df_resid(self) -> int:
        """Residual degrees of freedom of all groups together."""
        return int(self._fits.df_resid.sum())

    def bse(self) -> pd.DataFrame:
        """Return standard errors with the pooled variance, levels by terms."""
        return self._frame(self.sigma * np.sqrt(self._fits.unscaled))

    def average(self) -> pd.DataFrame:
        """Average the coefficients over groups.

        Returns
        -------
        DataFrame
            Columns estimate, se (from their spread), groups (for which it can be estimated).
        """
        coef = self.coef()
        count = coef.notna().sum()
        return pd.DataFrame(
            {"estimate": coef.mean(), "se": coef.std(ddof=1) / np.sqrt(count), "groups": count}
        )

    def shrinkage(self, model: LinearMixedModel | None = None) -> pd.DataFrame:
        """Compare each group's own coefficients with those of a mixed model.

        Parameters
        ----------
        model : LinearMixedModel, optional
            The mixed model; by default all coefficients of the formula vary over the groups.

        Returns
        -------
        DataFrame
            A row for each level and coefficient that varies: separate (this group alone), partial
            (the mixed model), pooled (the mixed model's average), weight (partial - pooled) /
            (separate - pooled): the group's own share. A weight outside 0 to 1 means that the model
            learned from the group's other coefficients.
        """
        if model is None:
            if self._data is None:
                raise ModelError(
                    "these fits were unpickled and no longer know their data; pass the mixed model"
                )
            model = fit_model(Call(self._mixed.formula, **self._mixed.options), self._data)
        effects = model.ranef()[self.groups]
        own, partial = self.coef(), model.coef()[self.groups]
        rows = []
        for term in [name for name in self.names if name in effects.columns]:
            pooled = float(model.params[term])
            separate, part = own[term], partial[term].reindex(own.index)
            rows.append(
                pd.DataFrame(
                    {
                        "level": own.index,
                        "term": term,
                        "separate": separate.to_numpy(),
                        "partial": part.to_numpy(),
                        "pooled": pooled,
                        "weight": ((part - pooled) / (separate - pooled)).to_numpy(),
                    }
                )
            )
        return pd.concat(rows, ignore_index=True)

    def _title(self) -> str:
        """State what was fitted, and where it could not be."""
        few = int(np.isnan(self._fits.beta).any(axis=1).sum())
        told = f"; {few} cannot tell every coefficient" if few else ""
        return (
            f"Least squares in each of {counted(len(self.levels), 'group')} of {self.groups}{told}"
        )

    def __repr__(self) -> str:
        table = self.average().to_string(float_format=lambda x: f"{x:.5g}")
        return f"{self._title()}\n\n{table}"

    def _repr_html_(self) -> str:
        return f"<h3>{escape(self._title())}</h3>{self.average().to_html()}"
