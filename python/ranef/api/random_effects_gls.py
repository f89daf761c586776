"""Random-effects least squares with variances by the method of moments."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np

from ..design import INTERCEPT
from ..design.grouped import build_grouped
from ..errors import ModelError
from ..fitted.feols.fit import absorption_of, check_formula
from ..fitted.panel.random_effects import RandomEffectsGLS
from ..fitted.warned import dropped_rows
from ..formula import parse
from ..models import lmm
from ..models.re_gls import swamy_arora

__all__ = ["random_effects_gls"]


def random_effects_gls(
    formula: str,
    data: Any,
    *,
    groups: str,
    time: str | None = None,
    contrasts: Any = None,
    missing: str = "drop",
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

    Returns
    -------
    RandomEffectsGLS

    Notes
    -----
    The variances are Swamy and Arora's, for unbalanced panels as well [1]_. Given these, the
    estimate is exact generalised least squares: that of a mixed model with random intercepts,
    evaluated at these variances instead of the most likely ones. With two factors on an unbalanced
    panel, R's plm transforms the data approximately and so differs.

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
    factors = [groups] if time is None else [groups, time]
    parsed = check_formula(parse(formula), "random_effects_gls")
    design = build_grouped(parsed, data, factors, contrasts=contrasts, missing=missing)
    if INTERCEPT not in design.fixed:
        raise ModelError("Swamy and Arora's variances need the constant in the formula")
    offset = 0.0 if design.offset is None else design.offset
    components = swamy_arora(design.y - offset, design.X, absorption_of(design, factors))
    with np.errstate(divide="ignore", invalid="ignore"):  # a perfect fit is refused below
        ratios = np.sqrt(components.effects / components.idiosyncratic)
    relative = tuple(np.array([[ratio]]) for ratio in ratios)
    estimate = lmm.evaluate(design, lmm.kernel(design), relative, reml=True)
    found = tuple(dropped_rows(design))
    for warning in found:
        warnings.warn(warning, stacklevel=2)
    return RandomEffectsGLS(design, estimate, components, data, found)
