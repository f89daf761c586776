"""Random parts compared as families of covariance matrices on the same rows."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..._typing import Array
from ...design.design import Design, RandomTerm, assemble, only_plain

__all__ = ["CovarianceBlock", "covariance_block", "covariance_blocks", "zero_directions"]


#: Relative size below which a residual, or an eigenvalue of a covariance, counts as zero.
TOLERANCE = 1e-6
#: Random vectors that covariances are multiplied by, and random members of the smaller family.
N_PROBES, N_POINTS = 2, 6


@dataclass(frozen=True)
class CovarianceBlock:
    """One unstructured block: the covariances z Sigma z' within levels, Sigma any of its size.

    Attributes
    ----------
    codes : ndarray of shape (n,), int32
        Level of each row.
    n_levels : int
        Number of levels.
    z : ndarray of shape (n, s)
        A basis of the block's columns of unit mean square.
    """

    codes: NDArray[np.int32]
    n_levels: int
    z: Array

    @property
    def size(self) -> int:
        """Number of columns, s."""
        return int(self.z.shape[1])


def covariance_blocks(design: Design) -> list[CovarianceBlock]:
    """Return the blocks of all random-effects terms of a design."""
    only_plain(design, "this likelihood ratio test", "compare aic, or use ranef.pbtest")
    return [
        covariance_block(design, term, block) for term in design.random for block in term.blocks
    ]


def covariance_block(design: Design, term: RandomTerm, block: tuple[int, ...]) -> CovarianceBlock:
    """One block with its columns rotated to unit mean squares, which keeps the family."""
    references = tuple(term.columns[j] for j in block)
    z = assemble(design.columns, references, design.n_obs)
    z /= np.linalg.norm(z, axis=0)
    if z.shape[1] > 1:
        left, values, _ = np.linalg.svd(z, full_matrices=False)
        z = left[:, values > 1e-10 * values[0]]
    return CovarianceBlock(term.codes, term.n_levels, z * np.sqrt(design.n_obs))


def zero_directions(
    small: list[CovarianceBlock], large: list[CovarianceBlock], weights: Array | None
) -> int | None:
    """Find how many variances of the larger family are zero in the smaller one.

    Parameters
    ----------
    small, large : list of CovarianceBlock
        Blocks of the two random parts, on the same rows.
    weights : ndarray of shape (n,) or None
        Precision weights of the residual.

    Returns
    -------
    int or None
        Null directions of the larger family's covariance matrices at an interior point of the
        smaller; 0 when the smaller one is interior, None when it is no part of the larger.

    Notes
    -----
    Covariances are linear in their elements, V = sum_a s_a V_a. Members of the smaller family times
    random vectors are regressed on the V_a of the larger times the same vectors: nested means that
    nothing is left over and that the coefficients are covariance matrices again.
    """
    if not small:
        return sum(block.size for block in large)
    if not large:
        return None
    rng = np.random.default_rng(20040511)
    n = len(small[0].codes)
    probes = rng.standard_normal((n, N_PROBES))
    residual = (probes if weights is None else probes / weights[:, None]).ravel()
    targets = np.column_stack([_member(small, probes, rng) for _ in range(N_POINTS)])
    elements = [
        _element(b, i, j, probes) for b in large for i in range(b.size) for j in range(i + 1)
    ]
    A = np.column_stack([*elements, residual])
    scale = np.linalg.norm(A, axis=0)
    found, *_ = np.linalg.lstsq(A / scale, targets, rcond=1e-10)
    left = np.linalg.norm(targets - (A / scale) @ found, axis=0)
    if (left > TOLERANCE * np.linalg.norm(targets, axis=0)).any():
        return None
    return _count_zeros(found / scale[:, None], [b.size for b in large])


def _element(block: CovarianceBlock, i: int, j: int, probes: Array) -> Array:
    """One V_a times the probes, flattened: z_i z_j' (made symmetric) within levels."""
    out = _within(block, i, j, probes)
    if i != j:
        out = out + _within(block, j, i, probes)
    return out.ravel()


def _within(block: CovarianceBlock, i: int, j: int, probes: Array) -> Array:
    """z_i times the level sums of z_j times the probes, shape (n, probes)."""
    sums = [
        np.bincount(block.codes, block.z[:, j] * probe, minlength=block.n_levels)
        for probe in probes.T
    ]
    return block.z[:, i : i + 1] * np.column_stack(sums)[block.codes]


def _member(blocks: list[CovarianceBlock], probes: Array, rng: np.random.Generator) -> Array:
    """Multiply the probes by a random interior covariance of a family; flattened."""
    total = np.zeros(probes.size)
    for block in blocks:
        root = rng.standard_normal((block.size, block.size))
        cov = root @ root.T + 0.1 * np.eye(block.size)
        for i in range(block.size):
            for j in range(i + 1):
                total += cov[i, j] * _element(block, i, j, probes)
    return total


def _count_zeros(found: Array, sizes: list[int]) -> int | None:
    """Null directions of the blocks of each point; None when a point is no covariance."""
    zeros = []
    for point in found.T:
        values = [np.linalg.eigvalsh(block) for block in _unpacked(point, sizes)]
        every = np.concatenate([*values, [point[-1]]])
        size = np.abs(every).max()
        if every.min() < -TOLERANCE * size:
            return None
        zeros.append(sum(int((v < TOLERANCE * size).sum()) for v in values))
    return min(zeros)


def _unpacked(point: Array, sizes: list[int]) -> list[Array]:
    """Symmetric matrices from their lower triangles, row by row."""
    out, at = [], 0
    for s in sizes:
        block = np.zeros((s, s))
        rows, columns = np.tril_indices(s)
        block[rows, columns] = point[at : at + len(rows)]
        out.append(block + np.tril(block, -1).T)
        at += len(rows)
    return out
