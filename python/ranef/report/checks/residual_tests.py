"""Tests of residuals against simulated fits."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Self

import numpy as np
import pandas as pd

from ..._counted import counted
from ..._html import Preformatted
from ..._options import nearest
from ..._typing import Array
from ...errors import DataError
from ...inference.residuals.statistics import pvalue
from ..summary import pvalue_text

__all__ = ["ResidualTest", "ResidualTests", "columns_of"]


@dataclass(frozen=True, repr=False, eq=False)
class ResidualTest(Preformatted):
    """One test of residuals.

    Attributes
    ----------
    name : str
        What is tested.
    statistic, expected : float
        Of the fit, and the mean over simulated fits.
    pvalue : float
        Share of simulated fits that are as extreme, including the fit itself.
    draws : ndarray of shape (m,)
        Statistics of the simulated fits.
    """

    name: str
    statistic: float
    expected: float
    pvalue: float
    draws: Array

    @classmethod
    def of(cls, name: str, statistic: float, draws: Array, side: str = "large") -> Self:
        """Compare a statistic with those of simulated fits."""
        p = pvalue(statistic, draws, side)
        return cls(name, float(statistic), float(np.nanmean(draws)), p, draws)

    def __repr__(self) -> str:
        return (
            f"{self.name}: {self.statistic:.4g}, expected {self.expected:.4g}, "
            f"p {_equals(self.pvalue)}"
        )


@dataclass(frozen=True, repr=False, eq=False)
class ResidualTests(Preformatted):
    """Tests of residuals along a variable.

    Attributes
    ----------
    by : str
        The variable.
    tests : tuple of ResidualTest
        Of location, of spread and, along numbers, of quantiles.
    groups : DataFrame
        Rows, mean and sd of the residuals of each group, where there are groups.
    """

    by: str
    tests: tuple[ResidualTest, ...]
    groups: pd.DataFrame = field(default_factory=pd.DataFrame)

    def __getitem__(self, name: str) -> ResidualTest:
        for test in self.tests:
            if test.name == name:
                return test
        raise KeyError(f"tests are {', '.join(t.name for t in self.tests)}, not {name!r}")

    @property
    def table(self) -> pd.DataFrame:
        """One row per test: statistic, expected, pvalue."""
        rows = dict(self.rows())
        return pd.DataFrame.from_dict(
            rows, orient="index", columns=["statistic", "expected", "pvalue"]
        )

    def rows(self) -> Iterator[tuple[str, tuple[float, float, float]]]:
        """Return name and numbers of each test."""
        for test in self.tests:
            yield test.name, (test.statistic, test.expected, test.pvalue)

    @staticmethod
    def text(table: pd.DataFrame) -> str:
        """Write a table of tests."""
        shown = table.assign(
            statistic=table["statistic"].map(lambda x: f"{x:.4g}"),
            expected=table["expected"].map(lambda x: f"{x:.4g}"),
            pvalue=table["pvalue"].map(pvalue_text),
        )
        return shown.rename_axis(None).to_string()

    def __repr__(self) -> str:
        return f"Residuals along {self.by}\n{self.text(self.table)}"


def _equals(p: float) -> str:
    text = pvalue_text(p)
    return text if text.startswith("<") else f"= {text}"


def columns_of(frame: pd.DataFrame, x: Any, n: int) -> tuple[str, pd.Series[Any]]:
    """Name and values of a column of the rows of a fit, or of values that were given.

    Raises
    ------
    DataError
        If there is no such column, values are missing, or there is not one a row.
    """
    if isinstance(x, str):
        if x not in frame:
            known = ", ".join(map(str, frame.columns[:12]))
            raise DataError(
                f"the data have no column {x!r}; they have {known}"
                f"{nearest(x, map(str, frame.columns))}",
                x,
            )
        name, values = x, frame[x]
    else:
        given = x.reindex(frame.index) if isinstance(x, pd.Series) and len(x) != n else x
        name, values = str(getattr(x, "name", None) or "values"), pd.Series(np.asarray(given))
        if len(values) != n:
            raise DataError(
                f"there are {counted(len(values), 'value')} for the {counted(n, 'row')} of the fit"
            )
    if values.isna().any():
        raise DataError(
            f"{name} is missing in {counted(int(values.isna().sum()), 'row')} of the fit", name
        )
    return name, values
