"""The distribution of a response given its mean, as one object."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from .._typing import Array
from .links import Link

__all__ = ["Family", "Params", "Support"]

#: Values of a family's parameters by their names, numbers or arrays that broadcast with the mean.
#: A family of shares finds the trials under "trials".
Params: TypeAlias = Mapping[str, Array | float]


@dataclass(frozen=True)
class Support:
    """The responses that a family allows, and the words of a refusal.

    Attributes
    ----------
    words : str
        What the response is, as in "between 0 and 1".
    low, high : float
        Ends of the range.
    open_low, open_high : bool
        Whether the ends themselves are outside.
    discrete : bool
        Whether responses are counts, or shares of counted trials.
    counts : str
        What a count is made of, as in "counts 0, 1, 2, ...".
    hint : str
        What to do with responses that are not whole.
    advice : str
        What to do with responses outside the range.
    edges : tuple of float
        Ends of the range that are possible responses, but not possible means.
    at_edge : str
        What fitted means do that run to an edge, as in "counts run to 0".
    """

    words: str
    low: float = -np.inf
    high: float = np.inf
    open_low: bool = False
    open_high: bool = False
    discrete: bool = False
    counts: str = ""
    hint: str = ""
    advice: str = ""
    edges: tuple[float, ...] = ()
    at_edge: str = ""

    def contains(self, y: Array) -> NDArray[np.bool_]:
        """Tell which responses are in range; NaN is not."""
        above = y > self.low if self.open_low else y >= self.low
        below = y < self.high if self.open_high else y <= self.high
        return np.asarray(above & below)


@dataclass(frozen=True)
class Family:
    """The distribution of a response y given its mean mu.

    Functions take arrays that broadcast, and the parameters by name.

    Attributes
    ----------
    name, core : str
        What users call it, and what the compiled core does; empty where the core has no such
        family.
    estimators : tuple of str
        Functions of ranef that fit it: "glmer", "gee".
    links : tuple of Link
        Links that a likelihood is maximised under, the usual one first.
    support : Support
        Valid responses.
    unit_variance : callable
        ``(mu, params)``, the variance of y with ``scale`` and trials left out.
    deviance : callable
        ``(y, mu, params)``, twice the log-likelihood ratio against mu = y, with ``scale`` left out
        and for one trial.
    logpdf, cdf : callable
        ``(y, mu, params)``, log density or log probability, and distribution function.
    quantile : callable
        ``(p, mu, params)``, the smallest response whose distribution function reaches p.
    draw : callable
        ``(rng, mu, params)``, a response for each mean.
    parameters : tuple of str
        Names of dispersion and shape parameters.
    scale : callable, optional
        ``(params)``, what multiplies the unit variance; it comes from the first parameter alone.
    has_trials : bool
        Whether y is a share of trials, which are then in ``params["trials"]``.
    latent : bool
        Whether y is a cut of a latent variable, with the variance of the link's distribution.
    has_zeros : bool
        Whether a part for structural zeros makes sense.
    constant_variation : bool
        Whether the coefficient of variation does not depend on the mean.
    start : callable, optional
        ``(mean, variance)`` of all responses, a value of the parameter to start a search from.
    quasi_likelihood : callable, optional
        ``(y, mu)``, integral of (y - mu) / unit variance over mu.
    wider : str
        Family with more dispersion to try for overdispersed responses.
    narrower : str
        Family that this one tends to.
    no_excess : callable, optional
        ``(params)``, whether this one is no different from ``narrower``.
    aliases : tuple of str
        What others call it.
    elsewhere : str
        Where a family belongs that glmer does not fit.
    """

    name: str
    core: str
    estimators: tuple[str, ...]
    links: tuple[Link, ...]
    support: Support
    unit_variance: Callable[[Array, Params], Array]
    deviance: Callable[[Array, Array, Params], Array]
    logpdf: Callable[[Array, Array, Params], Array]
    cdf: Callable[[Array, Array, Params], Array]
    quantile: Callable[[Array | float, Array, Params], Array]
    draw: Callable[[np.random.Generator, Array, Params], Array]
    parameters: tuple[str, ...] = ()
    scale: Callable[[Params], Array | float] | None = None
    has_trials: bool = False
    latent: bool = False
    has_zeros: bool = False
    constant_variation: bool = False
    start: Callable[[float, float], float] | None = None
    quasi_likelihood: Callable[[Array, Array], Array] | None = None
    wider: str = ""
    narrower: str = ""
    no_excess: Callable[[Params], bool] | None = None
    aliases: tuple[str, ...] = ()
    elsewhere: str = ""

    @property
    def label(self) -> str:
        """The name in words."""
        return self.name.replace("_", " ")

    @property
    def link(self) -> Link:
        """The usual link."""
        return self.links[0]

    @property
    def has_dispersion(self) -> bool:
        """Whether a dispersion is estimated, and a model of it makes sense."""
        return bool(self.parameters)

    @property
    def has_shape(self) -> bool:
        """Whether the deviance depends on a parameter."""
        return len(self.parameters) > (self.scale is not None)

    def params(self, dispersion: Array | float, trials: Array | float = 1.0) -> Params:
        """Name the values of the first parameter and of the trials."""
        named = {self.parameters[0]: dispersion} if self.parameters else {}
        return {**named, "trials": trials} if self.has_trials else named

    def variance(self, mu: Array, params: Params) -> Array:
        """Return the variance of y given its mean."""
        out = self.unit_variance(mu, params)
        if self.scale is not None:
            out = out * self.scale(params)
        return out / params["trials"] if self.has_trials else out
