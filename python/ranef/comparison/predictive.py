"""Cross-validated scores of several models side by side."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from .._counted import counted
from ..errors import ModelError
from ..report.predictive import CrossValidation, elpd_units, expected_density
from ..report.tabled import Tabled

__all__ = ["PredictiveComparison", "named_results", "ranked"]

#: Standard errors below which a difference says nothing.
CLEAR = 2.0


@dataclass(frozen=True, repr=False)
class PredictiveComparison(Tabled):
    """Models ranked by predictions of rows that they were not fitted to.

    Attributes
    ----------
    table : DataFrame
        One row per model, the best first: elpd and elpd_se, difference from the best and
        difference_se, rmse; marginal models, without a density, are ranked by rmse.
    notes : tuple of str
        How clear the first differences are.
    """

    scheme: str = ""

    @property
    def title(self) -> str:
        """The scheme."""
        return f"{counted(len(self.table), 'model')} by cross-validation: {self.scheme}"

    def plot(self, *, ax: Any = None) -> Any:
        """Draw how far each model is behind the best, with two standard errors.

        Parameters
        ----------
        ax : matplotlib Axes, optional
            Where to draw; a new figure by default.

        Returns
        -------
        matplotlib Axes
        """
        from ..report.plots.results import predictive_axes

        return predictive_axes(self.table, self.scheme, CLEAR, ax)


def named_results(
    given: Sequence[Any], named: Mapping[str, Any]
) -> dict[str, CrossValidation] | None:
    """Return results of cross-validation by name; None where these are models."""
    every: list[tuple[str, Any]] = []
    for place, one in enumerate(given, start=1):
        every += list(one.items()) if isinstance(one, Mapping) else [(f"model {place}", one)]
    every += list(named.items())
    kinds = [isinstance(one, CrossValidation) for _, one in every]
    if not any(kinds):
        return None
    if not all(kinds):
        raise ModelError("compare takes models, or results of cross_validate, but not both at once")
    if len(every) < 2 or len(dict(every)) < len(every):
        raise ModelError("compare takes two or more results of cross_validate, each by its name")
    return {str(name): one for name, one in every}


def ranked(results: Mapping[str, CrossValidation]) -> PredictiveComparison:
    """Rank results by expected log density, and say how clear the differences are.

    Raises
    ------
    ModelError
        If the results are not for the same rows and responses, left out in the same way.
    """
    _check_alike(results)
    first = next(iter(results.values()))
    rmse = {name: float(one.table["rmse"].iloc[0]) for name, one in results.items()}
    if not all("elpd" in one.table for one in results.values()):
        table = pd.DataFrame({"rmse": rmse}).sort_values("rmse", kind="stable")
        note = "a marginal model has no distribution of a row, so the ranking is by rmse"
        return PredictiveComparison(table, (note,), first.scheme)
    units = pd.DataFrame({name: elpd_units(one.rows) for name, one in results.items()})
    lost = int(units.isna().any(axis=1).sum())
    units = units.dropna()
    rows = {name: expected_density(units[name]) for name in results}
    best = max(rows, key=lambda name: rows[name][0])
    against = {name: expected_density(units[name] - units[best]) for name in results}
    table = pd.DataFrame(
        {
            name: (*rows[name], *(against[name] if name != best else (0.0, 0.0)), rmse[name])
            for name in results
        },
        index=["elpd", "elpd_se", "difference", "difference_se", "rmse"],
    ).T.sort_values("elpd", ascending=False, kind="stable")
    notes = [_clear(table), "standard errors are over what was left out together"]
    if lost:
        notes.append(f"{counted(lost, 'unit')} without a prediction by one of the models: left out")
    return PredictiveComparison(table, tuple(notes), first.scheme)


def _clear(table: pd.DataFrame) -> str:
    """Describe how clear the first difference is."""
    gap, se = -table["difference"].iloc[1], table["difference_se"].iloc[1]
    where = f"{table.index[0]} before {table.index[1]} by {gap:.1f}, standard error {se:.1f}"
    if gap < CLEAR * se:
        return f"{where}: these data show no difference in prediction"
    return where


def _check_alike(results: Mapping[str, CrossValidation]) -> None:
    (name, first), *others = results.items()
    for other, one in others:
        if one.scheme != first.scheme:
            raise ModelError(
                f"{name!r} left out {first.scheme}, and {other!r} {one.scheme}; scores of "
                "different schemes answer different questions"
            )
        a, b = (each.rows.sort_index(kind="stable") for each in (first, one))
        same = len(a) == len(b) and a.index.equals(b.index)
        if not same or not np.array_equal(np.sort(a["y"]), np.sort(b["y"])):
            raise ModelError(f"{name!r} and {other!r} predict different rows or responses")
        units = [
            dict(zip(each.rows.index, each.rows["unit"], strict=True)) for each in (first, one)
        ]
        if units[0] != units[1]:
            raise ModelError(
                f"{name!r} and {other!r} left out different folds; give both the same seed"
            )
