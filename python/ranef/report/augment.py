"""The rows of a fit with fitted values, residuals and random effects."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ..design.design import Design
from ..design.frame import to_pandas
from ..design.snapshot import rows_dropped
from ..errors import DataError

__all__ = ["augmented", "callers_rows", "used_rows"]


def augmented(parts: Any) -> pd.DataFrame:
    """Add .fitted, .resid, .fixed, .offset, .weights and .wtres to the rows that were used."""
    from ..inference.prediction.predict import fixed_part, random_part

    out = callers_rows(parts)
    design, estimate = parts.design, parts.estimate
    fixed = fixed_part(design, estimate)
    fitted = fixed + random_part(design, estimate.modes)
    new: dict[str, NDArray[np.float64]] = {
        ".fitted": fitted,
        ".resid": design.y - fitted,
        ".fixed": fixed,
    }
    if design.offset is not None:
        new[".offset"] = design.offset
    if design.weights is not None:
        new[".weights"] = design.weights
        new[".wtres"] = np.sqrt(design.weights) * (design.y - fitted)
    return out.assign(**new)


def callers_rows(parts: Any) -> pd.DataFrame:
    """Take the caller's rows that were used, for columns to be added.

    The rows are those of the fit, whatever has happened to their order and values since. A frame
    that has lost rows has no place for columns of them all.

    Raises
    ------
    DataError
        If rows were dropped from the caller's frame since the fit.
    """
    if (found := rows_dropped(parts)) is not None:
        left, at_fit = found
        raise DataError(
            f"rows were dropped from the data since the fit ({left} of {at_fit} are left), and the "
            "columns of augment() go beside all of them; fit the rows that are left by "
            "update(data=...), take model.fittedvalues and model.resid, which are of the rows of "
            "the fit, or drop rows into a new frame"
        )
    return used_rows(parts.design, parts.data)


def used_rows(design: Design, data: Any) -> pd.DataFrame:
    """Take the caller's rows that were used; response and groups alone without the data."""
    if data is not None:
        frame = to_pandas(data)
        return frame if design.rows is None else frame.iloc[design.rows]
    index = design.index
    if index is not None and design.rows is not None:
        index = index[design.rows]
    single = [term for term in design.bars if len(term.memberships) == 1]
    groups = {term.group: term.levels.take(term.codes) for term in single}
    return pd.DataFrame({design.response: design.y, **groups}, index=index)
