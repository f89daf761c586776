"""Report what is missing."""

from __future__ import annotations

from typing import Any

from ..missing.report import MissingReport, report_of
from ..words.answers import answering

__all__ = ["missing_report"]


@answering
def missing_report(formula: str, data: Any, *, time: str | None = None) -> MissingReport:
    """Report missing values in the columns of a formula: patterns, groups, dropout, losses.

    Parameters
    ----------
    formula : str
        The analysis; only its columns are used.
    data : DataFrame
        pandas, polars or Arrow table, or a mapping of columns.
    time : str, optional
        The column that orders the rows of a unit, for occasions and dropout. The unit is the
        grouping factor with most levels.

    Returns
    -------
    MissingReport
        ``missing``, ``patterns``, ``complete``, ``groups``, ``occasions``, ``dropout``,
        ``dropout_test``, ``limitations()`` and figures.

    Raises
    ------
    DataError
        If a column does not exist, has no value at all, or groups rows and is incomplete.

    Notes
    -----
    The test of dropout asks whether units leave more often after high or low outcomes; it cannot
    show whether leaving depends on the outcome that was not observed.

    Examples
    --------
    >>> import ranef
    >>> sleep = ranef.datasets.load("sleepstudy")
    >>> sleep.loc[[3, 17, 40], "Reaction"] = float("nan")
    >>> report = ranef.missing_report("Reaction ~ Days + (Days | Subject)", sleep, time="Days")
    >>> report.missing.to_dict()
    {'Reaction': 3, 'Days': 0}
    >>> report.complete
    177
    """
    return report_of(formula, data, time)
