"""Sandwiches and one-step deletions of a likelihood whose clusters are independent."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..._typing import Array
from ...models.glmm.standing import Standing

__all__ = ["ADJUSTMENTS", "Pieces", "adjusted_cov", "one_step", "robust_cov"]

#: Small-sample corrections, the usual one first.
ADJUSTMENTS = ("CR2", "CR3", "CR0", "CR1", "CR1S")
#: What a cluster must leave of the information in a direction for its score to be stretched there.
LEFT = 1e-8
POWERS = {"CR2": -0.5, "CR3": -1.0}


@dataclass(frozen=True)
class Pieces:
    """What independent clusters add to a likelihood at its maximum.

    Attributes
    ----------
    scores : ndarray of shape (G, m)
        Derivatives of the log-likelihood, by cluster.
    information : ndarray of shape (G, m, m)
        Its negative second derivatives.
    cov : ndarray of shape (m, m)
        Inverse of the sum of those.
    """

    scores: Array
    information: Array
    cov: Array


def robust_cov(
    standing: Standing,
    codes: NDArray[np.intp],
    count: int,
    kind: str,
    rows: Array,
    n_obs: int,
) -> tuple[Array, tuple[str, ...]]:
    """Compute the covariance of linear functions of the parameters, and notes.

    Parameters
    ----------
    standing : Standing
        The fit.
    codes : ndarray of shape (n,)
        Cluster of each row.
    count : int
        Number of clusters.
    kind : str
        One of ``ADJUSTMENTS``.
    rows : ndarray of shape (r, m + P)
        The functions.
    n_obs : int
        Rows of the fit.
    """
    pieces = Pieces(*standing.by_cluster(codes, count), standing.cov)
    return adjusted_cov(pieces, kind, rows, n_obs)


def adjusted_cov(
    pieces: Pieces, kind: str, rows: Array, n_obs: int
) -> tuple[Array, tuple[str, ...]]:
    """Compute the covariance of linear functions of the parameters; see ``robust_cov``."""
    count = len(pieces.scores)
    scale = np.sqrt(np.diag(pieces.cov))
    scale = np.where(scale > 0.0, scale, 1.0)  # parameters in units of their errors
    unit = np.outer(scale, scale)
    V = symmetric_power(pieces.cov / unit, 0.5)
    pushed = (pieces.scores * scale) @ V  # (G, m) R s_g
    notes: tuple[str, ...] = ()
    if kind in POWERS:
        lost = 0
        for g in range(count):
            values, vectors = np.linalg.eigh(
                np.eye(len(V)) - V @ (unit * pieces.information[g]) @ V
            )
            known = values > LEFT
            lost += int((~known).any())
            factor = np.where(known, np.where(known, values, 1.0) ** POWERS[kind], 0.0)
            pushed[g] = vectors @ (factor * (vectors.T @ pushed[g]))
        if lost:
            notes = (
                f"{lost} of {count} clusters {'holds' if lost == 1 else 'hold'} all that is known "
                "of some parameter; scores are not stretched there.",
            )
    half = (rows * scale) @ V @ pushed.T  # (r, G)
    cov = half @ half.T
    if kind in ("CR1", "CR1S"):
        cov *= count / (count - 1.0)
    if kind == "CR1S":
        cov *= (n_obs - 1.0) / (n_obs - len(rows))
    return cov, notes


def symmetric_power(A: Array, power: float) -> Array:
    """Raise a symmetric matrix to a power, its eigenvalues that are not above zero left out."""
    values, vectors = np.linalg.eigh(0.5 * (A + A.T))
    known = values > 1e-14 * max(float(values.max(initial=0.0)), 1e-300)
    raised = np.where(known, np.where(known, values, 1.0) ** power, 0.0)
    return np.asarray((vectors * raised) @ vectors.T)


def one_step(standing: Standing, codes: NDArray[np.intp], count: int) -> tuple[Array, Array, Array]:
    """Delete each group by one step of Newton's method.

    Returns
    -------
    moved : ndarray of shape (G, m + P)
        Parameters of the whole fit minus those without the group; NaN where the rest does not
        determine them.
    spread : ndarray of shape (G, m + P, m + P)
        Covariance of the parameters without the group.
    leverage : ndarray of shape (G,)
        Trace of H^-1 H_g.
    """
    size = len(standing.x)
    moved, spread = np.full((count, size), np.nan), np.full((count, size, size), np.nan)
    leverage = np.full(count, np.nan)
    nested = standing.nested_in(codes)
    unit = np.outer(standing.scale, standing.scale)
    free = np.diag(standing.cov) > 0.0
    if nested:
        scores, own = standing.by_cluster(codes, count)
    for g in range(count):
        if nested:
            score, H = -scores[g], standing.information - own[g]
        else:
            score, H = standing.on(np.flatnonzero(codes != g)).derivatives(standing.scale)
        if not (np.isfinite(score).all() and np.isfinite(H).all()):
            continue
        leverage[g] = np.trace(standing.cov @ (standing.information - H))
        values, vectors = np.linalg.eigh((H * unit)[np.ix_(free, free)])
        if values[0] < LEFT * values[-1]:
            continue
        inverse = np.zeros((size, size))
        inverse[np.ix_(free, free)] = (vectors / values) @ vectors.T
        inverse *= unit
        moved[g], spread[g] = -inverse @ score, inverse
    return moved, spread, leverage
