"""Latent growth curve models from long data."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

from .._typing import Missing, Shape
from ..fitted.growth.fiml import FimlGrowthModel, fit_fiml_model
from ..fitted.growth.fit import checked_call
from ..fitted.growth.model import GrowthCall, GrowthModel, fit_model
from ..models.lmm import Control
from ..words.answers import answering

__all__ = ["growth"]


@answering
def growth(
    outcome: str,
    data: Any,
    *,
    time: str,
    groups: str,
    shape: Shape = "linear",
    random: Shape | None = None,
    residuals: Literal["equal", "free"] = "equal",
    covariates: str | Sequence[str] = (),
    information: Literal["expected", "observed"] | None = None,
    missing: Missing | Literal["fiml"] = "drop",
    control: Control | None = None,
) -> GrowthModel | FimlGrowthModel:
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
    missing : {"drop", "raise", "fiml"}
        What to do with rows that have missing values in a column that is used. "fiml" models
        covariates as jointly normal, so that groups with missing covariates stay; each group
        counts once.
    control : Control, optional
        Settings of the search.

    Returns
    -------
    GrowthModel, or FimlGrowthModel with ``missing="fiml"``

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
    call = GrowthCall(
        outcome=outcome,
        time=time,
        groups=groups,
        shape=shape,
        random=shape if random is None else random,
        residuals=residuals,
        covariates=(covariates,) if isinstance(covariates, str) else tuple(covariates),
        information=information,
        missing=missing,
        control=Control.of(control),
    )
    if missing == "fiml":
        return fit_fiml_model(checked_call(call), data)
    return fit_model(checked_call(call), data)
