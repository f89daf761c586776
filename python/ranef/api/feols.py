"""Least squares, pooled or with absorbed fixed effects, from a formula and a frame."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..design import INTERCEPT, Design
from ..design.grouped import build_grouped, group_term
from ..errors import DroppedRowsWarning, FormulaError, ModelError, RanefWarning, RankWarning
from ..fitted.feols.model import FeolsCall, FixedEffectsModel
from ..formula import Formula, parse
from ..models.ols import ABSORB_FLOOR, fit_ols
from ..models.within import Absorption, WithinEstimate, fit_within

__all__ = ["feols"]


def feols(
    formula: str,
    data: Any,
    *,
    absorb: str | Sequence[str] | None = None,
    cluster: str | Sequence[str] | None = None,
    vcov: str | None = None,
    ssc: str = "fixest",
    weights: Any = None,
    offset: Any = None,
    contrasts: Any = None,
    missing: str = "drop",
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
    absorbed, clusters = _names(absorb), _names(cluster)
    parsed = check_formula(parse(formula), "feols")
    call = FeolsCall(
        str(formula), absorbed, clusters, vcov, ssc, weights, offset, contrasts, missing
    )
    design = build_grouped(
        parsed,
        data,
        [*absorbed, *clusters],
        weights=weights,
        offset=offset,
        contrasts=contrasts,
        missing=missing,
    )
    fitted = fit_design(design, absorbed)
    found = tuple(dropped_rows(design)) + tuple(aliased_columns(design, fitted))
    for warning in found:
        warnings.warn(warning, stacklevel=2)
    return FixedEffectsModel(design, fitted, call, data, found)


def check_formula(formula: Formula, function: str) -> Formula:
    """Refuse random-effects terms."""
    if formula.random:
        bar = formula.random[0]
        raise FormulaError(
            f"{function} has no random effects; use ranef.lmer, or take the term out",
            formula.text,
            bar.start,
            bar.stop,
        )
    return formula


def _names(asked: str | Sequence[str] | None) -> tuple[str, ...]:
    """Turn one name, several or none into a tuple."""
    if asked is None:
        return ()
    names = (asked,) if isinstance(asked, str) else tuple(asked)
    if not all(isinstance(name, str) for name in names):
        raise TypeError(
            "absorb and cluster take names of columns; model.robust takes clusters as an array too"
        )
    return tuple(dict.fromkeys(names))


@dataclass(frozen=True)
class Fitted:
    """A fit and the matrices that inference needs.

    Attributes
    ----------
    positions : tuple of int
        Columns of the design's X that were fitted: without the constant after absorption.
    within : WithinEstimate
        The fit.
    absorption : Absorption or None
        What was absorbed.
    """

    positions: tuple[int, ...]
    within: WithinEstimate
    absorption: Absorption | None


def fit_design(design: Design, absorbed: Sequence[str]) -> Fitted:
    """Fit a design, absorbing some of its grouping columns."""
    if not absorbed:
        return Fitted(tuple(range(len(design.fixed))), _pooled(design), None)
    absorption = absorption_of(design, absorbed)
    positions = tuple(j for j, column in enumerate(design.fixed) if column != INTERCEPT)
    X = np.asfortranarray(design.X[:, positions])
    within = fit_within(design.y, X, absorption, design.weights, design.offset)
    if within.tss_within <= (ABSORB_FLOOR * ABSORB_FLOOR) * within.tss:
        raise ModelError(
            f"absorbing {' and '.join(absorbed)} explains {design.response!r} completely: it is "
            "constant within their levels, or a sum of their effects"
        )
    if not within.ols.kept.any():
        told = "; ".join(
            f"{design.fixed_names[positions[j]]!r} is {reason}"
            for j, reason in within.aliased.items()
        )
        raise ModelError(
            f"nothing is left to estimate after absorbing {' and '.join(absorbed)}"
            f"{': ' + told if told else ', for the formula has a constant only'}"
        )
    return Fitted(positions, within, absorption)


def absorption_of(design: Design, names: Sequence[str]) -> Absorption:
    """Collect the codes of absorbed factors."""
    terms = [group_term(design, name) for name in names]
    return Absorption(
        tuple(names),
        np.asfortranarray(np.column_stack([term.codes for term in terms])),
        np.array([term.n_levels for term in terms], np.int32),
    )


def _pooled(design: Design) -> WithinEstimate:
    """Fit without absorption."""
    ols = fit_ols(design.y, design.X, design.weights, design.offset)
    w = np.ones(design.n_obs) if design.weights is None else design.weights
    target = design.y if design.offset is None else design.y - design.offset
    constant = INTERCEPT in design.fixed
    total = float(w @ (target - (w @ target) / w.sum() * constant) ** 2)
    reasons = {int(j): "a combination of the columns before it" for j in np.flatnonzero(~ols.kept)}
    return WithinEstimate(ols, 0, total, total, reasons)


def dropped_rows(design: Design) -> list[RanefWarning]:
    """Say which rows were left out."""
    if not design.dropped:
        return []
    lost = design.n_data - design.n_obs
    where = ", ".join(f"{column} ({count})" for column, count in design.dropped.items())
    return [
        DroppedRowsWarning(
            f"{lost} of {design.n_data} rows are left out because values are missing in {where}"
        )
    ]


def aliased_columns(design: Design, fitted: Fitted) -> list[RanefWarning]:
    """Say which columns have no coefficient, and why."""
    told = [
        f"{design.fixed_names[fitted.positions[j]]!r} is {reason}"
        for j, reason in fitted.within.aliased.items()
    ]
    return [RankWarning("no coefficient can be estimated: " + "; ".join(told))] if told else []
