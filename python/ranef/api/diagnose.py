"""Look for trouble in a model and its data, before and after the fit."""

from __future__ import annotations

from typing import Any

from ..fitted.kinds import Model
from ..report.findings import Diagnosis
from ..trust.diagnosis import diagnosis_of
from ..words.answers import answering

__all__ = ["diagnose"]


@answering
def diagnose(model: Model | str, data: Any = None, *, seed: int = 1) -> Diagnosis:
    """Find what endangers a model: in the data, the formula and the fit.

    Parameters
    ----------
    model : LinearMixedModel, GeneralizedLinearMixedModel or str
        A fitted model, or a formula whose linear model is not fitted yet.
    data : DataFrame, optional
        The data of a formula; for a model that was unpickled, to count missing rows by group.
    seed : int
        Of the simulated fits behind the chance of a zero variance.

    Returns
    -------
    Diagnosis
        Findings with code, severity, evidence, advice and a line of code, worst first.
        ``ranef.help(code)`` explains a code.

    Notes
    -----
    Of a model fitted from chunks, whose rows are gone, only the fit, the number of levels and
    aliased columns are looked at; give ``diagnose(formula, frame)`` a sample of rows for the rest.

    Examples
    --------
    >>> import ranef
    >>> pre_post = {"y": [1.0, 2, 2, 4, 3, 3], "t": [0, 1] * 3, "id": [1, 1, 2, 2, 3, 3]}
    >>> ranef.diagnose("y ~ t + (t | id)", pre_post).codes
    ['effects-as-many-as-rows', 'few-levels']
    """
    return diagnosis_of(model, data, seed=seed)
