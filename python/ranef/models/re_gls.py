"""Variance components of random-effects least squares by Swamy and Arora's method of moments."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .._counted import counted
from .._typing import Array
from ..errors import ModelError
from .ols import fit_ols, orthonormal_basis
from .within import Absorption, fit_within

__all__ = ["Components", "swamy_arora"]


@dataclass(frozen=True)
class Components:
    """Variance components.

    Attributes
    ----------
    idiosyncratic : float
        Variance of the errors.
    effects : ndarray of shape (K,)
        Variances of the effects, one for each factor; at least zero.
    clipped : bool
        Whether an estimate below zero was set to zero.
    """

    idiosyncratic: float
    effects: Array
    clipped: bool


def swamy_arora(y: Array, X: Array, absorption: Absorption) -> Components:
    """Estimate the variances of errors and of the effects of one or two factors.

    Parameters
    ----------
    y : ndarray of shape (n,)
        Response, the offset taken out.
    X : ndarray of shape (n, p)
        Columns, with the constant.
    absorption : Absorption
        The factors.

    Returns
    -------
    Components

    Notes
    -----
    The error variance comes from the within regression. The regression between the groups of each
    factor, with groups weighted by their size, gives the quadratic form y'R y, R its residual
    maker; the expectations tr(R) s0 + sum over factors of tr(Z'RZ) s are solved for the variances
    of the effects [1]_ [2]_.

    References
    ----------
    .. [1] Swamy and Arora (1972), Econometrica 40, 261-275.
    .. [2] Baltagi and Chang (1994), J. Econometrics 62, 67-89.
    """
    K = len(absorption.names)
    constant = np.all(X[:1] == X, axis=0)
    slopes = np.asfortranarray(X[:, ~constant])
    within = fit_within(y, slopes, absorption).ols
    if within.df_resid < 1:
        raise ModelError("no degrees of freedom are left for the error variance within groups")
    idiosyncratic = within.sigma2
    left, traces = np.empty(K), np.empty((K, K))
    for k in range(K):
        form, rank = _between(y, X, absorption, k, traces[k])
        left[k] = form - rank * idiosyncratic
    effects = np.linalg.solve(traces, left)
    return Components(idiosyncratic, np.maximum(effects, 0.0), bool(np.any(effects < 0.0)))


def _between(
    y: Array, X: Array, absorption: Absorption, k: int, traces: Array
) -> tuple[float, int]:
    """Return y'R y and tr(R) of the regression between groups of factor k; fill tr(Z_j'R Z_j)."""
    codes, size = absorption.codes[:, k], int(absorption.n_levels[k])
    counts = np.bincount(codes, minlength=size).astype(float)
    means = np.column_stack([np.bincount(codes, x, size) for x in X.T]) / counts[:, None]
    fit = fit_ols(np.bincount(codes, y, size) / counts, means, counts)
    if fit.df_resid < 1:
        raise ModelError(
            f"{counted(size, 'group')} of {absorption.names[k]!r} are too few for a regression "
            f"between them on {counted(X.shape[1], 'column')}"
        )
    basis = orthonormal_basis(means, counts).columns
    for j in range(len(absorption.names)):
        other = absorption.codes[:, j]
        cross = np.zeros((size, int(absorption.n_levels[j])))
        np.add.at(cross, (codes, other), 1.0)
        spread = cross / np.sqrt(counts)[:, None]
        traces[j] = np.sum(spread**2) - np.sum((basis.T @ cross) ** 2)
    return fit.ssr, fit.df_resid
