"""Priors that only a posterior takes: of standard deviations, and of correlations."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from numbers import Real
from typing import Any

import numpy as np
import scipy

from ..._typing import Array

__all__ = ["LKJ", "HalfT"]


@dataclass(frozen=True)
class HalfT:
    """Half Student t prior of standard deviations, in the units of the response.

    For :meth:`sample`. In a generalised model the units are those of the link.

    Attributes
    ----------
    df : float
        Degrees of freedom; 1 is a half Cauchy, infinity a half normal.
    location : float
        Where the t distribution is centred before it is cut at zero.
    scale : float or mapping of str to float
        Its scale: one number, or one for each column of the term.

    Examples
    --------
    >>> import ranef
    >>> ranef.HalfT(3, 0, 60)
    HalfT(df=3, location=0, scale=60)
    >>> ranef.HalfT(3, 0, {"Intercept": 60, "Days": 20}).scale["Days"]
    20
    """

    df: float
    location: float = 0.0
    scale: float | Mapping[str, float] = 1.0

    def __post_init__(self) -> None:
        for name, value in (("df", self.df), ("location", self.location)):
            if not isinstance(value, Real) or isinstance(value, bool) or np.isnan(float(value)):
                raise ValueError(f"HalfT: {name} must be a number, not {value!r}")
        if not self.df > 0.0 or not np.isfinite(self.location):
            raise ValueError("HalfT: df must be above zero and location finite")
        named: Mapping[str, Any] = (
            self.scale if isinstance(self.scale, Mapping) else {"scale": self.scale}
        )
        for name, value in named.items():
            if not is_positive(value):
                raise ValueError(f"HalfT: {name} must be a number above zero, not {value!r}")

    def logpdf(self, sd: Array, scale: Array | float) -> Array:
        """Return the log density of standard deviations, for scales that broadcast with them."""
        inside = _log_t((sd - self.location) / scale, self.df) - np.log(scale)
        below = -self.location / np.asarray(scale)
        tail = scipy.special.ndtr(-below) if np.isinf(self.df) else _t_above(below, self.df)
        return np.asarray(inside - np.log(tail))


def _log_t(x: Array, df: float) -> Array:
    if np.isinf(df):
        return np.asarray(-0.5 * x**2 - 0.5 * np.log(2.0 * np.pi))
    constant = scipy.special.gammaln(0.5 * (df + 1.0)) - scipy.special.gammaln(0.5 * df)
    constant -= 0.5 * np.log(df * np.pi)
    return np.asarray(constant - 0.5 * (df + 1.0) * np.log1p(x**2 / df))


def _t_above(x: Array, df: float) -> Array:
    return np.asarray(scipy.special.stdtr(df, -x))


def is_positive(value: Any) -> bool:
    """Return whether this is a finite number above zero."""
    number = isinstance(value, Real) and not isinstance(value, bool)
    return number and bool(0.0 < float(value) < np.inf)


@dataclass(frozen=True)
class LKJ:
    """Prior of the correlations of each term with several columns, for :meth:`sample`.

    Its density is proportional to ``|R| ** (eta - 1)``: 1 is uniform over correlation matrices,
    more favours small correlations.

    Attributes
    ----------
    eta : float
        Above zero.

    References
    ----------
    Lewandowski, Kurowicka and Joe (2009), J. Multivariate Anal. 100, 1989-2001.

    Examples
    --------
    >>> import ranef
    >>> ranef.LKJ(2)
    LKJ(eta=2)
    """

    eta: float = 1.0

    def __post_init__(self) -> None:
        value: Any = self.eta
        if not is_positive(value):
            raise ValueError(f"LKJ: eta must be a number above zero, not {value!r}")
