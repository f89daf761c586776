"""The distribution of a response given its linear predictors, as one object."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

import numpy as np

from .._typing import Array
from ..errors import UnsupportedError
from .links import Link
from .shape import Shape
from .support import Support

__all__ = ["Family", "Function", "Params"]

#: Values of a family's parameters by their names, numbers or arrays that broadcast with the mean.
#: A family of shares finds the trials under "trials".
Params: TypeAlias = Mapping[str, Array | float]
#: Functions that not every family has.
Function: TypeAlias = Literal["deviance", "logpdf", "cdf", "quantile", "quasi_likelihood"]


@dataclass(frozen=True)
class Family:
    """The distribution of a response y given its location mu and its parameters.

    The location is the inverse link of the first linear predictor: the mean, unless
    ``expectation`` says otherwise. Functions take arrays that broadcast, and the parameters by
    name; one that a family does not have is None, and ``need`` refuses it.

    Attributes
    ----------
    name, core : str
        What users call it, and what the compiled core does; empty where the core has no such
        family.
    estimators : tuple of str
        Who fits it: "glmer" with one predictor or several, "glmm" models of a mean alone, and
        the functions "gee", "feglm" and "growth_mixture".
    links : tuple of Link
        Links of models of a mean alone, the usual one first.
    part_links : tuple of Link
        Links of the location in models of several predictors, the usual one first.
    support : Support
        Valid responses.
    unit_variance : callable
        ``(mu, params)``, the variance of y with ``scale`` and trials left out.
    draw : callable
        ``(rng, mu, params)``, a response for each location.
    shapes : tuple of Shape
        Parameters besides the location, in the order of the core's predictors; a dispersion is the
        first.
    expectation : callable, optional
        ``(mu, params)``, the mean of y where that is not mu.
    scale : callable, optional
        ``(params)``, what multiplies the unit variance; it comes from the first parameter alone.
    deviance : callable, optional
        ``(y, mu, params)``, twice the log-likelihood ratio against mu = y, with ``scale`` left out
        and for one trial.
    logpdf, cdf : callable, optional
        ``(y, mu, params)``, log density or log probability, and distribution function.
    quantile : callable, optional
        ``(p, mu, params)``, the smallest response whose distribution function reaches p.
    quasi_likelihood : callable, optional
        ``(y, mu)``, integral of (y - mu) / unit variance over mu.
    located : callable, optional
        ``(y)``, responses on the scale of the location, where they have another one.
    has_trials : bool
        Whether y is a share of trials, which are then in ``params["trials"]``.
    latent : bool
        Whether y is a cut of a latent variable, with the variance of the link's distribution.
    takes_zero : bool
        Whether a part for structural zeros makes sense.
    without_zeros : str
        What else to take, in words, where no response is 0 of a continuous distribution that has
        zeros.
    is_hurdle : bool
        Whether there are no zeros but structural ones.
    in_units : bool
        Whether y may be in any unit, which the location has too under an identity link.
    constant_variation : bool
        Whether the coefficient of variation does not depend on the mean.
    wider : str
        Family with more dispersion to try for overdispersed responses.
    narrower : str
        Family that is a limit of this one.
    no_excess : callable, optional
        ``(params)``, whether this one is no different from ``narrower``.
    aliases : tuple of str
        What others call it.
    elsewhere : str
        Where a family without models of a mean alone belongs.
    """

    name: str
    core: str
    estimators: tuple[str, ...]
    support: Support
    unit_variance: Callable[[Array, Params], Array]
    draw: Callable[[np.random.Generator, Array, Params], Array]
    links: tuple[Link, ...] = ()
    part_links: tuple[Link, ...] = ()
    shapes: tuple[Shape, ...] = ()
    expectation: Callable[[Array, Params], Array] | None = None
    scale: Callable[[Params], Array | float] | None = None
    deviance: Callable[[Array, Array, Params], Array] | None = None
    logpdf: Callable[[Array, Array, Params], Array] | None = None
    cdf: Callable[[Array, Array, Params], Array] | None = None
    quantile: Callable[[Array | float, Array, Params], Array] | None = None
    quasi_likelihood: Callable[[Array, Array], Array] | None = None
    located: Callable[[Array], Array] | None = None
    has_trials: bool = False
    latent: bool = False
    takes_zero: bool = False
    without_zeros: str = ""
    is_hurdle: bool = False
    in_units: bool = False
    constant_variation: bool = False
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
    def named(self) -> str:
        """The name in words, with its article."""
        return f"{'an' if self.label.startswith(('o', 'nbinom')) else 'a'} {self.label}"

    @property
    def link(self) -> Link:
        """The usual link."""
        return self.links[0]

    @property
    def parameters(self) -> tuple[str, ...]:
        """Names of the parameters besides the location."""
        return tuple(shape.name for shape in self.shapes)

    @property
    def has_dispersion(self) -> bool:
        """Whether a dispersion is estimated, and a model of it makes sense."""
        return bool(self.shapes)

    @property
    def dispersion_sign(self) -> float:
        """1 where responses vary more as the dispersion grows, -1 where it is a size."""
        one = np.ones(1)
        less, more = (self.variance(one, self.params(value))[0] for value in (1.0, 2.0))
        return float(np.sign(more - less))

    @property
    def has_shape(self) -> bool:
        """Whether the deviance depends on a parameter."""
        return len(self.shapes) > (self.scale is not None)

    def need(self, function: Function) -> Callable[..., Array]:
        """Return a function that not every family has.

        Raises
        ------
        UnsupportedError
            If this one has none.
        """
        found: Callable[..., Array] | None = getattr(self, function)
        if found is None:
            raise UnsupportedError(f"the {_WORDS[function]} of {self.named} family is not known")
        return found

    def params(self, dispersion: Array | float, trials: Array | float = 1.0) -> Params:
        """Name the values of the first parameter and of the trials."""
        named = {self.parameters[0]: dispersion} if self.shapes else {}
        return {**named, "trials": trials} if self.has_trials else named

    def natural(self, predictors: Sequence[Array]) -> dict[str, Array]:
        """Name the parameters at values of their predictors, in the order of ``shapes``."""
        out: dict[str, Array] = {}
        for shape, eta in zip(self.shapes, predictors, strict=True):
            value = shape.natural(eta)
            out[shape.name] = out[shape.above] + value if shape.above else value
        return out

    def given(self, link: Link, eta: Sequence[Array], trials: Array) -> tuple[Array, Params]:
        """Return location and parameters at values of all predictors, the location first."""
        named = self.natural(eta[1 : 1 + len(self.shapes)])
        return link.mean(eta[0]), {**named, "trials": trials}

    def mean(self, mu: Array, params: Params) -> Array:
        """Return the mean of y."""
        return mu if self.expectation is None else self.expectation(mu, params)

    def variance(self, mu: Array, params: Params) -> Array:
        """Return the variance of y."""
        out = self.unit_variance(mu, params)
        if self.scale is not None:
            out = out * self.scale(params)
        return out / params["trials"] if self.has_trials else out


_WORDS: dict[Function, str] = {
    "deviance": "deviance",
    "logpdf": "density",
    "cdf": "distribution function",
    "quantile": "quantile function",
    "quasi_likelihood": "quasi-likelihood",
}
