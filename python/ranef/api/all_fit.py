"""The same model by several optimisers, and what to do when the search stopped too early."""

from __future__ import annotations

from collections.abc import Sequence

from ..fitted.lmm.model import LinearMixedModel
from ..report.searches import AllFit
from ..trust.searches import every_optimizer
from ..words.answers import answering

__all__ = ["all_fit"]


@answering
def all_fit(
    model: LinearMixedModel,
    optimizers: Sequence[str] | None = None,
    *,
    workers: int | None = None,
    progress: bool = True,
) -> AllFit:
    """Fit a model by every optimiser at hand and compare what they find.

    Parameters
    ----------
    model : LinearMixedModel
        A fitted model.
    optimizers : sequence of str, optional
        Names from the table's index; all by default. nlopt's BOBYQA takes part when nlopt is
        installed.
    workers : int, optional
        Optimisers that run side by side, one by default.
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
    first start where every relative standard deviation is one.
    """
    return every_optimizer(model, optimizers, workers, progress=progress)
