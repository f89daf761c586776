"""One smooth on new rows: the curve, its derivative, standard errors and bands."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from ..._typing import Array
from ...design.encode import NewSmooth, encode_smooth
from ...errors import UnsupportedError
from ...models.roots import root_of
from ..coverage import t_quantile
from .table import MOST_EFFECTS, Fitted

__all__ = ["Curve", "curve_of"]

#: Step of a difference, as a share of the range of a variable.
STEP = 1e-4
#: Draws of a simultaneous band.
DRAWS = 10_000


@dataclass(frozen=True)
class Curve:
    """A smooth on m rows.

    Attributes
    ----------
    fit, se : ndarray of shape (m,)
        The smooth, without the intercept, and its standard error.
    root : ndarray of shape (m, k)
        R with R R' the covariance of the fit.
    index : Index or None
        Labels of the rows.
    """

    fit: Array
    se: Array
    root: Array
    index: pd.Index[Any] | None

    def half_width(self, interval: str, level: float, seed: int) -> Array:
        """Half the width of a band, (m,).

        Notes
        -----
        Of a simultaneous one the multiple of the error is the quantile of the largest deviation
        over the rows, simulated [1]_.

        References
        ----------
        .. [1] Ruppert, Wand and Carroll (2003), Semiparametric Regression, section 6.5.
        """
        if interval == "pointwise":
            return float(t_quantile(level)) * self.se
        known = np.flatnonzero(self.se > 0.0)
        scaled = self.root[known] / self.se[known, None]
        rng = np.random.default_rng(seed)
        draws = rng.standard_normal((scaled.shape[1], DRAWS))
        largest = np.zeros(DRAWS)
        for row in scaled:
            np.maximum(largest, np.abs(row @ draws), out=largest)
        return float(np.quantile(largest, level)) * self.se


def curve_of(fit: Fitted, position: int, newdata: object, by: str | None) -> Curve:
    """Evaluate a smooth, or its derivative by the variable ``by``, on new rows.

    ``newdata`` is a frame, or the values (m, d) of the variables of a curve themselves.
    """
    term = fit.design.random[position]
    smooth = term.smooth
    assert smooth is not None
    if not smooth.is_curve and term.n_levels * term.n_cols > MOST_EFFECTS:
        raise UnsupportedError(
            f"the standard errors of {smooth.label} need the covariance of "
            f"{term.n_levels * term.n_cols:,} "
            "coefficients; model.predict(new, random=...) gives its sum with the other terms"
        )
    if isinstance(newdata, np.ndarray):
        new = NewSmooth(newdata, None, np.zeros(len(newdata), dtype=np.int32), None)
    else:
        new = encode_smooth(fit.design, position, newdata)
    x = np.where(np.isnan(new.x), smooth.centre, new.x)
    if by is None:
        fixed, random = smooth.columns(x, new.multiplier)
    else:
        j = smooth.variables.index(by)
        low, high = smooth.ranges[j]
        h = STEP * (high - low)
        shift = np.zeros(x.shape[1])
        shift[j] = h
        after, before = (smooth.columns(x + side * shift, new.multiplier) for side in (1.0, -1.0))
        fixed, random = ((a - b) / (2.0 * h) for a, b in zip(after, before, strict=True))
    joint = fit.joint if smooth.is_curve else fit.joint_with([position])
    kept = [fit.design.fixed_names[j] for j in fit.kept]
    own = [k for k, name in enumerate(smooth.fixed_names) if name in kept]
    random = random @ fit.factors[position]
    if term.n_levels > 1:
        wide = np.zeros((len(x), term.n_levels, term.n_cols))
        wide[np.arange(len(x)), new.codes] = random
        random = wide.reshape(len(x), -1)
    C = np.hstack([fixed[:, own], random])
    at = fit.places(position, joint)
    root = fit.sigma * (C @ root_of(joint.covariance[np.ix_(at, at)]))
    missing = np.isnan(new.x).any(axis=1)
    value = C @ joint.coefficients[at]
    value[missing] = np.nan
    se = np.sqrt(np.sum(root**2, axis=1))
    se[missing] = np.nan
    return Curve(value, se, root, new.index)
