"""The groups of rows that can be deleted from a model."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ...design.frame import open_frame
from ...errors import DataError
from .parts import MixedParts

__all__ = ["deleted_rows"]


def deleted_rows(
    parts: MixedParts, groups: str | None
) -> tuple[str, NDArray[np.intp], pd.Index[Any]]:
    """Return the name, the group of each row and the labels of what is to be deleted."""
    design = parts.design
    for term in design.random:
        if groups in (None, term.group):
            return term.group, term.codes.astype(np.intp), pd.Index(list(term.levels))
    kept = np.arange(design.n_data) if design.rows is None else design.rows
    if groups == "rows":
        labels = pd.RangeIndex(design.n_data) if design.index is None else design.index
        return "rows", np.arange(design.n_obs), labels[kept]
    if parts.data is None:
        raise ValueError(
            f"{groups!r} is not a grouping factor of the model, and an unpickled model no longer "
            f"knows its data; there are {[term.group for term in design.random]} and 'rows'"
        )
    codes, levels = pd.factorize(open_frame(parts.data).series(str(groups)).iloc[kept], sort=True)
    if (codes < 0).any():
        raise DataError(f"{groups!r} has missing values in rows of the model", groups)
    return str(groups), codes, pd.Index(levels)
