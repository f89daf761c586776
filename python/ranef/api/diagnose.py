"""Look for trouble in a model and its data, before and after the fit."""

from __future__ import annotations

from typing import Any

from ..report.findings import Diagnosis
from ..trust.diagnosis import diagnosis_of
from ..words.answers import answering

__all__ = ["diagnose"]


@answering
def diagnose(model: Any, data: Any = None, *, seed: int = 1, simulations: int = 99) -> Diagnosis:
    """Look for problems of a model in the data, the formula and the fit.

    Parameters
    ----------
    model : fitted model or str
        A fitted model of any kind, or a formula whose linear model is not fitted yet.
    data : DataFrame, optional
        The data of a formula; for a model that was unpickled, to count missing rows by group.
    seed : int
        Of the simulated fits behind the chance of a zero variance and the scores of residuals.
    simulations : int
        Number of simulated fits that residuals are compared with, 19 or more; 0 leaves them out.

    Returns
    -------
    Diagnosis
        Findings with code, severity, evidence, advice and a line of code, worst first, and what
        was looked at and what was not.
        ``ranef.help(code)`` explains a code.

    Notes
    -----
    For a model fitted from chunks, whose rows are gone, only the fit, the number of levels and
    aliased columns are checked; pass a sample of rows to ``diagnose(formula, frame)`` for the rest.

    Examples
    --------
    >>> import ranef
    >>> pre_post = {"y": [1.0, 2, 2, 4, 3, 3], "t": [0, 1] * 3, "id": [1, 1, 2, 2, 3, 3]}
    >>> ranef.diagnose("y ~ t + (t | id)", pre_post).codes
    ['effects-as-many-as-rows', 'few-levels', 'ordered-response']
    """
    return diagnosis_of(model, data, seed=seed, simulations=simulations)
