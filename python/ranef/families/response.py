"""Ranges of responses by family."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from .._typing import Array
from ..design import Design
from ..errors import DataError

__all__ = ["EDGES", "RANGES", "check_response"]


RANGES: dict[str, tuple[Callable[[Array], NDArray[np.bool_]], str]] = {
    "binomial": (lambda y: (y >= 0.0) & (y <= 1.0), "between 0 and 1"),
    "poisson": (lambda y: y >= 0.0, "0 or above"),
    "gamma": (lambda y: y > 0.0, "above 0"),
    "gaussian": (np.isfinite, "finite"),
}


#: Responses that no mean within the range reaches.
EDGES = {"binomial": (0.0, 1.0), "poisson": (0.0,)}


def check_response(design: Design, family: str) -> None:
    """Refuse responses that do not vary, or are outside the range of the family."""
    inside, words = RANGES[family]
    bad = int(np.sum(~inside(design.y)))
    if bad:
        trials = (
            "; give counts of successes as a proportion, with the trials as weights"
            if family == "binomial"
            else ""
        )
        raise DataError(
            f"a {family} response is {words}; {design.response!r} is not in {bad} rows{trials}",
            design.response,
        )
    first = float(design.y[0])
    at_edge = first in EDGES.get(family, ())
    if np.all(design.y == first) and (at_edge or design.offset is None):
        raise DataError(
            f"{design.response!r} is {first:g} in every row that is used, so nothing of it can be "
            "explained",
            design.response,
        )
