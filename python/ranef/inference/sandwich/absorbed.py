"""Robust covariances of least squares: which, and with what corrections."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Literal, get_args

import numpy as np

from ..._core import sum_by_cluster
from ..._counted import counted
from ..._options import check_name, check_option
from ..._typing import Array, Codes
from ...errors import ModelError, UnsupportedError
from ...models.ols import Basis, orthonormal_basis
from ...models.within import Absorption, absorb, is_nested
from .sandwich import DiagonalScores, check_kind, cluster_factor

__all__ = [
    "Convention",
    "Counts",
    "HeteroKind",
    "absorbed_count",
    "absorbed_leverage",
    "check_convention",
    "hetero_cov",
    "multiway_cov",
    "within_scores",
]

HeteroKind = Literal["HC0", "HC1", "HC2", "HC3"]
Convention = Literal["clubSandwich", "fixest", "stata"]

#: Absorbed levels not nested in the clusters, up to which CR2 and CR3 are computed.
MAX_DUMMIES = 500

#: Numbers that their indicator columns may take.
MAX_DUMMY_CELLS = 50_000_000


def hetero_cov(
    basis: Basis,
    resid: Array,
    weights: Array | None,
    kind: str,
    *,
    df_resid: int,
    leverage: Array | None = None,
) -> Array:
    """Return a heteroscedasticity-robust covariance.

    Parameters
    ----------
    basis : Basis
        Orthonormal columns of the fit.
    resid : ndarray of shape (n,)
        Residuals.
    weights : ndarray of shape (n,) or None
        Weights of the fit.
    kind : {"HC0", "HC1", "HC2", "HC3"}
        The correction.
    df_resid : int
        Rows minus all estimated coefficients, for HC1.
    leverage : ndarray of shape (n,), optional
        What absorbed effects add to the leverage of each row.

    Returns
    -------
    ndarray of shape (r, r)

    References
    ----------
    .. [1] MacKinnon and White (1985), J. Econometrics 29, 305-325.
    """
    kind = check_option("kind", kind, get_args(HeteroKind))
    B, n = basis.columns, len(resid)
    scores = B * (resid if weights is None else weights * resid)[:, None]
    if kind in ("HC2", "HC3"):
        h = np.einsum("ij,ij->i", B, B) * (1.0 if weights is None else weights)
        left = 1.0 - h - (0.0 if leverage is None else leverage)
        alone = left < 1e-10
        if kind == "HC3" and alone.any():
            raise ModelError(
                f"{counted(alone.sum(), 'row is', 'rows are')} fitted exactly, whatever the "
                'response: HC3 divides by zero there. Use "HC1", or leave out such rows.'
            )
        scores = scores / np.where(alone, 1.0, left)[:, None] ** (0.5 if kind == "HC2" else 1.0)
    factor = n / df_resid if kind == "HC1" else 1.0
    return np.asarray(factor * (basis.root @ (scores.T @ scores) @ basis.root.T))


def within_scores(
    basis: Basis,
    resid: Array,
    codes: Codes,
    *,
    weights: Array | None = None,
    absorption: Absorption | None = None,
    whiten: bool = False,
) -> DiagonalScores | None:
    """Set up cluster-robust inference after absorption.

    Absorbed factors nested in the clusters drop out of every adjustment once they are taken from
    the columns. The others tie clusters together; their indicators join the basis, behind it.

    Parameters
    ----------
    basis : Basis
        Orthonormal columns of the fit, after absorption.
    resid : ndarray of shape (n,)
        Residuals.
    codes : ndarray of shape (n,), int32
        Clusters.
    weights : ndarray of shape (n,), optional
        Weights of the fit.
    absorption : Absorption, optional
        What was absorbed.
    whiten : bool
        Whether the working model has variances that are the inverse of the weights, instead of
        equal ones.

    Returns
    -------
    DiagonalScores or None
        None if there are too many absorbed levels that are not nested in the clusters.
    """
    if absorption is not None:
        loose = [
            k for k in range(len(absorption.names)) if not is_nested(absorption.codes[:, k], codes)
        ]
        if loose:
            count = int(absorption.n_levels[loose].sum())
            if count > MAX_DUMMIES or count * len(resid) > MAX_DUMMY_CELLS:
                return None
            basis = _with_indicators(basis, absorption, loose, weights)
    columns = basis.columns
    if whiten and weights is not None:
        root = np.sqrt(weights)
        columns, resid, weights = np.asfortranarray(root[:, None] * columns), root * resid, None
    return DiagonalScores(columns, resid, weights, basis.root, codes, int(codes.max()) + 1)


def _with_indicators(
    basis: Basis, absorption: Absorption, loose: list[int], weights: Array | None
) -> Basis:
    """Add indicators of absorbed factors to the basis; they are orthogonal to X already."""
    D = indicators(absorption.select(loose))
    tight = [k for k in range(len(absorption.names)) if k not in loose]
    if tight:
        D = absorb(D, absorption.select(tight), weights)
    extra = orthonormal_basis(D, weights, scale=np.full(D.shape[1], np.sqrt(len(D))))
    r, q = basis.columns.shape[1], extra.columns.shape[1]
    root = np.zeros((r + q, r + q))
    root[:r, :r], root[r:, r:] = basis.root, extra.root
    columns = np.asfortranarray(np.hstack([basis.columns, extra.columns]))
    return Basis(columns, root, np.concatenate([basis.kept, extra.kept]))


def indicators(absorption: Absorption) -> Array:
    """Lay out the indicator columns of absorbed factors, shape (n, sum of n_levels)."""
    n, K = absorption.codes.shape
    out = np.zeros((n, int(absorption.n_levels.sum())), order="F")
    start = 0
    for k in range(K):
        out[np.arange(n), start + absorption.codes[:, k]] = 1.0
        start += int(absorption.n_levels[k])
    return out


def absorbed_leverage(absorption: Absorption, weights: Array | None) -> Array:
    """Return the leverage of each row that absorbed effects take, shape (n,)."""
    w = np.ones(len(absorption.codes)) if weights is None else weights
    largest = int(np.argmax(absorption.n_levels))
    main = absorption.codes[:, largest]
    out = w / np.bincount(main, weights=w)[main]
    rest = [k for k in range(len(absorption.names)) if k != largest]
    if rest:
        count = int(absorption.n_levels[rest].sum())
        if count > MAX_DUMMIES or count * len(w) > MAX_DUMMY_CELLS:
            raise UnsupportedError(
                f"HC2 and HC3 need the leverage of {count} absorbed levels in addition to those of "
                f'{absorption.names[largest]!r}; use "HC1"'
            )
        D = absorb(indicators(absorption.select(rest)), absorption.select([largest]), weights)
        extra = orthonormal_basis(D, weights, scale=np.full(D.shape[1], np.sqrt(len(D))))
        out = out + w * np.einsum("ij,ij->i", extra.columns, extra.columns)
    return out


def absorbed_count(
    absorption: Absorption | None, df_absorbed: int, codes: Sequence[Codes], convention: str
) -> int:
    """Count the absorbed effects that a convention charges in (n - 1) / (n - K).

    Parameters
    ----------
    absorption : Absorption or None
        What was absorbed.
    df_absorbed : int
        Degrees of freedom of all absorbed effects.
    codes : sequence of ndarray of shape (n,), int32
        Cluster variables.
    convention : {"clubSandwich", "fixest", "stata"}
        clubSandwich charges none, stata (areg) all, fixest all but one for each factor that is
        nested in a cluster variable.

    Returns
    -------
    int
    """
    check_convention(convention)
    if absorption is None or convention == "clubSandwich":
        return 0
    if convention == "stata":
        return df_absorbed
    nested = [
        int(absorption.n_levels[k])
        for k in range(len(absorption.names))
        if any(is_nested(absorption.codes[:, k], outer) for outer in codes)
    ]
    return df_absorbed - sum(nested) + len(nested)


def check_convention(convention: str) -> None:
    """Refuse a name that is not a small-sample convention."""
    check_name("ssc", convention, get_args(Convention))


@dataclass(frozen=True)
class Counts:
    """What the small-sample factor of a covariance counts."""

    n_obs: int
    n_coef: int
    convention: str


def multiway_cov(
    rows: Array, root: Array, clusters: Sequence[Codes], kind: str, counts: Counts
) -> tuple[Array, bool]:
    """Return the covariance robust to clusters of several kinds that cross.

    Parameters
    ----------
    rows : ndarray of shape (n, r), Fortran order
        What each row adds to the estimating equations at the estimate.
    root : ndarray of shape (r, r)
        The coefficients are root @ (sum of rows), up to a constant.
    clusters : sequence of ndarray of shape (n,), int32
        Cluster variables.
    kind : {"CR0", "CR1", "CR1S"}
        The factor. The convention "clubSandwich" counts the clusters of each combination on its
        own, the others take the smallest number of clusters of all variables.
    counts : Counts
        Rows and coefficients.

    Returns
    -------
    cov : ndarray of shape (r, r)
        Positive semidefinite.
    clipped : bool
        Whether negative eigenvalues were set to zero for that.

    References
    ----------
    .. [1] Cameron, Gelbach and Miller (2011), J. Bus. Econ. Stat. 29, 238-249.
    """
    check_kind(kind)
    if kind in ("CR2", "CR3"):
        raise UnsupportedError(
            f'{kind} is defined for clusters of one kind; with several use "CR1" or "CR0"'
        )
    sizes = [int(codes.max()) + 1 for codes in clusters]
    cov = np.zeros_like(root)
    for size in range(1, len(clusters) + 1):
        for chosen in combinations(clusters, size):
            codes, n = crossed(chosen)
            sums = sum_by_cluster(rows, codes, n)
            counted = n if counts.convention == "clubSandwich" else min(sizes)
            factor = cluster_factor(kind, counts.n_obs, counted, counts.n_coef)
            cov += (-1.0) ** (size + 1) * factor * (sums.T @ sums)
    lam, V = np.linalg.eigh(cov)
    clipped = bool(lam[0] < -1e-12 * abs(lam[-1]))
    if clipped:
        cov = (V * np.maximum(lam, 0.0)) @ V.T
    return np.asarray(root @ cov @ root.T), clipped


def crossed(clusters: Sequence[Codes]) -> tuple[Codes, int]:
    """Return codes to the combinations of cluster variables that occur."""
    if len(clusters) == 1:
        return clusters[0], int(clusters[0].max()) + 1
    key = clusters[0].astype(np.int64)
    for codes in clusters[1:]:
        key = np.unique(key, return_inverse=True)[1] * (int(codes.max()) + 1) + codes
    levels, found = np.unique(key, return_inverse=True)
    return found.astype(np.int32), len(levels)
