"""The No-U-Turn sampler of nutpie, for posteriors of many parameters."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import numpy as np

from ..._typing import Array
from .extras import nutpie

__all__ = ["by_differences", "sample_nuts"]

#: Step of differences of a log density, in units of a coordinate.
STEP = 1e-4
#: Dimensions up to which the sampler learns correlations, such as that of a mean and its effects.
MOST_CORRELATED = 500

ValueAndSlope = Callable[[Array], tuple[float, Array]]


def by_differences(density: Callable[[Array], Array]) -> ValueAndSlope:
    """Add a gradient by central differences to a log density at points of shape (n, d).

    A chain of a gradient that is not quite that of the density has the same distribution still:
    its steps keep volume and can be reversed, and the density itself decides on them.
    """

    def value_and_slope(x: Array) -> tuple[float, Array]:
        d = len(x)
        steps = STEP * np.vstack([np.zeros(d), np.eye(d), -np.eye(d)])
        at = density(x + steps)
        return float(at[0]), (at[1 : d + 1] - at[d + 1 :]) / (2.0 * STEP)

    return value_and_slope


def sample_nuts(
    target: ValueAndSlope,
    start: Array,
    *,
    draws: int,
    chains: int,
    warmup: int,
    seed: int,
    advance: Callable[[int], object],
) -> tuple[Array, int]:
    """Sample a density by NUTS.

    Parameters
    ----------
    target : callable
        Log density and gradient at a point of shape (d,).
    start : ndarray of shape (d,)
        Where chains begin, up to noise.
    draws, chains, warmup, seed : int
        Settings.
    advance : callable
        Called with the number of draws.

    Returns
    -------
    x : ndarray of shape (chains, draws, d)
        The chains.
    divergences : int
        Transitions after the warm-up that diverged.

    References
    ----------
    Hoffman and Gelman (2014), J. Mach. Learn. Res. 15, 1593-1623.
    """
    package = nutpie()
    d = len(start)

    def make() -> ValueAndSlope:
        def safe(x: Array) -> tuple[float, Array]:
            value, slope = target(np.asarray(x))
            if not (np.isfinite(value) and np.isfinite(slope).all()):
                return -1e300, np.zeros(d)
            return value, slope

        return safe

    def expand(_first: int, _second: int, _chain: int) -> Callable[[Array], dict[str, Array]]:
        def keep(x: Array) -> dict[str, Array]:
            advance(1)
            return {"x": np.array(x)}

        return keep

    def initial(own: int) -> Array:
        return np.asarray(start + 0.1 * np.random.default_rng(own).standard_normal(d))

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of arviz, about its own future
        compiled = package.compiled_pyfunc.from_pyfunc(
            d,
            make,
            expand,
            [np.dtype("float64")],
            [(d,)],
            ["x"],
            make_initial_point_fn=initial,
        )
        trace: Any = package.sample(
            compiled,
            draws=draws,
            tune=warmup,
            chains=chains,
            cores=1,
            seed=seed,
            progress_bar=False,
            low_rank_modified_mass_matrix=d <= MOST_CORRELATED,
            save_warmup=False,
        )
    return (
        np.asarray(trace.posterior["x"].values),
        int(np.asarray(trace.sample_stats["diverging"].values).sum()),
    )
