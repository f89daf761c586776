"""Starting points for the covariance parameters of a structured model."""

from __future__ import annotations

import numpy as np

from ... import _core
from ..._typing import Array
from ...design.structured import StructuredDesign
from .layout import Layout

__all__ = ["starts"]


#: Relative standard deviations of random effects and correlations of neighbours to start from: with
#: both in a model the likelihood may have a maximum for each.
PLAIN = ((0.5, 0.3),)
BOTH = ((0.5, 0.3), (1.0, 0.02), (0.1, 0.8), (3.0, 0.8))
#: How far correlations of residuals are drawn towards zero.
SHRINK = 0.8


def starts(
    rows: StructuredDesign, core: _core.Structured, resid: Array, layout: Layout, corr: str
) -> list[Array]:
    """Return the parameters to search from.

    Parameters
    ----------
    rows : StructuredDesign
        The model.
    core : Structured
        Its kernel.
    resid : ndarray of shape (n,)
        Standardised residuals of least squares, in the order of the design.
    layout : Layout
        Order of the rows.
    corr : str
        The correlation.
    """
    elements, d = core.elements, rows.D.shape[1]
    m = core.n_parameters - len(elements) - d
    delta = _log_sd(rows.D, resid)
    own = _own_correlations(resid[layout.order], layout) if corr == "unstructured" else None
    apart = _distance(layout) if corr in ("ar1", "car1") else 1.0
    out = []
    for relative, rho in BOTH if elements and m else PLAIN:
        factors = [relative * (i == j) for _, i, j in elements]
        tail = own
        if tail is None:
            tail = np.zeros(m)
            tail[:1] = _unbounded(rho ** (1.0 / apart), corr)  # of neighbours
        out.append(np.concatenate([factors, delta, tail]))
    return out


def _distance(layout: Layout) -> float:
    """Median distance of neighbours in a group, in the units of the places."""
    gaps = np.diff(layout.place)[np.diff(layout.cluster) == 0]
    return max(1.0, float(np.median(gaps))) if len(gaps) else 1.0


def _unbounded(rho: float, corr: str) -> float:
    """Kernel's parameter of a correlation above zero."""
    if corr in ("car1", "exchangeable"):
        return float(np.log(rho / (1.0 - rho)))
    return float(np.arctanh(rho))


def _log_sd(D: Array, resid: Array) -> Array:
    """Slopes of the log absolute residuals on the standardised columns of D."""
    if not D.shape[1]:
        return np.empty(0)
    size = D.std(axis=0)
    standard = (D - D.mean(axis=0)) / np.where(size > 0.0, size, 1.0)
    logs = np.log(np.abs(resid) + 1e-3)
    return np.asarray(np.linalg.lstsq(standard, logs - logs.mean(), rcond=None)[0])


def _own_correlations(resid: Array, layout: Layout) -> Array:
    """Parameters of the residuals' correlations, drawn towards zero until positive definite.

    They are the rows below the diagonal of the Cholesky factor, each by its diagonal element.
    """
    first = np.unique(layout.cluster, return_inverse=True)[1]
    wide = np.full((first.max() + 1, layout.n_places), np.nan)
    wide[first, layout.place.astype(int)] = resid
    seen = ~np.isnan(wide)
    filled = np.where(seen, wide, 0.0)
    sd = np.sqrt((filled**2).sum(axis=0) / np.maximum(seen.sum(axis=0), 1))
    counts = np.maximum(seen.T.astype(float) @ seen, 1.0)
    R = (filled.T @ filled) / counts / np.outer(sd, sd)
    R = SHRINK * np.clip(R, -1.0, 1.0)
    np.fill_diagonal(R, 1.0)
    while np.linalg.eigvalsh(R)[0] < 0.05:
        R = SHRINK * R
        np.fill_diagonal(R, 1.0)
    K = np.linalg.cholesky(R)
    return np.concatenate([K[i, :i] / K[i, i] for i in range(len(K))])
