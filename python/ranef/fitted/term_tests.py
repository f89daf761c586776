"""Tests of the terms of the fixed part by approximate degrees of freedom."""

from __future__ import annotations

import pandas as pd

from ..inference.hypotheses import linear as hypothesis
from ..inference.hypotheses.linear import JointTest
from ..report.whole_frame import WholeFrame
from .mixed.parts import MixedParts
from .parts import Base

__all__ = ["TermTests", "term_tests"]


class TermTests(Base):
    """F tests of terms."""

    parts: MixedParts

    def anova(self, type: int | str = 3, ddf: str | None = None) -> pd.DataFrame:
        """Test each term of the fixed part.

        Parameters
        ----------
        type : {1, 2, 3} or {"I", "II", "III"}
            1: each term after those before it. 2: each after all terms that do not contain it. 3:
            each given all others, with contrasts that do not depend on the coding of the factors.
        ddf : {"satterthwaite", "kenward-roger", "residual", "inf"}, optional
            Denominator degrees of freedom; Satterthwaite's by default.

        Returns
        -------
        DataFrame
            Columns sum_sq, mean_sq, num_df, den_df, F, pvalue; one row per term. sum_sq is
            F * num_df * sigma^2.

        Examples
        --------
        >>> import ranef
        >>> sleep = ranef.datasets.load("sleepstudy")
        >>> model = ranef.lmer("Reaction ~ Days + (Days | Subject)", sleep)
        >>> model.anova().round(2)
                sum_sq   mean_sq  num_df  den_df      F  pvalue
        Days  30031.01  30031.01     1.0    17.0  45.85     0.0
        """
        from ..report.tests import anova_table

        return WholeFrame(anova_table(term_tests(self.parts, type, ddf), self.parts.sigma))


def term_tests(parts: MixedParts, kind: int | str, ddf: str | None) -> dict[str, JointTest]:
    """Test each term of the fixed part."""
    from ..inference.hypotheses.terms import term_hypotheses

    approximation = parts.approximation(ddf)
    rows = term_hypotheses(parts.design, parts.kept, *parts.aliasing(), kind)
    beta = parts.beta[parts.kept]
    return {name: hypothesis.joint(L, beta, approximation) for name, L in rows.items()}
