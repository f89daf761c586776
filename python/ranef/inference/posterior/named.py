"""Names and values of the parameters of a posterior."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from ..._typing import Array
from ...design.design import Design
from ..profile.targets import Target, targets, values
from .draws import Draws

__all__ = ["listed", "parameters_of"]


def listed(design: Design, kept: NDArray[np.intp], residual: str | None) -> list[Target]:
    """List the parameters: coefficients, standard deviations and correlations, residual.

    A correlation names its columns in the order of the formula.
    """
    every = [_in_order(design, target) for target in targets(design, kept, residual)]
    order = {"beta": 0, "sd": 1, "cor": 1, "residual": 2}
    return sorted(every, key=lambda target: order[target.kind])


def _in_order(design: Design, target: Target) -> Target:
    if target.kind != "cor":
        return target
    term = design.random[target.term]
    name = f"cor_{term.names[target.j]}.{term.names[target.i]}|{term.group}"
    return replace(target, name=name)


def parameters_of(
    every: list[Target], design: Design, kept: NDArray[np.intp], draws: Draws
) -> Array:
    """Value of each parameter at each draw, shape (C, N, k)."""
    beta = np.full((*draws.shape, len(design.fixed)), np.nan)
    beta[..., kept] = draws.beta
    return values(every, draws.sigmas, draws.scale, beta)
