"""Families of counts."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypedDict

import numpy as np
import scipy
from numpy.typing import NDArray

from .._typing import Array
from .shaped import Given, Shape, ShapedFamily

__all__ = ["COUNTS"]

POSITIVE = ("log", "identity", "inverse", "sqrt")
#: Counts up to which the probabilities of a distribution without moments in closed form add up.
LONGEST = 100_000
#: Newton steps to the rate of a mean.
MOST_STEPS = 100


Moment = Callable[[Given], Array]
Draw = Callable[[Given, np.random.Generator], Array]


class Pieces(TypedDict):
    """Moments and draws of a response."""

    mean: Moment
    variance: Moment
    draw: Draw


def zero_or_above(y: Array) -> NDArray[np.bool_]:
    return y >= 0.0


def one_or_above(y: Array) -> NDArray[np.bool_]:
    return y >= 1.0


def log_excess(y: Array) -> float:
    """Logarithm of how often the variance has the mean, less one."""
    return float(np.log(np.clip(0.5 * (y.var() / max(y.mean(), 1e-8) - 1.0), 0.05, 20.0)))


def log_size(y: Array) -> float:
    """Logarithm of the size whose variance is half way from the mean's to the responses'."""
    mean, variance = float(y.mean()), float(y.var())
    return float(np.log(np.clip(2.0 * mean**2 / max(variance - mean, 0.01 * mean), 0.1, 1e3)))


def log_ratio(y: Array) -> float:
    """Logarithm of how often the variance has the mean, drawn half way to one."""
    return 0.5 * float(np.log(np.clip(y.var() / max(y.mean(), 1e-8), 0.1, 20.0)))


def draw_negative_binomial(size: Array, mu: Array, rng: np.random.Generator) -> Array:
    return np.asarray(rng.poisson(rng.gamma(size, mu / size)), dtype=np.float64)


def probabilities(log_weight: Callable[[Array], Array], given: Given) -> tuple[Array, Array]:
    """Probabilities of 0, 1, 2 ... of each row from unnormalised logarithms, (n, counts)."""
    widest = float(np.nanmax(given.mu + 40.0 * np.sqrt(given.mu * given.shapes["phi"] + 1.0)))
    y = np.arange(min(int(widest) + 60, LONGEST), dtype=np.float64)
    terms = log_weight(y)
    return y, np.exp(terms - scipy.special.logsumexp(terms, axis=1, keepdims=True))


def draw_from(values: tuple[Array, Array], rng: np.random.Generator) -> Array:
    """Draw one value a row by its distribution function."""
    y, p = values
    place = (p.cumsum(axis=1) < rng.random((len(p), 1))).sum(axis=1)
    return np.asarray(y[np.minimum(place, len(y) - 1)])


def conway_maxwell(given: Given) -> tuple[Array, Array]:
    """Probabilities of a Conway-Maxwell-Poisson distribution of a mean."""
    mu, nu = np.broadcast_arrays(given.mu, 1.0 / given.shapes["phi"])

    def at(theta: Array) -> tuple[Array, Array]:
        return probabilities(
            lambda y: theta[:, None] * y - nu[:, None] * scipy.special.gammaln(y + 1.0), given
        )

    shifted = mu + 0.5 * (nu - 1.0) / nu
    start = np.where(shifted > 0.05 * mu, nu * np.log(np.maximum(shifted, 1e-300)), np.log(mu))
    theta = np.asarray(start, dtype=np.float64)
    for _ in range(MOST_STEPS):
        y, p = at(theta)
        mean = p @ y
        gap = np.log(mu / mean)
        if np.abs(gap).max() < 1e-12:
            break
        slope = np.maximum(p @ y**2 - mean**2, 1e-300) / mean
        theta = theta + np.clip(gap / slope, -1.0, 1.0)
    return at(theta)


def generalized_poisson(given: Given) -> tuple[Array, Array]:
    """Probabilities of a generalised Poisson distribution."""
    root = np.sqrt(given.shapes["phi"])
    theta, lam = (given.mu / root)[:, None], np.broadcast_to(1.0 - 1.0 / root, given.mu.shape)

    def log_weight(y: Array) -> Array:
        rate = theta + lam[:, None] * y
        with np.errstate(all="ignore"):
            terms = np.log(theta) + (y - 1.0) * np.log(rate) - rate - scipy.special.gammaln(y + 1.0)
        return np.where(rate > 0.0, terms, -np.inf)

    return probabilities(log_weight, given)


def compois_variance(given: Given) -> Array:
    y, p = conway_maxwell(given)
    return np.asarray(p @ y**2 - (p @ y) ** 2)


def conditional(zero: Moment, variance: Moment, draw: Draw) -> Pieces:
    """Moments and draws given that a count is not zero."""

    def mean_of(given: Given) -> Array:
        return given.mu / (1.0 - zero(given))

    def variance_of(given: Given) -> Array:
        mean = mean_of(given)
        return (variance(given) + given.mu**2) / (1.0 - zero(given)) - mean**2

    def draws(given: Given, rng: np.random.Generator) -> Array:
        out = draw(given, rng)
        for _ in range(10_000):
            again = out == 0.0
            if not again.any():
                return out
            out = np.where(again, draw(given, rng), out)
        return np.where(out == 0.0, 1.0, out)  # a mean so small that a count above one is as rare

    return {"mean": mean_of, "variance": variance_of, "draw": draws}


def plain(variance: Moment, draw: Draw) -> Pieces:
    """Moments and draws of a count."""
    return {"mean": lambda given: given.mu, "variance": variance, "draw": draw}


def counting(
    name: str,
    links: tuple[str, ...],
    shapes: tuple[Shape, ...],
    pieces: Pieces,
    truncated: bool = False,
) -> ShapedFamily:
    """Make a family of counts."""
    return ShapedFamily(
        name=name,
        links=links,
        shapes=shapes,
        inside=one_or_above if truncated else zero_or_above,
        range="1 or above" if truncated else "0 or above",
        hurdle=truncated,
        whole=True,
        hint="; with zero='~ 1' zeros have a part of their own" if truncated else "",
        **pieces,
    )


SIZE = Shape("size", np.exp, log_size)
EXCESS = Shape("phi", np.exp, log_excess)
RATIO = Shape("phi", np.exp, log_ratio)

POISSON = (
    lambda g: g.mu,
    lambda g, rng: rng.poisson(g.mu).astype(np.float64),
)
NEGATIVE_BINOMIAL = (
    lambda g: g.mu + g.mu**2 / g.shapes["size"],
    lambda g, rng: draw_negative_binomial(g.shapes["size"], g.mu, rng),
)
NBINOM1 = (
    lambda g: g.mu * (1.0 + g.shapes["phi"]),
    lambda g, rng: draw_negative_binomial(g.mu / g.shapes["phi"], g.mu, rng),
)

COUNTS = (
    counting("poisson", POSITIVE, (), plain(*POISSON)),
    counting("negative_binomial", POSITIVE, (SIZE,), plain(*NEGATIVE_BINOMIAL)),
    counting("nbinom1", POSITIVE, (EXCESS,), plain(*NBINOM1)),
    counting(
        "generalized_poisson",
        POSITIVE,
        (RATIO,),
        plain(
            lambda g: g.shapes["phi"] * g.mu,
            lambda g, rng: draw_from(generalized_poisson(g), rng),
        ),
    ),
    counting(
        "compois",
        ("log",),
        (RATIO,),
        plain(compois_variance, lambda g, rng: draw_from(conway_maxwell(g), rng)),
    ),
    counting(
        "truncated_poisson",
        ("log",),
        (),
        conditional(lambda g: np.exp(-g.mu), *POISSON),
        truncated=True,
    ),
    counting(
        "truncated_negative_binomial",
        ("log",),
        (SIZE,),
        conditional(
            lambda g: (g.shapes["size"] / (g.shapes["size"] + g.mu)) ** g.shapes["size"],
            *NEGATIVE_BINOMIAL,
        ),
        truncated=True,
    ),
    counting(
        "truncated_nbinom1",
        ("log",),
        (EXCESS,),
        conditional(lambda g: (1.0 + g.shapes["phi"]) ** (-g.mu / g.shapes["phi"]), *NBINOM1),
        truncated=True,
    ),
)
