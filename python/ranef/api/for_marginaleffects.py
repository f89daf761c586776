"""A fitted mixed model as the package marginaleffects takes it."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..errors import UnsupportedError
from ..marginal.adapter import Wrapped, adapter_class
from ..marginal.adapter_parts import PartsModel, parts_adapter_class
from ..marginal.grid import training
from ..report.augment import used_rows
from ..words.answers import answering

__all__ = ["for_marginaleffects"]


@answering
def for_marginaleffects(
    model: Wrapped | PartsModel, *, data: Any = None, df: float = np.inf
) -> Any:
    """Wrap a fitted mixed model for the package marginaleffects.

    Parameters
    ----------
    model : LinearMixedModel, GeneralizedLinearMixedModel, DistributionalModel, \
CumulativeLinkModel or GLSModel
        A fitted model.
    data : DataFrame, optional
        The data of the fit, for a model that was unpickled.
    df : float
        Degrees of freedom of all tests and intervals there, infinite for normal ones.
        marginaleffects takes only one number; :func:`ranef.emmeans` finds each contrast's own.

    Returns
    -------
    marginaleffects.classes.ModelAbstract
        What ``marginaleffects.predictions``, ``comparisons``, ``slopes``, ``hypotheses`` and
        ``datagrid`` take in place of a model.

    Raises
    ------
    ImportError
        If marginaleffects is not installed, or not with a polars that it works with.

    Notes
    -----
    Predictions are those of the population: the fixed part and the offset, with random effects of
    zero, as means of the response for a generalised model. Those of models with ``zero=`` include
    structural zeros, and their coefficients are those of all parts, ``zero:x`` that of the zero
    part; those of ``clmm`` are probabilities, a ``group`` for each category.
    ``vcov="kenward-roger"`` takes the covariance of Kenward and Roger, ``vcov="CR2"`` and the other
    names of :meth:`ranef.LinearMixedModel.robust` the cluster-robust ones.

    Use ``eps_vcov=1.0`` for the standard errors of slopes: predictions are linear in the
    coefficients, so a difference of any step is exact, and the tiny default step can lose one per
    cent.

    It rests on ``ModelAbstract`` and ``ModelVault`` of ``marginaleffects.classes``, which other
    kinds of models are to inherit from. marginaleffects 0.6 itself, whatever the model, does not
    yet work with polars 2: ``pip install marginaleffects "polars<2"``.

    Examples
    --------
    >>> import ranef
    >>> sleep = ranef.datasets.load("sleepstudy")
    >>> model = ranef.lmer("Reaction ~ Days + (Days | Subject)", sleep)
    >>> adapter = ranef.for_marginaleffects(model)  # doctest: +SKIP
    >>> marginaleffects.avg_slopes(adapter, variables="Days", eps_vcov=1.0)  # doctest: +SKIP
    """
    if not isinstance(model, Wrapped | PartsModel):
        raise UnsupportedError(
            "for_marginaleffects takes models of lmer, glmer, clmm and gls, not a "
            f"{type(model).__name__}"
        )
    if not df > 0.0:
        raise ValueError(f"df must be a number of degrees of freedom above 0, not {df}")
    frame = used_rows(model.parts.design, training(model, data))
    if isinstance(model, PartsModel):
        return parts_adapter_class()(model, frame, float(df))
    return adapter_class()(model, frame, float(df))
