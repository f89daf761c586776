"""Least squares in each group on its own, and what a mixed model makes of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from .._counted import counted
from ..design.grouped import build_grouped, group_term
from ..design.snapshot import snapshot
from ..errors import ModelError
from ..fitted.feols.fit import check_formula
from ..fitted.lmlist import GroupFits, Mixed
from ..fitted.warned import dropped_rows, tell
from ..formula import Bar, like, parse, with_functions
from ..models.ols_groups import fit_by_group
from ..words.answers import answering

__all__ = ["lmlist"]


@answering
def lmlist(
    formula: str,
    data: Any,
    groups: str,
    *,
    weights: Any = None,
    contrasts: Any = None,
    missing: str = "drop",
    functions: Mapping[str, Callable[..., Any]] | None = None,
    trust_formula: bool = False,
) -> GroupFits:
    """Fit least squares in each group separately.

    Parameters
    ----------
    formula : str
        A formula without random-effects terms.
    data : DataFrame
        pandas, polars or Arrow table, or a mapping of columns.
    groups : str
        The grouping column.
    weights : str or array_like, optional
        Precision weights.
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
    GroupFits

    Raises
    ------
    ModelError
        If no group has more rows than coefficients.

    Warns
    -----
    DroppedRowsWarning
        If rows have missing values; a group without other rows has no fit.

    Examples
    --------
    >>> import ranef
    >>> sleep = ranef.datasets.load("sleepstudy")
    >>> fits = ranef.lmlist("Reaction ~ Days", sleep, "Subject")
    >>> fits.coef().mean().round(3).to_dict()
    {'Intercept': 251.405, 'Days': 10.467}
    """
    formula = with_functions(formula, functions, trust_formula)
    parsed = check_formula(parse(formula), "lmlist")
    design = build_grouped(
        parsed, data, [groups], weights=weights, contrasts=contrasts, missing=missing
    )
    tell(tuple(dropped_rows(design)))
    term = group_term(design, groups)
    X, y, w = design.X, design.y, design.weights
    if design.offset is not None:
        y = y - design.offset
    fits = fit_by_group(y, X, term.codes, w)
    if not (fits.df_resid > 0).any():
        raise ModelError(
            f"no group of {groups!r} has more rows than the formula's "
            f"{counted(X.shape[1], 'coefficient')}"
        )
    columns = design.encoder.groupings[0].names
    every = Bar(parsed.fixed, parsed.terms, groups, columns, uncorrelated=False)
    options = {"weights": weights, "contrasts": contrasts, "missing": missing}
    mixed = Mixed(like(f"{parsed.text} + {every.source()}", parsed), options)
    return GroupFits(groups, term.levels, design.fixed_names, fits, mixed, snapshot(data))
