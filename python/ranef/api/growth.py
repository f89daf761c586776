"""Latent growth curve models from long data."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal

from .._typing import Missing, Shape
from ..fitted.growth.fiml import FimlGrowthModel, fit_fiml_model, is_joint
from ..fitted.growth.fit import checked_call
from ..fitted.growth.lavaan import is_syntax, read_syntax
from ..fitted.growth.model import GrowthCall, GrowthModel, fit_model
from ..fitted.growth.wide import column_named, long_rows, waves_of
from ..models.lmm import Control
from ..words.answers import answering

__all__ = ["growth"]


@answering
def growth(
    outcome: str | Sequence[str],
    data: Any,
    *,
    time: str | Sequence[float] | Mapping[str, float] | None = None,
    groups: str | None = None,
    shape: Shape | Literal["basis"] = "linear",
    random: Shape | None = None,
    residuals: Literal["equal", "free"] = "equal",
    covariates: str | Sequence[str] | Mapping[str, str | Sequence[str]] = (),
    time_varying: str | Sequence[str] | Mapping[str, Sequence[str]] = (),
    paths: Literal["equal", "free"] = "equal",
    information: Literal["expected", "observed"] | None = None,
    missing: Missing | Literal["fiml"] = "drop",
    control: Control | None = None,
) -> GrowthModel | FimlGrowthModel:
    """Fit a latent growth curve model by maximum likelihood.

    Parameters
    ----------
    outcome : str or sequence of str
        The column that grows, or an expression such as ``"np.log(y)"``. For wide data the columns
        of the waves. Or a model in lavaan's syntax, for wide data.
    data : DataFrame
        Long data, one row per occasion. Rows of occasions that were missed are absent, or have a
        missing outcome; the other rows of their group count (full information). Or wide data, one
        row per unit.
    time : str, or numbers for wide data
        A numeric column; the intercept is the level at time 0, the slope the change by one unit.
        For wide data the time of each wave, by default the numbers at the ends of their names.
    groups : str
        The column that identifies the units; wide data need none.
    shape : {"linear", "quadratic", "intercept", "basis"}
        The mean curve's factors: intercept and slope, also time squared, or the intercept alone.
        "basis" estimates the loadings of the slope between the first time, 0, and the last, 1: a
        latent basis. It is fitted together with its covariates, as by ``missing="fiml"``.
    random : {"intercept", "linear", "quadratic"}, optional
        Which factors vary between groups; by default all that ``shape`` has.
    residuals : {"equal", "free"}
        One residual variance, or one for each occasion.
    covariates : str, sequence of str, or mapping
        Columns, constant within groups, that predict every factor; or those of each factor:
        ``{"intercept": ["x", "z"], "slope": "x"}``.
    time_varying : str, sequence of str, or mapping
        Columns that vary in time and have an effect on the outcome of the same row. For wide data
        a name, and the columns of the waves: ``{"lib": ["lib_0", "lib_1"]}``.
    paths : {"equal", "free"}
        One effect of a time-varying column at all times, or one at each.
    information : {"expected", "observed"}, optional
        The information behind standard errors: expected by default when every group has every
        occasion, and observed otherwise.
    missing : {"drop", "raise", "fiml"}
        What to do with rows that have missing values in a column that is used. "fiml" models
        covariates as jointly normal, so that groups with missing covariates stay; each group
        counts once.
    control : Control, optional
        Settings of the search.

    Returns
    -------
    GrowthModel, or FimlGrowthModel with ``missing="fiml"`` and ``shape="basis"``

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

    Psi is a covariance matrix: where another program reports a negative variance, the estimate
    here is zero.

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
    if is_syntax(outcome):
        found = read_syntax(str(outcome))
        return growth(
            found.columns,
            data,
            time=found.times,
            groups=groups,
            information=information,
            missing=missing,
            control=control,
            **found.arguments,
        )
    varying: Any = time_varying
    if not isinstance(outcome, str):
        long = long_rows(list(outcome), data, time, groups, waves_of(time_varying))
        data, outcome, time, groups = long.frame, long.outcome, long.time, long.groups
        varying = tuple(time_varying)
    call = GrowthCall(
        outcome=outcome,
        time=column_named("time", time),
        groups=column_named("groups", groups),
        shape=shape,
        random=random or ("linear" if shape == "basis" else shape),
        residuals=residuals,
        covariates=covariates,  # type: ignore[arg-type]
        time_varying=varying,
        paths=paths,
        information=information,
        missing=missing,
        control=Control.of(control),
    )
    checked = checked_call(call)
    return fit_fiml_model(checked, data) if is_joint(checked) else fit_model(checked, data)
