"""How well a model predicts rows it has not seen."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import scipy
from numpy.typing import NDArray

from .tabled import Tabled

__all__ = ["CrossValidation", "fold_table", "score_table"]


@dataclass(frozen=True, repr=False)
class CrossValidation(Tabled):
    """Scores of predictions of left-out rows; see :func:`ranef.cross_validate`.

    Attributes
    ----------
    table : DataFrame
        One row: rows, folds, rmse, mae, log_score (mean log predictive density of a row) and
        coverage95 (share of rows within their 95 % prediction interval); of a generalised model
        deviance (where it knows no dispersion), and of a binomial response brier.
    notes : tuple of str
        What was left out, what was held, and what the scores are about.
    rows : DataFrame
        A row for each predicted row: fold, y, mean, sd and its scores.
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
        Columns fold, y, mean, sd, log_score; perhaps inside, deviance and brier.
    """
    scores = _averages(rows, np.zeros(len(rows), dtype=int))
    scores.insert(1, "folds", rows["fold"][rows["mean"].notna()].nunique())
    return scores.set_axis(["all"])


def fold_table(rows: pd.DataFrame) -> pd.DataFrame:
    """Average the scores of predicted rows by fold."""
    return _averages(rows, rows["fold"].to_numpy()).rename_axis("fold")


def _averages(rows: pd.DataFrame, by: NDArray[np.integer[Any]]) -> pd.DataFrame:
    """Scores of each value of ``by``; NaN where no row has a prediction."""
    error = (rows["y"] - rows["mean"]).abs()
    normal = error <= scipy.special.ndtri(0.975) * rows["sd"]
    inside = rows.get("inside", normal).astype(float).where(error.notna())
    each = pd.DataFrame(
        {
            "rows": error.notna().astype(int),
            "rmse": error**2,
            "mae": error,
            "log_score": rows["log_score"],
            "coverage95": inside,
            **{name: rows[name] for name in ("deviance", "brier") if name in rows},
        }
    )
    scores = each.groupby(by).mean()
    scores["rows"] = each["rows"].groupby(by).sum()
    scores["rmse"] = np.sqrt(scores["rmse"])
    return scores
