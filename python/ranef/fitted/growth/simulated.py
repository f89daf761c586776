"""What checks of residuals need from a growth model."""

from __future__ import annotations

import numpy as np

from ...inference.residuals.source import Source
from ..gls.simulated import structured_source
from ..parts import Base
from .parts import GrowthParts

__all__ = ["Checks"]


class Checks(Base):
    """Residuals as probabilities, and simulated fits."""

    parts: GrowthParts

    def _source(self, kind: str, rng: np.random.Generator) -> Source:
        parts = self.parts
        return structured_source(
            parts.rows, parts.core, parts.estimate, parts.call.control, kind, parts.data
        )
