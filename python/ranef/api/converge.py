"""Search again from the best point."""

from __future__ import annotations

from ..fitted.lmm.model import LinearMixedModel
from ..report.searches import Trail
from ..trust.searches import searched_again
from ..words.answers import answering

__all__ = ["converge"]


@answering
def converge(model: LinearMixedModel, *, seed: int = 1) -> Trail:
    """Bring a fit that stopped too early to its optimum; leave a converged one alone.

    Tries, in this order, to go on from where it stopped, from perturbed places near there, from
    the start with more steps, and from what L-BFGS-B finds, until the conditions of an optimum
    hold.

    Parameters
    ----------
    model : LinearMixedModel
        A fitted model.
    seed : int
        Of the perturbations.

    Returns
    -------
    Trail
        ``model``, ``table`` of the attempts and ``converged``.
    """
    return searched_again(model, seed)
