"""Rows of a coefficient plot."""

from __future__ import annotations

from typing import Any

import pandas as pd

__all__ = ["label_of", "table_of"]


def label_of(model: Any, i: int) -> str:
    """Name a model by its place and formula."""
    parts = getattr(model, "parts", None)
    formula = getattr(parts, "formula", None)
    return f"{i + 1}: {formula}" if formula is not None else str(i + 1)


def table_of(model: Any, level: float) -> pd.DataFrame:
    """Return estimates and intervals of a model."""
    """Columns estimate, lower, upper."""
    if not (hasattr(model, "params") and hasattr(model, "conf_int")):
        raise TypeError(
            "plot_coefficients draws fitted models, which have params and conf_int(); it was given "
            f"a {type(model).__name__}"
        )
    limits: pd.DataFrame = model.conf_int(level=level)
    return limits.assign(estimate=model.params)
