"""Terms of known covariance, or of several members a row, as the kernel takes them."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from .._typing import Array
from ..design.design import INTERCEPT, Design
from ..errors import UnsupportedError

__all__ = ["Member", "general_terms"]

#: Codes, number of levels, references of the columns and the block of each.
Member = tuple[NDArray[np.int32], int, list[int], list[int]]


def general_terms(
    design: Design,
) -> tuple[list[Array], list[int], list[Member], list[tuple[int, list[int], float, Any]]]:
    """Lay out columns, references of X, members and terms.

    The columns of a member are the term's times the weights of its membership. Those of a term with
    one member are as the formula has them; others are standardised column by column.
    """
    for term in design.random:
        if term.smooth is not None:
            raise UnsupportedError(
                f"{term.group} is a smooth, which cannot be combined with known covariances "
                "and mm()"
            )
        if term.is_structured:
            raise UnsupportedError(
                f"{term.written} has a covariance structure, which cannot be combined with known "
                "covariances and mm()"
            )
    columns = list(design.columns)
    members: list[Member] = []
    terms = []
    for term in design.random:
        blocks = [b for b, block in enumerate(term.blocks) for _ in block]
        rows = term.memberships
        for codes, weights in rows:
            references = list(term.columns)
            if weights is not None:
                references = list(range(len(columns), len(columns) + term.n_cols))
                columns += [
                    weights if j == INTERCEPT else weights * design.columns[j] for j in term.columns
                ]
            own = blocks if len(rows) == 1 else list(range(term.n_cols))
            members.append((np.ascontiguousarray(codes), term.n_levels, references, own))
        known = term.known
        size = 1.0 if known is None else known.size
        terms.append((len(rows), blocks, size, None if known is None else known.triangle))
    return columns, list(design.fixed), members, terms
