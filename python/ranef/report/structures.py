"""Parameters of the covariance structures of random-effects terms, as a table."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from .._typing import Array
from ..design.design import RandomTerm
from ..inference.structures import natural_names

__all__ = ["structure_table"]


def structure_table(
    terms: Sequence[RandomTerm], natural: Sequence[Sequence[Array]], sigma: float
) -> pd.DataFrame:
    """Lay out the parameters of all structures, with standard deviations in absolute units.

    Parameters
    ----------
    terms : sequence of RandomTerm
        The random-effects terms.
    natural : sequence of sequence of ndarray
        Of each term's blocks the natural parameters, standard deviations relative to ``sigma``;
        empty for a block that is free.
    sigma : float
        What standard deviations are relative to.

    Returns
    -------
    DataFrame
        Column estimate; rows ``GROUP.NAME``.
    """
    values: dict[str, float] = {}
    for term, blocks in zip(terms, natural, strict=True):
        for structure, names, numbers in zip(
            term.block_structures, natural_names(term), blocks, strict=False
        ):
            if structure is None:
                continue
            scaled = np.array(numbers)
            scaled[: structure.n_sds] *= sigma ** (-2 if structure.kind == "precisions" else 1)
            values.update(zip(names, scaled.tolist(), strict=True))
    return pd.DataFrame({"estimate": pd.Series(values, dtype=float)})
