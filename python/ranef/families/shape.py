"""A parameter of a distribution besides its location."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from .._typing import Array

__all__ = ["Shape"]


@dataclass(frozen=True)
class Shape:
    """A parameter of a distribution besides its location, with a predictor of its own.

    Attributes
    ----------
    name : str
        Its name on its own scale.
    natural : callable
        Its value at a value of its predictor.
    start : callable
        A value of the predictor near the responses.
    above : str
        Name of the shape whose value is added to this one's, if there is one.
    difference : str
        Name of this one's value before that.
    at_end : str
        What a value at the end of its range means.
    """

    name: str
    natural: Callable[[Array], Array]
    start: Callable[[Array], float]
    above: str = ""
    difference: str = ""
    at_end: str = "the responses vary as little, or as much, as the family allows"
