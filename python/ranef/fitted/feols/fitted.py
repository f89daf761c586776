"""The estimate of least squares with absorbed factors."""

from __future__ import annotations

from dataclasses import dataclass

from ...models.within import Absorption, WithinEstimate

__all__ = ["Fitted"]


@dataclass(frozen=True)
class Fitted:
    """A fit and the matrices that inference needs.

    Attributes
    ----------
    positions : tuple of int
        Columns of the design's X that were fitted: without the constant after absorption.
    within : WithinEstimate
        The fit.
    absorption : Absorption or None
        What was absorbed.
    """

    positions: tuple[int, ...]
    within: WithinEstimate
    absorption: Absorption | None
