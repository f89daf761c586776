"""How much worse predictions become when predictors are shuffled."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from .._html import Preformatted
from .._typing import Array, Positions
from ..errors import DataError
from ..words.answers import Spoken
from .call import positive
from .fit import Fit

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["Importance", "importance_of"]


@dataclass(frozen=True, repr=False, eq=False)
class Importance(Spoken, Preformatted):
    """Permutation importance of predictors, the largest first.

    Attributes
    ----------
    table : DataFrame
        ``increase``: of the mean squared error when the predictor is shuffled; ``sd``: between
        repetitions; ``share``: the increase relative to the variance of the response minus random
        effects; ``shuffled``: "rows", or the grouping factor whose levels were shuffled.
    error : float
        Mean squared error without shuffling.
    how : str
        Where the predictions come from.
    """

    table: pd.DataFrame
    error: float
    how: str

    def plot(self, *, ax: Axes | None = None, most: int = 20) -> Axes:
        """Draw the increases with their spread.

        Parameters
        ----------
        ax : Axes, optional
            Where to draw; a new figure by default.
        most : int
            Predictors to draw at most.

        Returns
        -------
        Axes
        """
        from ..report.plots.learners import importance_axes

        return importance_axes(self.table, ax=ax, most=most)

    def __repr__(self) -> str:
        shown = self.table.to_string(float_format=lambda x: f"{x:.4g}")
        return f"Permutation importance ({self.how}, mean squared error {self.error:.4g})\n{shown}"


def importance_of(
    fit: Fit,
    sets: Mapping[str, Sequence[str]] | None,
    repeats: int,
    rows: int,
    seed: int,
) -> Importance:
    """Compute the importance of each variable, or of sets of them."""
    positive("repeats", repeats, 1)
    positive("rows", rows, 2)
    positive("seed", seed, 0)
    task, learned = fit.task, fit.learned
    rng = np.random.default_rng(seed)
    n = len(task.target)
    chosen = np.arange(n) if n <= rows else np.sort(rng.choice(n, rows, replace=False))
    beta = np.asarray(fit.mixed.params)
    X, y = task.X[chosen], task.target[chosen]
    weights = np.ones(len(y)) if task.weights is None else task.weights[chosen]

    def loss(changed: Array) -> float:
        found = learned.held_out_mean(changed, chosen, beta)
        return float(np.average((y - found) ** 2, weights=weights))

    error = loss(X)
    spread = float(np.average((y - np.average(y, weights=weights)) ** 2, weights=weights))
    found = []
    for name, columns in columns_of_sets(fit, sets).items():
        level, codes = level_of(fit, columns)
        values = []
        for _ in range(repeats):
            changed = X.copy()
            changed[:, columns] = shuffled(task.X[:, columns], chosen, codes, rng)
            values.append(loss(changed) - error)
        increase = float(np.mean(values))
        sd = float(np.std(values, ddof=1)) if repeats > 1 else np.nan
        found.append((name, increase, sd, increase / spread if spread else np.nan, level))
    table = pd.DataFrame(found, columns=["predictor", "increase", "sd", "share", "shuffled"])
    table = table.set_index("predictor").sort_values("increase", ascending=False, kind="stable")
    return Importance(table, error, learned.how)


def columns_of_sets(fit: Fit, sets: Mapping[str, Sequence[str]] | None) -> dict[str, list[int]]:
    """Positions of the columns of each set; of each variable by itself without sets.

    Raises
    ------
    DataError
        If a set names something that is not a predictor.
    """
    known = list(dict.fromkeys(fit.predictors.variables))
    if sets is None:
        sets = {name: [name] for name in known}
    out = {}
    for name, members in sets.items():
        members = [members] if isinstance(members, str) else list(members)
        for member in members:
            if member not in known:
                raise DataError(
                    f"{member!r} of the set {name!r} is not a predictor of the learner; it has "
                    f"{', '.join(known)}",
                    member,
                    tuple(known),
                )
        out[name] = [j for member in members for j in fit.predictors.columns(member)]
    return out


def level_of(fit: Fit, columns: list[int]) -> tuple[str, Positions | None]:
    """Find the coarsest grouping factor within whose levels columns are constant."""
    X = fit.task.X[:, columns]
    for term in sorted(fit.predictors.base.random, key=lambda term: term.n_levels):
        if len(term.memberships) > 1 or term.n_levels == len(X):
            continue
        first = np.zeros(term.n_levels, dtype=np.intp)
        first[term.codes[::-1]] = np.arange(len(X))[::-1]
        if np.array_equal(X, X[first[term.codes]]):
            return term.group, np.asarray(term.codes, dtype=np.intp)
    return "rows", None


def shuffled(
    X: Array, chosen: Positions, codes: Positions | None, rng: np.random.Generator
) -> Array:
    """Shuffle rows of columns; whole levels where the columns are constant within them."""
    if codes is None:
        return np.asarray(X[rng.permutation(chosen)])
    used, place = np.unique(codes[chosen], return_inverse=True)
    first = np.zeros(int(codes.max()) + 1, dtype=np.intp)
    first[codes[::-1]] = np.arange(len(codes))[::-1]
    return np.asarray(X[first[rng.permutation(used)]][place])
