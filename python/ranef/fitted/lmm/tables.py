"""Tidy tables and figures: methods of a fitted linear mixed model."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any, overload

import pandas as pd

from ...parallel.writing import check_not_input
from ...report import tidy as tidying
from ...report.augment import augmented
from ..parts import Base
from .parts import LmmParts

__all__ = ["Tables"]


class Tables(Base):
    """One row about a fit, its rows with fitted values, and figures."""

    parts: LmmParts

    def glance(self) -> pd.DataFrame:
        """Return one row about the fit, under the column names of R's broom.mixed.

        Returns
        -------
        DataFrame
            nobs, npar, sigma, logLik, AIC, BIC, REMLcrit or deviance (-2 log-likelihood of the
            fit; the other is NaN), df.residual, singular, converged.

        Examples
        --------
        >>> import ranef
        >>> sleep = ranef.datasets.load("sleepstudy")
        >>> model = ranef.lmer("Reaction ~ Days + (Days | Subject)", sleep)
        >>> model.glance()[["nobs", "npar", "logLik", "singular"]].round(1)
           nobs  npar  logLik  singular
        0   180     6  -871.8     False
        """
        return tidying.glance(self, self.parts.converged)

    def augment(self) -> pd.DataFrame:
        """Return the rows used with fitted values and residuals, under broom.mixed's names.

        Returns
        -------
        DataFrame
            The data, then .fitted, .resid, .fixed (without random effects), and .offset, .weights,
            .wtres (residuals times the square root of the weights) where there are any. A model
            that was unpickled returns the response and the groups instead of the data.

        Examples
        --------
        >>> import ranef
        >>> sleep = ranef.datasets.load("sleepstudy")
        >>> model = ranef.lmer("Reaction ~ Days + (Days | Subject)", sleep)
        >>> model.augment()[["Reaction", "Days", ".fitted", ".resid", ".fixed"]].head(2).round(1)
           Reaction  Days  .fitted  .resid  .fixed
        0     249.6     0    253.7    -4.1   251.4
        1     258.7     1    273.3   -14.6   261.9
        """
        return augmented(self.parts)

    @overload
    def augment_chunks(self, source: Any, out: None = None) -> Iterator[pd.DataFrame]: ...
    @overload
    def augment_chunks(self, source: Any, out: str | os.PathLike[str]) -> int: ...
    def augment_chunks(
        self, source: Any, out: str | os.PathLike[str] | None = None
    ) -> Iterator[pd.DataFrame] | int:
        """Add fitted values and residuals to rows that are read in chunks.

        Parameters
        ----------
        source : path, dataset, relation, lazy frame, list or iterator of frames
            Rows with the model's columns, as ``lmer`` reads them in chunks; those of the fit, or
            others.
        out : path, optional
            A parquet file to write to.

        Returns
        -------
        iterator of DataFrame, or int
            Each chunk with .fitted, .resid, .fixed (without random effects), and .wtres under
            weights, NaN in rows with missing values; or the number of rows written.

        Raises
        ------
        DataError
            If a row has a level of a grouping factor that the fit has not seen.
        """
        if out is not None:
            check_not_input(out, source, "out")
        from .augment_chunks import augmented_chunks, write_chunks

        chunks = augmented_chunks(self, source)
        return chunks if out is None else write_chunks(chunks, out)
