"""Whether to trust a fit: methods of a fitted mixed model."""

from __future__ import annotations

import numpy as np

from ..errors import DroppedRowsWarning
from ..report.verdict import Convergence
from .fitted import Fitted

__all__ = ["Trust"]


class Trust(Fitted):
    """Convergence and what endangers it."""

    @property
    def convergence(self) -> Convergence:
        """Report on the optimum: exact gradient, curvature, boundary, evaluations, advice."""
        estimate = self._estimate
        at = self._core.curvature(list(estimate.lambda_standard), estimate.reml)
        advice = [str(w) for w in self.warnings if not isinstance(w, DroppedRowsWarning)]
        return Convergence(
            converged=estimate.converged,
            status=estimate.status,
            gradient=at.gradient,
            curvature=float(np.linalg.eigvalsh(at.hessian).min()),
            decrement=estimate.decrement,
            cone=estimate.cone,
            n_objective=estimate.n_objective,
            n_gradient=estimate.n_gradient,
            path=estimate.path,
            advice=tuple(advice),
        )
