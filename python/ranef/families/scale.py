"""The variance that a distribution adds on the scale of the linear predictor."""

from __future__ import annotations

import numpy as np
import scipy

from .._options import check_option
from .._typing import Array
from ..errors import UnsupportedError
from .family import Family, Params
from .links import Link

__all__ = [
    "ELSEWHERE",
    "METHODS",
    "check_scale",
    "distribution_variance",
    "needs_mean",
    "row_variance",
]

METHODS = ("lognormal", "trigamma", "delta")
#: What has no place on the scale of the linear predictor, and where it has one.
ELSEWHERE = 'scale="observation" has shares of the variance of the responses themselves'


def needs_mean(family: Family) -> bool:
    """Return whether the variance on the scale of the linear predictor depends on the mean."""
    located = family.located is not None
    return not (family.latent or family.constant_variation or located)


def check_scale(family: Family, link: Link, zero: bool = False) -> None:
    """Refuse a distribution whose variance has no place on the scale of the linear predictor.

    Raises
    ------
    UnsupportedError
        With the scale that there is.
    """
    own_mean = family.expectation is not None and family.located is None
    if own_mean:
        raise UnsupportedError(
            f"the mean of {family.named} response is not the inverse link of the linear predictor, "
            f"so its variance has no place on that scale; {ELSEWHERE}"
        )
    logarithmic = link.name == "log" or family.located is not None
    if zero and not logarithmic:
        raise UnsupportedError(
            f"structural zeros of {family.named} response have no place on the scale of its "
            f"{link.name} link; {ELSEWHERE}"
        )
    if family.latent and link.latent_variance is not None:
        return
    is_share = family.support.high == 1.0 and "phi" in family.parameters
    if link.name not in ("identity", "log") and not is_share:
        raise UnsupportedError(
            f"proportions of variance of {family.named} response are known for log, not for "
            f"{link.name} links; {ELSEWHERE}"
        )


def distribution_variance(
    family: Family, link: Link, mean: float, params: Params, method: str
) -> float:
    """Return the variance that the distribution adds on the scale of the linear predictor.

    Parameters
    ----------
    family, link
        The distribution, and the link of its mean.
    mean : float
        Mean of the response with random effects alone; not used for a latent variable.
    params : mapping
        Parameters of the family.
    method : {"lognormal", "trigamma", "delta"}
        The approximation for a log link.

    Raises
    ------
    ValueError
        For another method.
    UnsupportedError
        For a distribution without a place on that scale.
    """
    check_scale(family, link)
    return float(row_variance(family, link, np.array([mean]), params, method)[0])


def row_variance(
    family: Family, link: Link, mu: Array, params: Params, method: str, zero: float = 0.0
) -> Array:
    """Return the variance that the distribution of each row adds, of the shape of ``mu``.

    Parameters
    ----------
    family, link
        The distribution, and the link of its location.
    mu : ndarray
        Locations.
    params : mapping
        Parameters of the family.
    method : {"lognormal", "trigamma", "delta"}
        The approximation for a log link; "delta" of shares is the delta method too.
    zero : float
        Probability of a structural zero.

    Notes
    -----
    Under a log link all three approximations are functions of the squared coefficient of variation
    of the response given its mean [1]_, in which structural zeros count:
    (V + p mu²) / ((1 - p) mu²). A probability that varies like a beta variable adds the variance of
    its logit, trigamma(mu phi) + trigamma((1 - mu) phi), or by the delta method that of its link.

    References
    ----------
    .. [1] Nakagawa, Johnson and Schielzeth (2017), J. R. Soc. Interface 14, 20170213, table 1.
    """
    method = check_option("method", method, METHODS)
    mu = np.asarray(mu, dtype=np.float64)
    if family.latent and link.latent_variance is not None:
        return np.full(mu.shape, link.latent_variance)
    if family.located is not None and zero == 0.0:
        return np.broadcast_to(np.asarray(params["sigma"], dtype=np.float64) ** 2, mu.shape)
    if link.name not in ("identity", "log"):
        return _of_share(family, link, mu, np.asarray(params["phi"]), method)
    variance = family.variance(mu, params)
    if link.name == "identity" and family.located is None:
        return np.asarray(variance + 0.0 * mu)
    square = family.mean(mu, params) ** 2
    relative = (variance + zero * square) / ((1.0 - zero) * square)
    if method == "lognormal":
        return np.asarray(np.log1p(relative))
    return np.asarray(
        scipy.special.polygamma(1, 1.0 / relative) if method == "trigamma" else relative
    )


def _of_share(family: Family, link: Link, mu: Array, phi: Array, method: str) -> Array:
    """Variance of the link of a beta variable; with that of a latent one where trials are drawn."""
    if link.name == "logit" and method != "delta":
        trigamma = scipy.special.polygamma
        own = trigamma(1, mu * phi) + trigamma(1, (1.0 - mu) * phi)
    else:
        own = mu * (1.0 - mu) / (1.0 + phi) / link.slope(link.function(mu)) ** 2
    latent = link.latent_variance if family.has_trials else 0.0
    if latent is None:
        raise UnsupportedError(
            f"the latent variable of a {link.name} link has no variance; {ELSEWHERE}"
        )
    return np.asarray(own + latent)
