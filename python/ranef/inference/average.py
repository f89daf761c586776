"""Averages over models: weights that fit left-out data, coefficients, their standard errors."""

from __future__ import annotations

import numpy as np

from .._typing import Array

__all__ = ["averaged", "stacking_weights"]


def stacking_weights(log_scores: Array, tolerance: float = 1e-12, most: int = 100_000) -> Array:
    """Find the mixture of predictive distributions that scores best on left-out data.

    Parameters
    ----------
    log_scores : ndarray of shape (folds, k)
        Log predictive density of each left-out fold under each of k models.
    tolerance : float
        Stop when no weight can raise the mean log score by more.
    most : int
        Steps at most.

    Returns
    -------
    ndarray of shape (k,)
        Weights, zero or more, that sum to one.

    Notes
    -----
    The mean over folds of log sum_k w_k p_k is concave in w [1]_; the step w_k <- w_k mean(p_k /
    sum w p) raises it and stays in the simplex. max_k mean(p_k / sum w p) - 1 bounds what is left
    to gain.

    References
    ----------
    .. [1] Yao, Vehtari, Simpson and Gelman (2018), Bayesian Anal. 13, 917-1007.
    """
    p = np.exp(log_scores - log_scores.max(axis=1, keepdims=True))
    w = np.full(p.shape[1], 1.0 / p.shape[1])
    for _ in range(most):
        ratio = (p / (p @ w)[:, None]).mean(axis=0)
        if ratio.max() - 1.0 < tolerance:
            break
        w = w * ratio
    return np.asarray(w / w.sum())


def averaged(estimate: Array, se: Array, weights: Array) -> tuple[Array, Array]:
    """Average coefficients over models.

    Parameters
    ----------
    estimate, se : ndarray of shape (p, k)
        Coefficients and standard errors of k models; NaN where a model does not have one.
    weights : ndarray of shape (k,)
        Weights that sum to one.

    Returns
    -------
    average, se : ndarray of shape (p,)
        Over the models that have the coefficient, their weights made to sum to one; the
        unconditional standard error holds the variance between models.

    Notes
    -----
    se^2 = sum_k w_k (se_k^2 + (b_k - average)^2), equation 4 of [1]_.

    References
    ----------
    .. [1] Burnham and Anderson (2004), Sociol. Methods Res. 33, 261-304.
    """
    w = np.where(np.isnan(estimate), 0.0, weights)
    w = w / w.sum(axis=1, keepdims=True)
    b, s = np.nan_to_num(estimate), np.nan_to_num(se)
    average = (w * b).sum(axis=1)
    return average, np.sqrt((w * (s**2 + (b - average[:, None]) ** 2)).sum(axis=1))
