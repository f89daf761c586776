"""Whether to trust a fit: methods of a fitted mixed model."""

from __future__ import annotations

from ..errors import DroppedRowsWarning
from ..inference.optimum import examine
from ..report import verdict
from ..report.verdict import Convergence
from .fitted import Fitted

__all__ = ["Trust"]


class Trust(Fitted):
    """Convergence and what endangers it."""

    @property
    def convergence(self) -> Convergence:
        """Report on the optimum: exact gradient, curvature, boundary, evaluations, advice.

        Each access computes the exact Hessian anew, at the cost of two gradients a covariance
        parameter.
        """
        notes = [str(w) for w in self.warnings if not isinstance(w, DroppedRowsWarning)]
        optimum = examine(self._design, self._core, self._estimate)
        return verdict.convergence(self._estimate, optimum, notes)
