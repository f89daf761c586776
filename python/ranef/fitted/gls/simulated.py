"""What checks of residuals need from a linear model with structured residuals."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from ..._typing import Array
from ...design.structured import StructuredDesign
from ...inference.prediction import predict as prediction
from ...inference.residuals.source import Source, Transform, normal
from ...models.gls import rows as gls_rows
from ...models.gls.model import GlsEstimate, GlsModel, fit_gls, gls_model, patterns
from ...models.lmm import Control
from ..parts import Base
from .parts import GlsParts

__all__ = ["Checks", "structured_source"]


class Checks(Base):
    """Residuals as probabilities, and simulated fits."""

    parts: GlsParts

    def _source(self, kind: str, rng: np.random.Generator) -> Source:
        parts = self.parts
        return structured_source(
            parts.rows, parts.core, parts.estimate, parts.call.control, kind, parts.data
        )


def structured_source(
    rows: StructuredDesign,
    model: GlsModel,
    e: GlsEstimate,
    control: Control,
    kind: str,
    data: Any,
) -> Source:
    """Draw from a structured model, and fit it again."""
    design = rows.design

    def again(y: Array) -> Transform:
        new = replace(rows, design=replace(design, y=y))
        core = gls_model(new, model.corr)
        fitted = fit_gls(new, core, reml=e.reml, control=control, near=e.psi)
        return _transform(new, core, fitted, kind)

    def draw(rng: np.random.Generator) -> Array:
        modes = prediction.random_draws(design, e.lambda_, e.unit, rng)
        mean = prediction.fixed_part(design, e) + prediction.random_part(design, modes)
        return mean + _noise(rows, model, e, rng)

    return Source(design, data, _transform(rows, model, e, kind), draw, again, scale_is_free=True)


def _transform(rows: StructuredDesign, model: GlsModel, e: GlsEstimate, kind: str) -> Transform:
    """Transform responses; given the random effects, residuals are freed of their correlation."""
    design = rows.design
    if kind == "marginal":
        sd = gls_rows.residual_sd(rows, e)
        between = prediction.random_variance(design, e.sigmas)
        return normal(design.y, prediction.fixed_part(design, e), np.sqrt(sd**2 + between))
    fitted = design.y - gls_rows.conditional_residuals(rows, e)
    scores = gls_rows.normalized_residuals(rows, model, e)
    return replace(normal(scores, np.zeros(len(scores)), 1.0), fitted=fitted)


def _noise(
    rows: StructuredDesign, model: GlsModel, e: GlsEstimate, rng: np.random.Generator
) -> Array:
    """Draw residuals with their correlation and variances, shape (n,)."""
    out = np.empty(rows.design.n_obs)
    for where, _, SCS in patterns(model, e.psi):
        at = model.layout.order[where]
        out[at] = e.unit * rng.standard_normal(where.shape) @ np.linalg.cholesky(SCS).T
    return out
