"""Maximum likelihood by expectation and maximisation, from the derivative by the covariance."""

from __future__ import annotations

import numpy as np

from ... import _core
from ..._typing import Array
from ...design.design import Design

__all__ = ["em", "lower_factor"]


def em(
    design: Design,
    core: _core.Lmm,
    start: list[Array],
    *,
    reml: bool,
    max_steps: int = 5000,
    tolerance: float = 1e-10,
) -> tuple[list[Array], int]:
    """Iterate the EM map of the relative covariances, sigma profiled out, until it settles.

    Parameters
    ----------
    design, core
        The model.
    start : list of ndarray of shape (s, s)
        Relative covariance factors to start from, standardised basis, not singular.
    reml : bool
        Whether the fixed effects are integrated out.
    max_steps : int
        Steps at most.
    tolerance : float
        Stop when a step lowers -2 log-likelihood by less, relative to its size plus one.

    Returns
    -------
    lambda_standard : list of ndarray
        Where it stopped.
    steps : int
        Steps taken.

    Notes
    -----
    With S the derivative of -2 log-likelihood by Sigma, the mean of E[b b'|y] over the l levels is
    Sigma - Sigma S Sigma / l: the EM step needs nothing but S. It cannot leave the cone, and it
    converges slowly where a variance is small and not at all within reason where it is zero [1]_.

    References
    ----------
    .. [1] Laird, Lange and Stram (1987), J. Am. Stat. Assoc. 82, 97-105.
    """
    lambda_ = [np.asfortranarray(block) for block in start]
    before = np.inf
    for step in range(max_steps):
        at = core.curvature(lambda_, reml)
        if before - at.objective < tolerance * (1.0 + abs(at.objective)):
            return lambda_, step
        before = at.objective
        lambda_ = [
            _mapped(term.blocks, block, S, term.n_levels)
            for term, block, S in zip(design.random, lambda_, at.score, strict=True)
        ]
    return lambda_, max_steps


def _mapped(
    blocks: tuple[tuple[int, ...], ...], lambda_: Array, score: Array, n_levels: int
) -> Array:
    """One EM step of one term, block by block."""
    out = np.zeros_like(lambda_, order="F")
    for columns in blocks:
        index = np.ix_(columns, columns)
        sigma = lambda_[index] @ lambda_[index].T
        moved = sigma - sigma @ score[index] @ sigma / n_levels
        values, vectors = np.linalg.eigh(0.5 * (moved + moved.T))
        root = vectors * np.sqrt(np.maximum(values, 0.0))
        out[index] = lower_factor(root)
    return out


def lower_factor(root: Array) -> Array:
    """Return the lower triangle L, diagonal >= 0, with L L' = B B', shape (s, s) from (s, s)."""
    R = np.asarray(np.linalg.qr(root.T, mode="r"))
    return np.asfortranarray(R.T * np.where(np.diag(R) < 0, -1.0, 1.0))
