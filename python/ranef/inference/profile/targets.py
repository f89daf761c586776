"""Which parameters of a mixed model are profiled, by name and place."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..._typing import Array
from ...design.design import Design
from ..structures import natural_names

__all__ = ["Target", "block_of", "covariance_targets", "profiled", "targets", "values"]


@dataclass(frozen=True)
class Target:
    """One parameter on the scale on which it is reported.

    Attributes
    ----------
    name : str
        ``sd_TERM|GROUP``, ``cor_TERM.TERM|GROUP``, ``sigma``, ``dispersion`` or the name of a
        coefficient.
    kind : {"sd", "cor", "natural", "residual", "beta"}
        What it is; "natural" is a parameter of a covariance structure; "residual" is sigma of a
        linear model, the dispersion of a generalised one.
    term : int
        Random-effects term of a standard deviation, correlation or structure.
    i, j : int
        Columns of the term, i = j for a standard deviation; the block of a structure and the number
        of its parameter; i is the position in ``Design.fixed`` of a coefficient.
    """

    name: str
    kind: str
    term: int = -1
    i: int = -1
    j: int = -1


def targets(design: Design, kept: NDArray[np.intp], residual: str | None = "sigma") -> list[Target]:
    """List the parameters: each term's by columns of its lower triangle, residual, coefficients.

    ``residual`` is the name of the parameter that belongs to the rows, if there is one.
    """
    covariance = list(covariance_targets(design))
    own = [] if residual is None else [Target(residual, "residual")]
    fixed = [Target(design.fixed_names[j], "beta", i=int(j)) for j in kept]
    return [*covariance, *own, *fixed]


def covariance_targets(design: Design) -> Iterator[Target]:
    """List standard deviations and correlations, by columns of each term's lower triangle.

    Of a structure they are its natural parameters.
    """
    for t, term in enumerate(design.random):
        natural = natural_names(term)
        for b, block in enumerate(term.blocks):
            if term.block_structures[b] is not None:
                for k, name in enumerate(natural[b]):
                    yield Target(name, "natural", t, b, k)
                continue
            for a, j in enumerate(block):
                yield Target(f"sd_{term.names[j]}|{term.group}", "sd", t, j, j)
                for i in block[a + 1 :]:
                    name = f"cor_{term.names[i]}.{term.names[j]}|{term.group}"
                    yield Target(name, "cor", t, i, j)


def profiled(design: Design, listed: list[Target]) -> list[Target]:
    """Leave out what is not a coordinate: correlations of toep() beyond the first lag."""
    out = []
    for target in listed:
        if target.kind == "natural":
            structure = design.random[target.term].block_structures[target.i]
            assert structure is not None
            if structure.kind == "toep" and target.j > structure.n_sds:
                continue
        out.append(target)
    return out


def block_of(design: Design, target: Target) -> tuple[int, ...]:
    """Return the columns that are correlated with the target's."""
    return next(b for b in design.random[target.term].blocks if target.i in b)


def values(
    listed: list[Target],
    sigmas: Sequence[Array],
    sigma: Array | float,
    beta: Array,
    natural: Sequence[Sequence[Array]] = (),
) -> Array:
    """Return every parameter's value, of one fit or of many.

    Parameters
    ----------
    listed : list of Target
        The parameters, k of them.
    sigmas : sequence of ndarray of shape (..., s, s)
        Covariance matrices of the terms.
    sigma : ndarray of shape (...)
        Residual standard deviation, or dispersion.
    beta : ndarray of shape (..., p)
        Coefficients, aliased ones included.
    natural : sequence of sequence of ndarray of shape (m,)
        Of each term and block the natural parameters of its structure, needed where there is one.

    Returns
    -------
    ndarray of shape (..., k)
        A correlation with a zero standard deviation is NaN.
    """
    columns = []
    for target in listed:
        if target.kind == "residual":
            columns.append(np.asarray(sigma, dtype=np.float64))
        elif target.kind == "beta":
            columns.append(beta[..., target.i])
        elif target.kind == "natural":
            columns.append(np.asarray(natural[target.term][target.i][target.j]))
        else:
            columns.append(_covariance_value(sigmas[target.term], target.i, target.j))
    return np.stack(columns, axis=-1)


def _covariance_value(cov: Array, i: int, j: int) -> Array:
    """Return a standard deviation or a correlation, shape (...)."""
    if i == j:
        return np.asarray(np.sqrt(cov[..., i, i]))
    scale = np.sqrt(cov[..., i, i] * cov[..., j, j])
    ratio = cov[..., i, j] / np.where(scale > 0.0, scale, np.nan)
    return np.asarray(np.clip(ratio, -1.0, 1.0))
