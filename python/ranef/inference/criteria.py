"""Information criteria side by side: differences, weights, and where criteria disagree."""

from __future__ import annotations

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

__all__ = ["CRITERIA", "deltas", "lowest", "value", "weights"]

#: Criteria that models can be ranked by, with their names in words.
CRITERIA = {
    "aic": "AIC",
    "aicc": "AICc",
    "bic": "BIC",
    "caic": "conditional AIC",
    "qic": "QIC",
}


def value(criterion: str, llf: float, npar: int, rows: int) -> float:
    """Compute "aic", "aicc" or "bic" of a likelihood; infinite where AICc has too few rows."""
    if criterion == "bic":
        return float(np.log(rows)) * npar - 2.0 * llf
    left = rows - npar - 1
    extra = 2.0 * npar * (npar + 1) / left if left > 0 else np.inf
    return 2.0 * npar - 2.0 * llf + (extra if criterion == "aicc" else 0.0)


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
