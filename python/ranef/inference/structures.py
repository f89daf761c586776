"""What is said of covariance structures: where they stand at a limit of their parameters."""

from __future__ import annotations

import numpy as np

from .._typing import Array
from ..design.design import Design, RandomTerm
from ..errors import UnsupportedError
from ..models.lmm import SINGULAR
from ..models.states import block_parameters

__all__ = ["free_only", "structure_limits"]


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


def structure_limits(term: RandomTerm, state: Array, factor: Array) -> list[str]:
    """Say which blocks of a term with structures are singular, or at a limit, and how.

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
            f"{name} stands at a limit of its parameters: a standard deviation of zero, "
            "correlations of one, or none. model.covariance_params() shows which; a simpler "
            "structure gives the same fit."
        )
    return notes
