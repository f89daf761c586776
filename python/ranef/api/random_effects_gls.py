"""Random-effects least squares with variances by the method of moments."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from .._typing import Missing
from ..fitted.panel.call import RandomEffectsCall
from ..fitted.panel.random_effects import RandomEffectsGLS, fit_model
from ..formula import with_functions
from ..words.answers import answering

__all__ = ["random_effects_gls"]


@answering
def random_effects_gls(
    formula: str,
    data: Any,
    *,
    groups: str,
    time: str | None = None,
    contrasts: Any = None,
    missing: Missing = "drop",
    functions: Mapping[str, Callable[..., Any]] | None = None,
    trust_formula: bool = False,
) -> RandomEffectsGLS:
    """Fit least squares with random effects, as panel econometrics does.

    Parameters
    ----------
    formula : str
        A formula without random-effects terms.
    data : DataFrame
        pandas, polars or Arrow table, or a mapping of columns.
    groups : str
        The column of units.
    time : str, optional
        A second column, of periods, with random effects of its own.
    contrasts : mapping, optional
        Coding of categorical columns, by name.
    missing : {"drop", "raise"}
        What to do with rows that have missing values.
    functions : mapping of str to callable, optional
        Functions of your own that the formula may call, by name: ``{"f": f}``.
    trust_formula : bool
        Allow any Python in the formula, for formulas that you wrote yourself. By default a formula
        can use only the language of formulas and ``functions``.

    Returns
    -------
    RandomEffectsGLS

    Notes
    -----
    The variances are Swamy and Arora's, for unbalanced panels as well [1]_. Given these, the
    estimate is exact generalised least squares: that of a mixed model with random intercepts,
    evaluated at these variances instead of the maximum likelihood ones. With two factors on an
    unbalanced panel, R's plm transforms the data approximately and so differs.

    References
    ----------
    .. [1] Baltagi and Chang (1994), J. Econometrics 62, 67-89.

    Examples
    --------
    >>> import ranef
    >>> sleep = ranef.datasets.load("sleepstudy")
    >>> fit = ranef.random_effects_gls("Reaction ~ Days", sleep, groups="Subject")
    >>> fit.variances.round(1).to_dict()
    {'Subject': 1378.2, 'Residual': 960.5}
    """
    formula = with_functions(formula, functions, trust_formula)
    call = RandomEffectsCall(str(formula), groups, time, contrasts, missing)
    return fit_model(call, data)
