"""What checks of residuals need from a linear mixed model."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from ..._typing import Array
from ...chunks.summed import SummedDesign
from ...design.design import Design
from ...errors import UnsupportedError
from ...models import lmm
from ...models.lmm import LmmEstimate
from ..parts import Base
from .fit import estimated
from .parts import LmmParts

if TYPE_CHECKING:
    from ...inference.residuals.source import Source, Transform

__all__ = ["Checks", "linear_source", "transform"]


class Checks(Base):
    """Residuals as probabilities, and simulated fits."""

    parts: LmmParts

    def _source(self, kind: str, rng: np.random.Generator) -> Source:
        return linear_source(self.parts, kind)


def transform(design: Design, e: LmmEstimate, y: Array, kind: str) -> Transform:
    """Transform responses by a linear mixed model's normal distribution."""
    from ...inference.prediction import predict as prediction
    from ...inference.residuals.source import normal

    w = 1.0 if design.weights is None else design.weights
    if kind == "conditional":
        return normal(y, prediction.fitted(design, e), e.sigma / np.sqrt(w))
    between = prediction.random_variance(design, e.sigmas)
    fitted = prediction.fixed_part(design, e)
    return normal(y, fitted, np.sqrt(e.sigma**2 / w + between))


def linear_source(parts: LmmParts, kind: str) -> Source:
    """Draw from a linear mixed model, and fit it again."""
    from ...inference.prediction import predict as prediction
    from ...inference.residuals.source import Source

    design, e, call = parts.design, parts.estimate, parts.call
    if isinstance(design, SummedDesign):
        raise UnsupportedError(
            "checks of residuals need the rows, and this model was fitted from chunks; fit a "
            "sample of rows in memory"
        )
    start = lmm.off_boundary(e.lambda_standard)

    def again(y: Array) -> Transform:
        new = replace(design, y=y)
        return transform(design, estimated(new, lmm.kernel(new), call, start), y, kind)

    def held(y: Array) -> Transform:
        new = replace(design, y=y)
        found = lmm.evaluate(new, lmm.kernel(new), e.lambda_, reml=e.reml)
        return transform(design, found, y, kind)

    return Source(
        design,
        parts.data,
        transform(design, e, design.y, kind),
        lambda rng: prediction.simulate(design, e, 1, rng)[:, 0],
        again,
        held if call.prior is None else None,
        scale_is_free=True,
    )
