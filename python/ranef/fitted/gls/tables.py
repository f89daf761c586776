"""Correlation and variances of the residuals, and tidy frames, of a fitted model."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from ...errors import UnsupportedError
from ...inference.coverage import t_quantile
from ...inference.hypotheses.structured import parameter_table
from ...models.gls import rows as gls_rows
from ...report import tidy as tidying
from ...report.augment import callers_rows
from ...report.structured import variance_table
from ..parts import Base
from .parts import GlsParts

__all__ = ["ResidualStructure", "Tables"]


class ResidualStructure(Base):
    """Parameters of the residuals' covariance."""

    parts: GlsParts

    @property
    def correlation(self) -> pd.Series[Any]:
        """Parameters of the residual correlation: rho, phi, by lag, or by pair of times."""
        return self.parts.correlation

    @property
    def variances(self) -> pd.DataFrame:
        """Residual standard deviations by level of ``variance``: sd, variance, ratio, rows."""
        rows, sigma = self.parts.rows, self.parts.sigma
        if self.parts.call.variance is not None and rows.strata is None:
            raise UnsupportedError(
                f"variance={self.parts.call.variance!r} gives each row its own standard deviation; "
                "see variance_params and resid_sd"
            )
        if rows.strata is None:
            return variance_table(["all"], np.array([sigma]), np.array([self.parts.nobs]))
        levels = len(rows.strata.levels)
        sds = self.parts.estimate.residual_sd(np.eye(levels, levels - 1, -1))
        return variance_table(rows.strata.levels.tolist(), sds, np.bincount(rows.strata.codes))

    @property
    def variance_params(self) -> pd.Series[Any]:
        """Slopes of the log standard deviation; log ratios to the first level of a factor."""
        names = pd.Index(self.parts.rows.D_names, dtype=object)
        return pd.Series(self.parts.estimate.delta, index=names, dtype=float)

    def covariance_params(self, level: float = 0.95) -> pd.DataFrame:
        """Return intervals of sigma, the variances' slopes and the correlation.

        Parameters
        ----------
        level : float
            Coverage.

        Returns
        -------
        DataFrame
            Columns estimate, lower, upper; rows ``sigma``, ``log_sd.NAME`` and ``cor.NAME``.

        Notes
        -----
        From the exact likelihood's curvature, on scales without bounds: log sigma, and Fisher's z
        of a correlation. They stay within the range of a parameter, and mean little at its
        boundary.
        """
        return parameter_frame(self.parts, level)


def parameter_frame(parts: GlsParts, level: float) -> pd.DataFrame:
    """Lay out sigma, the variances' slopes and the correlation with intervals."""
    names = [f"log_sd.{name}" for name in parts.rows.D_names]
    names += [f"cor.{name}" for name in parts.correlation.index]
    values = parameter_table(parts.rows, parts.core, parts.estimate, float(t_quantile(level)))
    index = pd.Index(["sigma", *names], dtype=object)
    return pd.DataFrame(values, index=index, columns=["estimate", "lower", "upper"])


class Tables(Base):
    """Tidy frames of the estimates."""

    parts: GlsParts

    def tidy(self, conf_int: bool = False, level: float = 0.95) -> pd.DataFrame:
        """Return estimates as a tidy frame, under the column names of R's broom.mixed.

        Parameters
        ----------
        conf_int : bool
            Whether to add conf.low and conf.high.
        level : float
            Their coverage.

        Returns
        -------
        DataFrame
            Coefficients (effect "fixed"), standard deviations and correlations of random effects
            ("ran_pars"), and the parameters of the residuals ("residual").
        """
        fixed = tidying.fixed_rows(self.parts.coef_table(), level if conf_int else None)
        parts = [fixed]
        if self.parts.design.random:
            random = tidying.ran_pars_rows(self.parts.varcorr, None)
            parts.append(random[random["group"] != "Residual"])
        table = parameter_frame(self.parts, level)
        rest = pd.DataFrame({"effect": "residual", "term": table.index})
        rest["estimate"] = table["estimate"].to_numpy()
        if conf_int:
            rest["conf.low"], rest["conf.high"] = (
                table["lower"].to_numpy(),
                table["upper"].to_numpy(),
            )
        return tidying.stack([*parts, rest])

    def glance(self) -> pd.DataFrame:
        """Return one row about the fit, under the column names of R's broom.mixed.

        Returns
        -------
        DataFrame
            nobs, npar, sigma, logLik, AIC, BIC, REMLcrit or deviance (-2 log-likelihood of the
            fit; the other is NaN), df.residual, singular, converged.
        """
        return tidying.glance(self, self.parts.estimate.converged)

    def augment(self) -> pd.DataFrame:
        """Return the rows that were used with fitted values and residuals, under broom's names.

        Returns
        -------
        DataFrame
            The data, then .fitted, .resid and .resid.sd, the standard deviation of each residual.
        """
        parts = self.parts
        resid = parts.resid()
        new = {".fitted": parts.design.y - resid, ".resid": resid}
        sd = gls_rows.residual_sd(parts.rows, parts.estimate)
        return callers_rows(parts).assign(**new, **{".resid.sd": sd})
