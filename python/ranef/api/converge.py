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
    """Bring a fit that stopped too early to its optimum; leave a converged one alone.

    Tries, in this order, to go on from where it stopped, from perturbed places near there, from
    the start with more steps, and, for a linear model, from what L-BFGS-B finds, until the
    conditions of an optimum hold.

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
