"""Parameters and tests of a fitted model with structured residuals."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from ..._typing import Array
from ...design.structured import StructuredDesign
from ...errors import UnsupportedError
from ...inference.coverage import t_quantile
from ...inference.hypotheses.linear import Approximation, FixedDf
from ...inference.hypotheses.structured import parameter_table, satterthwaite_structured
from ...models.gls.model import GlsEstimate, GlsModel, alias, gls_model
from ...report import tidy as tidying
from ...report.coefficients import interval_table
from ...report.maketables import TableSource, covariance_rows
from ...report.structured import correlation_labels, variance_table
from ...report.varcorr import VarCorr
from ..term_tests import TermTests
from .call import GLSCall

__all__ = ["GLSTables"]


class GLSTables(TermTests, TableSource):
    """Estimates, their tables and tests."""

    call: GLSCall
    _estimate: GlsEstimate
    _structured: StructuredDesign
    _model: GlsModel | None

    _DDF = ("satterthwaite", "residual", "inf")

    @property
    def _fitted_model(self) -> GlsModel:
        """The kernel, built again after pickling."""
        if self._model is None:
            self._model = gls_model(self._structured, self.call.corr)
        return self._model

    # ------------------------------------------------------------------ covariance

    @property
    def reml(self) -> bool:
        """Whether the restricted likelihood was maximised."""
        return self._estimate.reml

    @property
    def sigma(self) -> float:
        """Residual standard deviation; where ``variance`` has its first level or zero columns."""
        return self._estimate.sigma

    @property
    def npar(self) -> int:
        """Coefficients, covariance parameters and sigma."""
        return len(self._estimate.kept) + len(self._estimate.psi) + 1

    @property
    def varcorr(self) -> VarCorr:
        """Covariance matrices of the random effects by group; no group when there are none."""
        sigma = self.sigma if self.call.variance is None else None
        return VarCorr(self._design.random, self._estimate.sigmas, sigma)

    @property
    def correlation(self) -> pd.Series[Any]:
        """Parameters of the residual correlation: rho, phi, by lag, or by pair of times."""
        values = self._estimate.correlation
        labels = correlation_labels(self.call.corr, len(values), self._times())
        return pd.Series(values, index=pd.Index(labels, dtype=object), dtype=float)

    def _times(self) -> list[Any]:
        """Labels of the distinct times; numbers from 0 when no time was given."""
        levels = self._structured.time_levels
        largest = int(np.bincount(self._structured.cluster).max())
        return list(range(largest)) if levels is None else levels.tolist()

    @property
    def variances(self) -> pd.DataFrame:
        """Residual standard deviations by level of ``variance``: sd, variance, ratio, rows."""
        rows, sigma = self._structured, self.sigma
        if self.call.variance is not None and rows.strata is None:
            raise UnsupportedError(
                f"variance={self.call.variance!r} gives each row its own standard deviation; see "
                "variance_params and resid_sd"
            )
        if rows.strata is None:
            return variance_table(["all"], np.array([sigma]), np.array([self.nobs]))
        sds = sigma * np.exp(np.append(0.0, self._estimate.delta))
        return variance_table(rows.strata.levels.tolist(), sds, np.bincount(rows.strata.codes))

    @property
    def variance_params(self) -> pd.Series[Any]:
        """Slopes of the log standard deviation; log ratios to the first level of a factor."""
        names = pd.Index(self._structured.D_names, dtype=object)
        return pd.Series(self._estimate.delta, index=names, dtype=float)

    def covariance_params(self, level: float = 0.95) -> pd.DataFrame:
        """Give intervals of sigma, the variances' slopes and the correlation.

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
        of a correlation. They do not reach beyond the range of a parameter, and mean little at its
        end.
        """
        names = [f"log_sd.{name}" for name in self._structured.D_names]
        names += [f"cor.{name}" for name in self.correlation.index]
        values = parameter_table(
            self._structured, self._fitted_model, self._estimate, float(t_quantile(level))
        )
        index = pd.Index(["sigma", *names], dtype=object)
        return pd.DataFrame(values, index=index, columns=["estimate", "lower", "upper"])

    # ------------------------------------------------------------------ fixed effects

    def _aliasing(self) -> tuple[list[int], Array]:
        return alias(self._design, self._estimate.kept)

    def _approximate(self, ddf: str) -> Approximation:
        if ddf == "satterthwaite":
            return satterthwaite_structured(self._fitted_model, self._estimate, self.nobs)
        rest = float(self.nobs - len(self._estimate.kept))
        return FixedDf(self._estimate.cov_beta, np.inf if ddf == "inf" else rest)

    def conf_int(self, level: float = 0.95, ddf: str = "satterthwaite") -> pd.DataFrame:
        """Give confidence intervals of the coefficients from the quantiles of t.

        Parameters
        ----------
        level : float
            Coverage.
        ddf : {"satterthwaite", "residual", "inf"}
            Degrees of freedom.

        Returns
        -------
        DataFrame
            Columns lower, upper; a row a coefficient. Those of the covariance's parameters are in
            ``covariance_params``.
        """
        table = self.coef_table(ddf)
        return interval_table(list(table.index), table["estimate"], table["se"], table["df"], level)

    # ------------------------------------------------------------------ tidy frames

    def tidy(self, conf_int: bool = False, level: float = 0.95) -> pd.DataFrame:
        """Give estimates as a tidy frame, under the column names of R's broom.mixed.

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
        fixed = tidying.fixed_rows(self.coef_table(), level if conf_int else None)
        parts = [fixed]
        if self._design.random:
            random = tidying.ran_pars_rows(self.varcorr, None)
            parts.append(random[random["group"] != "Residual"])
        table = self.covariance_params(level)
        rest = pd.DataFrame({"effect": "residual", "term": table.index})
        rest["estimate"] = table["estimate"].to_numpy()
        if conf_int:
            rest["conf.low"], rest["conf.high"] = (
                table["lower"].to_numpy(),
                table["upper"].to_numpy(),
            )
        return tidying.stack([*parts, rest])

    def glance(self) -> pd.DataFrame:
        """Give one row about the fit, under the column names of R's broom.mixed.

        Returns
        -------
        DataFrame
            nobs, npar, sigma, logLik, AIC, BIC, REMLcrit or deviance (-2 log-likelihood of the
            fit; the other is NaN), df.residual, singular, converged.
        """
        return tidying.glance(self, self._estimate.converged)

    def _table_rows(self) -> dict[str, Any]:
        random = covariance_rows(self.varcorr, self.ngroups)
        shown = {f"Residual {self.call.corr}, {k}": float(v) for k, v in self.correlation.items()}
        return {**random, **shown, "N": self.nobs, "ll": self.llf}
