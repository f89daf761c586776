"""What checks of residuals ask of a linear mixed model."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from ..._typing import Array
from ...chunks.summed import SummedDesign
from ...design.design import Design
from ...errors import UnsupportedError
from ...inference.prediction import predict as prediction
from ...inference.residuals.source import Source, Transform, normal
from ...models import lmm
from ...models.lmm import LmmEstimate
from ..parts import Base
from .fit import estimated
from .parts import LmmParts

__all__ = ["Checks", "linear_source", "transform"]

#: Above so many rows simulated fits keep the covariance parameters of the model.
MANY_ROWS = 20_000


class Checks(Base):
    """Residuals as probabilities, and simulated fits."""

    parts: LmmParts

    def _source(self, kind: str, rng: np.random.Generator) -> Source:
        return linear_source(self.parts, kind)


def transform(design: Design, e: LmmEstimate, y: Array, kind: str) -> Transform:
    """Transform responses by a linear mixed model's normal distribution."""
    w = 1.0 if design.weights is None else design.weights
    if kind == "conditional":
        return normal(y, prediction.fitted(design, e), e.sigma / np.sqrt(w))
    between = prediction.random_variance(design, e.sigmas)
    fitted = prediction.fixed_part(design, e)
    return normal(y, fitted, np.sqrt(e.sigma**2 / w + between))


def linear_source(parts: LmmParts, kind: str) -> Source:
    """Draw from a linear mixed model, and fit it again."""
    design, e, call = parts.design, parts.estimate, parts.call
    if isinstance(design, SummedDesign):
        raise UnsupportedError(
            "checks of residuals need the rows, and this model was fitted from chunks; fit a "
            "sample of rows in memory"
        )
    start = lmm.off_boundary(e.lambda_standard)

    def again(y: Array) -> Transform:
        new = replace(design, y=y)
        core = lmm.kernel(new)
        if design.n_obs > MANY_ROWS and call.prior is None:
            found = lmm.evaluate(new, core, e.lambda_, reml=e.reml)
        else:
            found = estimated(new, core, call, start)
        return transform(design, found, y, kind)

    return Source(
        design,
        parts.data,
        transform(design, e, design.y, kind),
        lambda rng: prediction.simulate(design, e, 1, rng)[:, 0],
        again,
        scale_is_free=True,
    )
