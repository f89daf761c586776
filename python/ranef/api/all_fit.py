"""The same model by several optimisers, and what to do when the search stopped too early."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ..fitted.kinds import is_generalised
from ..report.searches import AllFit
from ..trust.generalised import by_every_optimizer
from ..trust.searches import every_optimizer
from ..words.answers import answering

__all__ = ["all_fit"]


@answering
def all_fit(
    model: Any,
    optimizers: Sequence[str] | None = None,
    *,
    workers: int | None = None,
    progress: bool = True,
) -> AllFit:
    """Fit a model with every available optimiser and compare the results.

    Parameters
    ----------
    model : LinearMixedModel, or a model of ranef.glmer or ranef.clmm
        A fitted model.
    optimizers : sequence of str, optional
        Names from the table's index; all by default. nlopt's BOBYQA takes part when nlopt is
        installed.
    workers : int, optional
        Optimisers that run in parallel, one by default; a generalised model uses one.
    progress : bool
        Whether to show a progress bar when it takes longer than a second.

    Returns
    -------
    AllFit
        ``table``, ``theta``, ``coefficients``, a ``verdict`` in units of standard errors, and
        ``best``, the model at the lowest criterion.

    Notes
    -----
    All minimise the same objective in the same standardised basis; L-BFGS-B and trust-constr are
    given its exact gradient, trust-constr its average-information Hessian as well. All but the
    first start where every relative standard deviation is one. A generalised model is searched over
    all parameters together by L-BFGS-B and BFGS with the exact gradient, Nelder-Mead and COBYQA.
    """
    if is_generalised(model):
        return by_every_optimizer(model, optimizers, progress=progress)
    return every_optimizer(model, optimizers, workers, progress=progress)
