"""Search again from the best point."""

from __future__ import annotations

from typing import Any

from ..fitted.kinds import is_generalised
from ..report.searches import Trail
from ..trust.generalised import gone_on
from ..trust.searches import searched_again
from ..words.answers import answering

__all__ = ["converge"]


@answering
def converge(model: Any, *, seed: int = 1) -> Trail:
    """Continue a fit that stopped too early until it reaches an optimum.

    Tries, in this order, to continue from where it stopped, from perturbed points nearby, from the
    start with more steps, and, for a linear model, from the result of L-BFGS-B, until the
    conditions of an optimum hold. A converged model is left alone.

    Parameters
    ----------
    model : LinearMixedModel, or a model of ranef.glmer or ranef.clmm
        A fitted model.
    seed : int
        Of the perturbations.

    Returns
    -------
    Trail
        ``model``, ``table`` of the attempts and ``converged``.
    """
    return gone_on(model, seed) if is_generalised(model) else searched_again(model, seed)
