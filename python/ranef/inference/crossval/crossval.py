"""Predictions of rows left out of a fit, in closed form with the covariance parameters held."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import linalg, sparse

from ... import _core
from ..._counted import counted
from ..._typing import Array
from ...design.design import Design, assemble, only_plain
from ...errors import ModelError
from ...models.lmm import LmmEstimate
from ...models.states import standard_factors
from ...parallel.progress import bar, tracked
from ..prediction.predict import fitted

__all__ = ["LeftOut", "leave_groups_out", "leave_rows_out", "log_density"]


#: Coefficients, fixed and random, above which the dense inverse of their equations is too large.
MOST_COEFFICIENTS = 6000
#: Elements of a level's columns above which they are kept sparse.
SPARSE_PAYS = 200_000
#: Rows whose variances are computed together, which bounds the memory.
ROWS_AT_ONCE = 4096
#: A pivot below this says that the rows left in do not identify a fixed effect.
PIVOT = 1e-9


@dataclass(frozen=True)
class LeftOut:
    """Predictions of every row by a fit that did not have it.

    Attributes
    ----------
    mean, sd : ndarray of shape (n,)
        Mean and standard deviation of the predictive distribution; NaN where the rows left in do
        not identify the prediction.
    fold : ndarray of shape (n,), int
        The fold in which the row was left out.
    joint : ndarray of shape (folds,)
        Log predictive density of each fold's rows together.
    """

    mean: Array
    sd: Array
    fold: NDArray[np.intp]
    joint: Array


def log_density(y: Array, mean: Array, sd: Array) -> Array:
    """Return normal log densities."""
    return np.asarray(-0.5 * np.log(2.0 * np.pi * sd**2) - 0.5 * ((y - mean) / sd) ** 2)


def _residual_weights(design: Design) -> Array:
    """Precision weights, ones when there are none."""
    return np.ones(design.n_obs) if design.weights is None else design.weights


def leave_rows_out(
    design: Design, estimate: LmmEstimate, core: _core.Lmm, *, progress: bool = False
) -> LeftOut:
    """Predict each row from all others.

    Notes
    -----
    With c the variance of the row's fitted value relative to sigma^2 and r its conditional
    residual, the error of the prediction is r / (1 - w c), its variance sigma^2 / (w (1 - w c)).
    """
    w = _residual_weights(design)
    c = np.empty(design.n_obs)
    with bar(design.n_obs, "rows", shown=progress) as advance:
        for start in range(0, design.n_obs, ROWS_AT_ONCE):
            rows = slice(start, start + ROWS_AT_ONCE)
            c[rows] = _fitted_variances(design, estimate, core, rows)
            advance(len(c[rows]))
    left = 1.0 - w * c
    left = np.where(left > PIVOT, left, np.nan)
    error = (design.y - fitted(design, estimate)) / left
    mean, sd = design.y - error, estimate.sigma / np.sqrt(w * left)
    return LeftOut(mean, sd, np.arange(design.n_obs), log_density(design.y, mean, sd))


def _fitted_variances(design: Design, estimate: LmmEstimate, core: _core.Lmm, rows: slice) -> Array:
    """Variances of the fitted values of some rows, relative to sigma^2."""
    count = len(design.y[rows])
    columns = tuple(column[rows] for column in design.columns)
    X = assemble(columns, tuple(design.fixed[j] for j in estimate.kept), count)
    terms = [
        (np.ascontiguousarray(term.codes[rows]), assemble(columns, term.columns, count))
        for term in design.random
    ]
    return np.asarray(core.prediction_variances(list(estimate.lambda_standard), X, terms))


def leave_groups_out(
    design: Design, estimate: LmmEstimate, core: _core.Lmm, term: int, *, progress: bool = False
) -> LeftOut:
    """Predict the rows of each level of one grouping factor from the rows of all other levels.

    Parameters
    ----------
    design, estimate, core
        The fit.
    term : int
        The random-effects term whose levels are left out one by one.
    progress : bool
        Whether to show a progress bar.

    Raises
    ------
    ModelError
        If there are several grouping factors and too many coefficients for a dense inverse.

    Notes
    -----
    With the columns T = [Z X] of the rows left out, S the covariance of the errors of their
    coefficients relative to sigma^2, B = T'WT and r the conditional residuals, the prediction error
    is r + T (I - S B)^-1 S T'W r and its covariance sigma^2 (W^-1 + T (I - S B)^-1 S T'), which is
    universal kriging without the block [1]_; sigma and the relative covariances are those of the
    fit.

    References
    ----------
    .. [1] Christensen, Johnson and Pearson (1992), Technometrics 34, 38-45.
    """
    only_plain(design, "leaving groups out", "leave rows out")
    codes = design.random[term].codes
    w = _residual_weights(design)
    residual = design.y - fitted(design, estimate)
    mean, variance = np.full((2, design.n_obs), np.nan)
    joint = np.full(design.random[term].n_levels, np.nan)
    pieces = _one_factor if len(design.random) == 1 else _any_factors
    order = np.argsort(codes, kind="stable")
    blocks = np.split(order, np.cumsum(np.bincount(codes))[:-1])
    coefficients = pieces(design, estimate, core)
    levels = tracked(enumerate(blocks), len(blocks), "levels", shown=progress)
    for level, rows in levels:
        T, S = coefficients(level, rows)
        found = _without(T, S, w[rows], residual[rows])
        if found is None:
            continue
        error, var, logdet, square = found
        mean[rows] = design.y[rows] - error
        variance[rows] = estimate.sigma**2 * var
        scale = len(rows) * np.log(2.0 * np.pi * estimate.sigma**2)
        joint[level] = -0.5 * (scale - logdet + square / estimate.sigma**2)
    return LeftOut(mean, np.sqrt(variance), codes.astype(np.intp), joint)


def _without(T: Any, S: Array, w: Array, r: Array) -> tuple[Array, Array, float, float] | None:
    """Prediction errors and relative variances of rows left out, log|P| and e'Pe of their block.

    T is dense or sparse. None when the rows left in do not identify the prediction.
    """
    TW = (T * w[:, None]).T
    B = TW @ T
    A = np.eye(len(S)) - S @ (B if isinstance(B, np.ndarray) else B.toarray())
    lu, _, H, _ = linalg.lapack.dgesv(A, S)
    sizes = np.abs(np.diag(lu))
    if sizes.min() < PIVOT:
        return None
    error = r + T @ (H @ (TW @ r))
    variance = 1.0 / w + _quadratic(T, H)
    logdet = float(np.log(w).sum() + np.log(sizes).sum())
    return error, variance, logdet, float(error @ (w * r))


def _quadratic(T: Any, H: Array) -> Array:
    """T'H t for each row t, some rows at a time."""
    out = np.empty(T.shape[0])
    for start in range(0, len(out), ROWS_AT_ONCE):
        part = T[start : start + ROWS_AT_ONCE]
        products = (part * (part @ H)).sum(axis=1)
        out[start : start + ROWS_AT_ONCE] = products
    return out


Coefficients = Callable[[int, NDArray[np.intp]], tuple[Any, Array]]


def _fixed_basis(design: Design, estimate: LmmEstimate) -> Array:
    """Orthonormal columns that span the fixed part."""
    X = assemble(design.columns, tuple(design.fixed[j] for j in estimate.kept), design.n_obs)
    return np.asarray(linalg.qr(X / np.linalg.norm(X, axis=0), mode="economic")[0])


def _one_factor(design: Design, estimate: LmmEstimate, core: _core.Lmm) -> Coefficients:
    """Coefficients of one level and of the fixed part, when there is one grouping factor."""
    (term,) = design.random
    w, Q = _residual_weights(design), _fixed_basis(design, estimate)
    Z = design.z(term) @ core.term_basis(0)
    (lambda_,) = _standard_factors(design, estimate, core)
    D, K, information = [], [], np.zeros((Q.shape[1],) * 2)
    for rows in _rows_of(term.codes):
        z, q = Z[rows], Q[rows]
        zw, qw = z.T * w[rows], q.T * w[rows]
        inner = np.eye(len(lambda_)) + lambda_.T @ (zw @ z) @ lambda_
        D.append(lambda_ @ linalg.solve(inner, lambda_.T, assume_a="pos"))
        K.append(D[-1] @ (zw @ q))
        information += qw @ q - (qw @ z) @ K[-1]
    cov = np.linalg.inv(information)

    def coefficients(level: int, rows: NDArray[np.intp]) -> tuple[Array, Array]:
        KC = K[level] @ cov
        S = np.block([[D[level] + KC @ K[level].T, -KC], [-KC.T, cov]])
        return np.column_stack([Z[rows], Q[rows]]), S

    return coefficients


def _standard_factors(design: Design, estimate: LmmEstimate, core: _core.Lmm) -> list[Array]:
    """Relative covariance factors in the standardised basis."""
    return standard_factors(
        design.random, estimate.lambda_standard, estimate.lambda_, core.term_basis
    )


def _rows_of(codes: NDArray[np.int32]) -> Iterator[NDArray[np.intp]]:
    """Rows of each level in turn."""
    order = np.argsort(codes, kind="stable")
    yield from np.split(order, np.cumsum(np.bincount(codes))[:-1])


def _any_factors(design: Design, estimate: LmmEstimate, core: _core.Lmm) -> Coefficients:
    """Coefficients of the rows of a level, whatever the grouping factors, by one dense inverse."""
    size = sum(t.n_levels * t.n_cols for t in design.random) + len(estimate.kept)
    if size > MOST_COEFFICIENTS:
        raise ModelError(
            "leaving out groups in closed form needs a dense matrix of all "
            f"{counted(size, 'coefficient')} when there are several grouping factors; "
            f"{MOST_COEFFICIENTS} are the most. folds=10 refits instead."
        )
    T: Any = sparse.hstack(
        [*_random_columns(design, core), sparse.csr_array(_fixed_basis(design, estimate))], "csr"
    )
    factor = sparse.block_diag(
        [
            *(
                sparse.kron(sparse.eye(t.n_levels), lambda_)
                for t, lambda_ in zip(
                    design.random, _standard_factors(design, estimate, core), strict=True
                )
            ),
            sparse.eye(len(estimate.kept)),
        ],
        "csr",
    )
    scaled = T @ factor
    M = (scaled.T @ (scaled * _residual_weights(design)[:, None])).toarray()
    n_ranef = size - len(estimate.kept)
    M[np.arange(n_ranef), np.arange(n_ranef)] += 1.0
    S: Any = factor @ (factor @ _inverse(M)).T

    def coefficients(level: int, rows: NDArray[np.intp]) -> tuple[Array, Array]:
        part = T[rows]
        active = np.unique(part.indices)
        own = part[:, active]
        few = len(rows) * len(active) < SPARSE_PAYS
        return own.toarray() if few else own.tocsr(), np.asarray(S[np.ix_(active, active)])

    return coefficients


def _inverse(M: Array) -> Array:
    """Inverse of a positive definite matrix, which is overwritten."""
    root, _ = linalg.lapack.dpotrf(M, lower=1, overwrite_a=1)
    half, _ = linalg.lapack.dpotri(root, lower=1, overwrite_c=1)
    return np.asarray(np.tril(half) + np.tril(half, -1).T)


def _random_columns(design: Design, core: _core.Lmm) -> Iterator[sparse.csr_array]:
    """Columns of Z of each term in the standardised basis, level by level."""
    for t, term in enumerate(design.random):
        z = np.ascontiguousarray(design.z(term) @ core.term_basis(t))
        columns = term.codes[:, None].astype(np.int64) * term.n_cols + np.arange(term.n_cols)
        starts = np.arange(design.n_obs + 1) * term.n_cols
        yield sparse.csr_array(
            (z.ravel(), columns.ravel(), starts),
            shape=(design.n_obs, term.n_levels * term.n_cols),
        )
