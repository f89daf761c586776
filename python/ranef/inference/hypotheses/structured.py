"""What the curvature of a structured model's likelihood says about its parameters."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np

from ... import _core
from ..._typing import Array
from ...design.structured import StructuredDesign
from ...models.gls.model import GlsEstimate, GlsModel, per_unit
from .satterthwaite import Satterthwaite, positive_inverse

__all__ = ["parameter_covariance", "parameter_table", "satterthwaite_structured"]


#: Step of central differences by parameters of order one.
STEP = 1e-4


def around(
    model: GlsModel, estimate: GlsEstimate
) -> Iterator[tuple[_core.StructuredPoint, _core.StructuredPoint]]:
    """Evaluate a step above and below each parameter."""
    for a in range(len(estimate.psi)):
        up, down = estimate.psi.copy(), estimate.psi.copy()
        up[a] += STEP
        down[a] -= STEP
        yield (
            model.core.evaluate(up, estimate.reml),
            model.core.evaluate(down, estimate.reml),
        )


def satterthwaite_structured(model: GlsModel, estimate: GlsEstimate, n_obs: int) -> Satterthwaite:
    """Take the derivatives that Satterthwaite's approximation needs.

    Notes
    -----
    cov(beta) = sigma^2 (X'V^-1 X)^-1 is exact; its derivatives by the covariance parameters are
    central differences of it.
    """
    here = model.core.evaluate(estimate.psi, estimate.reml)
    nu = float(n_obs - (len(estimate.kept) if estimate.reml else 0))
    inverse = np.linalg.inv(here.root)
    r, m = len(estimate.kept), len(estimate.psi)
    slopes, quadratic = np.zeros((m, r, r)), np.zeros(m)
    for a, (up, down) in enumerate(around(model, estimate)):
        slope = (up.root.T @ up.root - down.root.T @ down.root) / (2.0 * STEP)
        slopes[a] = -inverse.T @ slope @ inverse
        quadratic[a] = -(up.rss - down.rss) / (2.0 * STEP) * nu / here.rss
    return Satterthwaite(
        cov=estimate.cov_beta,
        root=estimate.cov_root,
        slopes=slopes,
        quadratic=quadratic,
        inverse=positive_inverse(estimate.hessian),
        nu=nu,
    )


def parameter_covariance(model: GlsModel, estimate: GlsEstimate, n_obs: int) -> Array:
    """Covariance of (psi, log sigma^2) from the curvature of the likelihood, (m + 1, m + 1).

    Notes
    -----
    With sigma^2 = rss / nu profiled out and b = d log(rss) / d psi, log sigma^2 is b'psi plus an
    independent part of variance 2 / nu. ``sigma`` is that of the standardised basis.
    """
    here = model.core.evaluate(estimate.psi, estimate.reml)
    nu = n_obs - (len(estimate.kept) if estimate.reml else 0)
    b = np.array([(up.rss - down.rss) / (2.0 * STEP) for up, down in around(model, estimate)])
    b = b / here.rss
    inner = 2.0 * positive_inverse(estimate.hessian)
    m = len(b)
    out = np.zeros((m + 1, m + 1))
    out[:m, :m] = inner
    out[:m, m] = out[m, :m] = inner @ b
    out[m, m] = b @ inner @ b + 2.0 / nu
    return out


def parameter_table(
    rows: StructuredDesign, model: GlsModel, estimate: GlsEstimate, quantile: float
) -> Array:
    """Estimate, lower and upper end of sigma, delta and the correlations, shape (1 + d + c, 3).

    Parameters
    ----------
    rows, model, estimate
        The fit.
    quantile : float
        Half the width in standard errors.

    Notes
    -----
    By the delta method on scales without bounds: log sigma, delta, and Fisher's z of a correlation
    (log(-log) of phi for "car1").
    """
    cov = parameter_covariance(model, estimate, rows.design.n_obs)
    n_lambda, d = len(model.core.elements), rows.D.shape[1]
    m = len(estimate.psi)
    scale = np.where(model.D_scale > 0.0, model.D_scale, 1.0)
    jacobian = np.zeros((1 + d, m + 1))
    jacobian[0, m] = 0.5
    jacobian[0, n_lambda : n_lambda + d] = -model.D_mean / scale
    jacobian[1:, n_lambda : n_lambda + d] = np.diag(1.0 / scale)
    half = quantile * np.sqrt(np.einsum("ij,jk,ik->i", jacobian, cov, jacobian))
    with np.errstate(over="ignore", under="ignore"):
        log_sigma = np.log(estimate.unit) - estimate.centre @ estimate.delta
        sigma = np.exp(log_sigma + half[0] * np.array([0.0, -1.0, 1.0]))
    delta = estimate.delta[:, None] + half[1:, None] * np.array([0.0, -1.0, 1.0])
    return np.vstack([sigma, delta, _correlation_limits(model, estimate, cov[:m, :m], quantile)])


def _correlation_limits(
    model: GlsModel, estimate: GlsEstimate, cov: Array, quantile: float
) -> Array:
    """Estimate and limits of each correlation, shape (c, 3)."""
    forward, backward = UNBOUNDED[model.corr == "car1"]

    def unbounded(psi: Array) -> Array:
        natural = per_unit(model.core.natural_correlation(psi), model.layout.unit)
        with np.errstate(divide="ignore"):
            return forward(natural)

    z = unbounded(estimate.psi)
    jacobian = np.zeros((len(z), len(cov)))
    for a in range(len(cov)):
        up, down = estimate.psi.copy(), estimate.psi.copy()
        up[a] += STEP
        down[a] -= STEP
        jacobian[:, a] = (unbounded(up) - unbounded(down)) / (2.0 * STEP)
    half = quantile * np.sqrt(np.einsum("ij,jk,ik->i", jacobian, cov, jacobian))
    ends = np.sort(backward(z[:, None] + half[:, None] * np.array([-1.0, 1.0])), axis=1)
    return np.column_stack([estimate.correlation, ends])


#: Scales without bounds of a correlation, and back: between -1 and 1; between 0 and 1.
UNBOUNDED: dict[bool, tuple[Callable[[Array], Array], Callable[[Array], Array]]] = {
    False: (np.arctanh, np.tanh),
    True: (lambda r: np.log(-np.log(r)), lambda z: np.exp(-np.exp(z))),
}
