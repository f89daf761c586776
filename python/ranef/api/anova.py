"""Likelihood-ratio tables of fitted mixed models."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeAlias

import pandas as pd

from ..comparison.generalised import anova_generalised
from ..comparison.models import named_models
from ..comparison.table import anova_linear
from ..fitted.gls.model import GLSModel
from ..fitted.kinds import Generalised, is_generalised
from ..fitted.lmm.model import LinearMixedModel
from ..words.answers import answering

__all__ = ["anova"]

Comparable: TypeAlias = LinearMixedModel | GLSModel | Generalised


@answering
def anova(
    *models: Comparable | Mapping[str, Comparable],
    refit: bool | None = None,
    **named: Comparable,
) -> pd.DataFrame:
    """Compare fitted mixed models by likelihood-ratio tests.

    Parameters
    ----------
    *models : LinearMixedModel, GLSModel, or a model of ranef.glmer or ranef.clmm
        Two or more models for the same response on the same rows; generalised ones are compared
        with each other, and of one family and link. Parts for zeros and dispersion may differ in
        their formulas. Or one mapping of names to models.
    refit : bool, optional
        True refits REML fits by maximum likelihood, False compares the fits as they are. By
        default REML is kept when all fits are by REML and their fixed parts span the same space,
        and everything is by maximum likelihood otherwise.
    **named
        Models by the name that their row has: ``anova(level=first, slope=second)``. Rows of other
        models are named by their formulas.

    Returns
    -------
    DataFrame
        One row per model, by number of parameters; each is tested against the row above. Columns
        npar, aic, bic, llf, deviance (-2 llf), chisq, df, pvalue, pvalue_boundary, estimator and
        note.

    Raises
    ------
    ModelError
        If the models use different rows, responses or weights, or are not mixed models.

    Warns
    -----
    ComparisonWarning
        If ``refit=False`` leaves a test that is not valid.

    Notes
    -----
    Fixed parts are compared as column spaces and random parts as families of covariance matrices,
    so names and codings do not matter. There is a p-value only for nested models that differ in one
    of the two.

    ``pvalue`` takes the statistic as chi-squared on ``df``. A variance that is tested at zero
    cannot go below it, so that this p-value is too large; ``pvalue_boundary`` is by the equal
    mixture of chi-squared on df - 1 and df, right for one variance and its covariances [1]_. For
    more variances at once see :func:`ranef.pbtest`, for one in a small sample :func:`ranef.rlrt`.

    References
    ----------
    .. [1] Stram and Lee (1994), Biometrics 50, 1171-1177.

    Examples
    --------
    >>> import ranef
    >>> sleep = ranef.datasets.load("sleepstudy")
    >>> slope = ranef.lmer("Reaction ~ Days + (Days | Subject)", sleep)
    >>> level = ranef.lmer("Reaction ~ Days + (1 | Subject)", sleep)
    >>> ranef.anova(level=level, slope=slope)[["npar", "chisq", "df"]].round(2)
           npar  chisq   df
    level     4    NaN  NaN
    slope     6  42.84  2.0
    """
    fits, names = named_models(models, named, "anova")
    if any(is_generalised(model) for model in fits):
        return anova_generalised(fits, names)
    return anova_linear(fits, refit, names)
