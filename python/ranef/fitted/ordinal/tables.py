"""Coefficients and thresholds of a cumulative link model, their tests and intervals."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
import pandas as pd

from ...errors import RanefError
from ...inference.hypotheses import linear as hypothesis
from ...inference.hypotheses.terms import term_hypotheses
from ...report.tests import chisq_table
from ...report.whole_frame import WholeFrame
from ..parts import Base
from .parts import OrdinalParts

__all__ = ["OrdinalTables"]


class OrdinalTables(Base):
    """Thresholds, tests and intervals."""

    parts: OrdinalParts

    @property
    def link(self) -> str:
        """Link of the cumulative probabilities."""
        return self.parts.call.link

    @property
    def categories(self) -> tuple[Any, ...]:
        """Labels of the categories that occur, in order."""
        return self.parts.categories

    @property
    def thresholds(self) -> pd.Series[Any]:
        """Cut points of the latent response, at the first level of the nominal variables."""
        return pd.Series(self.parts.cut_points(), index=pd.Index(self.parts.cuts))

    @property
    def thresholds_bse(self) -> pd.Series[Any]:
        """Standard errors of the cut points."""
        maps, cov = self.parts.ordinal.thresholds, self.parts.estimate.standard_cov
        out = np.sqrt(np.einsum("ij,jk,ik->i", maps, cov, maps))
        return pd.Series(out, index=pd.Index(self.parts.cuts))

    @property
    def zvalues(self) -> pd.Series[Any]:
        """Coefficients divided by their standard errors."""
        return self.parts.params / self.parts.bse

    def anova(self, type: Literal[1, 2, 3] = 3) -> pd.DataFrame:
        """Test each term of the location by Wald's chi-squared.

        Parameters
        ----------
        type : {1, 2, 3}
            1: each term after those before it. 2: each after all terms that do not contain it. 3:
            each given all others, with contrasts that do not depend on the coding of the factors.

        Returns
        -------
        DataFrame
            Columns chisq, df, pvalue; one row per term. Likelihood ratios come from
            ``ranef.anova(smaller, larger)``.
        """
        design, parts = self.parts.design, self.parts
        block = parts.estimate.block("location")
        kept = np.r_[0, block.kept + 1]
        aliased = [j + 1 for j in block.aliased]
        rows = term_hypotheses(design, kept, aliased, block.alias, type)
        p = len(block.kept)
        cov = parts.cov[:p, :p]
        beta = parts.beta[block.kept]
        reference = hypothesis.FixedDf(cov, np.inf)
        found = {
            name: hypothesis.joint(without_intercept(L), beta, reference)
            for name, L in rows.items()
        }
        return WholeFrame(chisq_table(found))


def without_intercept(L: Any) -> Any:
    """Take the intercept out of hypotheses, which thresholds stand for."""
    if np.abs(L[:, 0]).max(initial=0.0) > 1e-10:
        raise RanefError("a term's hypothesis involves the thresholds")
    return L[:, 1:]
