"""Latent growth curve models from long data."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np

from ..design.structured import StructuredDesign, build_structured
from ..errors import DataError, ModelError
from ..fitted.growth.model import GrowthCall, GrowthModel
from ..formula import parse
from ..formula.terms import quoted
from ..models.gls.model import fit_gls, gls_model
from ..models.lmm import Control

__all__ = ["growth"]

SHAPES = {"intercept": 1, "linear": 2, "quadratic": 3}
RESIDUALS = ("equal", "free")
INFORMATION = ("expected", "observed")


def growth(
    outcome: str,
    data: Any,
    *,
    time: str,
    groups: str,
    shape: str = "linear",
    random: str | None = None,
    residuals: str = "equal",
    covariates: str | Sequence[str] = (),
    information: str | None = None,
    missing: str = "drop",
    control: Control | None = None,
) -> GrowthModel:
    """Fit a latent growth curve model by maximum likelihood.

    Parameters
    ----------
    outcome : str
        The column that grows, or an expression such as ``"np.log(y)"``.
    data : DataFrame
        Long data, a row an occasion. Rows of occasions that were missed are absent, or have a
        missing outcome; the other rows of their group count (full information).
    time : str
        A numeric column; the intercept is the level at time 0, the slope the change by one unit.
    groups : str
        The column that tells who grows.
    shape : {"linear", "quadratic", "intercept"}
        The mean curve's factors: intercept and slope, also time squared, or the intercept alone.
    random : {"intercept", "linear", "quadratic"}, optional
        Which factors vary between groups; by default all that ``shape`` has.
    residuals : {"equal", "free"}
        One residual variance, or one for each occasion.
    covariates : str or sequence of str
        Columns, constant within groups, that predict every factor.
    information : {"expected", "observed"}, optional
        What standard errors rest on: expected by default when every group has every occasion, and
        observed otherwise.
    missing : {"drop", "raise"}
        What to do with rows that have missing values in a column that is used.
    control : Control, optional
        Settings of the search.

    Returns
    -------
    GrowthModel

    Raises
    ------
    DataError
        If an occasion occurs twice in a group, a covariate varies within one, or time is not
        numeric.

    Notes
    -----
    y_it = a_i + b_i t + e_it, (a_i, b_i)' ~ N(alpha + Gamma x_i, Psi), e_it ~ N(0, theta_t): the
    mixed model ``lmer("y ~ t * x + (t | group)", reml=False)`` when all theta_t are equal, with the
    same likelihood. What comes from structural equation models is the view of the occasions as
    variables: their saturated model, against which fit is judged [1]_. AIC and BIC count groups.

    Psi is a covariance matrix: where another program reports a negative variance, the fit here
    stands at zero.

    References
    ----------
    .. [1] Curran, Obeidat and Losardo (2010), J. Cogn. Dev. 11(2), 121-136.

    Examples
    --------
    >>> import ranef
    >>> sleep = ranef.datasets.load("sleepstudy")
    >>> model = ranef.growth("Reaction", sleep, time="Days", groups="Subject")
    >>> model.params.round(1)
    intercept                251.4
    slope                     10.5
    Var(intercept)           565.5
    Cov(intercept, slope)     11.1
    Var(slope)                32.7
    Var(residual)            654.9
    dtype: float64
    """
    columns = (covariates,) if isinstance(covariates, str) else tuple(covariates)
    call = GrowthCall(
        outcome=outcome,
        time=time,
        groups=groups,
        shape=_option("shape", shape, tuple(SHAPES)),
        random=_option("random", shape if random is None else random, tuple(SHAPES)),
        residuals=_option("residuals", residuals, RESIDUALS),
        covariates=columns,
        information=information if information is None else _information(information),
        missing=missing,
        control=Control() if control is None else control,
    )
    if SHAPES[call.random] > SHAPES[call.shape]:
        raise ValueError(
            f"random={call.random!r} has factors that shape={call.shape!r} does not; the mean "
            "curve needs every factor that varies"
        )
    model = fit_call(call, data)
    for warning in model.warnings:
        warnings.warn(warning, stacklevel=2)
    return model


def _option(name: str, value: str, allowed: tuple[str, ...]) -> str:
    """Refuse a value that an option does not have."""
    if value not in allowed:
        raise ValueError(f"{name} must be one of {', '.join(map(repr, allowed))}, not {value!r}")
    return value


def _information(value: str) -> str:
    return _option("information", value, INFORMATION)


def fit_call(call: GrowthCall, data: Any) -> GrowthModel:
    """Fit as a call says, without giving its warnings."""
    rows = build_structured(
        parse(formula_of(call)),
        data,
        groups=call.groups,
        time=call.time,
        variance=call.time if call.residuals == "free" else None,
        missing=call.missing,
    )
    _check(rows, call)
    model = gls_model(rows, "independence")
    estimate = fit_gls(rows, model, reml=False, control=call.control)
    return GrowthModel(rows, estimate, call, model=model)


def powers(time: str, shape: str) -> list[str]:
    """Spell the columns of the factors after the intercept."""
    name = quoted(time)
    return [name, f"I({name} ** 2)"][: SHAPES[shape] - 1]


def formula_of(call: GrowthCall) -> str:
    """Spell the mixed model that a growth model is."""
    curve = powers(call.time, call.shape)
    effects = [quoted(x) for x in call.covariates]
    crossed = [f"{x}:{power}" for power in curve for x in effects]
    fixed = " + ".join(["1", *curve, *effects, *crossed])
    varying = " + ".join(["1", *powers(call.time, call.random)])
    return (
        f"{call.outcome} ~ {fixed} + ({varying} | {':'.join(map(quoted, call.groups.split(':')))})"
    )


def _check(rows: StructuredDesign, call: GrowthCall) -> None:
    """Refuse rows that are not one an occasion, and covariates that vary within groups."""
    design = rows.design
    assert rows.time is not None
    assert rows.time_levels is not None
    if rows.time_levels.dtype.kind not in "iuf":
        raise DataError(
            f"time is numeric in a growth model, and {call.time!r} is not; number the occasions "
            "0, 1, 2, ...",
            call.time,
        )
    order = np.lexsort((rows.time, rows.cluster))
    again = (np.diff(rows.cluster[order]) == 0) & (np.diff(rows.time[order]) == 0.0)
    if again.any():
        at = order[np.flatnonzero(again)[0]]
        raise DataError(
            f"group {rows.levels[rows.cluster[at]]!r} has {call.time!r} = {rows.time[at]:g} more "
            "than once; a growth model has one row an occasion",
            call.time,
        )
    for name, places in design.fixed_terms:
        if name not in call.covariates:
            continue
        for j in places:
            column = design.X[:, j]
            first = np.zeros(len(rows.levels))
            first[rows.cluster] = column
            if np.any(first[rows.cluster] != column):
                raise DataError(
                    f"covariate {name!r} varies within groups of {call.groups!r}; a covariate of "
                    "growth factors is constant there. Fit one that varies by ranef.gls or "
                    "ranef.lmer",
                    name,
                )
    k = SHAPES[call.random]
    if call.residuals == "equal" and len(np.unique(rows.time)) <= k:
        raise ModelError(
            f"{k} varying factors and a residual cannot be told apart on "
            f"{len(np.unique(rows.time))} occasions; take a simpler shape or random part"
        )
