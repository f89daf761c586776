"""Linear models with correlated, unequal residuals from a formula and a frame."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from .._typing import Corr, Missing
from ..fitted.gls.fit import checked_corr
from ..fitted.gls.model import GLSCall, GLSModel, fit_model
from ..formula import with_functions
from ..models.lmm import Control
from ..words.answers import answering

__all__ = ["gls"]


@answering
def gls(
    formula: str,
    data: Any,
    *,
    groups: str | None = None,
    time: str | None = None,
    corr: Corr = "independence",
    variance: str | None = None,
    reml: bool = True,
    weights: Any = None,
    offset: Any = None,
    contrasts: Any = None,
    missing: Missing = "drop",
    control: Control | None = None,
    functions: Mapping[str, Callable[..., Any]] | None = None,
    trust_formula: bool = False,
) -> GLSModel:
    """Fit a linear model whose residuals are correlated within groups, or vary unequally.

    Parameters
    ----------
    formula : str
        The mean. Random-effects terms such as ``(1 | g)`` are random effects in addition to the
        correlated residuals; their grouping factors and ``groups`` must be nested in one another.
    data : DataFrame
        pandas, polars or Arrow table, or a mapping of columns; rows may come in any order.
    groups : str, optional
        The column whose levels group the correlated rows, or ``a:b``.
    time : str, optional
        The column that orders the rows of a group and measures their distances; by default rows
        count 0, 1, 2, ... in the order of the data, so gaps go unnoticed.
    corr : {"independence", "exchangeable", "ar1", "car1", "toeplitz", "unstructured"}
        Correlation of the residuals of a group: none; one for all pairs; phi to the power of the
        distance in time, for whole numbers (phi may be negative) or any times (phi above zero); one
        for each number of steps between evenly spaced times; one for each pair of times.
    variance : str, optional
        A column each level of which has its own residual standard deviation; or ``"~ terms"``,
        whose columns the logarithm of the standard deviation is linear in: ``"~ x"`` makes it
        exp(x) to a power, ``"~ np.log(x)"`` x to a power. By default all are equal.
    reml : bool
        Restricted maximum likelihood, or maximum likelihood.
    weights : str or array_like, optional
        Precision weights: the variance of a residual is divided by them.
    offset : str or array_like, optional
        Known part of the mean, added to any ``offset()`` of the formula.
    contrasts : mapping, optional
        Coding of categorical columns, by name.
    missing : {"drop", "raise"}
        What to do with rows that have missing values in a column that is used.
    control : Control, optional
        Settings of the search.
    functions : mapping of str to callable, optional
        Functions of your own that the formula may call, by name: ``{"f": f}``.
    trust_formula : bool
        Allow any Python in the formula, for formulas that you wrote yourself. By default a formula
        can use only the language of formulas and ``functions``.

    Returns
    -------
    GLSModel

    Raises
    ------
    DataError
        If a time occurs twice in a group, or is not a whole number for "ar1".
    ModelError
        If the parameters are not identified: a correlation that no group has rows for, as
        many times as groups with "unstructured", or a term equivalent to the correlation.
    UnsupportedError
        If grouping factors cross each other.

    Warns
    -----
    DroppedRowsWarning, RankWarning, SingularFitWarning, ConvergenceWarning
        Each is also kept in ``GLSModel.warnings``.

    Notes
    -----
    y_i ~ N(X_i beta, Z_i Sigma Z_i' + sigma^2 S_i C_i S_i), C_i the correlation and S_i relative
    standard deviations [1]_. The likelihood is that of nlme's ``gls`` and ``lme``, with the
    constants of :func:`ranef.lmer`; BIC counts rows. nlme enlarges standard errors by
    sqrt(n / (n - p)) under maximum likelihood, which ranef does not.

    References
    ----------
    .. [1] Pinheiro and Bates (2000), Mixed-Effects Models in S and S-PLUS, chapter 5.

    Examples
    --------
    >>> import ranef
    >>> sleep = ranef.datasets.load("sleepstudy")
    >>> model = ranef.gls("Reaction ~ Days", sleep, groups="Subject", time="Days", corr="ar1")
    >>> model.correlation.round(3).to_dict()
    {'phi': 0.8}
    """
    formula = with_functions(formula, functions, trust_formula)
    call = GLSCall(
        formula=str(formula),
        groups=groups,
        time=time,
        corr=checked_corr(corr, groups),
        variance=variance,
        reml=reml,
        weights=weights,
        offset=offset,
        contrasts=contrasts,
        missing=missing,
        control=Control.of(control),
    )
    return fit_model(call, data)
