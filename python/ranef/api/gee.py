"""Generalised estimating equations from a formula and a frame."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from .._typing import Missing
from ..fitted.gee.call import GEECall
from ..fitted.gee.model import GEEModel, fit_model
from ..formula import with_functions
from ..words.answers import answering

__all__ = ["gee"]


@answering
def gee(
    formula: str,
    data: Any,
    *,
    groups: str,
    time: str | None = None,
    family: str = "gaussian",
    link: str | None = None,
    corr: Any = "exchangeable",
    vcov: str = "robust",
    weights: Any = None,
    offset: Any = None,
    contrasts: Any = None,
    missing: Missing = "drop",
    functions: Mapping[str, Callable[..., Any]] | None = None,
    trust_formula: bool = False,
) -> GEEModel:
    """Fit a marginal model by generalised estimating equations.

    Parameters
    ----------
    formula : str
        A formula without random-effects terms.
    data : DataFrame
        pandas, polars or Arrow table, or a mapping of columns; rows may come in any order.
    groups : str
        The column whose levels are independent of each other, or ``a:b``.
    time : str, optional
        The column that orders the rows of a group and measures their distances; by default rows
        count 1, 2, ... in the order of the data, so gaps go unnoticed.
    family : {"gaussian", "binomial", "poisson", "gamma"}
        How the variance depends on the mean. A binomial response is 0/1, a proportion with
        ``weights`` its trials, or has two levels, the first a failure.
    link : {"identity", "logit", "probit", "cloglog", "log", "inverse"}, optional
        The link; by default identity, logit, log, inverse, in the order of the families.
    corr : str or array_like of shape (T, T)
        Working correlation: "independence", "exchangeable", "ar1" (correlation to the power of the
        distance in time), "1-dependent", "2-dependent", ... (one parameter per step,
        zero beyond), "unstructured", or a correlation matrix with a row for each of the T
        times.
    vcov : {"robust", "naive", "jackknife", "mancl-derouen", "kauermann-carroll"}
        Covariance of the coefficients, see `GEEModel.robust`.
    weights : str or array_like, optional
        Prior weights above zero, Var(y_i) = phi V(mu_i) / w_i.
    offset : str or array_like, optional
        Known part of the linear predictor, added to any ``offset()`` of the formula.
    contrasts : mapping, optional
        Coding of categorical columns, by name.
    missing : {"drop", "raise"}
        What to do with rows that have missing values in a column that is used.
    functions : mapping of str to callable, optional
        Functions of your own that the formula may call, by name: ``{"f": f}``.
    trust_formula : bool
        Allow any Python in the formula, for formulas that you wrote yourself. By default a formula
        can use only the language of formulas and ``functions``.

    Returns
    -------
    GEEModel

    Raises
    ------
    DataError
        If a time occurs twice in a group, or the response is outside the family's range.
    FitError
        If the working correlation is not a correlation matrix at its estimate, or no means are in
        range.

    Warns
    -----
    DroppedRowsWarning, RankWarning, ConvergenceWarning
        Each is also kept in ``GEEModel.warnings``.

    References
    ----------
    .. [1] Liang and Zeger (1986), Biometrika 73, 13-22.

    Examples
    --------
    >>> import ranef
    >>> sleep = ranef.datasets.load("sleepstudy")
    >>> model = ranef.gee("Reaction ~ Days", sleep, groups="Subject")
    >>> model.params.round(3).to_dict()
    {'Intercept': 251.405, 'Days': 10.467}
    """
    formula = with_functions(formula, functions, trust_formula)
    call = GEECall(
        str(formula), groups, time, family, link, corr, vcov, weights, offset, contrasts, missing
    )
    return fit_model(call, data)
