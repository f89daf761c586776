"""Rows of a fitted structured model: fitted values, residuals, and their variances."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ..._typing import Array
from ...design.structured import StructuredDesign
from .model import GlsEstimate, GlsModel, marginal_residuals, patterns

__all__ = [
    "conditional_covariances",
    "conditional_residuals",
    "marginal_covariance",
    "normalized_residuals",
    "residual_covariance",
    "residual_sd",
]


def conditional_residuals(rows: StructuredDesign, estimate: GlsEstimate) -> Array:
    """Response minus offset, X beta and Z b, shape (n,)."""
    out = marginal_residuals(rows.design, estimate.beta)
    for term, modes in zip(rows.design.random, estimate.modes, strict=True):
        out = out - np.einsum("ij,ij->i", rows.design.z(term), modes[term.codes])
    return out


def residual_sd(rows: StructuredDesign, estimate: GlsEstimate) -> Array:
    """Return the standard deviation of each row's residual, shape (n,)."""
    weights = rows.design.weights
    sd = estimate.residual_sd(rows.D)
    return np.asarray(sd if weights is None else sd / np.sqrt(weights))


def normalized_residuals(rows: StructuredDesign, model: GlsModel, estimate: GlsEstimate) -> Array:
    """Conditional residuals times the inverse Cholesky factor of their covariance, shape (n,).

    Within a group each is what the rows before it do not predict, in units of its own standard
    deviation.
    """
    order = model.layout.order
    resid = conditional_residuals(rows, estimate)
    out = np.empty_like(resid)
    for where, _, SCS in patterns(model, estimate.psi):
        solved = np.linalg.solve(np.linalg.cholesky(SCS), resid[order[where]].T).T
        out[order[where]] = solved / estimate.unit
    return out


def residual_covariance(
    model: GlsModel, estimate: GlsEstimate, group: int
) -> tuple[NDArray[np.intp], Array]:
    """Return rows of a group in order of time, as positions, and their covariance."""
    layout = model.layout
    mine = np.flatnonzero(layout.cluster == group)
    unit = int(np.searchsorted(layout.start, mine[0], side="right")) - 1
    _, SCS = model.core.covariances(model.core.pattern_of_unit[unit], estimate.psi)
    at = mine - layout.start[unit]
    return layout.order[mine], estimate.unit**2 * SCS[np.ix_(at, at)]


def conditional_covariances(
    rows: StructuredDesign, model: GlsModel, estimate: GlsEstimate
) -> list[Array]:
    """Covariances Sigma - Sigma Z'V^-1 Z Sigma of each level's random effects, (l, s, s) a term."""
    design, order = rows.design, model.layout.order
    terms = design.random
    z = [design.z(term)[order] for term in terms]
    codes = [term.codes[order] for term in terms]
    inner = [np.zeros((term.n_levels, term.n_cols, term.n_cols)) for term in terms]
    for where, V, _ in patterns(model, estimate.psi):
        inverse = np.linalg.inv(V) / estimate.unit**2
        for t, block in enumerate(inner):
            first = codes[t][where[0]]
            for level in np.unique(first):
                at = np.flatnonzero(first == level)
                part = z[t][where[0][at]]
                block[codes[t][where[:, at[0]]]] = part.T @ inverse[np.ix_(at, at)] @ part
    return [
        sigma - sigma @ block @ sigma for sigma, block in zip(estimate.sigmas, inner, strict=True)
    ]


def marginal_covariance(model: GlsModel, estimate: GlsEstimate, T: int) -> Array:
    """Return the covariance of all T occasions under an unstructured correlation, (T, T).

    No group needs to have all of them.
    """
    R = np.eye(T)
    R[np.triu_indices(T, 1)] = estimate.correlation
    R = np.triu(R) + np.triu(R, 1).T
    sds = estimate.residual_sd(np.eye(T, T - 1, -1))
    return np.asarray(sds[:, None] * R * sds)
