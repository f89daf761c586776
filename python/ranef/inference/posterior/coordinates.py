"""Covariance parameters without constraints: log standard deviations and partial correlations."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ..._typing import Array
from ...design.design import RandomTerm

__all__ = ["Block", "Coordinates", "Values"]


@dataclass(frozen=True)
class Block:
    """Correlated columns of one term, and where their coordinates are.

    Attributes
    ----------
    term : int
        Position of the term.
    columns : tuple of int, length k
        Its columns.
    sd, cor : slice
        Coordinates of the k standard deviations and the k (k - 1) / 2 partial correlations.
    """

    term: int
    columns: tuple[int, ...]
    sd: slice
    cor: slice


@dataclass(frozen=True)
class Values:
    """Covariance parameters of many draws.

    Attributes
    ----------
    sd : list of ndarray of shape (S, k)
        Standard deviations of each block.
    cor_root : list of ndarray of shape (S, k, k)
        Cholesky factor of each block's correlations.
    scale : ndarray of shape (S,)
        Residual standard deviation, or dispersion; ones where there is none.
    log_jacobian : ndarray of shape (S,)
        Log determinant of the derivative of all these by the coordinates.
    """

    sd: list[Array]
    cor_root: list[Array]
    scale: Array
    log_jacobian: Array


class Coordinates:
    """Where each covariance parameter is in a vector without constraints.

    Parameters
    ----------
    terms : sequence of RandomTerm
        The random-effects terms.
    has_scale : bool
        Whether a residual standard deviation, or a dispersion, comes last.
    known_scale : float
        Its value where it is no parameter.

    Notes
    -----
    A correlation matrix has as coordinates the arc hyperbolic tangents of its canonical partial
    correlations, row by row.

    References
    ----------
    Lewandowski, Kurowicka and Joe (2009), J. Multivariate Anal. 100, 1989-2001.
    """

    def __init__(self, terms: Sequence[RandomTerm], *, has_scale: bool, known_scale: float = 1.0):
        self.sizes = [term.n_cols for term in terms]
        self.blocks: list[Block] = []
        at = 0
        for t, term in enumerate(terms):
            for columns in term.blocks:
                k = len(columns)
                middle, end = at + k, at + k + k * (k - 1) // 2
                self.blocks.append(Block(t, columns, slice(at, middle), slice(middle, end)))
                at = end
        self.has_scale, self.known_scale = has_scale, known_scale
        self.size = at + has_scale

    def values(self, x: Array) -> Values:
        """Take coordinates of shape (S, size) to covariance parameters."""
        jacobian = np.zeros(len(x))
        sds, roots = [], []
        for block in self.blocks:
            jacobian += x[:, block.sd].sum(axis=1)
            sds.append(np.exp(x[:, block.sd]))
            root, change = correlation_root(x[:, block.cor], len(block.columns))
            jacobian += change
            roots.append(root)
        scale = np.full(len(x), self.known_scale)
        if self.has_scale:
            scale = np.exp(x[:, -1])
            jacobian += x[:, -1]
        return Values(sds, roots, scale, jacobian)

    def factors(self, values: Values) -> list[Array]:
        """Cholesky factors of the covariances of each term, shape (S, s, s)."""
        out = [np.zeros((len(values.scale), s, s)) for s in self.sizes]
        for block, sd, root in zip(self.blocks, values.sd, values.cor_root, strict=True):
            first, stop = block.columns[0], block.columns[-1] + 1  # a block is a run of columns
            out[block.term][:, first:stop, first:stop] = sd[:, :, None] * root
        return out

    def position(self, covariances: Sequence[Array], scale: float) -> Array:
        """Coordinates of covariance matrices, shape (s, s) each, that are positive definite."""
        x = np.zeros(self.size)
        for block in self.blocks:
            cov = covariances[block.term][np.ix_(block.columns, block.columns)]
            sd = np.sqrt(np.diag(cov))
            x[block.sd] = np.log(sd)
            x[block.cor] = partial_correlations(np.linalg.cholesky(cov / np.outer(sd, sd)))
        if self.has_scale:
            x[-1] = np.log(scale)
        return x


def correlation_root(z: Array, k: int) -> tuple[Array, Array]:
    """Cholesky factors of correlation matrices, (S, k, k), and their log Jacobian, (S,)."""
    root = np.zeros((len(z), k, k))
    root[:, 0, 0] = 1.0
    change = np.zeros(len(z))
    partial = np.tanh(z)
    at = 0
    for i in range(1, k):
        log_left = np.zeros(
            len(z)
        )  # of what the earlier columns leave of the row's length, squared
        for j in range(i):
            root[:, i, j] = partial[:, at] * np.exp(0.5 * log_left)
            change += 0.5 * log_left + log_slope(z[:, at])
            log_left = log_left + log_slope(z[:, at])
            at += 1
        root[:, i, i] = np.exp(0.5 * log_left)
    return root, change


def log_slope(z: Array) -> Array:
    """Return log(1 - tanh(z)^2) without cancellation."""
    return np.asarray(2.0 * (np.log(2.0) - np.abs(z) - np.log1p(np.exp(-2.0 * np.abs(z)))))


def partial_correlations(root: Array) -> Array:
    """Coordinates of one correlation matrix by its Cholesky factor, shape (k, k)."""
    out = []
    for i in range(1, len(root)):
        left = 1.0
        for j in range(i):
            partial = np.clip(root[i, j] / np.sqrt(left), -0.999, 0.999)
            out.append(np.arctanh(partial))
            left *= 1.0 - partial**2
    return np.array(out)
