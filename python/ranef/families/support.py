"""The responses that a family allows."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .._typing import Array

__all__ = ["Support"]


@dataclass(frozen=True)
class Support:
    """The responses that a family allows, and the words of a refusal.

    Attributes
    ----------
    words : str
        What the response is, as in "between 0 and 1".
    low, high : float
        Ends of the range.
    open_low, open_high : bool
        Whether the ends themselves are outside.
    discrete : bool
        Whether responses are counts, or shares of counted trials.
    counts : str
        What a count is made of, as in "counts 0, 1, 2, ...".
    hint : str
        What to do with responses that are not whole.
    advice : str
        What to do with responses outside the range.
    edges : tuple of float
        Ends of the range that are possible responses, but not possible means.
    at_edge : str
        What fitted means at an edge do, as in "counts run to 0".
    """

    words: str
    low: float = -np.inf
    high: float = np.inf
    open_low: bool = False
    open_high: bool = False
    discrete: bool = False
    counts: str = ""
    hint: str = ""
    advice: str = ""
    edges: tuple[float, ...] = ()
    at_edge: str = ""

    def contains(self, y: Array) -> NDArray[np.bool_]:
        """Find which responses are in range; NaN is not."""
        above = y > self.low if self.open_low else y >= self.low
        below = y < self.high if self.open_high else y <= self.high
        return np.asarray(above & below)
