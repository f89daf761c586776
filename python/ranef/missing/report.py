"""What is missing, where, in which patterns, and what complete cases would lose."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from .._counted import counted
from ..errors import DataError
from ..words.answers import Spoken
from .variables import Variables, read_variables

__all__ = ["MissingReport", "report_of"]


@dataclass(frozen=True, repr=False)
class MissingReport(Spoken):
    """Missing values in the columns of a formula, by column and by pattern.

    Attributes
    ----------
    formula : str
        The analysis.
    missing : Series
        Missing values by variable.
    patterns : DataFrame
        One column per variable (True where observed) and ``n``, the rows of each pattern, most
        frequent first.
    complete, rows : int
        Rows without a missing value, and all rows.
    groups : DataFrame
        By grouping factor: groups, those that listwise deletion loses completely, those without
        missing values.
    occasions : DataFrame or None
        By time: rows, and the share missing of each variable.
    dropout : DataFrame or None
        By time: units still in the study, units that leave after it, and their last outcome against
        that of those who stay.
    dropout_test : Series or None
        A logistic regression of leaving on the outcome before: estimate, se, z, pvalue per standard
        deviation of the outcome.
    monotone : bool or None
        Whether nobody returns after a missing outcome.
    loss : Series
        What complete cases lose: rows, share of rows, groups, and the factor by which standard
        errors grow if rows carry equal information.
    """

    formula: str
    outcome: str
    missing: pd.Series[Any]
    patterns: pd.DataFrame
    complete: int
    rows: int
    groups: pd.DataFrame
    occasions: pd.DataFrame | None
    dropout: pd.DataFrame | None
    dropout_test: pd.Series[Any] | None
    monotone: bool | None
    loss: pd.Series[Any]

    def limitations(self) -> str:
        """Write the paragraph about missing values for a section on limitations.

        Returns
        -------
        str
        """
        incomplete = self.missing[self.missing > 0]
        if incomplete.empty:
            return f"No values were missing in the {counted(self.rows, 'row')} of the analysis."
        shares = ", ".join(f"{name} ({n / self.rows:.0%})" for name, n in incomplete.items())
        text = (
            f"{self.complete} of {counted(self.rows, 'row')} ({self.complete / self.rows:.0%}) "
            f"were complete. Values were missing in {shares}. "
        )
        if list(incomplete.index) == [self.outcome]:
            text += (
                "Only the outcome was incomplete. A likelihood analysis of the rows with an "
                "outcome is valid if, given what was observed, missingness does not depend on the "
                "values that are missing (missing at random). "
            )
        else:
            text += (
                "Rows with a missing predictor cannot enter a likelihood that conditions on "
                "predictors; leaving them out assumes that missingness does not depend on the "
                "outcome given the predictors, and multiple imputation that it does not depend on "
                "the missing values given what was observed. "
            )
        if self.dropout_test is not None:
            p = float(self.dropout_test["pvalue"])
            relation = "was related" if p < 0.05 else "was not detectably related"
            text += (
                f"Leaving the study {relation} to the last outcome before it (p = {p:.3g}), which "
                f"is evidence {'against' if p < 0.05 else 'neither against nor for'} missingness "
                "completely at random. "
            )
        return (
            text + "No test can show whether missingness depends on the missing values themselves."
        )

    def plot(self, *, ax: Any = None) -> Any:
        """Draw the patterns of missing values.

        Returns
        -------
        matplotlib.axes.Axes
        """
        from ..report.plots.missing import pattern_axes

        return pattern_axes(self.patterns, ax=ax)

    def plot_dropout(self, *, ax: Any = None) -> Any:
        """Draw the mean outcome of units that leave after each time and of those that stay.

        Returns
        -------
        matplotlib.axes.Axes

        Raises
        ------
        ValueError
            If the report was made without ``time``.
        """
        if self.dropout is None:
            raise ValueError(
                "there is no time in this report: missing_report(formula, data, time=...)"
            )
        from ..report.plots.missing import dropout_axes

        named = self.dropout
        if self.occasions is not None:
            named = named.rename_axis(str(self.occasions.index.name))
        return dropout_axes(named, ax=ax)

    def __repr__(self) -> str:
        parts = [
            f"Missing values: {self.formula}",
            f"{self.complete} of {self.rows} rows are complete.",
            "",
            self.missing.rename("missing").to_frame().to_string(),
            "",
            "Patterns (True: observed)",
            self.patterns.to_string(index=False),
        ]
        if len(self.groups):
            parts += ["", "Groups", self.groups.to_string()]
        if self.dropout is not None:
            parts += ["", "Dropout", self.dropout.round(3).to_string()]
        return "\n".join([*parts, "", self.limitations()])

    def _repr_html_(self) -> str:
        return (
            f"<p>{self.complete} of {self.rows} rows are complete.</p>"
            f"{self.missing.rename('missing').to_frame().to_html()}"
            f"{self.patterns.to_html(index=False)}<p>{self.limitations()}</p>"
        )


def report_of(formula: str, data: Any, time: str | None = None) -> MissingReport:
    """Collect what is missing; see ``missing_report``."""
    variables = read_variables(formula, data)
    seen = pd.DataFrame({name: item.observed for name, item in variables.items.items()})
    complete = seen.all(axis=1).to_numpy()
    if time is not None and time not in variables.frame:
        raise DataError(f"the data have no column {time!r}", time, tuple(variables.frame))
    order = moments(variables, time)
    left = None if order is None else dropout_of(variables, order)
    rows, kept = len(seen), int(complete.sum())
    loss = pd.Series(
        {
            "rows": rows - kept,
            "share": 1.0 - kept / max(rows, 1),
            "inflation of standard errors": np.sqrt(rows / kept) if kept else np.inf,
        }
    )
    return MissingReport(
        formula,
        variables.outcome,
        pd.Series({name: item.n_missing for name, item in variables.items.items()}, name="missing"),
        patterns_of(seen),
        kept,
        rows,
        groups_of(variables, complete),
        None if time is None else occasions_of(variables, seen, time),
        None if left is None else left[0],
        None if left is None else left[1],
        None if order is None else is_monotone(variables, order),
        loss,
    )


def patterns_of(seen: pd.DataFrame) -> pd.DataFrame:
    """Count the patterns of observed and missing values."""
    counts = seen.value_counts(sort=True, dropna=False).rename("n").reset_index()
    return counts.astype(dict.fromkeys(seen, bool))


def groups_of(variables: Variables, complete: Any) -> pd.DataFrame:
    """Count groups that complete cases lose."""
    rows = {}
    for name, (codes, levels) in variables.groups.items():
        kept = np.bincount(codes, complete, len(levels))
        sizes = np.bincount(codes, minlength=len(levels))
        rows[name] = [len(levels), int((kept == 0).sum()), int((kept == sizes).sum())]
    columns = ["groups", "lost by complete cases", "without missing values"]
    return pd.DataFrame.from_dict(rows, orient="index", columns=columns)


def occasions_of(variables: Variables, seen: pd.DataFrame, time: str) -> pd.DataFrame:
    """Share of missing values by time."""
    by = variables.frame[time].to_numpy()
    shares = (~seen).groupby(by).mean()
    shares.insert(0, "rows", seen.groupby(by).size())
    return shares.rename_axis(time)


def moments(variables: Variables, time: str | None) -> pd.DataFrame | None:
    """Order unit, time and outcome of each row; None without a time or without groups."""
    if time is None or not variables.groups:
        return None
    largest = max(variables.groups, key=lambda name: len(variables.groups[name][1]))
    outcome = pd.to_numeric(variables.frame[variables.outcome], errors="coerce")
    frame = pd.DataFrame(
        {
            "unit": variables.groups[largest][0],
            "time": variables.frame[time].to_numpy(),
            "outcome": outcome.to_numpy(dtype=float, na_value=np.nan),
            "seen": variables.items[variables.outcome].observed,
        }
    )
    return frame.sort_values(["unit", "time"], kind="stable", ignore_index=True)


def is_monotone(variables: Variables, order: pd.DataFrame) -> bool:
    """Whether no unit has an outcome after one that is missing."""
    gone = (~order["seen"]).groupby(order["unit"]).cummax()
    return not bool((gone & order["seen"]).any())


def dropout_of(
    variables: Variables, order: pd.DataFrame
) -> tuple[pd.DataFrame, pd.Series[Any] | None]:
    """Units at risk and those that leave at each time, and the test of leaving on the outcome."""
    present = order[order["seen"]]
    times = np.sort(order["time"].unique())
    last = present.groupby("unit")["time"].transform("max")
    leaves = ((present["time"] == last) & (last < times[-1])).to_numpy()
    at = present["time"].to_numpy()
    values = present["outcome"].to_numpy()
    rows = []
    for t in times[:-1]:
        now = at == t
        stay, go = values[now & ~leaves], values[now & leaves]
        rows.append([int(now.sum()), int((now & leaves).sum()), mean(go), mean(stay)])
    columns = ["observed", "leave", "outcome of leavers", "outcome of stayers"]
    table = pd.DataFrame(rows, index=pd.Index(times[:-1], name="time"), columns=columns)
    risk = at < times[-1]
    return table, logistic(values[risk], leaves[risk].astype(float), at[risk])


def mean(values: Any) -> float:
    """Mean, NaN of nothing."""
    return float(np.mean(values)) if len(values) else float("nan")


def logistic(x: Any, y: Any, times: Any) -> pd.Series[Any] | None:
    """Regress leaving on the standardised outcome, with an intercept for each time."""
    from scipy.special import expit, ndtr

    spread = float(np.std(x)) if len(x) else 0.0
    if not 0 < y.sum() < len(y) or not spread > 0.0:
        return None
    dummies = pd.get_dummies(pd.Series(times)).to_numpy(float)
    informative = [0 < y[d > 0].sum() < (d > 0).sum() for d in dummies.T]
    rows = (dummies[:, informative] > 0).any(axis=1)
    X = np.column_stack([(x - np.mean(x)) / spread, dummies[:, informative]])[rows]
    y = y[rows]
    b = np.zeros(X.shape[1])
    for _ in range(50):
        p = expit(X @ b)
        information = X.T @ (X * (p * (1.0 - p))[:, None]) + 1e-10 * np.eye(len(b))
        step = np.linalg.solve(information, X.T @ (y - p))
        b = b + np.clip(step, -3.0, 3.0)
        if np.abs(step).max() < 1e-10:
            break
    se = float(np.sqrt(np.linalg.inv(information)[0, 0]))
    z = float(b[0]) / se
    return pd.Series(
        {"estimate": float(b[0]), "se": se, "z": z, "pvalue": 2.0 * float(ndtr(-abs(z)))}
    )
