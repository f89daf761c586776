"""Information on the parameters of a growth model: means, covariances and residual variances."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import scipy
from numpy.typing import NDArray

from .._typing import Array
from ..design.structured import StructuredDesign
from ..models.gls.model import GlsEstimate, GlsModel, marginal_residuals, patterns

__all__ = ["covariance", "covariance_elements"]


def covariance_elements(size: int) -> list[tuple[int, int]]:
    """Positions of the variances and covariances of ``size`` growth factors, row by row."""
    return [(i, j) for i in range(size) for j in range(i + 1)]


def covariance(
    rows: StructuredDesign, model: GlsModel, estimate: GlsEstimate, *, observed: bool
) -> Array:
    """Covariance of coefficients, factor covariances and residual variances, (m, m).

    The information is inverted for standardised columns, whatever the unit and the origin of time,
    and mapped back; parameters are those of ``information``.
    """
    found = information(rows, model, estimate, observed=observed)
    (basis,) = model.bases
    pairs = covariance_elements(len(basis))
    back = np.array([[_element(basis, of, by) for by in pairs] for of in pairs])
    rest = len(found) - len(model.root) - len(pairs)
    J = scipy.linalg.block_diag(model.root, back, np.eye(rest))
    return np.asarray(J @ np.linalg.inv(found) @ J.T, float)


def _element(basis: Array, of: tuple[int, int], by: tuple[int, int]) -> float:
    """Differentiate an element of B Psi B' by one of Psi."""
    (i, j), (k, m) = of, by
    same = float(basis[i, k] * basis[j, m])
    return same if k == m else same + float(basis[i, m] * basis[j, k])


def information(
    rows: StructuredDesign, model: GlsModel, estimate: GlsEstimate, *, observed: bool
) -> Array:
    """Information on them for standardised columns of X and of the term, (m, m).

    Parameters
    ----------
    rows, model, estimate
        A fit by maximum likelihood with one random-effects term, independent residuals.
    observed : bool
        Minus the second derivatives of the log-likelihood instead of their expectation.

    Returns
    -------
    ndarray of shape (p + k (k + 1) / 2 + r, ...)
        In the order of the kept coefficients, ``covariance_elements``, and residual variances: one,
        or one for each level of the variance's factor.

    Notes
    -----
    V = Z Psi Z' + Theta is linear in its parameters, so that with r = y - X beta
    -d2 l / d theta_k d theta_l = r'V^-1 V_k V^-1 V_l V^-1 r - tr(V^-1 V_k V^-1 V_l) / 2, and
    -d2 l / d beta d theta_k = X'V^-1 V_k V^-1 r. Expectations are the trace over 2, and 0.
    """
    X = (rows.design.X[:, estimate.kept] @ model.root)[model.layout.order]
    resid = marginal_residuals(rows.design, estimate.beta)[model.layout.order]
    p = X.shape[1]
    out: Array | None = None
    for where, V, slopes in _pieces(rows, model, estimate):
        inverse = np.linalg.inv(V)
        turned = [inverse @ slope for slope in slopes]
        m, units = len(slopes), len(where)
        if out is None:
            out = np.zeros((p + m, p + m))
        out[:p, :p] += np.einsum("uia,ij,ujb->ab", X[where], inverse, X[where])
        trace = 0.5 * units * np.array([[np.sum(a * b.T) for b in turned] for a in turned])
        if not observed:
            out[p:, p:] += trace
            continue
        solved = resid[where] @ inverse
        pulled = np.array([solved @ slope for slope in slopes])  # (m, units, n)
        out[p:, p:] += np.einsum("aui,ij,buj->ab", pulled, inverse, pulled) - trace
        cross = np.einsum("uia,ij,kuj->ak", X[where], inverse, pulled)
        out[:p, p:] += cross
        out[p:, :p] += cross.T
    assert out is not None
    return out


def _pieces(
    rows: StructuredDesign, model: GlsModel, estimate: GlsEstimate
) -> Iterator[tuple[NDArray[np.int_], Array, list[Array]]]:
    """Units of each pattern with V and its derivatives by each parameter."""
    order = model.layout.order
    (term,) = rows.design.random
    z = (rows.design.z(term) @ model.bases[0])[order]
    strata = None if rows.strata is None else rows.strata.codes[order]
    levels = 1 if rows.strata is None else rows.strata.n_levels
    for where, V, _ in patterns(model, estimate.psi):
        part = z[where[0]]
        slopes = []
        for i, j in covariance_elements(term.n_cols):
            slope = np.outer(part[:, i], part[:, j])
            slopes.append(slope if i == j else slope + slope.T)
        for level in range(levels):
            own = np.ones(len(part)) if strata is None else strata[where[0]] == level
            slopes.append(np.diag(own.astype(float)))
        yield where, estimate.unit**2 * V, slopes
