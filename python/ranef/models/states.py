"""Covariance parameters as a vector, and as the state of each term.

The state of a term is its relative covariance factor (s, s), or, where its covariance has a
structure, its parameters as a column (m, 1).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import numpy as np

from .._typing import Array
from ..design.design import RandomTerm
from ..design.structures.structure import Structure

__all__ = [
    "block_parameters",
    "of_size",
    "packed",
    "rescaled",
    "smallest",
    "standard_factors",
    "unpacked",
]

#: Term, row and column of each parameter; of a structure its number, and a negative column.
Parameters = Sequence[tuple[int, int, int]]
#: Of a term the structure of each block, None where it is free; empty where all are.
Known = Sequence[Structure | None]


def packed(parameters: Parameters, states: Sequence[Array]) -> Array:
    """Lay the states of terms out as one vector, shape (m,)."""
    structured = {term for term, _, j in parameters if j < 0}
    following = dict.fromkeys(structured, 0)
    out = np.empty(len(parameters))
    for a, (term, i, j) in enumerate(parameters):
        if term in structured:
            out[a] = states[term][following[term], 0]
            following[term] += 1
        else:
            out[a] = states[term][i, j]
    return out


def unpacked(parameters: Parameters, theta: Array, terms: Sequence[RandomTerm]) -> list[Array]:
    """Return the state of each term from a vector."""
    out = [
        np.zeros((term.n_covariances, 1) if term.is_structured else (term.n_cols,) * 2, order="F")
        for term in terms
    ]
    following = [0] * len(terms)
    for value, (term, i, j) in zip(theta, parameters, strict=True):
        if terms[term].is_structured:
            out[term][following[term], 0] = value
            following[term] += 1
        else:
            out[term][i, j] = value
    return out


def block_parameters(term: RandomTerm, state: Array) -> list[Array | None]:
    """Parameters of each block's structure in the state of a term; None for a free block."""
    known = term.block_structures
    at = len(state) - sum(one.n_parameters for one in known if one is not None)
    out: list[Array | None] = []
    for one in known:
        out.append(None if one is None else np.ascontiguousarray(state[at:, 0][: one.n_parameters]))
        at += 0 if one is None else one.n_parameters
    return out


def standard_factors(
    terms: Sequence[RandomTerm],
    states: Sequence[Array],
    factors: Sequence[Array],
    basis: Callable[[int], Array],
) -> list[Array]:
    """Relative covariance factors in the standardised basis, those of structures too.

    Parameters
    ----------
    terms : sequence of RandomTerm
        The terms.
    states, factors : sequence of ndarray
        Their states, and their factors as the formula scales columns.
    basis : callable
        Basis of a term that maps standardised factors to the others.
    """
    return [
        np.asarray(np.linalg.solve(basis(t), factor)) if term.is_structured else state
        for t, (term, state, factor) in enumerate(zip(terms, states, factors, strict=True))
    ]


def rescaled(term: RandomTerm, state: Array, ratio: float) -> Array:
    """Multiply the standard deviations of a term by ``ratio``."""
    if not term.is_structured:
        return np.asfortranarray(state * ratio)
    out = np.array(state, order="F")
    at = len(state) - sum(one.n_parameters for one in term.structures if one is not None)
    out[:at] *= ratio
    for one in term.structures:
        if one is not None:
            out[at : at + one.n_sds] = one.multiplied(out[at : at + one.n_sds], ratio)
            at += one.n_parameters
    return out


def of_size(
    parameters: Parameters, structures: Sequence[Known], size: float, number: int = 0
) -> Array:
    """Parameters of covariances with standard deviations of ``size``, which may be zero.

    Free covariances are a multiple of the identity, and correlations of structures are those from
    which search ``number`` starts: middling, high, low.
    """
    out = np.array([size * float(i == j) for _, i, j in parameters])
    for a, structure in _structured(parameters, structures):
        psi = structure.core.start(np.full(len(structure.names), size**2), number)
        if size == 0.0:
            psi[: structure.n_sds] = structure.zero
        out[a : a + len(psi)] = psi
    return out


def smallest(
    parameters: Parameters, theta: Array, structures: Sequence[Known], factors: Sequence[Array]
) -> float:
    """Smallest standard deviation along any axis, or distance of a structure from its limits."""
    values = [
        abs(float(factor[0, 0]))
        if factor.size == 1
        else float(np.linalg.svd(factor, compute_uv=False).min())
        for known, factor in zip(structures, factors, strict=True)
        if not any(known)
    ]
    values += [
        structure.core.margin(theta[a : a + structure.n_parameters])
        for a, structure in _structured(parameters, structures)
    ]
    return min(values, default=1.0)


def _structured(
    parameters: Parameters, structures: Sequence[Known]
) -> Iterator[tuple[int, Structure]]:
    """First parameter of each structure, and the structure."""
    for a, (t, i, j) in enumerate(parameters):
        if j < 0 and i == 0:
            structure = structures[t][-1 - j]
            assert structure is not None
            yield a, structure
