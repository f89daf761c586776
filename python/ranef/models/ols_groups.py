"""Least squares in each group on its own, on arrays."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .. import _core
from .._typing import Array, Codes
from .ols import fit_ols

__all__ = ["GroupEstimates", "fit_by_group"]


#: Singular values of a group's columns, scaled to length 1, below which they are dependent.
DEPENDENT = 1e-7


@dataclass(frozen=True)
class GroupEstimates:
    """Separate fits of G groups.

    Attributes
    ----------
    beta : ndarray of shape (G, p)
        Coefficients, NaN where the group's rows do not determine one.
    unscaled : ndarray of shape (G, p)
        Their variances in units of the residual variance, NaN likewise.
    ssr : ndarray of shape (G,)
        Weighted sums of squared residuals.
    df_resid : ndarray of shape (G,), int
        Rows minus rank.
    """

    beta: Array
    unscaled: Array
    ssr: Array
    df_resid: NDArray[np.int64]


def fit_by_group(y: Array, X: Array, codes: Codes, weights: Array | None) -> GroupEstimates:
    """Fit y on X in each group.

    Parameters
    ----------
    y : ndarray of shape (n,)
        Response.
    X : ndarray of shape (n, p)
        Columns.
    codes : ndarray of shape (n,), int32
        Groups, every code from 0 on used.
    weights : ndarray of shape (n,), optional
        Positive weights.

    Returns
    -------
    GroupEstimates

    Notes
    -----
    Groups of one size are solved in a stack; those whose columns are dependent one by one.
    """
    counts = np.bincount(codes)
    order = _core.order_by_cluster(codes, len(counts))
    start = np.concatenate([[0], np.cumsum(counts)])[:-1]
    G, p = len(counts), X.shape[1]
    nan = np.full((G, p), np.nan)
    out = GroupEstimates(nan, nan.copy(), np.zeros(G), counts - p)
    for size in np.unique(counts):
        groups = np.flatnonzero(counts == size)
        rows = order[start[groups][:, None] + np.arange(size)]
        w = None if weights is None else weights[rows]
        left = groups
        if size >= p:
            full = _fit_stack(y[rows], X[rows], w, out, groups)
            left, rows, w = groups[~full], rows[~full], None if w is None else w[~full]
        for i, g in enumerate(left.tolist()):
            _fit_one(y[rows[i]], X[rows[i]], None if w is None else w[i], out, g)
    return out


def _fit_stack(
    y: Array, X: Array, weights: Array | None, out: GroupEstimates, groups: NDArray[np.intp]
) -> NDArray[np.bool_]:
    """Fit the groups of full rank, X of shape (g, size, p); return which."""
    if weights is not None:
        half = np.sqrt(weights)
        y, X = half * y, half[:, :, None] * X
    length = np.sqrt(np.einsum("gij,gij->gj", X, X))
    scaled = X / np.where(length > 0.0, length, 1.0)[:, None, :]
    s = np.linalg.svd(scaled, compute_uv=False)
    full = s.min(axis=1, initial=np.inf) > DEPENDENT * np.maximum(1.0, s.max(axis=1, initial=0.0))
    Q, R = np.linalg.qr(scaled[full])
    root = np.linalg.inv(R)
    resid, beta = y[full], np.zeros((int(full.sum()), X.shape[2]))
    for _ in range(2):  # the second round refines the first
        step = np.einsum("gjk,gik,gi->gj", root, Q, resid, optimize=True)
        beta += step
        resid = resid - np.einsum("gij,gj->gi", scaled[full], step)
    out.beta[groups[full]] = beta / length[full]
    out.unscaled[groups[full]] = np.einsum("gjk,gjk->gj", root, root) / length[full] ** 2
    out.ssr[groups[full]] = np.einsum("gi,gi->g", resid, resid)
    return np.asarray(full)


def _fit_one(y: Array, X: Array, weights: Array | None, out: GroupEstimates, g: int) -> None:
    """Fit one group whose columns are dependent."""
    ols = fit_ols(y, np.asfortranarray(X), weights)
    told = _estimable(X)
    unscaled = np.full(X.shape[1], np.nan)
    unscaled[ols.kept] = np.diag(ols.cov_unscaled)
    out.beta[g] = np.where(told, ols.beta, np.nan)
    out.unscaled[g] = np.where(told, unscaled, np.nan)
    out.ssr[g], out.df_resid[g] = ols.ssr, ols.df_resid


def _estimable(X: Array) -> NDArray[np.bool_]:
    """Find which coefficients these rows determine: those that no null vector of X involves.

    A column that is dropped as aliased leaves the others with another meaning, so it is not enough
    that a coefficient was kept.
    """
    length = np.linalg.norm(X, axis=0)
    scaled = X / np.where(length > 0.0, length, 1.0)
    _, s, Vt = np.linalg.svd(scaled, full_matrices=True)
    rank = int(np.sum(s > DEPENDENT * max(1.0, s.max(initial=0.0))))
    return np.asarray(np.abs(Vt[rank:]).max(axis=0, initial=0.0) < 1e-6)
