"""What checks of residuals need from regressions of panels."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from ..._typing import Array
from ...inference.prediction import predict as prediction
from ...inference.residuals.source import Source, Transform
from ...models import lmm
from ..glmm.simulated import generalised_source
from ..lmm.parts import LmmParts
from ..lmm.simulated import linear_source, transform
from ..parts import Base
from .parts import RandomEffectsParts, WithinBetweenParts

__all__ = ["PanelChecks", "SplitChecks"]


class PanelChecks(Base):
    """Residuals as probabilities, and fits of simulated responses at the same variances."""

    parts: RandomEffectsParts

    def _source(self, kind: str, rng: np.random.Generator) -> Source:
        design, e = self.parts.design, self.parts.estimate

        def again(y: Array) -> Transform:
            new = replace(design, y=y)
            found = lmm.evaluate(new, lmm.kernel(new), e.lambda_, reml=True)
            return transform(design, found, y, kind)

        return Source(
            design,
            self.parts.data,
            transform(design, e, design.y, kind),
            lambda rng: prediction.simulate(design, e, 1, rng)[:, 0],
            again,
            scale_is_free=True,
        )


class SplitChecks(Base):
    """Those of the mixed model."""

    parts: WithinBetweenParts

    def _source(self, kind: str, rng: np.random.Generator) -> Source:
        model = self.parts.model
        if isinstance(model, LmmParts):
            return linear_source(model, kind)
        return generalised_source(model, kind)
