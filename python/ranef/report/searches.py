"""Several searches for one optimum side by side, and whether their differences matter."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from .._html import Preformatted
from ..inference.optimum.optimizers import Run
from ..models.lmm import LmmEstimate
from ..words.answers import Spoken
from .influence import Whole

__all__ = ["AllFit", "Trail", "all_fit_table"]

#: Differences of coefficients, in standard errors, that no reader would notice.
SAME = 0.01
#: Differences of -2 log-likelihood that no comparison of models would notice.
SAME_OBJECTIVE = 0.01


@dataclass(frozen=True, repr=False)
class AllFit(Spoken):
    """One model by several optimisers.

    Attributes
    ----------
    table : DataFrame
        One row per optimiser: criterion (-2 log-likelihood), above_best, coefficients_se (the
        largest difference of a coefficient from the best fit's, in standard errors), errors_ratio
        (the largest relative difference of a standard error), seconds, evaluations, message.
    theta, coefficients : DataFrame
        Covariance parameters and fixed effects, one row per optimiser.
    verdict : str
        Whether they agree, in units of standard errors.
    best : LinearMixedModel
        The model at the lowest criterion of all.
    """

    table: pd.DataFrame
    theta: pd.DataFrame
    coefficients: pd.DataFrame
    verdict: str
    best: Any

    def plot(self, *, ax: Any = None) -> Any:
        """Draw how far each optimiser's coefficients are from the best fit's.

        Parameters
        ----------
        ax : matplotlib Axes, optional
            Where to draw; a new figure by default.

        Returns
        -------
        matplotlib Axes
        """
        from .plots.results import optimiser_axes

        best = self.coefficients.iloc[int(self.table["criterion"].to_numpy().argmin())]
        gaps = (self.coefficients - best) / self.best.bse
        return optimiser_axes(self.table, gaps.dropna(axis=1, how="all"), ax)

    def __repr__(self) -> str:
        return f"{self.table.drop(columns='message').to_string()}\n\n{self.verdict}"

    def _repr_html_(self) -> str:
        return f"{self.table.to_html()}<p>{self.verdict}</p>"


def all_fit_table(
    runs: Sequence[Run],
    estimates: Sequence[LmmEstimate | Whole],
    thetas: Sequence[pd.Series[Any]],
    params: Sequence[pd.Series[Any]],
    best_model: Any,
) -> AllFit:
    """Lay runs side by side and judge their differences.

    Parameters
    ----------
    runs : sequence of Run
        What each optimiser found.
    estimates : sequence of LmmEstimate or Whole
        The estimates there.
    thetas, params : sequence of Series
        Their labelled parameters.
    best_model : LinearMixedModel
        The model at the lowest criterion.
    """
    best = int(np.argmin([run.objective for run in runs]))
    reference = estimates[best]
    errors = np.sqrt(np.diag(reference.cov_beta))
    rows = {
        run.optimizer: {
            "criterion": run.objective,
            "above_best": run.objective - runs[best].objective,
            "coefficients_se": float(
                (np.abs(e.beta - reference.beta)[e.kept] / errors).max(initial=0.0)
            ),
            "errors_ratio": float(
                np.abs(np.sqrt(np.diag(e.cov_beta)) / errors - 1.0).max(initial=0.0)
            ),
            "seconds": run.seconds,
            "evaluations": run.evaluations,
            "message": run.message,
        }
        for run, e in zip(runs, estimates, strict=True)
    }
    table = pd.DataFrame.from_dict(rows, orient="index")
    names = [run.optimizer for run in runs]
    return AllFit(
        table,
        pd.DataFrame(list(thetas), index=names),
        pd.DataFrame(list(params), index=names),
        _verdict(table, names[best]),
        best_model,
    )


def _verdict(table: pd.DataFrame, best: str) -> str:
    """State which optimisers agree, and which stopped short by how much."""
    worst = table[["coefficients_se", "errors_ratio"]].max(axis=1)
    agree = (worst < SAME) & (table["above_best"] < SAME_OBJECTIVE)
    if agree.all():
        return (
            f"Practically the same: all {len(table)} optimisers agree within "
            f"{worst.max():.2g} standard errors and {table['above_best'].max():.2g} of "
            "-2 log-likelihood."
        )
    short = "; ".join(
        f"{name} by {above:.3g} of -2 log-likelihood and {errors:.2g} standard errors"
        for name, above, errors in zip(
            table.index[~agree], table["above_best"][~agree], worst[~agree], strict=True
        )
    )
    return (
        f"{int(agree.sum())} of {len(table)} optimisers agree with the best ({best}). "
        f"Stopped short: {short}."
    )


@dataclass(frozen=True, repr=False)
class Trail(Preformatted):
    """The attempts to complete a search.

    Attributes
    ----------
    model : LinearMixedModel
        The best fit; the model itself where there was nothing to do.
    table : DataFrame
        One row per attempt: criterion, gain over the model, converged.
    converged : bool
        Whether the conditions of an optimum hold now.
    """

    model: Any
    table: pd.DataFrame
    converged: bool

    def __repr__(self) -> str:
        if self.table.empty:
            return "Nothing to do: the model has converged."
        end = "Converged." if self.converged else "Not converged; see ranef.all_fit and diagnose."
        return f"{self.table.to_string()}\n\n{end}"
