"""Answers to one analysis under several treatments of missing values, side by side."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import Any

import pandas as pd

from ..errors import DroppedRowsWarning, RanefError
from ..fitted.lmm.call import Call
from ..fitted.lmm.model import fit_model
from ..report.tabled import Tabled
from .imputation import imputed
from .variables import read_variables

__all__ = ["MissingComparison", "comparison_of"]

#: A standard error below this share of the one from fewer values is not credible.
TOO_SMALL = 0.98


@dataclass(frozen=True, repr=False)
class MissingComparison(Tabled):
    """Estimates and standard errors by method for missing values.

    Attributes
    ----------
    table : DataFrame
        A row for each method and coefficient: estimate, se, df, rows, fmi, flag.
    notes : tuple of str
        What each method assumes.
    models : dict of str to model
        The fits.
    """

    models: dict[str, Any]

    @property
    def title(self) -> str:
        """What the table shows."""
        return "One analysis, several treatments of missing values"


ASSUMES = (
    "complete groups: groups with any missing value are dropped; valid if they are a random "
    "sample of groups.",
    "available rows: every complete row, by likelihood; valid if the outcome is missing at random "
    "given what is in the model, and predictors are missing independently of the outcome.",
    "one-off imputation: gaps are filled once and treated as known; its standard errors are too "
    "small.",
    "multiple imputation: valid if values are missing at random given all variables of the "
    "analysis, and the imputation model fits.",
)


def comparison_of(
    formula: str, data: Any, *, m: int, seed: int | None, progress: bool
) -> MissingComparison:
    """Fit under each treatment; see ``compare_missing``."""
    variables = read_variables(formula, data)
    frame = variables.frame
    models: dict[str, Any] = {}
    fmi = None
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DroppedRowsWarning)
        models["available rows"] = fit_model(Call(formula), frame)
        whole = complete_groups(variables)
        if whole.any():
            try:
                models["complete groups"] = fit_model(Call(formula), frame[whole])
            except RanefError:
                models["complete groups"] = None
        try:
            once = imputed(formula, frame, method="forest", m=1, seed=seed, progress=False)
            models["one-off imputation"] = fit_model(Call(formula), once.first)
        except RanefError:
            models["one-off imputation"] = None
        many = imputed(formula, frame, m=m, seed=seed, progress=progress).fit()
        models["multiple imputation"] = many
        fmi = many.fmi
    models = {name: model for name, model in models.items() if model is not None}
    return MissingComparison(rows_of(models, fmi), ASSUMES, models)


def complete_groups(variables: Any) -> pd.Series[Any]:
    """Rows of groups in which nothing is missing, by the grouping factor with most levels."""
    seen = pd.DataFrame({name: item.observed for name, item in variables.items.items()}).all(axis=1)
    if variables.groups:
        largest = max(variables.groups, key=lambda name: len(variables.groups[name][1]))
        seen = seen.groupby(variables.groups[largest][0]).transform("all")
    return pd.Series(seen.to_numpy(), index=variables.frame.index)


def rows_of(models: dict[str, Any], fmi: pd.Series[Any]) -> pd.DataFrame:
    """Lay out the estimates, and flag standard errors that are too small to be credible."""
    many = models["multiple imputation"]
    rows = []
    for name, model in models.items():
        table = model.coef_table()
        for term in table.index:
            flag = ""
            if name == "one-off imputation" and (
                table.loc[term, "se"] < TOO_SMALL * float(many.bse[term])
            ):
                flag = "standard error ignores that values were imputed: do not believe it"
            rows.append(
                {
                    "treatment": name,
                    "term": term,
                    "estimate": table.loc[term, "estimate"],
                    "se": table.loc[term, "se"],
                    "df": table.loc[term, "df"],
                    "rows": model.nobs,
                    "fmi": float(fmi[term]) if name == "multiple imputation" else float("nan"),
                    "flag": flag,
                }
            )
    return pd.DataFrame(rows).set_index(["treatment", "term"])
