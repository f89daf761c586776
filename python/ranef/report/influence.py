"""Influence of groups on the fixed effects, as tables and a figure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from .._html import Preformatted
from .._typing import Array
from ..inference.influence import Deletion
from ..models.lmm import LmmEstimate
from ..words.answers import Spoken

__all__ = ["Influence", "Whole", "influence_tables"]


@dataclass(frozen=True, repr=False)
class Influence(Spoken, Preformatted):
    """How far the fixed effects move when a group is left out.

    Attributes
    ----------
    groups : str
        What was deleted.
    table : DataFrame
        One row per group, most influential first: rows, leverage (its share of the fit's effective
        parameters), cooks_distance, covratio (determinant of cov(beta) without the group over that
        with it).
    dfbeta, dfbetas : DataFrame
        Coefficients of the whole fit minus those without the group; the same in standard errors of
        the fit without it.
    params : DataFrame
        Coefficients without the group.
    refitted : bool
        Whether the covariance parameters were estimated again without each group.
    """

    groups: str
    table: pd.DataFrame
    dfbeta: pd.DataFrame
    dfbetas: pd.DataFrame
    params: pd.DataFrame
    refitted: bool

    def top(self, n: int = 5) -> list[Any]:
        """Name the most influential groups."""
        return list(self.table.index[:n])

    def __repr__(self) -> str:
        how = "refitted" if self.refitted else "covariance parameters held"
        shown = self.table.head(10).to_string()
        told = [f"Influence of {self.groups} ({len(self.table)} deletions, {how})\n\n{shown}\n"]
        alone = self.table.index[self.table["cooks_distance"].isna()]
        if len(alone) < len(self.table):
            moved = self.dfbetas.loc[self.table.index[0]].abs()
            told.append(
                f"Without {self.table.index[0]}, {moved.idxmax()} moves by {moved.max():.2f} "
                "standard errors."
            )
        if len(alone):
            told.append(
                f"Without {', '.join(map(str, alone[:10]))} nothing can be estimated: all that is "
                "known of a coefficient is there."
            )
        return "\n".join(told)

    def plot(self, n: int = 20, ax: Any = None) -> Any:
        """Draw Cook's distance of the ``n`` most influential groups; returns matplotlib's axes."""
        from .plots.base import one, theme, titled

        look, ax = theme(), one(ax)
        shown = self.table["cooks_distance"].head(n)[::-1]
        ax.hlines(range(len(shown)), 0.0, shown, color=look.grey)
        ax.plot(shown, range(len(shown)), "o", color=look.accent)
        ax.set_yticks(range(len(shown)), [str(label) for label in shown.index])
        ax.set_xlabel("Cook's distance")
        ax.set_ylabel(self.groups)
        return titled(ax, f"The most influential levels of {self.groups}")


@dataclass(frozen=True)
class Whole:
    """The coefficients of the whole fit.

    Attributes
    ----------
    beta : ndarray of shape (p,)
        All of them.
    kept : ndarray of int
        Positions of those that are not aliased.
    cov_beta : ndarray of shape (n_kept, n_kept)
        Their covariance.
    """

    beta: Array
    kept: NDArray[np.intp]
    cov_beta: Array


def influence_tables(
    estimate: LmmEstimate | Whole,
    names: pd.Index[Any],
    deletion: Deletion,
    labels: pd.Index[Any],
    facts: tuple[str, NDArray[np.intp], Array],
    *,
    refitted: bool,
) -> Influence:
    """Turn deletions into distances.

    Parameters
    ----------
    estimate : LmmEstimate or Whole
        The whole fit.
    names : Index
        Names of the kept coefficients.
    deletion : Deletion
        Fixed effects without each group.
    labels : Index
        The groups.
    facts : (str, ndarray, ndarray)
        What they are groups of, the rows of each, and the leverage of each.
    refitted : bool
        How the deletions were made.
    """
    groups, rows, leverage = facts
    beta, cov = estimate.beta[estimate.kept], estimate.cov_beta
    moved = beta - deletion.beta
    errors = np.sqrt(np.diagonal(deletion.covariance, axis1=1, axis2=2))
    possible = np.isfinite(deletion.beta).all(axis=1)
    covratio = np.full(len(labels), np.nan)
    covratio[possible] = np.linalg.det(deletion.covariance[possible]) / np.linalg.det(cov)
    cook = np.einsum("gi,ij,gj->g", moved, np.linalg.inv(cov), moved) / len(beta)
    table = pd.DataFrame(
        {
            "rows": rows,
            "leverage": leverage,
            "cooks_distance": cook,
            "covratio": covratio,
        },
        index=labels,
    ).sort_values("cooks_distance", ascending=False, kind="stable")
    frames = [
        pd.DataFrame(values, index=labels, columns=names).loc[table.index]
        for values in (moved, moved / errors, deletion.beta)
    ]
    return Influence(groups, table, frames[0], frames[1], frames[2], refitted)
