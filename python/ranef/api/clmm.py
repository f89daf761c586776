"""Fit a cumulative link model of an ordered response."""

from __future__ import annotations

from typing import Any

from ..fitted.ordinal.fit import ordinal_call
from ..fitted.ordinal.model import CumulativeLinkModel, fit_ordinal_model
from ..models.lmm import Control
from ..words.answers import answering

__all__ = ["clmm"]


@answering
def clmm(
    formula: str,
    data: Any,
    *,
    link: str = "logit",
    thresholds: str = "flexible",
    scale: str | None = None,
    nominal: str | None = None,
    nagq: int = 1,
    offset: Any = None,
    contrasts: Any = None,
    missing: str = "drop",
    control: Control | None = None,
    strict: bool = False,
) -> CumulativeLinkModel:
    """Fit a cumulative link model, mixed or not, by maximum likelihood.

    Parameters
    ----------
    formula : str
        A model such as ``"rating ~ x + (1 + x | g)"``; random-effects terms are those of
        :func:`ranef.lmer`, and there may be none. The thresholds take the place of the intercept.
    data : DataFrame
        pandas, polars or Arrow table, or a mapping of columns. The response is an ordered
        categorical, or made of whole numbers.
    link : {"logit", "probit", "cloglog", "loglog", "cauchit"}
        Link of the cumulative probabilities.
    thresholds : {"flexible", "symmetric", "equidistant"}
        Free cut points; ones symmetric about the middle; equally
        spaced ones.
    scale : str, optional
        Formula of the logarithm of the latent response's spread, such as ``"~ x"``.
    nominal : str, optional
        Formula of effects that move each threshold on its own.
    nagq : int
        1 for Laplace's approximation; more for that many points of adaptive Gauss-Hermite
        quadrature, with one random-effects term.
    offset : str or array-like, optional
        Known part of the location.
    contrasts : mapping, optional
        Coding of categorical columns, by name.
    missing : {"drop", "raise"}
        What to do with rows that have missing values in a column that the model uses.
    control : Control, optional
        Settings of the search.
    strict : bool
        Raise the first warning of the fit as an error.

    Returns
    -------
    CumulativeLinkModel
        The fitted model.

    Raises
    ------
    DataError
        If formula and data do not fit, or the response has no order.
    ModelError
        If the model cannot be estimated from these rows.

    Notes
    -----
    P(Y <= j) = F((threshold_j - eta) / exp(zeta)), with eta the location, zeta the logarithm of the
    scale and F the inverse link [1]_ [2]_. A positive coefficient makes high categories more
    probable. The random effects are integrated out by Laplace's approximation with the observed
    information, or by quadrature.

    References
    ----------
    .. [1] McCullagh (1980), J. R. Stat. Soc. B 42, 109-142.
    .. [2] Agresti (2010), Analysis of Ordinal Categorical Data, 2nd ed.

    Examples
    --------
    >>> import numpy as np
    >>> import pandas as pd
    >>> import ranef
    >>> rng = np.random.default_rng(1)
    >>> data = pd.DataFrame({"x": rng.normal(size=300), "g": np.arange(300) % 20})
    >>> latent = data["x"] + rng.normal(size=20)[data["g"]] + rng.logistic(size=300)
    >>> data["score"] = pd.cut(latent, [-np.inf, -1, 1, np.inf], labels=["low", "mid", "high"])
    >>> model = ranef.clmm("score ~ x + (1 | g)", data)
    >>> list(model.thresholds.index)
    ['low|mid', 'mid|high']
    >>> bool(model.params["x"] > 0)
    True
    """
    call = ordinal_call(
        formula,
        link,
        thresholds,
        scale,
        nominal,
        nagq,
        offset=offset,
        contrasts=contrasts,
        missing=missing,
        control=control or Control(),
        strict=strict,
    )
    return fit_ordinal_model(call, data)
