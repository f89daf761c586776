"""Tests of the fixed effects: methods of a fitted mixed model."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from ..._typing import Array
from ...errors import UnsupportedError
from ...inference.hypotheses.kenward_roger import kenward_roger
from ...inference.hypotheses.linear import Approximation, FixedDf
from ...inference.hypotheses.random import n_covariances, reduced_objective, reductions
from ...inference.hypotheses.satterthwaite import satterthwaite
from ...inference.priors.parts import prior_parts
from ...inference.priors.tests import satterthwaite_penalized
from ...report.tests import ranova_table
from ...report.whole_frame import WholeFrame
from ..term_tests import TermTests
from .base import Fitted

__all__ = ["FixedTests"]


class FixedTests(Fitted, TermTests):
    """Tests of the fixed effects and of the random-effects terms of a mixed model."""

    _DDF = ("satterthwaite", "kenward-roger", "residual", "inf")

    def _aliasing(self) -> tuple[Sequence[int], Array]:
        return self._core.aliased, np.atleast_2d(self._core.alias)

    def ranova(self) -> pd.DataFrame:
        """Test each random-effects term by a likelihood ratio, against the term one step smaller.

        A term ``(x | g)`` is compared with ``(1 | g)``, ``(0 + f | g)`` of a factor with ``(1 |
        g)``, and ``(1 | g)`` with no term. REML fits are compared by their restricted likelihood.

        Returns
        -------
        DataFrame
            Columns npar, llf, aic, chisq, df, pvalue; the whole model first.

        Notes
        -----
        A variance of zero lies on the boundary, so the p-values are too large: for one variance, by
        a factor of two.

        Examples
        --------
        >>> import ranef
        >>> sleep = ranef.datasets.load("sleepstudy")
        >>> model = ranef.lmer("Reaction ~ Days + (Days | Subject)", sleep)
        >>> model.ranova()[["npar", "chisq", "df"]].round(2)
                                  npar  chisq   df
        <none>                       6    NaN  NaN
        Days in (Days | Subject)     4  42.84  2.0
        """
        if self.call.prior is not None:
            raise UnsupportedError(
                "ranova compares likelihoods, and this model was fitted with a prior; use "
                "model.update(prior=None).ranova()"
            )
        design, estimate = self._design, self._estimate
        base = len(estimate.kept) + 1
        labels, npar = ["<none>"], [base + n_covariances(design.random)]
        llf = [-0.5 * estimate.objective]
        for smaller in reductions(design):
            labels.append(smaller.label)
            npar.append(base + n_covariances(smaller.random))
            objective = reduced_objective(
                design, self._core, smaller, reml=self.reml, control=self.call.control
            )
            llf.append(-0.5 * objective)
        return WholeFrame(ranova_table(labels, npar, llf))

    def _approximate(self, ddf: str) -> Approximation:
        if ddf == "satterthwaite":
            if self.call.prior is not None:
                return satterthwaite_penalized(self._penalized(), self._estimate)
            return satterthwaite(self._core, self._estimate, self.nobs)
        if ddf == "kenward-roger":
            self._exact_only("Kenward and Roger's method", "ddf='satterthwaite'")
            parts = prior_parts(self.call.prior)
            if parts.fixed is not None or parts.residual is not None:
                raise UnsupportedError(
                    "Kenward and Roger correct the errors of fixed effects that were estimated "
                    "without a prior, of their own or of the residual; use ddf='satterthwaite'"
                )
            return kenward_roger(self._core, self._estimate, self.nobs)
        rest = float(self.nobs - len(self._estimate.kept))
        return FixedDf(self._estimate.cov_beta, np.inf if ddf == "inf" else rest)
