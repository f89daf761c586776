"""A mixed model and a latent growth curve, side by side."""

from __future__ import annotations

from typing import Any

from ..fitted.growth.equate import Equivalence, equated
from ..fitted.growth.model import GrowthModel, curve_parts
from ..words.answers import answering

__all__ = ["equate"]


@answering
def equate(model: Any, curve: GrowthModel) -> Equivalence:
    """Find each parameter of a latent growth curve in a mixed model.

    Parameters
    ----------
    model : LinearMixedModel or GLSModel
        A mixed model of the same rows, by maximum likelihood if variances are to agree.
    curve : GrowthModel
        A fit of :func:`ranef.growth`.

    Returns
    -------
    Equivalence
        ``table``: one row per parameter of the curve with its name in the mixed model, both
        estimates and their difference; ``same``: whether the two are one model.

    Raises
    ------
    ModelError
        If the models are of other kinds, or of other rows.

    References
    ----------
    .. [1] Curran (2003), Multivar. Behav. Res. 38(4), 529-569.

    Examples
    --------
    >>> import ranef
    >>> sleep = ranef.datasets.load("sleepstudy")
    >>> curve = ranef.growth("Reaction", sleep, time="Days", groups="Subject")
    >>> model = ranef.lmer("Reaction ~ Days + (Days | Subject)", sleep, reml=False)
    >>> ranef.equate(model, curve).same
    True
    """
    return equated(model, curve_parts(curve))
