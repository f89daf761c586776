"""Reports on covariance structures: those at a limit of their parameters."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from .._typing import Array
from ..design.design import Design, RandomTerm
from ..design.structures.structure import Structure
from ..errors import UnsupportedError
from ..models.lmm import SINGULAR
from ..models.states import block_parameters

__all__ = ["free_only", "natural_names", "natural_values", "scaled_natural", "structure_limits"]


def free_only(design: Design, what: str, instead: str = "") -> None:
    """Raise where a term's covariance has a structure: ``what`` is made for free covariances.

    Raises
    ------
    UnsupportedError
        With the structure and its group, and what to use ``instead``.
    """
    for term in design.random:
        for structure in term.structures:
            if structure is not None:
                raise UnsupportedError(
                    f"{what} is not available with the covariance structure {structure.kind} of "
                    f"{term.group}{'; ' * bool(instead)}{instead}"
                )


def natural_names(term: RandomTerm) -> list[list[str]]:
    """Names ``GROUP.NAME`` of the parameters of each block's structure; none of a free block."""
    known = [one for one in term.block_structures if one is not None]
    seen: set[str] = set()
    out = []
    for structure in term.block_structures:
        own: list[str] = []
        for label in () if structure is None else structure.labels:
            assert structure is not None
            head = term.group if len(known) == 1 else f"{term.group}.{structure.kind}"
            name = f"{head}.{label}"
            own.append(name if name not in seen else f"{name}[{structure.names[0]}]")
            seen.add(own[-1])
        out.append(own)
    return out


def natural_values(
    terms: Sequence[RandomTerm],
    states: Sequence[Array],
    basis: Callable[[int], Array],
    unit: float = 1.0,
) -> list[list[Array]]:
    """Natural parameters of each block's structure, empty for a block that is free.

    Parameters
    ----------
    terms : sequence of RandomTerm
        The terms.
    states : sequence of ndarray
        Of a term with structures its parameters (m, 1), standardised basis.
    basis : callable
        Standardised columns of a term to those as written.
    unit : float
        What standard deviations are relative to.
    """
    out = []
    for t, (term, state) in enumerate(zip(terms, states, strict=True)):
        own = []
        found = block_parameters(term, state) if term.is_structured else [None] * len(term.blocks)
        for block, structure, psi in zip(term.blocks, term.block_structures, found, strict=True):
            if structure is None or psi is None:
                own.append(np.empty(0))
                continue
            scale = np.ascontiguousarray(np.diag(basis(t))[list(block)])
            own.append(scaled_natural(structure, psi, scale, unit))
        out.append(own)
    return out


def scaled_natural(structure: Structure, psi: Array, scale: Array, unit: float) -> Array:
    """Natural parameters of a structure, standard deviations times ``unit``."""
    out = np.array(structure.core.natural(psi, scale))
    out[: structure.n_sds] *= unit ** (-2 if structure.kind == "precisions" else 1)
    return out


def structure_limits(term: RandomTerm, state: Array, factor: Array) -> list[str]:
    """State which blocks of a term with structures are singular, or at a limit, and how.

    Parameters
    ----------
    term : RandomTerm
        The term.
    state : ndarray of shape (m, 1)
        Its parameters, standardised basis.
    factor : ndarray of shape (s, s)
        Its relative covariance factor.
    """
    notes = []
    parameters = block_parameters(term, state)
    for columns, structure, psi in zip(term.blocks, term.block_structures, parameters, strict=True):
        if structure is None or psi is None:
            part = factor[np.ix_(columns, columns)]
            if np.linalg.svd(part, compute_uv=False).min() < SINGULAR:
                names = ", ".join(term.names[j] for j in columns)
                notes.append(f"the covariance of ({names} | {term.group}) is singular.")
            continue
        if structure.core.margin(psi) >= SINGULAR:
            continue
        name = f"{structure.kind}(... | {term.group})"
        if structure.core.factor(psi).diagonal().max() < SINGULAR:
            notes.append(
                f"the variance of {name} is estimated as zero: the data show no such variation "
                "beyond chance. Dropping the term gives the same fit."
            )
            continue
        notes.append(
            f"{name} is at a limit of its parameters: a standard deviation of zero, "
            "correlations of one, or none. model.covariance_params() shows which; a simpler "
            "structure gives the same fit."
        )
    return notes
