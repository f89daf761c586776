"""How far an interval of a given coverage reaches."""

from __future__ import annotations

from numbers import Real

import numpy as np
import scipy
from numpy.typing import ArrayLike, NDArray

__all__ = ["check_level", "t_quantile"]


def check_level(level: float) -> None:
    """Raise `ValueError` unless ``level`` can be the coverage of an interval."""
    if not isinstance(level, Real) or not 0.0 < level < 1.0:
        raise ValueError(f"level is a coverage between 0 and 1, not {level!r}")


def t_quantile(level: float, df: ArrayLike = np.inf) -> NDArray[np.float64]:
    """Return half the width, in standard errors, of two-sided intervals from Student's t.

    Parameters
    ----------
    level : float
        Coverage, between 0 and 1.
    df : array_like
        Degrees of freedom; infinite for normal intervals.

    Returns
    -------
    ndarray
        One quantile for each entry of ``df``; NaN where that is.

    Raises
    ------
    ValueError
        If the level is no coverage.
    """
    check_level(level)
    df = np.asarray(df, float)
    probability = 0.5 + level / 2.0
    finite = np.where(np.isinf(df), 1.0, df)
    normal, student = scipy.special.ndtri(probability), scipy.special.stdtrit(finite, probability)
    return np.asarray(np.where(np.isinf(df), normal, student))
