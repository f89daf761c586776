"""How well a model predicts rows it has not seen."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import scipy
from numpy.typing import NDArray

from .tabled import Tabled

__all__ = ["CrossValidation", "elpd_units", "expected_density", "fold_table", "score_table"]


@dataclass(frozen=True, repr=False)
class CrossValidation(Tabled):
    """Scores of predictions of left-out rows; see :func:`ranef.cross_validate`.

    Attributes
    ----------
    table : DataFrame
        One row: rows, folds, rmse, mae, r2 (one minus the squared errors over those of the mean of
        all responses), log_score (mean log predictive density of a row), elpd and elpd_se (the sum
        of log predictive densities, and its standard error over what was left out together), and
        coverage95 (share of rows within their 95 % prediction interval); of a generalised model
        deviance (where it knows no dispersion), and of a binomial response brier. Marginal models
        have no distribution of a row, and so neither log_score nor elpd.
    notes : tuple of str
        What was left out, what was held fixed, and what the scores mean.
    rows : DataFrame
        A row for each predicted row: fold, unit (what is left out together), y, mean, sd and its
        scores; where folds are dealt repeatedly, once for each time.
    folds : DataFrame
        The scores by fold, with joint_log_score, the log density of all its rows together, where
        the folds were left out in closed form.
    scheme : str
        How the rows were divided.
    """

    rows: pd.DataFrame
    folds: pd.DataFrame
    scheme: str

    @property
    def title(self) -> str:
        """The scheme."""
        return f"Cross-validation: {self.scheme}"

    def plot(self, *, ax: Any = None) -> Any:
        """Draw left-out responses against their predictions.

        Parameters
        ----------
        ax : matplotlib Axes, optional
            Where to draw; a new figure by default.

        Returns
        -------
        matplotlib Axes
        """
        from .plots.results import crossval_axes

        return crossval_axes(self.rows, self.scheme, ax)


def score_table(rows: pd.DataFrame) -> pd.DataFrame:
    """Average the scores of predicted rows; those without a prediction are not counted.

    Parameters
    ----------
    rows : DataFrame
        Columns fold, unit, y, mean, sd; log_score unless the model has none; perhaps inside,
        deviance and brier.
    """
    scores = _averages(rows, np.zeros(len(rows), dtype=int))
    scores.insert(1, "folds", rows["fold"][rows["mean"].notna()].nunique())
    known = rows[rows["mean"].notna()]
    about = ((known["y"] - known["y"].mean()) ** 2).mean()
    error = ((known["y"] - known["mean"]) ** 2).mean()
    scores.insert(4, "r2", 1.0 - error / about if about > 0.0 else np.nan)
    if "log_score" in rows:
        elpd, se = expected_density(elpd_units(rows))
        scores.insert(6, "elpd", elpd)
        scores.insert(7, "elpd_se", se)
    return scores.set_axis(["all"])


def elpd_units(rows: pd.DataFrame) -> pd.Series[Any]:
    """Sum the log predictive densities of what is left out together, averaged over repetitions."""
    times = rows.groupby("unit")["fold"].nunique()
    known = rows[rows["log_score"].notna()]
    return (known.groupby("unit")["log_score"].sum() / times).dropna()


def expected_density(units: pd.Series[Any]) -> tuple[float, float]:
    """Return a sum over units, and its standard error.

    References
    ----------
    .. [1] Vehtari, Gelman and Gabry (2017), Stat. Comput. 27, 1413-1432.
    """
    n = len(units)
    return float(units.sum()), float(np.sqrt(n) * units.std(ddof=1)) if n > 1 else np.nan


def fold_table(rows: pd.DataFrame) -> pd.DataFrame:
    """Average the scores of predicted rows by fold."""
    return _averages(rows, rows["fold"].to_numpy()).rename_axis("fold")


def _averages(rows: pd.DataFrame, by: NDArray[np.integer[Any]]) -> pd.DataFrame:
    """Scores of each value of ``by``; NaN where no row has a prediction."""
    error = (rows["y"] - rows["mean"]).abs()
    normal = error <= scipy.special.ndtri(0.975) * rows["sd"]
    inside = rows.get("inside", normal).astype(float).where(error.notna())
    has_density = "log_score" in rows
    each = pd.DataFrame(
        {
            "rows": error.notna().astype(int),
            "rmse": error**2,
            "mae": error,
            **({"log_score": rows["log_score"], "coverage95": inside} if has_density else {}),
            **{name: rows[name] for name in ("deviance", "brier") if name in rows},
        }
    )
    scores = each.groupby(by).mean()
    scores["rows"] = each["rows"].groupby(by).sum()
    scores["rmse"] = np.sqrt(scores["rmse"])
    return scores
