"""What explains the differences within groups, and what those between."""

from __future__ import annotations

import numpy as np

from ...design.design import Design
from ...models.glmm.estimate import GlmmEstimate
from ...models.lmm import LmmEstimate
from ..prediction.predict import fixed_part

__all__ = ["within_between"]


def within_between(
    design: Design, estimate: LmmEstimate | GlmmEstimate, residual: float
) -> dict[str, float] | None:
    """Return shares within and between the levels of the only grouping factor; None if several.

    Parameters
    ----------
    design : Design
        The design of the fit.
    estimate : LmmEstimate | GlmmEstimate
        The fit.
    residual : float
        Variance of the residuals on the scale of the linear predictor.

    Notes
    -----
    The variance of X beta and that of the random effects are each split into what varies between
    the means of levels and what varies within levels.

    References
    ----------
    .. [1] Rights and Sterba (2019), Psychol. Methods 24, 309-338.
    """
    if len(design.random) != 1:
        return None
    if not design.random[0].is_plain or design.random[0].smooth is not None:
        return None
    term, cov = design.random[0], estimate.sigmas[0]
    linear = fixed_part(design, estimate)
    counts = np.bincount(term.codes, minlength=term.n_levels)
    seen = np.maximum(counts, 1).astype(float)
    middle = (np.bincount(term.codes, linear, term.n_levels) / seen)[term.codes]
    n = design.n_obs
    between = float(np.sum((middle - linear.mean()) ** 2) / (n - 1))
    within = float(np.sum((linear - middle) ** 2) / (n - 1))
    z = design.z(term)
    sums = np.column_stack([np.bincount(term.codes, column, term.n_levels) for column in z.T])
    means = np.asarray(sums / seen[:, None])[term.codes]
    level = float(np.einsum("ni,ij,nj->n", means, cov, means).mean())
    slopes = float(np.einsum("ni,ij,nj->n", z - means, cov, z - means).mean())
    inside = within + slopes + residual
    return {
        "within, fixed": within / inside if inside > 0.0 else np.nan,
        "within, fixed and slopes": (within + slopes) / inside if inside > 0.0 else np.nan,
        "between, fixed": between / (between + level) if between + level > 0.0 else np.nan,
    }
