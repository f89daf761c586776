"""The verdict on the optimum of a generalised model: a mixin of its classes."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import ClassVar

import numpy as np
import pandas as pd

from ..._counted import counted
from ...errors import DroppedRowsWarning
from ...report.verdict import Convergence, convergence, not_identified
from ..parts import Base
from .parts import GeneralisedParts

__all__ = ["Judged"]


class Judged(Base):
    """Whether the search ended at an optimum, and the row about the fit."""

    parts: GeneralisedParts
    #: What may help a search that stopped early.
    remedy: ClassVar[str] = ""

    @property
    def convergence(self) -> Convergence:
        """Report on the optimum: exact gradient, curvature, evaluations, advice."""
        notes = [str(w) for w in self.warnings if not isinstance(w, DroppedRowsWarning)]
        report = convergence(self.parts.estimate, self.parts.optimum(), notes, self.remedy)
        if self.parts.endless:
            verdict = "Not supported by the data: a variance of the random effects has no end."
            return replace(report, converged=False, verdict=verdict)
        if not self.parts.estimate.separated:
            return not_identified(report, self.parts.design, self.parts.spanned)
        verdict = "Not converged: the likelihood rises without bound with a coefficient."
        return replace(report, converged=False, verdict=verdict)

    def glance(self) -> pd.DataFrame:
        """Return one row about the fit, under the column names of R's broom.mixed.

        Returns
        -------
        DataFrame
            nobs, npar, logLik, AIC, BIC, df.residual, singular, converged.
        """
        parts = self.parts
        estimate, nobs, npar = parts.estimate, parts.nobs, parts.npar
        row = {
            "nobs": nobs,
            "npar": npar,
            "logLik": parts.llf,
            "AIC": 2.0 * (npar - parts.llf),
            "BIC": float(np.log(nobs)) * npar - 2.0 * parts.llf,
            "df.residual": nobs - npar,
            "singular": bool(estimate.is_singular),
            "converged": self.convergence.converged,
        }
        return pd.DataFrame([row])

    def _converged_notes(self) -> Iterable[str]:
        """Describe how well the search ended, where it did."""
        if self.convergence.converged:
            estimate = self.parts.estimate
            yield (
                f"Converged: after {counted(len(estimate.path), 'step')}, exact derivatives "
                f"predict a further decrease of -2 log-likelihood by {estimate.decrement:.1e}."
            )
