"""Generalised linear models with absorbed fixed effects, from a formula and a frame."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from .._typing import Missing, Ssc
from ..families import find
from ..fitted.feglm.call import FeglmCall
from ..fitted.feglm.model import GeneralizedFixedEffectsModel, fit_model
from ..fitted.feols.fit import names
from ..formula import with_functions
from ..words.answers import answering

__all__ = ["feglm"]


@answering
def feglm(
    formula: str,
    data: Any,
    *,
    family: str,
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
) -> GeneralizedFixedEffectsModel:
    """Fit counts or yes and no with absorbed factors: what :func:`ranef.feols` is to a measure.

    Parameters
    ----------
    formula : str
        A formula without random-effects terms.
    data : DataFrame
        pandas, polars or Arrow table, or a mapping of columns.
    family : {"poisson", "binomial"}
        Distribution of the response, with its usual link: log and logit.
    absorb : str or sequence of str, optional
        Factors whose effects are taken out: columns, or ``a:b`` for combinations. A binomial model
        absorbs one, by conditional logistic regression.
    cluster : str or sequence of str, optional
        Clusters of the standard errors; several make them robust to each.
    vcov : str, optional
        Covariance of the coefficients: "iid" (the default without clusters, by the curvature of
        the likelihood), HC0, HC1, HC2, HC3, or with clusters CR0, CR1, CR1S (the default then),
        CR2, CR3.
    ssc : {"fixest", "stata", "clubSandwich"}
        Small-sample convention of CR1S, see :func:`ranef.feols`.
    weights : str or array_like, optional
        Frequencies of the rows; trials of a binomial response that is a share.
    offset : str or array_like, optional
        Known part of the linear predictor, such as the logarithm of an exposure.
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
    GeneralizedFixedEffectsModel

    Raises
    ------
    ModelError
        If the absorbed factors leave nothing of any regressor, or the responses do not vary within
        any level.

    Warns
    -----
    DroppedRowsWarning, RankWarning, ConvergenceWarning
        Each is also kept in ``GeneralizedFixedEffectsModel.warnings``.

    Notes
    -----
    Counts have an effect for each level, which does not bias the coefficients: their estimates are
    also those of the likelihood given the sums of the levels [1]_. Effects of many small levels do
    bias a logit, so a binomial model maximises the likelihood given the number of successes of
    each level, exactly [2]_. Levels whose responses are all zero (of a binomial model, all alike)
    say nothing; neither do rows of zeros that a column separates from all others [3]_. They are
    left out, and counted in a warning. Coefficients are differences within levels, on the scale of
    the link: those of counts are logarithms of ratios of means, those of a binomial model of
    ratios of odds.

    With clusters the tests have G - 1 degrees of freedom (CR2 and CR3 of counts Satterthwaite's),
    otherwise they are normal.

    References
    ----------
    .. [1] Hausman, Hall and Griliches (1984), Econometrica 52, 909-938.
    .. [2] Chamberlain (1980), Rev. Econ. Stud. 47, 225-238.
    .. [3] Correia, Guimaraes and Zylkin (2020), Stata J. 20, 95-115.

    Examples
    --------
    >>> import ranef
    >>> cbpp = ranef.datasets.load("cbpp")
    >>> model = ranef.feglm(
    ...     "incidence ~ period + offset(np.log(size))", cbpp, family="poisson", absorb="herd"
    ... )
    >>> model.params.round(3).to_dict()
    {'period[T.2]': -0.73, 'period[T.3]': -0.851, 'period[T.4]': -1.249}
    """
    formula = with_functions(formula, functions, trust_formula)
    call = FeglmCall(
        str(formula),
        find(family, "feglm").name,
        names(absorb),
        names(cluster),
        vcov,
        ssc,
        weights,
        offset,
        contrasts,
        missing,
    )
    return fit_model(call, data)
