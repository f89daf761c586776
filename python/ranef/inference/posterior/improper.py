"""Check before sampling whether a posterior is proper in every direction."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ..._counted import counted
from ..._typing import Array
from ...design.design import Design
from ...errors import ModelError
from ..priors.priors import Gamma, Wishart
from .coordinates import Coordinates
from .priors import PosteriorPriors
from .proposal import Density

__all__ = ["check_ends", "check_proper_priors", "check_separated"]

#: Two places far out, in logarithms of a standard deviation, and the least fall between them.
NEAR, FAR, LEAST = 8.0, 14.0, 0.05


def check_ends(density: Density, start: Array, coordinates: Coordinates, design: Design) -> None:
    """Refuse a posterior that does not fall off where a standard deviation grows or shrinks.

    Raises
    ------
    ModelError
        With the standard deviation that has no end, and on which side.
    """
    for name, group, index in _directions(coordinates, design):
        for sign, side in ((1.0, "grows"), (-1.0, "goes to zero")):
            step = np.zeros(len(start))
            step[index] = sign
            here, near, far = density(start + np.outer((0.0, NEAR, FAR), step))
            if far < here and near - far >= LEAST:
                continue
            if not np.isfinite(far):
                continue
            raise ModelError(
                f"the posterior is improper: it does not fall off as {name} {side}. "
                f"{_why(design, group, sign)} Give a proper prior, as in "
                f"prior={{{group!r}: ranef.HalfT(3, 0, scale)}}."
            )


def _directions(coordinates: Coordinates, design: Design) -> list[tuple[str, str, list[int]]]:
    """Each standard deviation by name, the key of its prior, and its coordinates."""
    out = []
    for block in coordinates.blocks:
        term = design.random[block.term]
        for place, column in enumerate(block.columns):
            name = f"sd_{term.names[column]}|{term.group}"
            out.append((name, term.group, [block.sd.start + place]))
    if coordinates.has_scale:
        out.append(("sigma", "residual", [coordinates.size - 1]))
    return out


def _why(design: Design, group: str, sign: float) -> str:
    counts = {term.group: term.n_levels for term in design.random}
    if group in counts and sign > 0.0:
        return f"The {counted(counts[group], 'level')} of {group} do not bound it without a prior."
    if sign < 0.0:
        return "Its prior does not bound it, or lies far below what the data show."
    return "The data do not bound it without a prior."


def check_proper_priors(priors: PosteriorPriors, coordinates: Coordinates, design: Design) -> None:
    """Refuse covariance priors without an end where only sampling could tell what comes of them.

    Raises
    ------
    ModelError
        For the term that has one.
    """
    for block, prior in zip(coordinates.blocks, priors.blocks, strict=True):
        endless = prior is None or (isinstance(prior, Wishart) and prior.lift != 0.0)
        endless = endless or (isinstance(prior, Gamma) and prior.rate == 0.0)
        if endless:
            group = design.random[block.term].group
            raise ModelError(
                f"the prior of {group!r} is improper, and responses that are not normal may not "
                "bound its standard deviation; use a proper one, as in "
                f"prior={{{group!r}: ranef.HalfT(3, 0, 2.5)}}"
            )


def check_separated(names: Sequence[str], separated: Sequence[int], told: Sequence[int]) -> None:
    """Refuse flat priors of coefficients along which the likelihood rises without end."""
    open_ = [names[j] for j in separated if j not in told]
    if open_:
        raise ModelError(
            "the posterior is improper: the likelihood increases without end along "
            f"{open_[0]!r}, which "
            "separates the responses. Give it a prior, as in "
            f"prior={{'fixed': ranef.Normal(sd={{{open_[0]!r}: 2.5}})}}."
        )
