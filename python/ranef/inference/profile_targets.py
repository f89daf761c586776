"""Which parameters of a mixed model are profiled, by name and place."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..design.design import Design

__all__ = ["Target", "block_of", "targets", "values"]

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Target:
    """One parameter on the scale on which it is reported.

    Attributes
    ----------
    name : str
        ``sd_TERM|GROUP``, ``cor_TERM.TERM|GROUP``, ``sigma`` or the name of a coefficient.
    kind : {"sd", "cor", "sigma", "beta"}
        What it is.
    term : int
        Random-effects term of a standard deviation or correlation.
    i, j : int
        Columns of the term, i = j for a standard deviation; i is the position in ``Design.fixed``
        of a coefficient.
    """

    name: str
    kind: str
    term: int = -1
    i: int = -1
    j: int = -1


def targets(design: Design, kept: NDArray[np.intp]) -> list[Target]:
    """List the parameters: each term's by columns of its lower triangle, sigma, coefficients."""
    covariance = list(_covariance(design))
    fixed = [Target(design.fixed_names[j], "beta", i=int(j)) for j in kept]
    return [*covariance, Target("sigma", "sigma"), *fixed]


def _covariance(design: Design) -> Iterator[Target]:
    for t, term in enumerate(design.random):
        for block in term.blocks:
            for a, j in enumerate(block):
                yield Target(f"sd_{term.names[j]}|{term.group}", "sd", t, j, j)
                for i in block[a + 1 :]:
                    name = f"cor_{term.names[i]}.{term.names[j]}|{term.group}"
                    yield Target(name, "cor", t, i, j)


def block_of(design: Design, target: Target) -> tuple[int, ...]:
    """Give the columns that are correlated with the target's."""
    return next(b for b in design.random[target.term].blocks if target.i in b)


def values(
    listed: list[Target], sigmas: tuple[Array, ...], sigma: float, beta: Array
) -> list[float]:
    """Give every parameter's value; a correlation with a zero standard deviation is NaN."""
    out = []
    for target in listed:
        if target.kind == "sigma":
            out.append(sigma)
        elif target.kind == "beta":
            out.append(float(beta[target.i]))
        else:
            out.append(_covariance_value(sigmas[target.term], target.i, target.j))
    return out


def _covariance_value(cov: Array, i: int, j: int) -> float:
    if i == j:
        return float(np.sqrt(cov[i, i]))
    scale = float(np.sqrt(cov[i, i] * cov[j, j]))
    return float(np.clip(cov[i, j] / scale, -1.0, 1.0)) if scale > 0.0 else np.nan
