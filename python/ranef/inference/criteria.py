"""Information criteria side by side: differences, weights, and where criteria disagree."""

from __future__ import annotations

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

__all__ = ["CRITERIA", "deltas", "lowest", "weights"]

#: Criteria that models can be ranked by, with their names in words.
CRITERIA = {"aic": "AIC", "aicc": "AICc", "bic": "BIC", "caic": "conditional AIC"}


def deltas(values: ArrayLike) -> NDArray[np.float64]:
    """Return differences from the lowest value."""
    values = np.asarray(values, float)
    return np.asarray(values - values.min())


def weights(values: ArrayLike) -> NDArray[np.float64]:
    """Return Akaike weights, exp(-delta / 2) over their sum."""
    relative = np.exp(-0.5 * deltas(values))
    return np.asarray(relative / relative.sum())


def lowest(table: pd.DataFrame) -> dict[str, str]:
    """Return the row with the lowest value of each criterion of the table."""
    return {name: str(table[name].idxmin()) for name in CRITERIA if name in table}
