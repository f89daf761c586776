"""The variance that a distribution adds on the scale of the linear predictor."""

from __future__ import annotations

import numpy as np
import scipy

from .._options import check_option
from ..errors import UnsupportedError
from .family import Family, Params
from .links import Link

__all__ = ["METHODS", "distribution_variance", "needs_mean"]

METHODS = ("lognormal", "trigamma", "delta")


def needs_mean(family: Family) -> bool:
    """Return whether the variance on the scale of the linear predictor depends on the mean."""
    return not (family.latent or family.constant_variation)


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
        For links other than log and identity of a family without a latent variable.

    Notes
    -----
    Under a log link all three approximations are functions of the squared coefficient of variation
    of the response given its mean, V(mu) / mu².

    References
    ----------
    Nakagawa, Johnson and Schielzeth (2017), J. R. Soc. Interface 14, 20170213, table 1.
    """
    method = check_option("method", method, METHODS)
    if family.latent and link.latent_variance is not None:
        return link.latent_variance
    mu = np.array([mean])
    if link.name == "identity":
        return float(family.variance(mu, params)[0])
    if link.name != "log":
        raise UnsupportedError(
            f"proportions of variance of {family.named} response are known for log, not for "
            f"{link.name} links"
        )
    relative = float((family.variance(mu, params) / mu**2)[0])
    if method == "lognormal":
        return float(np.log1p(relative))
    return float(scipy.special.polygamma(1, 1.0 / relative)) if method == "trigamma" else relative
