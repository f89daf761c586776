"""Natural cubic splines in the parametrisation of R's ``splines::ns``."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["natural_spline"]

ORDER = 4


def natural_spline(
    x: NDArray[np.float64],  # (n,)
    state: dict[str, Any],
    *,
    df: int | None = None,
    knots: Any = None,
    intercept: bool = False,
    boundary: Any = None,
) -> NDArray[np.float64]:
    """Evaluate the natural cubic spline basis at ``x``; NaN where x is.

    Parameters
    ----------
    x : ndarray of shape (n,)
        Where to evaluate.
    state : dict
        Knots of an earlier call; filled by the first.
    df : int, optional
        Number of columns; inner knots then lie at quantiles of x.
    knots : array_like, optional
        Inner knots, instead of ``df``.
    intercept : bool
        Whether the constant is in the span.
    boundary : pair of float, optional
        Boundary knots, the range of x by default.

    Returns
    -------
    ndarray of shape (n, df)
        The basis.

    Notes
    -----
    Cubic B-splines on the knots, projected on the null space of their second derivatives at the two
    boundary knots by a Householder QR decomposition; straight lines beyond the boundary [1]_.

    References
    ----------
    .. [1] Hastie (1992), Generalized additive models, in Chambers and Hastie (eds.), Statistical
       Models in S, chapter 7.
    """
    if "knots" not in state:
        state["knots"] = place_knots(x, df, knots, intercept, boundary)
    placed: NDArray[np.float64] = state["knots"]
    basis = spline_columns(x, placed)
    curvature = spline_columns(placed[[0, -1]], placed, 2)
    first = 0 if intercept else 1
    rotation = np.linalg.qr(curvature[:, first:].T, mode="complete")[0]
    columns: NDArray[np.float64] = basis[:, first:] @ rotation[:, 2:]
    return columns


def place_knots(
    x: NDArray[np.float64], df: int | None, knots: Any, intercept: bool, boundary: Any
) -> NDArray[np.float64]:
    """Return each knot once, the boundary knots first and last."""
    seen = x[~np.isnan(x)]
    low, high = (seen.min(), seen.max()) if boundary is None else sorted(boundary)
    if knots is not None and df is not None:
        raise ValueError("give df or knots, not both")
    if not low < high:
        raise ValueError("a spline needs at least two distinct values")
    if knots is None:
        count = (1 + intercept if df is None else df) - 1 - intercept
        if count < 0:
            raise ValueError(f"df must be {1 + intercept} or more")
        inside = seen[(seen >= low) & (seen <= high)]
        knots = np.quantile(inside, np.linspace(0, 1, count + 2)[1:-1])
    inner = np.sort(np.atleast_1d(np.asarray(knots, dtype=np.float64)))
    if len(inner) and not (low < inner[0] and inner[-1] < high):
        raise ValueError("the inner knots must lie between the boundary knots; use a smaller df")
    return np.concatenate([[low], inner, [high]])


def spline_columns(
    x: NDArray[np.float64], knots: NDArray[np.float64], derivative: int = 0
) -> NDArray[np.float64]:
    """Evaluate all cubic B-splines, shape (n, len(knots) + 2), linear beyond the last knots."""
    from scipy.interpolate import BSpline

    low, high = knots[0], knots[-1]
    padded = np.concatenate([[low] * (ORDER - 1), knots, [high] * (ORDER - 1)])
    splines = BSpline(padded, np.eye(len(padded) - ORDER), ORDER - 1)
    inside = np.clip(x, low, high)
    out = splines(inside, nu=derivative)
    beyond = (x < low) | (x > high)
    if derivative == 0 and beyond.any():
        slope = splines(inside[beyond], nu=1)
        out[beyond] += (x - inside)[beyond, None] * slope
    return np.asarray(out, dtype=np.float64)
