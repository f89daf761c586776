"""Choose the basis of each variable of a smooth from its rows."""

from __future__ import annotations

from math import comb

import numpy as np
import pandas as pd

from ..._counted import counted
from ..._typing import Array
from ...errors import DataError
from ...formula import Smooth
from .basis import Basis
from .cubic import Cubic, Cyclic, place_knots
from .pspline import PSpline
from .thinplate import ThinPlate, usual_order

__all__ = ["margin"]

#: Functions of a basis beyond the polynomials of a thin plate spline, by the number of variables.
USUAL = {1: 8, 2: 27, 3: 100}
ORDINARY, TENSOR = 10, 5


def margin(smooth: Smooth, position: int, x: Array) -> Basis:
    """Build one basis of a smooth.

    Parameters
    ----------
    smooth : Smooth
        The term.
    position : int
        Which margin of a tensor product; 0 for ``s``.
    x : ndarray of shape (n, d)
        Its variables on the rows.

    Raises
    ------
    DataError
        If the rows do not have as many distinct values as the basis has functions, or none.
    """
    bs = "tp" if smooth.bs[position] == "fs" else smooth.bs[position]
    names = [f.expr for f in smooth.variables]
    name = names[position] if smooth.kind != "s" else ", ".join(names[: x.shape[1]])
    for column, label in zip(x.T, names if smooth.kind == "s" else [name], strict=False):
        if column.min() == column.max():
            raise DataError(
                f"{label!r} is constant in the rows used, so that {smooth.text} has no shape; "
                "leave it out",
                label,
            )
    order, degree = _orders(smooth, position, bs, x.shape[1])
    k = smooth.k[position]
    if k is None:
        k = TENSOR if smooth.kind != "s" else ORDINARY
        if bs == "tp" and smooth.kind == "s":
            d = x.shape[1]
            k = comb(order + d - 1, d) + USUAL.get(d, USUAL[3])
    n_distinct = len(pd.unique(x[:, 0]) if x.shape[1] == 1 else np.unique(x, axis=0))
    least = k - 1 if bs == "cc" else k
    if n_distinct < least and not (bs == "ps" and n_distinct > 1):
        raise DataError(
            f"{smooth.text} has {k} basis functions and {name!r} only "
            f"{counted(n_distinct, 'distinct value')} in the rows used; write "
            f"k={max(n_distinct, 3)} or less",
            name,
        )
    try:
        return _basis(smooth, bs, x, k, order, degree)
    except ValueError as error:
        if isinstance(error, DataError):
            raise
        raise DataError(f"{smooth.text}: {error}", name) from None


def _orders(smooth: Smooth, position: int, bs: str, dimension: int) -> tuple[int, int]:
    """Return the order of a penalty and the degree of B-splines."""
    m = smooth.m[position]
    if bs == "ps":
        first, second = (m * 2)[:2] if m else (2, 2)
        return second, first + 1
    if bs == "tp":
        order = m[0] if m else usual_order(dimension)
        if 2 * order <= dimension:
            raise DataError(
                f"{smooth.text}: m={order} is too small for {counted(dimension, 'variable')}; a "
                f"thin plate spline needs 2 m > {dimension}",
                smooth.label,
            )
        return order, 0
    if m and m != (2,):
        raise DataError(f"{smooth.text}: a basis {bs!r} has m=2 and no other", smooth.label)
    return 2, 0


def _basis(smooth: Smooth, bs: str, x: Array, k: int, order: int, degree: int) -> Basis:
    """Build the basis itself."""
    v, knots = x[:, 0], np.array(smooth.knots)
    if bs == "tp":
        if len(knots):
            raise ValueError("a thin plate spline has no knots to choose; use bs='cr'")
        return ThinPlate.over(x, k, order)
    if bs == "ps":
        if k <= max(order, degree):
            raise ValueError(f"k={k} is too small; k={max(order, degree) + 1} is the smallest")
        if len(knots) > 2:
            raise ValueError("P-splines have evenly spaced knots; pass their two ends, or none")
        low, high = (knots[0], knots[1]) if len(knots) else (v.min(), v.max())
        if low > v.min() or high < v.max():
            raise ValueError(f"the ends {low:g} and {high:g} of knots do not cover the data")
        return PSpline.over(float(low), float(high), k, degree, order)
    if len(knots) == 2:
        inside = v[(v >= knots[0]) & (v <= knots[1])]
        knots = place_knots(np.concatenate([knots, inside]), k)
    elif not len(knots):
        knots = place_knots(v, k)
    elif smooth.k[0] is not None and len(knots) != k:
        raise ValueError(f"there are {len(knots)} knots and k={k}; pass k knots, or the two ends")
    return Cyclic(knots) if bs == "cc" else Cubic(knots)
