"""The cross products of a design without rows as matrices, in the units of the formula."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from .._typing import Array
from ..design.design import INTERCEPT
from .summed import SummedDesign

__all__ = ["Products", "products_of"]


@dataclass(frozen=True)
class Products:
    """Cross products of the columns as the formula has them.

    Attributes
    ----------
    XX : ndarray of shape (p, p)
        X'W X.
    ZX : list of ndarray of shape (l_t * k_t, p)
        Z'W X of each term, the columns of a level together.
    ZZ : sparse array of shape (q, q)
        Z'W Z of all terms, one after the other.
    """

    XX: Array
    ZX: list[Array]
    ZZ: Any


def products_of(design: SummedDesign, factors: Sequence[Array]) -> Products:
    """Take the products out of sums, the columns of each term times a factor (k_t, k_t).

    Parameters
    ----------
    design : SummedDesign
        The sums.
    factors : sequence of ndarray of shape (k_t, k_t)
        By which the columns of each term are multiplied.
    """
    from scipy import sparse

    held = design.sums.__getstate__()
    fixed, columns, blocks = held[0], held[1], held[2]
    shift, scale, gram, own, xy, start, level, value = held[5:13]
    c = len(fixed) + 1
    back = np.linalg.inv(_shifts([*fixed, INTERCEPT - 1], [0] * c, shift[:c], scale[:c]))
    XX = (back.T @ gram @ back)[:-1, :-1]
    turns, at = [], c
    for references, of_block, factor in zip(columns, blocks, factors, strict=True):
        k = len(references)
        S = _shifts(references, of_block, shift[at : at + k], scale[at : at + k])
        turns.append(np.linalg.solve(S, factor))
        at += k
    ZX, pair = [], 0
    n_terms = len(columns)
    grid: list[list[Any]] = [[None] * n_terms for _ in range(n_terms)]
    for t, turn in enumerate(turns):
        k, levels = len(turn), own[t].shape[1]
        rows = (xy[t].T @ back)[:, :-1].reshape(levels, k, c - 1)
        ZX.append(np.einsum("ab,lac->lbc", turn, rows).reshape(levels * k, c - 1))
        square = own[t].T.reshape(levels, k, k)
        grid[t][t] = sparse.bsr_array(
            (turn.T @ square @ turn, np.arange(levels), np.arange(levels + 1)),
            shape=(levels * k, levels * k),
        )
    for s in range(n_terms):
        for t in range(s + 1, n_terms):
            k_s, k_t = len(turns[s]), len(turns[t])
            squares = value[pair].T.reshape(-1, k_t, k_s).transpose(0, 2, 1)
            shape = (own[s].shape[1] * k_s, own[t].shape[1] * k_t)
            block = sparse.bsr_array(
                (turns[s].T @ squares @ turns[t], level[pair], start[pair]), shape=shape
            )
            grid[s][t], grid[t][s] = block, block.T
            pair += 1
    return Products(XX, ZX, sparse.csr_array(sparse.block_array(grid)))


def _shifts(
    references: Sequence[int], blocks: Sequence[int], shift: Sequence[float], scale: Sequence[float]
) -> Array:
    """S with [columns as they were added up] = [columns] S; a block's constant takes its shifts."""
    S = np.diag(np.asarray(scale, dtype=np.float64))
    for j, block in enumerate(blocks):
        for i, (reference, other) in enumerate(zip(references, blocks, strict=True)):
            if reference == INTERCEPT and other == block and i != j:
                S[i, j] = -shift[j] * scale[j]
    return S
