"""Estimates of a fitted mixed model, linear or generalised, by their names."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from .._typing import Array
from ..design.design import Design
from ..errors import DataError
from ..models.glmm.estimate import GlmmEstimate
from ..models.gls.model import GlsEstimate
from ..models.lmm import LmmEstimate
from ..report.effects import RandomEffects, per_level

__all__ = ["Effects"]


class Effects:
    """Fixed and random effects, likelihood and counts of one fit."""

    _design: Design
    _estimate: LmmEstimate | GlmmEstimate | GlsEstimate
    _data: Any

    def _conditional_covariances(self) -> list[Array]:
        """Conditional covariance of each level, (levels, s, s) for each term."""
        raise NotImplementedError

    @property
    def npar(self) -> int:
        """Number of parameters."""
        raise NotImplementedError

    def _training_data(self) -> Any:
        """Give the caller's frame, while it is known."""
        if self._data is None:
            raise ValueError(
                "this model was unpickled, or fitted from chunks, and does not know its data; give "
                "them to predict(newdata), update(data=...) or doctor(model, data)"
            )
        return self._data

    def _new_response(self, y: Any) -> Array:
        """Check a response of the rows that were used."""
        response = np.ascontiguousarray(y, dtype=np.float64).ravel()
        if response.shape != (self.nobs,):
            raise DataError(f"y has {response.size} values; the model uses {self.nobs} rows")
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
        return sum(
            len(block) * (len(block) + 1) // 2
            for term in self._design.random
            for block in term.blocks
        )

    def ranef(self) -> RandomEffects:
        """Give the conditional modes of the random effects.

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
        """Give each level's own coefficients: fixed plus random, a frame for each group."""
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

    def _rows(self, values: Array) -> pd.Series[Any]:
        """Values of the rows used, labelled as the caller's rows."""
        index = self._design.index
        if index is not None and self._design.rows is not None:
            index = index[self._design.rows]
        return pd.Series(values, index=index)
