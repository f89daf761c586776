"""What a model explains, and tidy tables of it: methods of a fitted mixed model."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, cast, overload

import numpy as np
import pandas as pd

from ..inference.caic import ConditionalAic, conditional_aic
from ..inference.icc import Icc, decomposition, icc, icc_at
from ..inference.profile import critical
from ..inference.r2 import variances
from ..inference.r2_results import R2, r2
from ..report import tidy as tidying
from ..report.augment import augmented
from ..report.effects import RandomEffects
from ..report.plots import ModelPlots
from .fitted import Array
from .mixed_criterion import Criterion
from .mixed_intervals import Intervals
from .mixed_tests import FixedTests

if TYPE_CHECKING:
    from .mixed_model import LinearMixedModel

__all__ = ["Explained"]


class Explained(FixedTests, Intervals, Criterion):
    """Proportions of variance, the conditional AIC, and tidy tables."""

    if TYPE_CHECKING:

        def ranef(self) -> RandomEffects:
            """Give the conditional modes; see ``LinearMixedModel``."""
            ...

    def tidy(
        self,
        effects: str | Sequence[str] = ("fixed", "ran_pars"),
        conf_int: bool = False,
        level: float = 0.95,
        method: str = "wald",
    ) -> pd.DataFrame:
        """Give estimates as a tidy frame, under the column names of R's broom.mixed.

        Parameters
        ----------
        effects : str or sequence of {"fixed", "ran_pars", "ran_vals", "ran_coefs"}
            Coefficients; standard deviations and correlations; conditional modes; each level's own
            coefficients.
        conf_int : bool
            Whether to add conf.low and conf.high.
        level : float
            Their coverage.
        method : {"wald", "profile", "boot"}
            How they are found; Wald's has none for standard deviations and correlations, and those
            of coefficients rest on the degrees of freedom shown.

        Returns
        -------
        DataFrame
            Columns effect, group, level, term, estimate, std.error, statistic, df, p.value,
            conf.low, conf.high, those that apply.
        """
        chosen = (effects,) if isinstance(effects, str) else tuple(effects)
        for effect in chosen:
            if effect not in tidying.EFFECTS:
                raise ValueError(
                    f"effects must be among {', '.join(map(repr, tidying.EFFECTS))}, not {effect!r}"
                )
        if not chosen:
            raise ValueError("effects is empty")
        critical(level)
        limits = self._limits(method, level) if conf_int else None
        make = {
            "fixed": lambda: self._tidy_fixed(limits, level if conf_int else None),
            "ran_pars": lambda: tidying.ran_pars_rows(self.varcorr, limits),
            "ran_vals": lambda: tidying.ran_vals_rows(self.ranef(), level if conf_int else None),
            "ran_coefs": lambda: tidying.ran_coefs_rows(self.ranef(), self.params.dropna()),
        }
        return tidying.stack(make[effect]() for effect in chosen)

    def _limits(self, method: str, level: float) -> pd.DataFrame | None:
        """Intervals of all parameters; None for Wald's, which the tables make themselves."""
        return None if method == "wald" else self.conf_int(method, level)

    def _tidy_fixed(self, limits: pd.DataFrame | None, level: float | None) -> pd.DataFrame:
        rows = tidying.fixed_rows(self.coef_table(), level)
        if limits is not None:
            found = limits.reindex(rows["term"])
            rows["conf.low"] = found["lower"].to_numpy()
            rows["conf.high"] = found["upper"].to_numpy()
        return rows

    def glance(self) -> pd.DataFrame:
        """Give one row about the fit, under the column names of R's broom.mixed.

        Returns
        -------
        DataFrame
            nobs, npar, sigma, logLik, AIC, BIC, REMLcrit or deviance (-2 log-likelihood of the
            fit; the other is NaN), df.residual, singular, converged.
        """
        criterion = -2.0 * self.llf
        row: Mapping[str, Any] = {
            "nobs": self.nobs,
            "npar": self.npar,
            "sigma": self.sigma,
            "logLik": self.llf,
            "AIC": self.aic,
            "BIC": self.bic,
            "REMLcrit": criterion if self.reml else np.nan,
            "deviance": np.nan if self.reml else criterion,
            "df.residual": self.df_resid,
            "singular": self.is_singular,
            "converged": self._estimate.converged,
        }
        return pd.DataFrame([row])

    @property
    def plot(self) -> ModelPlots:
        """Figures: ``caterpillar``, ``lines``, ``residuals``, ``shrinkage``; need matplotlib."""
        return ModelPlots(self._design, self._estimate, self.ranef())

    def augment(self) -> pd.DataFrame:
        """Give the rows that were used with fitted values and residuals, under broom.mixed's names.

        Returns
        -------
        DataFrame
            The data, then .fitted, .resid, .fixed (without random effects), and .offset, .weights,
            .wtres (residuals times the square root of the weights) where there are any. A model
            that was unpickled gives the response and the groups in place of the data.
        """
        return augmented(self._design, self._estimate, self._data)

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
        from .augment_chunks import augmented_chunks, write_chunks

        chunks = augmented_chunks(cast("LinearMixedModel", self), source)
        return chunks if out is None else write_chunks(chunks, out)

    def r2(self, method: str = "nakagawa", level: float = 0.95) -> R2:
        """Give R², by a named definition.

        Parameters
        ----------
        method : {"nakagawa", "nsj", "sgv", "kr", "xu"}
            ``"nakagawa"``: marginal and conditional R² of Nakagawa, Schielzeth and Johnson.
            ``"nsj"``, ``"sgv"``, ``"kr"``: semi-partial R² of each term with limits, from the mean
            variance, the standardised generalised variance, or Kenward-Roger tests. ``"xu"``: from
            the residuals.
        level : float
            Coverage of the limits of semi-partial R².

        Returns
        -------
        R2
            ``marginal``, ``conditional``, ``table``, and a ``note`` on what it does not say.

        Notes
        -----
        An interval for the marginal and conditional R²: ``model.bootstrap(statistic=lambda m:
        m.r2().marginal).conf_int()``.
        """
        critical(level)

        def test(L: Array) -> tuple[float, float, float]:
            found = self.test(L, ddf="kenward-roger")
            return found.F, found.num_df, found.den_df

        return r2(self._design, self._estimate, method, level, test)

    @overload
    def icc(self) -> Icc: ...
    @overload
    def icc(self, at: Mapping[str, Sequence[Any]]) -> pd.DataFrame: ...
    def icc(self, at: Mapping[str, Sequence[Any]] | None = None) -> Icc | pd.DataFrame:
        """Give the intraclass correlation.

        Parameters
        ----------
        at : mapping of str to sequence, optional
            Values of covariates at which to give it, as ``{"Days": range(10)}``: with random
            slopes it depends on them.

        Returns
        -------
        Icc
            ``adjusted``, ``unadjusted``, ``by_group``, ``note``: averages over the rows of the
            data.
        DataFrame
            With ``at``: each combination of values, icc, var_random, var_residual.
        """
        if at is None:
            return icc(self._design, variances(self._design, self._estimate))
        if not at:
            raise ValueError("at is empty; name a covariate and values, as in {'Days': range(10)}")
        if self._data is None:
            raise ValueError(
                "this model was unpickled and no longer knows its data; icc(at=) needs them"
            )
        return icc_at(self._design, self._estimate, self._data, at)

    def variance_decomposition(self) -> pd.DataFrame:
        """Split the variance of the responses into its parts, averaged over the rows of the data.

        Returns
        -------
        DataFrame
            Columns component, group, variance, share: fixed effects, each grouping factor at the
            mean of its covariates and as they vary (Rights and Sterba, 2019), residual.
        """
        return decomposition(self._design, variances(self._design, self._estimate))

    def caic(self) -> ConditionalAic:
        """Give the conditional AIC of Greven and Kneib (2010).

        Returns
        -------
        ConditionalAic
            ``caic``, ``df``, ``cll``, and a ``note`` on what it does not say. A singular fit is
            refitted without the columns that add no variance (``dropped``).
        """
        return conditional_aic(self._design, self._estimate, self._core)
