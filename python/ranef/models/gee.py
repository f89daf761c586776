"""Generalised estimating equations on arrays."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from .. import _core
from .._typing import Array, Codes
from ..errors import FitError, ModelError
from ..families import Family, lookup
from .ols import Basis, orthonormal_basis

__all__ = [
    "GeeEstimate",
    "GeeSpec",
    "Sorted",
    "fit_gee",
    "quasi_likelihood",
    "sort_rows",
]


#: Fitted probabilities nearer to 0 or 1, and fitted counts nearer to 0, are at the edge.
EDGE = 1e-6

#: Information on a combination of columns, relative to the largest, that counts as none.
VANISHED = 1e-10


@dataclass(frozen=True)
class GeeSpec:
    """Specification of the estimating equations.

    Attributes
    ----------
    family, link : str
        Variance function and link.
    corr : str
        Working correlation: "independence", "exchangeable", "ar1", "m-dependent", "unstructured" or
        "fixed".
    lags : int
        Number of lags of "m-dependent".
    fixed : ndarray of shape (T, T), optional
        The correlation of "fixed", one row for each distinct time.
    """

    family: str = "gaussian"
    link: str = "identity"
    corr: str = "exchangeable"
    lags: int = 1
    fixed: Array | None = None

    @property
    def distribution(self) -> Family:
        """The family as an object."""
        return lookup(self.family)


@dataclass(frozen=True)
class GeeEstimate:
    """Solution of the estimating equations; rows are sorted by group and time.

    Attributes
    ----------
    beta : ndarray of shape (p,)
        Coefficients, NaN where a column is aliased.
    alpha : ndarray
        Parameters of the working correlation.
    phi : float
        Scale, the weighted mean of squared Pearson residuals.
    kept : ndarray of shape (p,), bool
        Columns with a coefficient.
    order : ndarray of shape (n,)
        Position in the data of each sorted row.
    codes : ndarray of shape (n,), int32
        Group of each sorted row.
    columns : ndarray of shape (n, r)
        V^-1/2 D at phi = 1, orthonormal.
    resid : ndarray of shape (n,)
        V^-1/2 (y - mu) at phi = 1.
    root : ndarray of shape (r, r)
        Map from these columns to the kept coefficients.
    mu : ndarray of shape (n,)
        Fitted means, in the order of the data.
    iterations : int
        Scoring steps.
    converged : bool
        Whether the last step was small enough.
    alpha_at_bound : bool
        Whether a correlation was moved inside the range of its parameter.
    ran_away : bool
        Whether there is no solution because fitted means ran to the edge of their range.
    """

    beta: Array
    alpha: Array
    phi: float
    kept: NDArray[np.bool_]
    order: Codes
    codes: Codes
    columns: Array
    resid: Array
    root: Array
    mu: Array
    iterations: int
    converged: bool
    alpha_at_bound: bool
    ran_away: bool

    @property
    def cov_naive(self) -> Array:
        """Model-based covariance of the kept coefficients, shape (r, r)."""
        return self.phi * (self.root @ self.root.T)


@dataclass(frozen=True)
class Sorted:
    """Rows sorted by group and time.

    Attributes
    ----------
    order : ndarray of shape (n,), int32
        Position in the data of each sorted row.
    codes, wave : ndarray of shape (n,), int32
        Its group, and the place of its time among all times.
    start : ndarray of shape (n_groups + 1,), int32
        Where each group starts.
    time : ndarray of shape (T,)
        The distinct times, ascending.
    """

    order: Codes
    codes: Codes
    start: Codes
    wave: Codes
    time: Array


def fit_gee(
    y: Array,
    X: Array,
    rows: Sorted,
    spec: GeeSpec,
    *,
    weights: Array | None = None,
    offset: Array | None = None,
) -> GeeEstimate:
    """Solve the estimating equations.

    Parameters
    ----------
    y : ndarray of shape (n,)
        Response.
    X : ndarray of shape (n, p)
        Columns.
    rows : Sorted
        The rows by group and time, from `sort_rows`.
    spec : GeeSpec
        Family, link and working correlation.
    weights, offset : ndarray of shape (n,), optional
        Prior weights, Var(y_i) = phi V(mu_i) / w_i, and a known part of the linear predictor.

    Returns
    -------
    GeeEstimate

    Notes
    -----
    Fisher scoring in beta alternates with moment estimates of the scale and of the correlation
    [1]_, in an orthonormal basis of the columns, so that their units cannot hurt.

    References
    ----------
    .. [1] Liang and Zeger (1986), Biometrika 73, 13-22.
    """
    basis = orthonormal_basis(X, weights)
    if not basis.kept.any():
        raise ModelError("no coefficient can be estimated: every column is zero")
    found = _core.fit_gee(
        y[rows.order],
        np.take(basis.columns.T, rows.order, axis=1).T,
        _sorted(offset, rows.order),
        _sorted(weights, rows.order),
        rows.start,
        rows.wave,
        rows.time,
        np.empty((0, 0), order="F") if spec.fixed is None else np.asfortranarray(spec.fixed),
        spec.distribution.core,
        spec.link,
        spec.corr,
        lags=spec.lags,
    )
    _check_status(found, spec)
    return _estimate(found, basis, rows, spec.distribution)


def sort_rows(codes: Codes, time: Array | None) -> Sorted:
    """Sort rows by group and time.

    Parameters
    ----------
    codes : ndarray of shape (n,), int32
        Groups, every code from 0 on used.
    time : ndarray of shape (n,) or None
        Time of each row; by default the rows of a group count 1, 2, ... in the order of the data.

    Returns
    -------
    Sorted
    """
    counts = np.bincount(codes)
    start = np.concatenate([[0], np.cumsum(counts)]).astype(np.int32)
    if time is None:
        order = _core.order_by_cluster(codes, len(counts))
        times = np.arange(1.0, counts.max() + 1.0)
        wave = np.arange(len(codes)) - np.repeat(start[:-1], counts)
    else:
        times, found = np.unique(time, return_inverse=True)
        by_time = _core.order_by_cluster(found.astype(np.int32), len(times))
        order = by_time[_core.order_by_cluster(codes[by_time], len(counts))]
        wave = found[order]
    return Sorted(order, codes[order], start, wave.astype(np.int32), np.asarray(times, float))


def _sorted(v: Array | None, order: Codes) -> Array:
    """Sort an optional column; empty when there is none."""
    return np.empty(0) if v is None else v[order]


def _check_status(found: _core.GeeFit, spec: GeeSpec) -> None:
    """Raise when there is no solution to report."""
    status = found.status.name
    if status == "not_positive_definite":
        raise FitError(
            f"the {spec.corr} working correlation is not positive definite at its estimate "
            f"{np.round(found.alpha, 3).tolist()}; use fewer parameters, such as "
            'corr="exchangeable" or "ar1"'
        )
    if status == "invalid_mean":
        raise FitError(
            f"no coefficients keep the fitted means of family {spec.family!r} in range under the "
            f"{spec.link!r} link; use its usual link, {spec.distribution.link.name!r}"
        )
    if status == "singular" and not spec.distribution.support.edges:
        raise FitError(
            "the information matrix became singular: fitted means have run to the edge of their "
            "range; rescale the response, or use its usual link"
        )


def _ran_away(found: _core.GeeFit, family: Family) -> bool:
    """Return whether fitted probabilities or counts went to the edge instead of a solution.

    There the information on some combination of the columns vanishes, and with it the steps.
    """
    distances = [float(np.abs(found.mu - edge).min()) for edge in family.support.edges]
    if min(distances, default=np.inf) > EDGE:
        return False
    information = np.linalg.eigvalsh(found.bread)
    return found.status.name != "converged" or information[0] < VANISHED * information[-1]


def _estimate(found: _core.GeeFit, basis: Basis, rows: Sorted, family: Family) -> GeeEstimate:
    """Map the solution from the basis back to the columns."""
    if found.status.name == "singular":
        inner = np.full_like(found.bread, np.nan)
    else:
        inner = np.linalg.inv(np.linalg.cholesky(found.bread)).T
    beta = np.full(len(basis.kept), np.nan)
    beta[basis.kept] = basis.root @ found.beta
    mu, ran_away = np.empty_like(found.mu), _ran_away(found, family)
    mu[rows.order] = found.mu
    return GeeEstimate(
        beta=beta,
        alpha=found.alpha,
        phi=found.phi,
        kept=basis.kept,
        order=rows.order,
        codes=rows.codes,
        columns=np.asfortranarray((inner.T @ found.columns.T).T),
        resid=found.resid,
        root=basis.root @ inner,
        mu=mu,
        iterations=found.iterations,
        converged=found.status.name == "converged" and not ran_away,
        alpha_at_bound=found.alpha_at_bound,
        ran_away=ran_away,
    )


def quasi_likelihood(y: Array, mu: Array, family: Family, weights: Array | None = None) -> float:
    """Sum the quasi-likelihood of independent observations with scale 1.

    Parameters
    ----------
    y, mu : ndarray of shape (n,)
        Responses and fitted means.
    family : Family
        The one with the variance function.
    weights : ndarray of shape (n,), optional
        Prior weights.

    Returns
    -------
    float

    Raises
    ------
    UnsupportedError
        For a family that has no quasi-likelihood.
    """
    terms = family.need("quasi_likelihood")(y, mu)
    return float(np.sum(terms if weights is None else weights * terms))


def independent(spec: GeeSpec) -> GeeSpec:
    """Return the same model with an independence working correlation."""
    return replace(spec, corr="independence", fixed=None)


def working_correlation(corr: str, alpha: Array, time: Array, fixed: Array | None) -> Array:
    """Lay out the working correlation of all times.

    Parameters
    ----------
    corr : str
        The structure.
    alpha : ndarray
        Its parameters.
    time : ndarray of shape (T,)
        The times, ascending.
    fixed : ndarray of shape (T, T) or None
        The matrix of "fixed".

    Returns
    -------
    ndarray of shape (T, T)
    """
    T = len(time)
    lag = np.abs(time[:, None] - time)
    if corr == "fixed" and fixed is not None:
        return fixed
    if corr == "exchangeable":
        return np.where(lag == 0.0, 1.0, alpha[0])
    if corr == "ar1":
        return np.asarray(alpha[0] ** lag)
    R = np.eye(T)
    if corr == "unstructured":
        R[np.triu_indices(T, 1)] = alpha
        R = R + R.T - np.eye(T)
    if corr == "m-dependent":
        step = np.rint(lag / np.min(np.diff(time))).astype(int)
        for k, value in enumerate(alpha, 1):
            R[step == k] = value
    return R
