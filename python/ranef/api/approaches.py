"""Approaches to grouped data, side by side."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from ..comparison.approaches import (
    ANSWERS,
    Approaches,
    check_identities,
    marginal_text,
    mixed_text,
    rows_of,
    side_by_side,
)
from ..comparison.approaches_generalised import GENERALISED, fits_of, identities_of, tables_of
from ..families import is_normal
from ..fitted.panel.split import with_intercept_of
from ..formula import parse, with_functions
from ..words.answers import answering
from .feols import feols
from .gee import gee
from .lmer import lmer
from .lmlist import lmlist
from .within_between import within_between

__all__ = ["approaches"]


@answering
def approaches(
    formula: str,
    data: Any,
    groups: str,
    *,
    family: str = "gaussian",
    time: str | None = None,
    contrasts: Any = None,
    functions: Mapping[str, Callable[..., Any]] | None = None,
    trust_formula: bool = False,
) -> Approaches:
    """Compare approaches to grouped data side by side.

    Parameters
    ----------
    formula : str
        A formula; its random-effects terms, if any, are those of the mixed model, which otherwise
        has a random intercept.
    data : DataFrame
        pandas, polars or Arrow table, or a mapping of columns.
    groups : str
        The grouping column.
    family : str
        Distribution of the response: "gaussian", or as of :func:`ranef.glmer` "binomial",
        "poisson", "gamma" or "negative_binomial"; approaches that have it not are left out.
    time : str, optional
        The column that orders the rows of a group, for GEE.
    contrasts : mapping, optional
        Coding of categorical columns, by name.
    functions : mapping of str to callable, optional
        Functions of your own that the formula may call, by name: ``{"f": f}``.
    trust_formula : bool
        Allow any Python in the formula, for formulas that you wrote yourself. By default a formula
        can use only the language of formulas and ``functions``.

    Returns
    -------
    Approaches

    Notes
    -----
    Cluster-robust standard errors are CR2 with Satterthwaite's degrees of freedom, so that they are
    not too small with few groups; those of conditional logistic regression have groups minus one.

    Coefficients of generalised models are on the scale of the link, and the approaches differ in
    what they estimate, not in error alone: a logit of one group is further from zero than that of
    the population.

    Examples
    --------
    >>> import ranef
    >>> sleep = ranef.datasets.load("sleepstudy")
    >>> side = ranef.approaches("Reaction ~ Days", sleep, "Subject")
    >>> side.table.loc["fixed effects", "estimate"].round(3).to_dict()
    {'Days': 10.467}
    >>> bool(side.identities["holds"].all())
    True
    >>> cake = ranef.datasets.load("cake")
    >>> many = cake.assign(good=cake["angle"] > 32)
    >>> side = ranef.approaches("good ~ temp", many, "replicate", family="binomial")
    >>> slopes = side.table["estimate"].xs("temp", level=1)
    >>> slopes[["GLM", "fixed effects", "mixed model"]].round(3).to_dict()
    {'GLM': 0.046, 'fixed effects': 0.068, 'mixed model': 0.068}
    """
    formula = with_functions(formula, functions, trust_formula)
    mixed = with_intercept_of(parse(formula), groups)
    if not is_normal(family):
        runs = fits_of(mixed, data, groups, family, time, contrasts)
        return side_by_side(
            runs,
            GENERALISED,
            lambda models: tables_of(models, groups),
            lambda models: identities_of(models, mixed, data, groups, contrasts),
        )
    plain = marginal_text(mixed)
    same = {"contrasts": contrasts}
    runs = {
        "OLS": lambda: feols(plain, data, cluster=groups, vcov="CR0", **same),
        "per-group fits": lambda: lmlist(plain, data, groups, **same),
        "fixed effects": lambda: feols(plain, data, absorb=groups, **same),
        "between-within": lambda: within_between(mixed_text(mixed), data, groups, **same),
        "GEE": lambda: gee(plain, data, groups=groups, time=time, **same),
        "mixed model": lambda: lmer(mixed_text(mixed), data, **same),
    }
    return side_by_side(
        runs,
        ANSWERS,
        lambda models: rows_of(models, groups),
        lambda models: check_identities(models, mixed, data, groups, contrasts),
    )
