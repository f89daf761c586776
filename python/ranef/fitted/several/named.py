"""Estimates of a model of several predictors by their names."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from ..._typing import Array
from ...design.aligned import one_a_row
from ...design.design import Design
from ...design.values import Numbers, read_series
from ...errors import DataError
from ...inference.coverage import check_level
from ...models.glmm.estimate import PartsEstimate
from ...report import tidy as tidying
from ...report.effects import RandomEffects, per_level
from ...report.varcorr import VarCorr

__all__ = ["Effects"]


class Effects:
    """Fixed and random effects, likelihood and counts of one fit."""

    _design: Design
    _estimate: PartsEstimate
    _data: Any

    def _conditional_covariances(self) -> list[Array]:
        """Conditional covariance of each level, (levels, s, s) for each term."""
        raise NotImplementedError

    @property
    def npar(self) -> int:
        """Number of parameters."""
        raise NotImplementedError

    def _training_data(self) -> Any:
        """Return the caller's frame, while it is known."""
        if self._data is None:
            raise ValueError(
                "this model was unpickled, or fitted from chunks, and does not know its data; give "
                "them to predict(newdata), update(data=...) or doctor(model, data)"
            )
        return self._data

    def _new_response(self, y: Any) -> Array:
        """Check a response of the rows that were used."""
        design = self._design
        series = one_a_row(y, "y", design.index, design.n_data, design.rows)
        value = read_series(series, "y")
        if not isinstance(value, Numbers):
            raise DataError("y must be numbers", "y")
        response = value.arrays[0]
        if not np.isfinite(response).all():
            raise DataError("y has missing or infinite values; refit needs a value for every row")
        return response

    def _names(self) -> pd.Index[Any]:
        return pd.Index(self._design.fixed_names)

    def _full(self, values: Array) -> pd.Series[Any]:
        """Values of the kept coefficients, NaN for aliased ones, by name."""
        out = np.full(len(self._design.fixed), np.nan)
        out[self._estimate.kept] = values
        return pd.Series(out, index=self._names())

    # ------------------------------------------------------------------ fixed effects

    @property
    def params(self) -> pd.Series[Any]:
        """Fixed effects by name; NaN where a column is aliased."""
        return pd.Series(self._estimate.beta, index=self._names())

    @property
    def bse(self) -> pd.Series[Any]:
        """Standard errors of the fixed effects."""
        return self._full(np.sqrt(np.diag(self._estimate.cov_beta)))

    @property
    def tvalues(self) -> pd.Series[Any]:
        """Fixed effects divided by their standard errors."""
        return self.params / self.bse

    def cov_params(self) -> pd.DataFrame:
        """Covariance matrix of the fixed effects that are not aliased."""
        names = self._names()[self._estimate.kept]
        return pd.DataFrame(self._estimate.cov_beta, index=names, columns=names)

    # ------------------------------------------------------------------ random effects

    @property
    def theta(self) -> pd.Series[Any]:
        """Elements of the relative covariance factors, labelled ``group.term[.term]``."""
        values: dict[str, float] = {}
        for term, block in zip(self._design.random, self._estimate.lambda_, strict=True):
            for columns in term.blocks:
                for a, j in enumerate(columns):
                    for i in columns[a:]:
                        label = f"{term.group}.{term.names[j]}"
                        if i != j:
                            label += f".{term.names[i]}"
                        values[label] = float(block[i, j])
        return pd.Series(values, dtype=float)

    @property
    def _n_covariances(self) -> int:
        """Number of covariance parameters."""
        return sum(term.n_covariances for term in self._design.random)

    def ranef(self) -> RandomEffects:
        """Return the conditional modes of the random effects.

        Returns
        -------
        RandomEffects
            Mapping of group to a frame of levels by terms; ``.cov[group]`` holds the conditional
            covariances, shape (levels, s, s), given the estimated parameters.
        """
        return RandomEffects(
            self._design.random, self._estimate.modes, self._conditional_covariances
        )

    def coef(self) -> dict[str, pd.DataFrame]:
        """Return each level's own coefficients: fixed plus random, a frame for each group."""
        return per_level(self.ranef(), self.params.dropna())

    @property
    def is_singular(self) -> bool:
        """Whether a covariance matrix of random effects is singular, in the standardised basis."""
        return self._estimate.is_singular

    # ------------------------------------------------------------------ counts and criteria

    @property
    def nobs(self) -> int:
        """Rows that were used."""
        return self._design.n_obs

    @property
    def ngroups(self) -> dict[str, int]:
        """Number of levels of each grouping factor."""
        return {term.group: term.n_levels for term in self._design.random}

    @property
    def llf(self) -> float:
        """Log-likelihood; the restricted one when ``reml``."""
        return -0.5 * self._estimate.objective

    @property
    def df_resid(self) -> int:
        """Rows less parameters."""
        return self.nobs - self.npar

    @property
    def aic(self) -> float:
        """Akaike's criterion of this fit's likelihood."""
        return -2.0 * self.llf + 2.0 * self.npar

    @property
    def bic(self) -> float:
        """Schwarz's criterion, counting rows."""
        return float(-2.0 * self.llf + np.log(self.nobs) * self.npar)

    @property
    def aicc(self) -> float:
        """AIC with Hurvich and Tsai's (1989) correction; infinite below npar + 2 rows."""
        left = self.nobs - self.npar - 1
        return self.aic + (2.0 * self.npar * (self.npar + 1) / left if left > 0 else np.inf)

    @property
    def varcorr(self) -> VarCorr:
        """Covariances of the random effects by group, on the scale of their predictor."""
        return VarCorr(self._design.random, self._estimate.sigmas, None)

    def coef_table(self) -> pd.DataFrame:
        """Lay out estimates, standard errors and tests."""
        raise NotImplementedError

    def tidy(
        self,
        effects: str | Sequence[str] = ("fixed", "ran_pars"),
        conf_int: bool = False,
        level: float = 0.95,
    ) -> pd.DataFrame:
        """Return estimates as a tidy frame, under the column names of R's broom.mixed.

        Parameters
        ----------
        effects : str or sequence of {"fixed", "ran_pars", "ran_vals", "ran_coefs"}
            Coefficients of the location; standard deviations and correlations; conditional modes;
            each level's own coefficients.
        conf_int : bool
            Whether to add Wald's conf.low and conf.high.
        level : float
            Their coverage.
        """
        chosen = tidying.chosen_effects(effects)
        check_level(level)
        make = {
            "fixed": lambda: tidying.fixed_rows(self.coef_table(), level if conf_int else None),
            "ran_pars": lambda: tidying.ran_pars_rows(self.varcorr, None),
            "ran_vals": lambda: tidying.ran_vals_rows(self.ranef(), level if conf_int else None),
            "ran_coefs": lambda: tidying.ran_coefs_rows(self.ranef(), self.params.dropna()),
        }
        return tidying.stack(make[effect]() for effect in chosen)

    def _rows(self, values: Array) -> pd.Series[Any]:
        """Values of the rows used, labelled as the caller's rows."""
        index = self._design.index
        if index is not None and self._design.rows is not None:
            index = index[self._design.rows]
        return pd.Series(values, index=index)
