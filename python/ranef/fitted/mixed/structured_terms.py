"""Covariance structures of random-effects terms."""

from __future__ import annotations

import pandas as pd

from ...report.structures import structure_table
from ..parts import Base
from .parts import NaturalParts

__all__ = ["StructuredTerms"]


class StructuredTerms(Base):
    """What is reported of terms such as ``ar1(0 + t | g)``."""

    parts: NaturalParts

    def covariance_params(self) -> pd.DataFrame:
        """Return the parameters of the structures of random-effects terms.

        Returns
        -------
        DataFrame
            Column estimate; a row ``GROUP.NAME`` for each parameter: ``g.sd`` in the units of the
            response (of the link for a generalised model), ``g.corr`` of cs and ar1, ``g.corr1``
            and so on by lag of toep, ``g.rate`` of ou, whose correlation is exp(-rate d) at a
            distance of d, ``g.range`` of exponential and matern, exp(-d / range), and
            ``g.smoothness`` of matern. Without a structure there are no rows.
        """
        parts = self.parts
        natural = [parts.natural_parameters(t) for t in range(len(parts.design.random))]
        return structure_table(parts.design.random, natural, parts.covariance_unit)
