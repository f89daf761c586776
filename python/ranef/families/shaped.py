"""A family whose response has a location, a dispersion and other shapes, each with a predictor."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .. import _core
from .._typing import Array

__all__ = ["Given", "Shape", "ShapedFamily", "mean_of"]


def mean_of(link: str, eta: Array) -> Array:
    """Apply the inverse link; NaN stays NaN."""
    out = _core.mean_of(link, np.ascontiguousarray(eta, dtype=np.float64))
    out[np.isnan(eta)] = np.nan
    return out


@dataclass(frozen=True)
class Shape:
    """A parameter besides the location.

    Attributes
    ----------
    name : str
        Its name on its own scale.
    natural : callable
        Its value at a value of its predictor.
    start : callable
        A value of the predictor near the responses.
    """

    name: str
    natural: Callable[[Array], Array]
    start: Callable[[Array], float]


@dataclass(frozen=True)
class Given:
    """What a response is drawn from.

    Attributes
    ----------
    eta, mu : ndarray of shape (n,)
        Linear predictor of the location, and its inverse link.
    shapes : mapping of str to ndarray
        Other parameters on their own scale.
    trials : ndarray of shape (n,)
        Trials of a share of successes; ones otherwise.
    """

    eta: Array
    mu: Array
    shapes: Mapping[str, Array]
    trials: Array


@dataclass(frozen=True)
class ShapedFamily:
    """A distribution with its links, parameters, moments, draws and range.

    Attributes
    ----------
    name : str
        As :func:`ranef.glmer` takes it.
    links : tuple of str
        Links of the location, the usual one first.
    shapes : tuple of Shape
        In the order of the kernel's predictors; ``dispersion`` formulas are for the first.
    inside : callable
        Which responses are in the range.
    range : str
        The range in words.
    mean, variance : callable
        Moments of a response that is no structural zero.
    draw : callable
        Draws of such a response.
    takes_zero : bool
        Whether it can have a zero part.
    hurdle : bool
        Whether it has no zeros of its own, so that all zeros are the zero part's.
    whole : bool
        Whether it counts: a response is a whole number, or a share of a whole number of trials.
    trials : bool
        Whether it is a share of trials.
    hint : str
        What to do about a response out of the range.
    in_units : bool
        Whether a response may be in any unit, which the location then has with an identity link.
    """

    name: str
    links: tuple[str, ...]
    shapes: tuple[Shape, ...]
    inside: Callable[[Array], NDArray[np.bool_]]
    range: str
    mean: Callable[[Given], Array]
    variance: Callable[[Given], Array]
    draw: Callable[[Given, np.random.Generator], Array]
    takes_zero: bool = True
    hurdle: bool = False
    whole: bool = False
    trials: bool = False
    hint: str = ""
    in_units: bool = False

    @property
    def shape_names(self) -> tuple[str, ...]:
        """Names of the shapes."""
        return tuple(shape.name for shape in self.shapes)

    def natural(self, values: list[Array]) -> dict[str, Array]:
        """Parameters on their own scale, from their predictors."""
        out = {
            shape.name: shape.natural(value)
            for shape, value in zip(self.shapes, values, strict=True)
        }
        if "cut_one" in out:  # its predictor is that of the gap above the other cut
            out["cut_one"] = out["cut_zero"] + out["cut_one"]
        return out

    def given(self, link: str, eta: list[Array], trials: Array) -> Given:
        """Put predictors, the location's first, on their own scales."""
        shapes = self.natural(eta[1 : 1 + len(self.shapes)])
        return Given(eta[0], mean_of(link, eta[0]), shapes, trials)
