"""Whether the mediator of one model is the response of the other, and what varies within groups."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from .._typing import Array
from ..errors import DataError
from .levels import is_number
from .roles import Role

__all__ = ["check_is_response", "constant_within"]


def check_is_response(mediator: Role, outcome: Role, name: str) -> str:
    """Refuse a mediator column that is not what the mediator's model is for.

    Returns
    -------
    str
        A remark, when the column is the response's deviation from, or mean of, its groups.
    """
    design = mediator.parts.design
    column = outcome.columns[name]
    if not is_number(column) or design.n_data != outcome.parts.design.n_data:
        if design.response.strip("`") == name:
            return ""
        if is_number(column):
            raise ValueError(
                f"the mediator's model is for {design.response!r} on other rows than the "
                f"outcome's, and mediator_name={name!r} cannot be compared with it; give the "
                "column the same name"
            )
        return ""
    return relation(mediator, outcome, name, column.to_numpy(float))


def relation(mediator: Role, outcome: Role, name: str, column: Array) -> str:
    """Compare a column of the outcome's data with the response of the mediator's model."""
    design, other = mediator.parts.design, outcome.parts.design
    every = np.full(design.n_data, np.nan)
    every[np.arange(design.n_data) if design.rows is None else design.rows] = design.y
    y = every[np.arange(other.n_data) if other.rows is None else other.rows]
    both = np.isfinite(y)
    if both.sum() < 3:
        raise DataError(f"the two models share fewer than three rows with {name!r}", name)
    candidates = [(y, "")]
    for term in other.random:
        size = np.bincount(term.codes[both], minlength=term.n_levels)
        mean = np.bincount(term.codes[both], y[both], term.n_levels) / np.maximum(size, 1)
        mean = mean[term.codes]
        candidates.append((y - mean, f"{name} is the deviation of the mediator from {term.group}"))
        candidates.append((mean, f"{name} is the mean of the mediator by {term.group}"))
    for values, remark in candidates:
        slope = exact_slope(values[both], column[both])
        if slope is None:
            continue
        if abs(slope - 1.0) < 1e-6:
            return remark
        raise ValueError(
            f"{name!r} is {design.response!r} times {slope:.6g}, so that a and b are in different "
            "units and their product is no effect; fit both models with the same column"
        )
    raise ValueError(
        f"the mediator's model is for {design.response!r}, and {name!r} is another variable; "
        "mediator_name is the column of the outcome's model that the mediator's model is for"
    )


def exact_slope(x: Array, y: Array) -> float | None:
    """Slope of y on x where y is exactly a straight line in x; None elsewhere."""
    x, y = x - x.mean(), y - y.mean()
    if np.sum(x**2) == 0.0:
        return None
    slope = float(np.sum(x * y) / np.sum(x**2))
    left = float(np.sqrt(np.sum((y - slope * x) ** 2)))
    return slope if left <= 1e-7 * float(np.sqrt(np.sum(y**2))) and slope != 0.0 else None


def constant_within(column: pd.Series[Any], codes: Any) -> bool:
    """Return whether a column has one value in each group."""
    values = pd.Series(pd.factorize(column)[0])
    return bool((values.groupby(codes).nunique() <= 1).all())
