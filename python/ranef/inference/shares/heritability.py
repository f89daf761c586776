"""Shares of variance components, with the errors of their estimation."""

from __future__ import annotations

import numpy as np
import pandas as pd

from ... import _core
from ...design.design import Design
from ...errors import UnsupportedError
from ...models.lmm import LmmEstimate

__all__ = ["heritability"]


def heritability(design: Design, estimate: LmmEstimate, core: _core.Lmm) -> pd.DataFrame:
    """Divide each variance by the sum of all, with standard errors.

    Raises
    ------
    UnsupportedError
        If a term has several columns, so that its variance depends on covariates.

    Notes
    -----
    A share is a function of the relative standard deviations alone. Their covariance is twice the
    inverse of the Hessian of the profiled criterion; the share's error follows to first order.
    """
    for term in design.random:
        if term.n_cols > 1:
            raise UnsupportedError(
                f"{term.written} has {term.n_cols} variances, which a share of the whole depends "
                "on covariates for; use icc(at={...})"
            )
    scale = np.array([core.term_basis(t)[0, 0] for t in range(len(design.random))])
    sds = np.array([block[0, 0] for block in estimate.lambda_standard])
    order = [term for term, _, _ in core.parameters]
    hessian = np.empty((len(sds), len(sds)))
    found = core.curvature(list(estimate.lambda_standard), estimate.reml, order=2).hessian
    hessian[np.ix_(order, order)] = found
    variances = np.append((scale * sds) ** 2, 1.0)
    total = variances.sum()
    # d share_i / d sd_t, residual last.
    slopes = (np.eye(len(variances)) - (variances / total)[:, None])[:, :-1] / total
    slopes = slopes * 2.0 * scale**2 * sds
    free = sds > 0.0
    errors = np.full(len(variances), np.nan)
    if free.all():
        spread = 2.0 * np.linalg.inv(hessian)
        errors = np.sqrt(np.maximum(np.einsum("ij,jk,ik->i", slopes, spread, slopes), 0.0))
    names = [*(term.group for term in design.random), "residual"]
    return pd.DataFrame({"estimate": variances / total, "se": errors}, index=pd.Index(names))
