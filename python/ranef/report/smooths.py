"""The table of smooth terms."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd

from ..inference.smooths.table import Row
from .whole_frame import WholeFrame

__all__ = ["smooth_table"]


def smooth_table(rows: Sequence[Row], known_scale: bool) -> WholeFrame:
    """Lay out smooth terms, one per row."""
    index = pd.Index([row.term for row in rows], name="term", dtype=object)
    return WholeFrame(
        {
            "edf": [row.edf for row in rows],
            "ref_df": [row.ref_df for row in rows],
            "chisq" if known_scale else "F": [row.statistic for row in rows],
            "pvalue": [row.pvalue for row in rows],
            "sd": [row.sd for row in rows],
        },
        index=index,
        dtype=float,
    )
