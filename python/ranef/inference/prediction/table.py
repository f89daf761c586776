"""Predictions labelled as the rows that they are for."""

from __future__ import annotations

from typing import Any

import pandas as pd

from ..._typing import Array

__all__ = ["labelled", "laid_out"]


def labelled(mean: Array, index: pd.Index[Any] | None) -> pd.Series[Any]:
    """Label predicted values; rows without labels are counted."""
    return pd.Series(mean, index=index)


def laid_out(
    mean: Array,
    se: Array | None,
    limits: tuple[Array, Array] | None,
    index: pd.Index[Any] | None,
) -> pd.DataFrame:
    """Lay out means with what was asked for: columns mean, se, lower, upper."""
    columns: dict[str, Array] = {"mean": mean}
    if se is not None:
        columns["se"] = se
    if limits is not None:
        columns["lower"], columns["upper"] = limits
    return pd.DataFrame(columns, index=index)
