"""Approaches to grouped data, side by side."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping
from typing import Any

import pandas as pd

from .._caller import warn_caller
from ..comparison.approaches import (
    ANSWERS,
    Approaches,
    check_identities,
    marginal_text,
    mixed_text,
    rows_of,
)
from ..errors import DroppedRowsWarning, RanefError, RanefWarning
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
    not too small with few groups.

    Examples
    --------
    >>> import ranef
    >>> sleep = ranef.datasets.load("sleepstudy")
    >>> side = ranef.approaches("Reaction ~ Days", sleep, "Subject")
    >>> side.table.loc["fixed effects", "estimate"].round(3).to_dict()
    {'Days': 10.467}
    >>> bool(side.identities["holds"].all())
    True
    """
    formula = with_functions(formula, functions, trust_formula)
    mixed = with_intercept_of(parse(formula), groups)
    plain = marginal_text(mixed)
    same = {"contrasts": contrasts}
    runs: dict[str, Callable[[], Any]] = {
        "OLS": lambda: feols(plain, data, cluster=groups, vcov="CR0", **same),
        "per-group fits": lambda: lmlist(plain, data, groups, **same),
        "fixed effects": lambda: feols(plain, data, absorb=groups, **same),
        "between-within": lambda: within_between(mixed_text(mixed), data, groups, **same),
        "GEE": lambda: gee(plain, data, groups=groups, time=time, **same),
        "mixed model": lambda: lmer(mixed_text(mixed), data, **same),
    }
    models, skipped = {}, {}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RanefWarning)
        for name, run in runs.items():
            try:
                models[name] = run()
            except RanefError as error:
                if name in ("OLS", "mixed model"):
                    raise
                skipped[name] = str(error)
    told = models["mixed model"].warnings
    for warning in told:
        if isinstance(warning, DroppedRowsWarning):
            warn_caller(warning)
    tables = rows_of(models, groups)
    answers = pd.DataFrame(
        [ANSWERS[name] for name in tables],
        index=pd.Index(tables),
        columns=["answers", "cannot tell"],
    )
    identities = check_identities(models, mixed, data, groups, contrasts)
    return Approaches(pd.concat(tables), answers, identities, skipped, models, told)
