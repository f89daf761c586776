"""Least squares, pooled or with absorbed fixed effects, from a formula and a frame."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from .._typing import Missing, Ssc
from ..fitted.feols.fit import names
from ..fitted.feols.model import FeolsCall, FixedEffectsModel, fit_model
from ..formula import with_functions
from ..words.answers import answering

__all__ = ["feols"]


@answering
def feols(
    formula: str,
    data: Any,
    *,
    absorb: str | Sequence[str] | None = None,
    cluster: str | Sequence[str] | None = None,
    vcov: str | None = None,
    ssc: Ssc = "fixest",
    weights: Any = None,
    offset: Any = None,
    contrasts: Any = None,
    missing: Missing = "drop",
    functions: Mapping[str, Callable[..., Any]] | None = None,
    trust_formula: bool = False,
) -> FixedEffectsModel:
    """Fit least squares, with any number of absorbed factors.

    Parameters
    ----------
    formula : str
        A formula without random-effects terms.
    data : DataFrame
        pandas, polars or Arrow table, or a mapping of columns.
    absorb : str or sequence of str, optional
        Factors whose effects are taken out: columns, or ``a:b`` for combinations.
    cluster : str or sequence of str, optional
        Clusters of the standard errors; several make them robust to each.
    vcov : str, optional
        Covariance of the coefficients: "iid" (the default without clusters), HC0, HC1, HC2, HC3, or
        with clusters CR0, CR1, CR1S (the default then), CR2, CR3.
    ssc : {"fixest", "stata", "clubSandwich"}
        Small-sample convention of CR1S and of the degrees of freedom, see Notes.
    weights : str or array_like, optional
        Weights above zero: a column or one value for each row.
    offset : str or array_like, optional
        Known part of the mean.
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
    FixedEffectsModel

    Raises
    ------
    ModelError
        If the absorbed factors leave nothing of any regressor, or there is one cluster only.

    Warns
    -----
    DroppedRowsWarning, RankWarning
        Each is also kept in ``FixedEffectsModel.warnings``.

    Notes
    -----
    CR1S multiplies CR0 by G / (G - 1) and (n - 1) / (n - K). K counts the coefficients and, by
    convention, of the absorbed effects: none ("clubSandwich"), all ("stata", as areg), or all but
    those nested in a cluster variable, which count one for each factor ("fixest"). The first two
    conventions test on G - 1 degrees of freedom, the smallest G of several; "clubSandwich", and CR2
    and CR3 under any convention, on Satterthwaite's.

    Examples
    --------
    >>> import ranef
    >>> sleep = ranef.datasets.load("sleepstudy")
    >>> model = ranef.feols("Reaction ~ Days", sleep, absorb="Subject", cluster="Subject")
    >>> model.params.round(3).to_dict()
    {'Days': 10.467}
    """
    formula = with_functions(formula, functions, trust_formula)
    call = FeolsCall(
        str(formula), names(absorb), names(cluster), vcov, ssc, weights, offset, contrasts, missing
    )
    return fit_model(call, data)
