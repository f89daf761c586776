"""Variance of the latent response behind ordered categories."""

from __future__ import annotations

import numpy as np

from ...design.design import Design
from ...errors import UnsupportedError
from ...families.links import link_named
from ...inference.shares.r2 import Variances, variances_of
from .parts import OrdinalParts

__all__ = ["latent"]


def latent(parts: OrdinalParts) -> tuple[Design, Variances]:
    """Compute the parts of the variance of the latent response.

    Raises
    ------
    UnsupportedError
        Where it has no variance, or predictors act on single thresholds.
    """
    own = link_named(parts.call.link).latent_variance
    if own is None:
        raise UnsupportedError(
            f"the latent response of a {parts.call.link} link has no variance; refit with another "
            "link, or read model.varcorr"
        )
    if parts.nominal is not None:
        raise UnsupportedError(
            "nominal effects move single thresholds, so that no one latent response has their "
            "share of variance; refit without nominal=, or read model.varcorr"
        )
    design, p = parts.design, len(parts.design.fixed_names) - 1
    linear = design.X[:, 1:] @ np.nan_to_num(parts.beta[:p])
    scale = np.exp(2.0 * parts.estimate.eta[:, 3])
    found = variances_of(design, linear, parts.estimate.sigmas, own * float(scale.mean()))
    return design, found
