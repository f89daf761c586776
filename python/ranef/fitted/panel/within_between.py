"""A fitted between-within regression."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from ..._typing import Array
from ...errors import ModelError
from ...inference.sandwich.tests import wald_f
from ...report.regression import CoefficientTests
from ...report.summary import Summary
from ..lmm.model import LinearMixedModel
from ..robust import RobustResult
from .split import Split

__all__ = ["WithinBetweenModel"]


class WithinBetweenModel(CoefficientTests):
    """A mixed model with effects within and between groups.

    Made by :func:`ranef.within_between`.

    Attributes
    ----------
    model : LinearMixedModel
        The mixed model itself, with variances, random effects and criteria.
    groups : str
        The grouping column.
    form : str
        "hybrid" or "mundlak".
    """

    def __init__(self, model: LinearMixedModel, split: Split, groups: str, form: str):
        self.model = model
        self.groups = groups
        self.form = form
        self._split = split
        self._names = split.design.fixed_names
        self._beta = model.params.to_numpy()
        self._cov = model.cov_params().to_numpy()

    def _df(self) -> ArrayLike:
        return self.model.coef_table()["df"].to_numpy()[self._kept()]

    @property
    def nobs(self) -> int:
        """Rows that were used."""
        return self.model.nobs

    def _table_response(self) -> str:
        return self.model._table_response()

    def _table_rows(self) -> dict[str, Any]:
        return self.model._table_rows()

    @property
    def _table_hidden(self) -> Collection[str]:  # type: ignore[override]
        return self.model._table_hidden

    def robust(self, kind: str = "CR2", cluster: Any = None) -> RobustResult:
        """Give tests with a cluster-robust covariance; see `LinearMixedModel.robust`."""
        return self.model.robust(kind, cluster=self.groups if cluster is None else cluster)

    def contextual(self) -> pd.DataFrame:
        """Give the differences between effects between and within groups.

        Returns
        -------
        DataFrame
            Columns estimate, se; a row a column of the formula that has both effects.
        """
        C, names = self._differences()
        estimate = C @ self._beta[self._kept()]
        se = np.sqrt(np.einsum("ij,jk,ik->i", C, self._cov, C))
        return pd.DataFrame({"estimate": estimate, "se": se}, index=pd.Index(names))

    def _differences(self) -> tuple[Array, list[str]]:
        """Contrasts between minus within, over the kept coefficients."""
        kept = self._kept()
        rows, names = [], []
        for name, within, between in self._split.pairs:
            if not (kept[within] and kept[between]):
                continue
            row = np.zeros(len(self._beta))
            row[between] = 1.0
            if self.form == "hybrid":
                row[within] = -1.0
            rows.append(row[kept])
            names.append(name)
        if not rows:
            raise ModelError(
                f"no column varies both within and between {self.groups!r}, so there is nothing to "
                "compare"
            )
        return np.array(rows), names

    def hausman(self, kind: str | None = None) -> pd.DataFrame:
        """Test that effects within and between groups are equal: Hausman's test as a Wald test.

        Parameters
        ----------
        kind : str, optional
            A correction such as "CR2" for a cluster-robust test; by default model-based.

        Returns
        -------
        DataFrame
            One row: num_df, den_df, F, pvalue. F times num_df is chi-squared if den_df is infinite.
        """
        C, _ = self._differences()
        if kind is None:
            value = C @ self._beta[self._kept()]
            return pd.DataFrame(wald_f(C, value, self._cov, np.inf).columns())
        full = np.zeros((len(C), len(self._beta)))
        full[:, self._kept()] = C
        return self.robust(kind).wald_test(full)

    def summary(self) -> Summary:
        """Summarise the fit; prints as text, shows as HTML in a notebook."""
        text = self.model.summary()
        return replace(text, coefficients=self.coef_table())

    def __repr__(self) -> str:
        return str(self.summary())

    def _repr_html_(self) -> str:
        return self.summary()._repr_html_()
