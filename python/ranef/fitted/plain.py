"""Tidy frames, residuals and figures of models without random effects of their own."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal, Protocol

import numpy as np
import pandas as pd

from .._options import check_option
from ..errors import UnsupportedError
from ..report import tidy as tidying
from ..report.augment import callers_rows
from .parts import Base, Parts
from .residual_series import Residuals

if TYPE_CHECKING:
    from ..report.plots.drawn import Drawn
    from ..report.plots.model import ModelPlots

__all__ = ["Figures", "PlainTables", "ResidualKinds"]


class Rowed(Protocol):
    """A model with fitted values and residuals."""

    @property
    def parts(self) -> Parts:
        """The parts of the model."""

    @property
    def fittedvalues(self) -> pd.Series[Any]:
        """Fitted values."""

    @property
    def resid(self) -> Residuals:
        """Residuals."""


class ResidualKinds(Base):
    """Residuals by kind."""

    def residuals(self: Rowed, kind: Literal["response", "pearson"] = "response") -> pd.Series[Any]:
        """Compute residuals of the rows used.

        Parameters
        ----------
        kind : {"response", "pearson"}
            Response minus fitted value; or that times the root of the row's weight.

        Returns
        -------
        Series of length n
            Labelled as the caller's rows.
        """
        name = check_option(
            "kind", kind, ("response", "pearson", "deviance", "working"), shown=KINDS
        )
        if name not in KINDS:
            raise UnsupportedError(
                f"kind={name!r} is not available here; use kind='response' or 'pearson'"
            )
        weights = self.parts.design.weights
        if name == "response" or weights is None:
            return pd.Series(self.resid)
        return self.resid * np.sqrt(weights)


#: Kinds of residuals of a normal response.
KINDS = ("response", "pearson")


class PlainTables(Base):
    """Tidy frames of coefficients, fit and rows."""

    def tidy(self, conf_int: bool = False, level: float = 0.95) -> pd.DataFrame:
        """Return the coefficients as a tidy frame, under the column names of R's broom.

        Parameters
        ----------
        conf_int : bool
            Whether to add conf.low and conf.high.
        level : float
            Their coverage.

        Returns
        -------
        DataFrame
            Columns effect, group, term, estimate, std.error, statistic, df, p.value, and conf.low
            and conf.high when asked for.
        """
        rows = tidying.fixed_rows(self.parts.coef_table(), level if conf_int else None)
        return tidying.stack([rows])

    def glance(self) -> pd.DataFrame:
        """Return one row about the fit, under the column names of R's broom.

        Returns
        -------
        DataFrame
            nobs, df.residual, and what else the model has: logLik, AIC, BIC, sigma, r.squared.
        """
        return pd.DataFrame([self.parts.glance()])

    def augment(self: Rowed) -> pd.DataFrame:
        """Return the rows that were used with fitted values and residuals, under broom's names.

        Returns
        -------
        DataFrame
            The data, then .fitted and .resid. A model that was unpickled has the response and the
            groups in place of the data.
        """
        rows = callers_rows(self.parts)
        fitted, resid = self.fittedvalues.to_numpy(), np.asarray(self.resid)
        return rows.assign(**{".fitted": fitted, ".resid": resid})


class Figures(Base):
    """Figures of a fit."""

    @property
    def plot(self: Drawn) -> ModelPlots:
        """Figures, which need matplotlib.

        ``coefficients``, ``residuals``, ``predictions``, ``effects``; and of random effects
        ``caterpillar``, ``lines``, ``shrinkage``.
        """
        from ..report.plots.model import ModelPlots

        return ModelPlots(self)
