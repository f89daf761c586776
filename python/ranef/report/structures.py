"""Parameters of the covariance structures of random-effects terms, as a table."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import pandas as pd

from .._typing import Array
from ..design.design import RandomTerm
from ..inference.structures import natural_names

__all__ = ["structure_table"]


def structure_table(terms: Sequence[RandomTerm], found: Sequence[Array]) -> pd.DataFrame:
    """Lay out the parameters of all structures.

    Parameters
    ----------
    terms : sequence of RandomTerm
        The random-effects terms.
    found : sequence of ndarray of shape (m, 4)
        Of each structure the estimates, standard errors and limits of its parameters.

    Returns
    -------
    DataFrame
        Columns estimate, se, lower, upper; rows ``GROUP.NAME``.
    """
    index = pd.Index(list(_names(terms)), dtype=object)
    values = np.vstack([np.zeros((0, 4)), *found])
    return pd.DataFrame(values, index=index, columns=["estimate", "se", "lower", "upper"])


def _names(terms: Sequence[RandomTerm]) -> Iterator[str]:
    for term in terms:
        for own in natural_names(term):
            yield from own
