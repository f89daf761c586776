"""Coefficients of the parts of a model of several predictors, their tests and intervals."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
import pandas as pd

from ...report.coefficients import interval_table
from ...report.tests import chisq_table
from ...report.whole_frame import WholeFrame
from ..coefficients import level_and_method
from ..generalised.intervals import METHODS, Bootstrapped, of_all_parameters
from ..parts import Base
from ..term_tests import term_tests
from .parts import SeveralParts

__all__ = ["PartTables"]


class PartTables(Base):
    """Family, coefficients by part, tests and intervals."""

    parts: SeveralParts

    @property
    def family(self) -> str:
        """Distribution of the response given the random effects."""
        return self.parts.call.family

    @property
    def link(self) -> str:
        """Link of the location."""
        return self.parts.call.link

    @property
    def zero_params(self) -> pd.Series[Any]:
        """Coefficients of the logit of a structural zero; empty without a zero part."""
        return self.parts.part_params("zero")

    @property
    def dispersion_params(self) -> pd.Series[Any]:
        """Coefficients of the log dispersion; empty where it has no formula."""
        return self.parts.part_params("dispersion")

    @property
    def family_params(self) -> pd.Series[Any]:
        """Shapes that have no formula, on their own scale, by name."""
        eta = [np.atleast_1d(values[0]) for values in self.parts.constants(1)]
        family = self.parts.family
        natural = family.natural(eta[1 : 1 + len(family.shapes)])
        return pd.Series(
            {name: float(value[0]) for name, value in natural.items() if np.isfinite(value[0])},
            dtype=float,
        )

    @property
    def zvalues(self) -> pd.Series[Any]:
        """Coefficients of the location divided by their standard errors."""
        return self.parts.params / self.parts.bse

    def coef_table(self, ddf: str | None = None, *, part: str = "location") -> pd.DataFrame:
        """Return a table of estimates, standard errors and normal tests of one part.

        Parameters
        ----------
        ddf : {"inf"}, optional
            Degrees of freedom, which are infinite.
        part : {"location", "zero", "dispersion"}
            Which predictor.

        Returns
        -------
        DataFrame
            Columns estimate, se, df, z, pvalue; one row per coefficient.
        """
        self.parts.ddf_name(ddf)
        return self.parts.part_table(part)

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
        return WholeFrame(chisq_table(term_tests(self.parts, type, None)))

    def conf_int(
        self: Bootstrapped,
        method: Literal["wald", "profile", "boot"] | float = "wald",
        level: float | str = 0.95,
        *,
        part: str = "location",
        ddf: str | None = None,
        n: int = 1000,
        seed: int | None = None,
        progress: bool = True,
    ) -> pd.DataFrame:
        """Compute confidence intervals.

        Parameters
        ----------
        method : {"wald", "profile", "boot"}
            ``"wald"``: normal intervals of one part's coefficients. ``"profile"``: where twice the
            fall of the log-likelihood, by the approximation of the fit, reaches the normal
            quantile's square, for every parameter of every part. ``"boot"``: quantiles of a
            parametric bootstrap. A number is taken for ``level``.
        level : float
            Coverage, between 0 and 1.
        part : {"location", "zero", "dispersion"}
            Which predictor, of Wald's.
        ddf : {"inf"}, optional
            Degrees of freedom of Wald's intervals, which are normal.
        n : int
            Replicates of the bootstrap.
        seed : int, optional
            Makes the bootstrap repeatable.
        progress : bool
            Whether to show a progress bar when it takes longer than a second.

        Returns
        -------
        DataFrame
            Columns lower, upper. Rows of a profile and of a bootstrap: ``sd_TERM|GROUP``,
            ``cor_TERM.TERM|GROUP``, the coefficients, those of other parts as ``zero:NAME``, and
            the shapes by name.
        """
        level, how = level_and_method(level, method, METHODS, "DistributionalModel")
        if how != "wald":
            return of_all_parameters(self, how, level, n, seed, progress=progress)
        self.parts.ddf_name(ddf)
        table = self.parts.part_table(part)
        return interval_table(list(table.index), table["estimate"], table["se"], np.inf, level)
