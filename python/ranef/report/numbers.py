"""Numbers of one column as text, with all with as many decimals as the smallest spread needs."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

__all__ = ["in_one_scale"]

#: Significant digits of the smallest scale, and the spread of scales one column may hold.
DIGITS = 4
SPREAD = 1e4


def in_one_scale(values: ArrayLike, scales: ArrayLike) -> list[str]:
    """Write values of a column so that they compare at a glance.

    Parameters
    ----------
    values : array_like of shape (k,)
        Numbers to write.
    scales : array_like of shape (k,)
        How precise each is, such as standard errors; the values themselves will do.

    Returns
    -------
    list of str
        Decimals such that the smallest scale that is not zero keeps four significant digits.
        Where scales differ by a factor of 10,000 or numbers would be unreadable without an
        exponent, each has four significant digits of its own scale.

    Examples
    --------
    >>> in_one_scale([251.4051, 10.46729], [6.8246, 1.5458])
    ['251.405', '10.467']
    >>> in_one_scale([3.1e-9, 2.0], [1e-9, 1.0])
    ['3.1000e-09', '2.000']
    """
    numbers = np.asarray(values, dtype=float)
    sizes = np.abs(np.asarray(scales, dtype=float))
    usable = sizes[np.isfinite(sizes) & (sizes > 0.0)]
    if not usable.size:
        return [_alone(x, 1.0) for x in numbers]
    low, high = usable.min(), max(usable.max(), np.nanmax(np.abs(numbers), initial=0.0))
    if usable.max() > SPREAD * low or low < 1e-5 or high >= 1e7:
        return [_alone(x, s) for x, s in zip(numbers, sizes, strict=True)]
    return [f"{x:.{_decimals(low)}f}" for x in numbers]


def _decimals(scale: float) -> int:
    """Count the decimals that show a scale with its significant digits."""
    return max(0, DIGITS - 1 - int(np.floor(np.log10(scale))))


def _alone(x: float, scale: float) -> str:
    """Write one number by its own scale."""
    if x != 0.0 and not 1e-5 <= abs(x) < 1e7:
        return f"{x:.4e}"
    return f"{x:.{_decimals(scale)}f}" if np.isfinite(scale) and scale >= 1e-9 else f"{x:.5g}"
