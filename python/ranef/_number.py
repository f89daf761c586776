"""Numbers that may also be called."""

from __future__ import annotations

from typing import Any

__all__ = ["Count", "Real"]


class Real(float):
    """A float that returns itself when called: ``model.sigma`` and ``model.sigma()``.

    lme4 has functions ``sigma`` and ``nobs`` where models here have numbers. It computes, prints,
    compares, pickles and is written to JSON as the float that it is; arithmetic returns plain
    floats. A call may have arguments, which count for nothing, because pandas calls whatever is
    callable with a frame, as in ``data.assign(sd=model.sigma)``.
    """

    __slots__ = ()

    def __call__(self, *arguments: Any) -> float:
        return float(self)


class Count(int):
    """An int that returns itself when called: ``model.nobs`` and ``model.nobs()``."""

    __slots__ = ()

    def __call__(self, *arguments: Any) -> int:
        return int(self)
