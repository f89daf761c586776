"""Estimates as tidy frames: methods of a fitted mixed model, linear or generalised."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pandas as pd

from ...inference.coverage import check_level
from ...report import tidy as tidying
from ...report.varcorr import VarCorr
from ..named import Effects

__all__ = ["Tidied"]


class Tidied(Effects):
    """Tidy frames of the estimates."""

    @property
    def varcorr(self) -> VarCorr:
        """Covariance matrices of the random effects by group."""
        raise NotImplementedError

    def coef_table(self, *args: Any, **options: Any) -> pd.DataFrame:
        """Lay out estimates, standard errors and tests."""
        raise NotImplementedError

    def conf_int(self, method: str = "wald", level: float = 0.95) -> pd.DataFrame:
        """Give confidence intervals."""
        raise NotImplementedError

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

        Examples
        --------
        >>> import ranef
        >>> sleep = ranef.datasets.load("sleepstudy")
        >>> model = ranef.lmer("Reaction ~ Days + (Days | Subject)", sleep)
        >>> model.tidy()[["effect", "term", "estimate"]].round(2)
             effect                 term  estimate
        0     fixed            Intercept    251.41
        1     fixed                 Days     10.47
        2  ran_pars        sd__Intercept     24.74
        3  ran_pars             sd__Days      5.92
        4  ran_pars  cor__Intercept.Days      0.07
        5  ran_pars      sd__Observation     25.59
        """
        chosen = tidying.chosen_effects(effects)
        check_level(level)
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
