"""Residuals against fitted values, their spread, and normal quantiles."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..._typing import Array
from .base import MARKERS, Panels, finish, legend, panels, quantiles, theme, trend
from .drawn import Drawn, drawn_terms

__all__ = ["residual_figure"]


def residual_figure(model: Drawn, axes: Any = None) -> Panels:
    """Draw residuals, their spread, normal quantiles, and those of random effects."""
    fitted = model.fittedvalues.to_numpy(dtype=float)
    scaled, label = standardised(model)
    known = np.isfinite(scaled) & np.isfinite(fitted)
    fitted, scaled = fitted[known], scaled[known]
    modes: Any = getattr(model.parts.estimate, "modes", ())
    terms = drawn_terms(model)
    count, look = (4 if terms else 3), theme()
    rows, columns = (2, 2) if terms else (1, 3)
    figure, shown = panels(rows, columns, 4.0, 3.2, axes=axes)
    size = 3.0 if len(fitted) < 2000 else 1.0
    style: dict[str, Any] = {"color": look.ink, "markersize": size, "alpha": 0.6}
    shown[0].axhline(0.0, color=look.grey, linewidth=1.0)
    shown[0].plot(fitted, scaled, "o", **style)
    trend(shown[0], fitted, scaled)
    shown[0].set(xlabel="fitted", ylabel=label, title="Residuals")
    root = np.sqrt(np.abs(scaled))
    shown[1].plot(fitted, root, "o", **style)
    trend(shown[1], fitted, root)
    shown[1].set(xlabel="fitted", ylabel=f"sqrt |{label}|", title="Spread")
    quantiles(shown[2], scaled, size)
    shown[2].set(title="Residuals, normal quantiles", ylabel=label)
    if count == 4:
        term, b = terms[0], modes[0]
        for j, name in enumerate(term.names):
            sd = b[:, j].std()
            if sd > 0.0:
                quantiles(shown[3], b[:, j] / sd, 4.5, look.colour(j), name)
                shown[3].lines[-1].set_marker(MARKERS[j % len(MARKERS)])
        shown[3].set(title=f"Modes of {term.group}, normal quantiles", ylabel="mode / sd")
        if term.n_cols > 1:
            legend(shown[3], "", False)
    title = "Residuals given the random effects" if terms else "Residuals"
    return finish(figure, title, shown, axes)


def standardised(model: Drawn) -> tuple[Array, str]:
    """Residuals of about unit variance where the model holds, and what they are called."""
    parts = model.parts
    resid = np.asarray(model.resid, float)
    if parts.link != "identity":
        if hasattr(parts.estimate, "modes"):  # deviance or Pearson residuals, of unit variance
            return resid, "residual"
        return resid / (float(np.sqrt(np.mean(resid**2))) or 1.0), "residual / sd"
    root = 1.0 if parts.design.weights is None else np.sqrt(parts.design.weights)
    sigma = getattr(parts.estimate, "sigma", None)
    if sigma is None or not np.isfinite(sigma) or sigma <= 0.0:
        sigma = float(np.sqrt(np.mean((root * resid) ** 2))) or 1.0
    return root * resid / sigma, "residual / sigma"
