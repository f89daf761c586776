"""Cluster-robust covariance matrices with their small-sample corrections.

Everything is computed cluster by cluster from cross products of p columns, never from n by n
matrices: with B the orthonormal basis of the columns of X, the adjustment of one cluster is a
function of the p by p matrix S = B_g'B_g.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal, Protocol, get_args

import numpy as np

from ..._core import gram_by_cluster, sum_by_cluster
from ..._counted import counted
from ..._typing import Array, Codes
from ...errors import ModelError

__all__ = [
    "ClusterKind",
    "DiagonalScores",
    "Pieces",
    "ScoreModel",
    "check_kind",
    "cluster_factor",
    "cluster_meat",
    "undefined",
]

ClusterKind = Literal["CR0", "CR1", "CR1S", "CR2", "CR3"]

#: Kinds that take residuals as they are.
UNADJUSTED = ("CR0", "CR1", "CR1S")

#: What is left of a cluster's direction once the others have explained it; below is none.
EMPTY = 1e-10

#: Numbers held at once for the cross products of one chunk of clusters.
CHUNK = 4_000_000


@dataclass(frozen=True)
class Pieces:
    """What a chunk of clusters contributes, in the coordinates of the basis.

    With a_g = F_g psi_g the adjusted columns of cluster g, for coefficients gamma = root' c:

    Attributes
    ----------
    scores : ndarray of shape (g, r)
        a_g' e_g.
    own : ndarray of shape (g, r, r)
        a_g' Phi_g a_g, Phi the working covariance.
    cross : ndarray of shape (g, m, r)
        The part of (I - H) a_g that reaches the other clusters.
    joint : ndarray of shape (m, m)
        Working covariance between g and h: own (if g is h) plus cross_g' joint cross_h.
    """

    scores: Array
    own: Array
    cross: Array
    joint: Array


class ScoreModel(Protocol):
    """A fit whose coefficients are root @ (sum over clusters of basis' residuals)."""

    @property
    def root(self) -> Array:
        """Map from the basis to the coefficients, shape (r, r)."""

    @property
    def codes(self) -> Codes:
        """Cluster of each row, shape (n,)."""

    @property
    def n_clusters(self) -> int:
        """Number of clusters."""

    @property
    def n_obs(self) -> int:
        """Number of rows."""

    def scores(self, kind: str) -> Array:
        """Return the adjusted score of each cluster, shape (n_clusters, r)."""

    def chunks(self, kind: str) -> Iterator[Pieces]:
        """Go through the clusters in chunks, adjusted as ``kind`` says."""


@dataclass(frozen=True)
class DiagonalScores:
    """Least squares with B'WB = I and working covariance I.

    Attributes
    ----------
    columns : ndarray of shape (n, r), Fortran order
        The basis B.
    resid : ndarray of shape (n,)
        Residuals.
    weights : ndarray of shape (n,) or None
        W; None for ones (also after whitening).
    root : ndarray of shape (r, r)
        Map from the basis to the coefficients.
    codes : ndarray of shape (n,), int32
        Clusters.
    n_clusters : int
        Their number.
    """

    columns: Array
    resid: Array
    weights: Array | None
    root: Array
    codes: Codes
    n_clusters: int

    @property
    def n_obs(self) -> int:
        """Number of rows."""
        return len(self.resid)

    def _sums(self, F: Array) -> Array:
        """Sum columns times residuals by cluster."""
        return sum_by_cluster(F * self.resid[:, None], self.codes, self.n_clusters)

    def scores(self, kind: str) -> Array:
        """Return the adjusted score of each cluster; without adjustment no cross products."""
        if kind in UNADJUSTED:
            B, w = self.columns, self.weights
            return self._sums(B if w is None else np.asfortranarray(w[:, None] * B))
        return np.concatenate([piece.scores for piece in self.chunks(kind)])

    def chunks(self, kind: str) -> Iterator[Pieces]:
        """Go through the clusters in chunks of limited memory."""
        r = self.columns.shape[1]
        F = self.columns
        if self.weights is not None:
            F = np.asfortranarray(np.hstack([F, self.weights[:, None] * F]))
        sums = self._sums(F)
        joint = -np.eye(r)
        if self.weights is not None:
            Q = F[:, r:].T @ F[:, r:]
            joint = np.block([[Q, joint], [joint, np.zeros((r, r))]])
        step = max(1, CHUNK // max(1, F.shape[1] ** 2))
        for first in range(0, self.n_clusters, step):
            last = min(first + step, self.n_clusters)
            T = gram_by_cluster(F, self.codes, first, last).reshape(-1, F.shape[1], F.shape[1])
            if self.weights is None:
                yield _plain_pieces(T, sums[first:last], joint, kind)
            else:
                yield _weighted_pieces(T, sums[first:last], joint, kind)


def _plain_pieces(S: Array, sums: Array, joint: Array, kind: str) -> Pieces:
    """Adjust clusters of an unweighted fit; S (g, r, r) their cross products."""
    if kind in UNADJUSTED:
        return Pieces(sums, S, S, joint)
    lam, V = np.linalg.eigh(S)
    f = _adjustment(1.0 - lam, kind)
    psi = (V * f[:, None, :]) @ V.transpose(0, 2, 1)
    own = (V * (lam * f * f)[:, None, :]) @ V.transpose(0, 2, 1)
    cross = (V * (lam * f)[:, None, :]) @ V.transpose(0, 2, 1)
    return Pieces(np.einsum("gij,gj->gi", psi, sums), own, cross, joint)


def _weighted_pieces(T: Array, sums: Array, joint: Array, kind: str) -> Pieces:
    """Adjust clusters of a weighted fit whose working covariance is the identity.

    T (g, 2r, 2r) holds the cross products of F = [B, WB]; the residual maker's block is
    I + F joint F', of rank at most 2r.
    """
    r = T.shape[1] // 2
    if kind == "CR2":
        # Columns of length one: neither the unit of the weights nor those of the basis count.
        size = np.sqrt(np.einsum("gii->gi", T))
        size[size == 0.0] = 1.0
        t, U = np.linalg.eigh(T / (size[:, :, None] * size[:, None, :]))
        t = np.where(t > 1e-13 * t[:, -1:], t, 0.0)
        half = np.sqrt(t)
        G = size[:, :, None] * U * half[:, None, :]
        N = np.eye(2 * r) + G.transpose(0, 2, 1) @ joint @ G
        nu, E = np.linalg.eigh(N)
        root = (E * _adjustment(nu, kind)[:, None, :]) @ E.transpose(0, 2, 1)
        back = U * np.divide(1.0, half, out=np.zeros_like(half), where=half > 0.0)[:, None, :]
        psi = back @ root @ G.transpose(0, 2, 1)[:, :, r:] / size[:, :, None]
    else:
        S = T[:, :r, r:]
        lower = _inverse_all(S) if kind == "CR3" else np.broadcast_to(np.eye(r), S.shape)
        psi = np.concatenate([np.zeros_like(S), lower], axis=1)
    moved = T @ psi
    scores = np.einsum("gmr,gm->gr", psi, sums)
    return Pieces(scores, psi.transpose(0, 2, 1) @ moved, moved, joint)


def _inverse_all(S: Array) -> Array:
    """Invert I - S for every cluster, where S is a product of B'W and B."""
    left: Array = np.eye(S.shape[1]) - S
    if np.any(np.linalg.eigvalsh(0.5 * (left + left.transpose(0, 2, 1)))[:, 0] < EMPTY):
        raise undefined()
    return np.asarray(np.linalg.inv(left), float)


def _adjustment(left: Array, kind: str) -> Array:
    """Power of the eigenvalues of I - H: -1/2 for CR2, with a pseudo-inverse, -1 for CR3."""
    if kind == "CR3":
        if np.any(left < EMPTY):
            raise undefined()
        return 1.0 / left
    return np.where(left > EMPTY, 1.0 / np.sqrt(np.maximum(left, EMPTY)), 0.0)


def undefined() -> ModelError:
    """Explain why CR3 does not exist."""
    return ModelError(
        "CR3 leaves out one cluster at a time, and without one of these clusters a coefficient "
        'cannot be estimated: it depends on that cluster alone. Use "CR2", or leave the column out.'
    )


def cluster_factor(kind: str, n_obs: int, n_clusters: int, n_coef: int) -> float:
    """Return the factor by which CR1 and CR1S enlarge the covariance.

    Parameters
    ----------
    kind : str
        The correction.
    n_obs, n_clusters, n_coef : int
        Rows, clusters and coefficients that are counted.

    Returns
    -------
    float
        G / (G - 1) for CR1, times (n - 1) / (n - p) for CR1S, else 1.

    Raises
    ------
    ModelError
        If there is a single cluster, or CR1S has as many coefficients as rows.
    """
    if kind in ("CR1", "CR1S") and n_clusters < 2:
        raise ModelError(f"{kind} compares clusters, and there is only one")
    if kind == "CR1S" and n_obs <= n_coef:
        raise ModelError(
            f"CR1S divides by rows minus coefficients, and there are {counted(n_obs, 'row')} and "
            f"{n_coef} "
            'coefficients; use "CR0" or "CR1", or leave columns out'
        )
    if kind == "CR1":
        return n_clusters / (n_clusters - 1)
    if kind == "CR1S":
        return n_clusters * (n_obs - 1) / ((n_clusters - 1) * (n_obs - n_coef))
    return 1.0


def cluster_meat(model: ScoreModel, kind: str) -> Array:
    """Sum the outer products of the adjusted scores of all clusters.

    Parameters
    ----------
    model : ScoreModel
        The fit.
    kind : str
        One of CR0, CR1, CR1S, CR2, CR3; no factor is applied here.

    Returns
    -------
    ndarray of shape (r, r)
        The covariance of the coefficients is root @ meat @ root.T.

    References
    ----------
    .. [1] Bell and McCaffrey (2002), Survey Methodology 28, 169-181.
    .. [2] Pustejovsky and Tipton (2018), J. Bus. Econ. Stat. 36, 672-683.
    """
    check_kind(kind)
    if model.n_clusters < 2:
        raise ModelError(
            "a cluster-robust covariance compares clusters, and there is only one; "
            "name a column with at least two groups"
        )
    scores = model.scores(kind)
    return np.asarray(scores.T @ scores)


def check_kind(kind: str) -> None:
    """Refuse a name that is not a cluster-robust correction."""
    if kind not in get_args(ClusterKind):
        rows = "; HC0 to HC3 take rows as independent, as least squares may" * kind.startswith("HC")
        raise ValueError(f"kind is one of {', '.join(get_args(ClusterKind))}, not {kind!r}{rows}")
