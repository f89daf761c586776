"""Families of measurements and of shares."""

from __future__ import annotations

import numpy as np
import scipy

from .._typing import Array
from .shaped import Given, Shape, ShapedFamily

__all__ = ["MEASURES"]

REAL = ("identity", "log", "inverse", "sqrt")
POSITIVE = ("log", "inverse", "identity", "sqrt")
SHARES = ("logit", "probit", "cloglog", "loglog", "cauchit")


def above_zero(y: Array) -> np.ndarray:
    return y > 0.0


def log_sd(y: Array) -> float:
    return float(np.log(max(0.7 * float(y.std()), 1e-8)))


def log_sd_of_log(y: Array) -> float:
    return log_sd(np.log(y[y > 0.0])) if (y > 0.0).any() else 0.0


def log_squared_cv(y: Array) -> float:
    positive = y[y > 0.0]
    ratio = float(positive.var()) / max(float(positive.mean()), 1e-300) ** 2
    return float(np.log(np.clip(0.5 * ratio, 1e-6, 10.0)))


def log_precision(y: Array) -> float:
    inner = y[(y > 0.0) & (y < 1.0)]
    if len(inner) < 2:
        return 1.0
    mean, variance = float(inner.mean()), float(inner.var())
    return float(np.log(np.clip(mean * (1.0 - mean) / max(variance, 1e-8) - 1.0, 0.5, 1e4)))


def zero(y: Array) -> float:
    return 0.0


def tweedie_draw(g: Given, rng: np.random.Generator) -> Array:
    """Add up a Poisson number of gamma draws."""
    p, phi = g.shapes["power"], g.shapes["phi"]
    rate = g.mu ** (2.0 - p) / (phi * (2.0 - p))
    events = rng.poisson(rate)
    shape = np.where(events > 0, events * (2.0 - p) / (p - 1.0), 1.0)
    return np.where(events > 0, rng.gamma(shape, phi * (p - 1.0) * g.mu ** (p - 1.0)), 0.0)


def ordered_shares(g: Given) -> tuple[Array, Array]:
    """Probabilities of exactly 0 and exactly 1."""
    expit = scipy.special.expit
    return expit(g.shapes["cut_zero"] - g.eta), expit(g.eta - g.shapes["cut_one"])


def ordered_mean(g: Given) -> Array:
    zeros, ones = ordered_shares(g)
    return ones + (1.0 - zeros - ones) * g.mu


def ordered_variance(g: Given) -> Array:
    zeros, ones = ordered_shares(g)
    inner = g.mu**2 + g.mu * (1.0 - g.mu) / (1.0 + g.shapes["phi"])
    return ones + (1.0 - zeros - ones) * inner - ordered_mean(g) ** 2


def beta_draw(g: Given, rng: np.random.Generator) -> Array:
    phi = g.shapes["phi"]
    return rng.beta(g.mu * phi, (1.0 - g.mu) * phi)


def ordered_draw(g: Given, rng: np.random.Generator) -> Array:
    zeros, ones = ordered_shares(g)
    u = rng.random(g.mu.shape)
    return np.where(u < zeros, 0.0, np.where(u > 1.0 - ones, 1.0, beta_draw(g, rng)))


def binomial_draw(g: Given, rng: np.random.Generator) -> Array:
    return rng.binomial(g.trials.astype(np.int64), g.mu) / g.trials


def betabinomial_draw(g: Given, rng: np.random.Generator) -> Array:
    return rng.binomial(g.trials.astype(np.int64), beta_draw(g, rng)) / g.trials


def student_variance(g: Given) -> Array:
    df = g.shapes["df"]
    return np.where(df > 2.0, g.shapes["sigma"] ** 2 * df / np.maximum(df - 2.0, 1e-300), np.inf)


SIGMA = Shape("sigma", np.exp, log_sd)
PRECISION = Shape("phi", np.exp, log_precision)
SHARE_HINT = (
    "; for shares of exactly 0 or 1 use family='ordered_beta', or for zeros alone zero='~ 1', "
    "which gives them a part of their own"
)

MEASURES = (
    ShapedFamily(
        "gaussian",
        REAL,
        (SIGMA,),
        np.isfinite,
        "finite",
        lambda g: g.mu,
        lambda g: g.shapes["sigma"] ** 2 + 0.0 * g.mu,
        lambda g, rng: rng.normal(g.mu, g.shapes["sigma"]),
        takes_zero=False,
        in_units=True,
    ),
    ShapedFamily(
        "student",
        REAL,
        (SIGMA, Shape("df", np.exp, lambda y: float(np.log(5.0)))),
        np.isfinite,
        "finite",
        lambda g: g.mu,
        student_variance,
        lambda g, rng: g.mu + g.shapes["sigma"] * rng.standard_t(g.shapes["df"], g.mu.shape),
        takes_zero=False,
        in_units=True,
    ),
    ShapedFamily(
        "lognormal",
        ("identity",),
        (Shape("sigma", np.exp, log_sd_of_log),),
        above_zero,
        "above 0",
        lambda g: np.exp(g.eta + 0.5 * g.shapes["sigma"] ** 2),
        lambda g: np.expm1(g.shapes["sigma"] ** 2) * np.exp(2.0 * g.eta + g.shapes["sigma"] ** 2),
        lambda g, rng: np.exp(rng.normal(g.eta, g.shapes["sigma"])),
        hurdle=True,
        hint="; with zero='~ 1' zeros have a part of their own",
    ),
    ShapedFamily(
        "gamma",
        POSITIVE,
        (Shape("phi", np.exp, log_squared_cv),),
        above_zero,
        "above 0",
        lambda g: g.mu,
        lambda g: g.shapes["phi"] * g.mu**2,
        lambda g, rng: rng.gamma(1.0 / g.shapes["phi"], g.mu * g.shapes["phi"]),
        hurdle=True,
        hint="; with zero='~ 1' zeros have a part of their own",
    ),
    ShapedFamily(
        "tweedie",
        ("log",),
        (
            Shape(
                "phi", np.exp, lambda y: float(np.log(np.clip(y.var() / y.mean() ** 1.5, 0.05, 50)))
            ),
            Shape("power", lambda x: 1.0 + scipy.special.expit(x), zero),
        ),
        lambda y: y >= 0.0,
        "0 or above",
        lambda g: g.mu,
        lambda g: g.shapes["phi"] * g.mu ** g.shapes["power"],
        tweedie_draw,
    ),
    ShapedFamily(
        "beta",
        SHARES,
        (PRECISION,),
        lambda y: (y > 0.0) & (y < 1.0),
        "between 0 and 1, neither included",
        lambda g: g.mu,
        lambda g: g.mu * (1.0 - g.mu) / (1.0 + g.shapes["phi"]),
        beta_draw,
        hurdle=True,
        hint=SHARE_HINT,
    ),
    ShapedFamily(
        "ordered_beta",
        ("logit",),
        (
            PRECISION,
            Shape("cut_zero", lambda x: x, lambda y: -2.0),
            Shape("cut_one", np.exp, lambda y: 1.4),
        ),
        lambda y: (y >= 0.0) & (y <= 1.0),
        "from 0 to 1",
        ordered_mean,
        ordered_variance,
        ordered_draw,
        takes_zero=False,
    ),
    ShapedFamily(
        "binomial",
        (*SHARES, "log", "identity"),
        (),
        lambda y: (y >= 0.0) & (y <= 1.0),
        "a share from 0 to 1",
        lambda g: g.mu,
        lambda g: g.mu * (1.0 - g.mu) / g.trials,
        binomial_draw,
        whole=True,
        trials=True,
        hint="; give successes as a share, with the trials as weights",
    ),
    ShapedFamily(
        "betabinomial",
        SHARES,
        (Shape("phi", np.exp, lambda y: 1.5),),
        lambda y: (y >= 0.0) & (y <= 1.0),
        "a share from 0 to 1",
        lambda g: g.mu,
        lambda g: (
            g.mu * (1.0 - g.mu) / g.trials * (1.0 + (g.trials - 1.0) / (g.shapes["phi"] + 1.0))
        ),
        betabinomial_draw,
        whole=True,
        trials=True,
        hint="; give successes as a share, with the trials as weights",
    ),
)
