"""Mixed models that tell effects within groups from effects between them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from .._typing import Form, Missing
from ..fitted.panel.call import WithinBetweenCall
from ..fitted.panel.within_between import WithinBetweenModel, fit_model
from ..formula import with_functions
from ..words.answers import answering

__all__ = ["within_between"]


@answering
def within_between(
    formula: str,
    data: Any,
    groups: str,
    *,
    form: Form = "hybrid",
    family: str = "gaussian",
    link: str | None = None,
    nagq: int = 1,
    reml: bool | None = None,
    weights: Any = None,
    contrasts: Any = None,
    missing: Missing = "drop",
    functions: Mapping[str, Callable[..., Any]] | None = None,
    trust_formula: bool = False,
) -> WithinBetweenModel:
    """Fit a mixed model in which each column has an effect within groups and one between them.

    Parameters
    ----------
    formula : str
        A formula; a random intercept of the groups is added if it has no random-effects term.
    data : DataFrame
        pandas, polars or Arrow table, or a mapping of columns.
    groups : str
        The grouping column.
    form : {"hybrid", "mundlak"}
        "hybrid": deviations from group means and group means. "mundlak": the columns themselves and
        group means, whose coefficients are then the differences between the two effects.
    family : str
        Distribution of the response, as of :func:`ranef.glmer`: "binomial", "poisson", "gamma" or
        "negative_binomial"; a linear mixed model by default.
    link : str, optional
        Link of the mean; the usual one of the family by default.
    nagq : int
        Points of the quadrature of a generalised model; 1 is Laplace's approximation.
    reml : bool, optional
        Whether to maximise the restricted likelihood; of linear models alone by default.
    weights : str or array_like, optional
        Precision weights; trials of a binomial response, frequencies of other families.
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
    WithinBetweenModel

    Notes
    -----
    Columns that are constant within groups have one coefficient, between; columns whose group means
    are all equal have one within. The coefficients within are those of fixed-effects least squares
    when the only random effect is the groups' intercept.

    With a link that is not the identity the split is on the scale of the linear predictor, and
    coefficients within are close to those of :func:`ranef.feglm`, not the same [3]_: they trust the
    normal distribution of what the group means leave of the groups' effects.

    References
    ----------
    .. [1] Mundlak (1978), Econometrica 46, 69-85.
    .. [2] Bell and Jones (2015), Polit. Sci. Res. Methods 3, 133-153.
    .. [3] Brumback, Dailey, Brumback, Livingston and He (2010), Stat. Probab. Lett. 80, 1650-1654.

    Examples
    --------
    >>> import ranef
    >>> cake = ranef.datasets.load("cake")
    >>> model = ranef.within_between("angle ~ temp", cake, "replicate")
    >>> list(model.params.index)
    ['Intercept', 'temp within']
    >>> many = cake.assign(good=cake["angle"] > 32)
    >>> model = ranef.within_between("good ~ temp", many, "replicate", family="binomial")
    >>> model.params.round(3).to_dict()
    {'Intercept': -0.359, 'temp within': 0.068}
    """
    formula = with_functions(formula, functions, trust_formula)
    call = WithinBetweenCall(
        str(formula), groups, form, reml, weights, contrasts, missing, family, link, nagq
    )
    return fit_model(call, data)
