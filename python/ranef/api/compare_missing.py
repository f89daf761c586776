"""Compare treatments of missing values."""

from __future__ import annotations

from typing import Any

from ..missing.comparison import MissingComparison, comparison_of
from ..words.answers import answering

__all__ = ["compare_missing"]


@answering
def compare_missing(
    formula: str, data: Any, *, m: int = 20, seed: int | None = None, progress: bool = True
) -> MissingComparison:
    """Fit one model with several methods for missing values.

    Parameters
    ----------
    formula : str
        A linear mixed model.
    data : DataFrame
        pandas, polars or Arrow table, or a mapping of columns.
    m : int
        Number of imputations.
    seed : int, optional
        Makes the imputations repeatable.
    progress : bool
        Whether to show a bar on a terminal.

    Returns
    -------
    MissingComparison
        ``table`` with estimates, standard errors and flags for complete groups, available rows,
        one-off imputation (where scikit-learn is installed) and multiple imputation; ``models``.

    Examples
    --------
    >>> import ranef
    >>> sleep = ranef.datasets.load("sleepstudy")
    >>> sleep.loc[[3, 17, 40], "Reaction"] = float("nan")
    >>> found = ranef.compare_missing(
    ...     "Reaction ~ Days + (Days | Subject)", sleep, m=3, seed=1, progress=False
    ... )
    >>> found.table.loc["available rows", "rows"].tolist()
    [177, 177]
    """
    return comparison_of(formula, data, m=m, seed=seed, progress=progress)
