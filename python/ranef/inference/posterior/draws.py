"""Draws of a posterior, as arrays."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..._typing import Array

__all__ = ["Draws", "chains_that_stand"]


@dataclass(frozen=True)
class Draws:
    """Draws of covariances and coefficients; C chains of N draws.

    Attributes
    ----------
    x : ndarray of shape (C, N, m)
        Covariance parameters in coordinates without constraints.
    beta : ndarray of shape (C, N, p)
        Coefficients that are not aliased.
    roots : tuple of ndarray of shape (C, N, s, s)
        Cholesky factors of the covariance matrices of the terms.
    scale : ndarray of shape (C, N)
        Residual standard deviation, or dispersion; ones where there is none.
    effects : tuple of ndarray of shape (C, N, l, s), or None
        Random effects; None where they are drawn when they are asked for.
    sampler : str
        What drew them, in words.
    divergences : int
        Transitions that diverged.
    still : tuple of int
        Chains that did not move, from 1 on.
    """

    x: Array
    beta: Array
    roots: tuple[Array, ...]
    scale: Array
    effects: tuple[Array, ...] | None
    sampler: str
    divergences: int
    still: tuple[int, ...]

    @property
    def shape(self) -> tuple[int, int]:
        """Chains and draws of each."""
        return (self.scale.shape[0], self.scale.shape[1])

    @property
    def sigmas(self) -> tuple[Array, ...]:
        """Covariance matrices of the terms, shape (C, N, s, s)."""
        return tuple(L @ np.swapaxes(L, -1, -2) for L in self.roots)


def chains_that_stand(x: Array) -> tuple[int, ...]:
    """Chains of shape (C, N, d) all of whose draws are the same, counted from 1."""
    if x.shape[1] < 2:
        return ()
    return tuple(c + 1 for c in range(len(x)) if (x[c] == x[c, :1]).all())
