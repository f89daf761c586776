"""Tests of the random-effects terms: a method of a fitted linear mixed model."""

from __future__ import annotations

import pandas as pd

from ...errors import UnsupportedError
from ...report.whole_frame import WholeFrame
from ..parts import Base
from .parts import LmmParts

__all__ = ["RandomTests"]


class RandomTests(Base):
    """Likelihood ratio tests of random-effects terms."""

    parts: LmmParts

    def ranova(self, *, progress: bool = True) -> pd.DataFrame:
        """Test each random-effects term by a likelihood ratio, against the term one step smaller.

        A term ``(x | g)`` is compared with ``(1 | g)``, ``(0 + f | g)`` of a factor with ``(1 |
        g)``, and ``(1 | g)`` with no term. REML fits are compared by their restricted likelihood.

        Parameters
        ----------
        progress : bool
            Whether to show a progress bar when it takes longer than a second.

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
        from ...inference.hypotheses.random import n_covariances, reduced_objective, reductions
        from ...parallel.progress import tracked
        from ...report.tests import ranova_table

        parts = self.parts
        if parts.call.prior is not None:
            raise UnsupportedError(
                "ranova compares likelihoods, and this model was fitted with a prior; use "
                "model.update(prior=None).ranova()"
            )
        design, estimate = parts.design, parts.estimate
        base = len(estimate.kept) + 1
        labels, npar = ["<none>"], [base + n_covariances(design.random)]
        llf = [-0.5 * estimate.objective]
        listed = reductions(design)
        for smaller in tracked(listed, len(listed), "smaller models", shown=progress):
            labels.append(smaller.label)
            npar.append(base + n_covariances(smaller.random))
            objective = reduced_objective(
                design, parts.core, smaller, reml=parts.reml, control=parts.call.control
            )
            llf.append(-0.5 * objective)
        return WholeFrame(ranova_table(labels, npar, llf))
