"""Pool models over imputations."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ..missing.pooled import PooledModel, pool_models
from ..words.answers import answering

__all__ = ["pool"]


@answering
def pool(models: Sequence[Any]) -> PooledModel:
    """Pool fits of one model to several imputed data sets by Rubin's rules.

    Parameters
    ----------
    models : sequence of fitted models
        One for each data set: of :func:`ranef.impute`, or of any other program that imputes.

    Returns
    -------
    PooledModel
        ``params``, ``bse``, ``coef_table()``, ``conf_int()``, ``fmi``, ``riv``, ``varcorr``,
        ``test()``, ``predict()``, ``tidy()``.

    Raises
    ------
    ModelError
        If there are fewer than two models, or they differ in kind, coefficients or rows.

    Notes
    -----
    Estimates are means over imputations; their variance is the mean variance plus 1 + 1/m times
    the variance between imputations [1]_, with degrees of freedom that account for the size of the
    complete data [2]_.

    References
    ----------
    .. [1] Rubin (1987), Multiple Imputation for Nonresponse in Surveys.
    .. [2] Barnard and Rubin (1999), Biometrika 86, 948-955.

    Examples
    --------
    >>> import ranef
    >>> sleep = ranef.datasets.load("sleepstudy")
    >>> sleep.loc[[3, 17, 40], "Reaction"] = float("nan")
    >>> formula = "Reaction ~ Days + (Days | Subject)"
    >>> frames = ranef.impute(formula, sleep, m=5, seed=1, progress=False).frames
    >>> ranef.pool([ranef.lmer(formula, frame) for frame in frames])
    <PooledModel 'Reaction ~ Days + (Days | Subject)', m=5, 180 rows>
    """
    return pool_models(models)
