"""Covariance structures of random-effects terms."""

from __future__ import annotations

import pandas as pd

from ...inference.coverage import check_level, t_quantile
from ...report.structures import structure_table
from ..parts import Base
from .parts import NaturalParts

__all__ = ["StructuredTerms"]


class StructuredTerms(Base):
    """What is reported of terms such as ``ar1(0 + t | g)``."""

    parts: NaturalParts

    def covariance_params(self, level: float = 0.95) -> pd.DataFrame:
        """Return the parameters of the structures of random-effects terms.

        Parameters
        ----------
        level : float
            Coverage of the limits.

        Returns
        -------
        DataFrame
            Columns estimate, se, lower, upper; a row ``GROUP.NAME`` for each parameter: ``g.sd`` in
            the units of the response (of the link for a generalised model), ``g.corr`` of cs and
            ar1, ``g.corr1`` and so on by lag of toep, ``g.rate`` of ou, whose correlation is
            exp(-rate d) at a distance of d, ``g.range`` of exponential and matern, exp(-d / range),
            and
            ``g.smoothness`` of matern. Without a structure there are no rows.

        Notes
        -----
        Errors are from the curvature of the (restricted) likelihood, and limits symmetric for
        logarithms of standard deviations, rates, ranges and smoothness, and for Fisher's z of a
        correlation. They are NaN at a limit of the structure, and where the fit is not at the
        largest likelihood: with a prior, ``nagq=0``, ``glmer(reml=True)``, or several predictors.
        ``conf_int("profile")`` does better where the likelihood is not quadratic.
        """
        check_level(level)
        found = self.parts.natural_intervals(float(t_quantile(level)))
        return structure_table(self.parts.design.random, found)
