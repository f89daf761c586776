"""Links between a mean and its linear predictor."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import scipy

from .. import _core
from .._options import check_option
from .._typing import Array

__all__ = [
    "CAUCHIT",
    "CLOGLOG",
    "IDENTITY",
    "INVERSE",
    "LINKS",
    "LOG",
    "LOGIT",
    "LOGLOG",
    "PROBIT",
    "SQRT",
    "Link",
    "limits_of",
    "link_named",
    "mean_of",
    "slope_of",
]


@dataclass(frozen=True)
class Link:
    """A monotone function that takes a mean to its linear predictor.

    Attributes
    ----------
    name : str
        What users and the core call it.
    function : callable
        eta of a mean, for arrays.
    low, high : float
        Ends of the means that it reaches.
    positive : bool
        Whether linear predictors of positive means are above zero only, and means fall with them.
    latent_variance : float or None
        Variance of the distribution whose distribution function is the inverse link, if it has one.
    contrast : str
        What a difference of linear predictors is when it is raised to the scale of the response:
        "ratio", "odds_ratio", or nothing.
    even : bool
        Whether linear predictors of opposite signs have the same mean.

    Notes
    -----
    The inverse and its derivative are the core's, which keeps probabilities a rounding error away
    from 0 and 1. They return NaN for NaN.
    """

    name: str
    function: Callable[[Array], Array]
    low: float = -np.inf
    high: float = np.inf
    positive: bool = False
    latent_variance: float | None = None
    contrast: str = ""
    even: bool = False

    def mean(self, eta: Array) -> Array:
        """Return the means of linear predictors of any shape."""
        return _through(_core.mean_of, self.name, eta)

    def slope(self, eta: Array) -> Array:
        """Return the derivatives of the means by their linear predictors."""
        return _through(_core.mean_slope, self.name, eta)

    def keep_inside(self, eta: Array, above: Array | float = 0.0) -> Array:
        """Move linear predictors that no mean has to ``above``."""
        return np.maximum(eta, above) if self.positive else eta

    def limits(self, eta: Array, half: Array) -> tuple[Array, Array]:
        """Return lower and upper limits of means whose predictors are within ``half`` of eta."""
        low, high = eta - half, eta + half
        if self.even:
            nearest = np.maximum(np.abs(eta) - half, 0.0)
            return self.mean(nearest), self.mean(np.abs(eta) + half)
        if not self.positive:
            return self.mean(low), self.mean(high)
        # a mean grows without end as its predictor comes near zero, which it does not cross
        low = np.where(eta > 0.0, np.maximum(low, 0.0), low)
        high = np.where(eta < 0.0, np.minimum(high, -0.0), high)
        return self.mean(high), self.mean(low)


def _through(function: Callable[[str, Array], Array], name: str, eta: Array) -> Array:
    """Call a function of the core, which takes vectors, on an array; NaN stays NaN."""
    eta = np.asarray(eta, dtype=np.float64)
    out = function(name, np.ascontiguousarray(eta).ravel()).reshape(eta.shape)
    return np.where(np.isnan(eta), np.nan, out)


def _logit(mu: Array) -> Array:
    return np.asarray(scipy.special.logit(mu))


def _probit(mu: Array) -> Array:
    return np.asarray(scipy.special.ndtri(mu))


def _cloglog(mu: Array) -> Array:
    return np.asarray(np.log(-np.log1p(-mu)))


def _loglog(mu: Array) -> Array:
    return np.asarray(-np.log(-np.log(mu)))


def _cauchit(mu: Array) -> Array:
    return np.asarray(np.tan(np.pi * (mu - 0.5)))


IDENTITY = Link("identity", np.asarray)
LOGIT = Link("logit", _logit, 0.0, 1.0, latent_variance=np.pi**2 / 3.0, contrast="odds_ratio")
PROBIT = Link("probit", _probit, 0.0, 1.0, latent_variance=1.0)
CLOGLOG = Link("cloglog", _cloglog, 0.0, 1.0, latent_variance=np.pi**2 / 6.0)
LOGLOG = Link("loglog", _loglog, 0.0, 1.0, latent_variance=np.pi**2 / 6.0)
CAUCHIT = Link("cauchit", _cauchit, 0.0, 1.0)
LOG = Link("log", np.log, 0.0, contrast="ratio")
INVERSE = Link("inverse", np.reciprocal, 0.0, positive=True)
SQRT = Link("sqrt", np.sqrt, 0.0, even=True)

#: Links by name, in the order in which they are listed to users.
LINKS = {
    link.name: link
    for link in (IDENTITY, LOGIT, PROBIT, CLOGLOG, LOGLOG, CAUCHIT, LOG, INVERSE, SQRT)
}


def link_named(name: str) -> Link:
    """Look a link up.

    Raises
    ------
    ValueError
        For a link that does not exist, with those that do.
    """
    return LINKS[check_option("link", name, LINKS)]


def mean_of(link: str, eta: Array) -> Array:
    """Apply the inverse of a link; NaN stays NaN."""
    return link_named(link).mean(eta)


def slope_of(link: str, eta: Array) -> Array:
    """Differentiate the inverse of a link; NaN stays NaN."""
    return link_named(link).slope(eta)


def limits_of(link: str, eta: Array, half: Array) -> tuple[Array, Array]:
    """Return the limits of means whose linear predictors are within ``half`` of ``eta``."""
    return link_named(link).limits(eta, half)
