"""How well a model predicts rows it has not seen."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy import special

from .tabled import Tabled

__all__ = ["CrossValidation", "score_table"]


@dataclass(frozen=True, repr=False)
class CrossValidation(Tabled):
    """Scores of predictions of left-out rows; see :func:`ranef.cross_validate`.

    Attributes
    ----------
    table : DataFrame
        One row: rows, folds, rmse, mae, log_score (mean log predictive density of a row) and
        coverage95 (share of rows within their 95 % prediction interval).
    notes : tuple of str
        What was left out, what was held, and what the scores are about.
    rows : DataFrame
        A row for each predicted row: fold, y, mean, sd, log_score.
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


def score_table(rows: pd.DataFrame) -> pd.DataFrame:
    """Average the scores of predicted rows; those without a prediction are not counted.

    Parameters
    ----------
    rows : DataFrame
        Columns fold, y, mean, sd, log_score.
    """
    known = rows.dropna(subset=["mean"])
    error = known["y"] - known["mean"]
    inside = error.abs() <= special.ndtri(0.975) * known["sd"]
    scores = {
        "rows": len(known),
        "folds": known["fold"].nunique(),
        "rmse": float(np.sqrt((error**2).mean())),
        "mae": float(error.abs().mean()),
        "log_score": float(known["log_score"].mean()),
        "coverage95": float(inside.mean()),
    }
    return pd.DataFrame([scores], index=["all"])
