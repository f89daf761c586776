"""Degrees of freedom of tests in a model with priors: Satterthwaite's, from the posterior."""

from __future__ import annotations

import numpy as np

from ...models.lmm import LmmEstimate
from ..hypotheses.satterthwaite import Satterthwaite, covariance_jacobian, positive_inverse
from .penalized import Penalized

__all__ = ["satterthwaite_penalized"]


def satterthwaite_penalized(space: Penalized, estimate: LmmEstimate) -> Satterthwaite:
    """Take the derivatives that Satterthwaite's approximation needs at a penalised estimate.

    Parameters
    ----------
    space : Penalized
        The objective.
    estimate : LmmEstimate
        Where it is smallest.

    Notes
    -----
    The variance of a coefficient is as uncertain as the curvature of the penalised objective says:
    what the priors know of covariances and sigma counts. With sigma known it is uncertain through
    the covariances alone; with a prior of sigma, log(sigma) is one parameter more, by which
    sigma^2 w'w changes by 2 w'w, and by -2 w'R'P R w through an absolute prior P of the fixed
    effects.
    """
    theta = space.pack(estimate.lambda_standard)
    at = space.core.curvature(list(estimate.lambda_standard), estimate.reml, with_G=True)
    jacobian = covariance_jacobian(space.every, estimate.lambda_standard)
    every = np.einsum("ab,aij->bij", jacobian, np.array(at.G))
    slopes = every[space.free]
    quadratic, nu = at.quadratic, float(space.nu)
    if space.priors.profiles_sigma:
        hessian = space.exact_hessian(theta)
    elif space.has_free_sigma:
        hessian = space.joint_hessian(np.r_[theta, np.log(estimate.sigma)])
        root = estimate.cov_root
        by_sigma = 2.0 * np.eye(len(root))
        if space.fixed is not None and not space.fixed.relative:
            scaled = root[space.fixed.index] / space.fixed.scale(estimate.sigma)[:, None]
            by_sigma -= 2.0 * scaled.T @ scaled
        if space.known:
            by_sigma -= np.einsum("a,aij->ij", space.known_factors(), every[~space.free])
        slopes = np.concatenate([slopes, by_sigma[None]])
        quadratic, nu = np.zeros(len(hessian)), np.inf
    else:
        hessian = space.exact_hessian(theta)
        quadratic, nu = np.zeros(len(hessian)), np.inf
    return Satterthwaite(
        cov=estimate.cov_beta,
        root=estimate.cov_root,
        slopes=slopes,
        quadratic=quadratic,
        inverse=positive_inverse(hessian),
        nu=nu,
    )
