"""Estimates as tidy frames: methods of a fitted mixed model, linear or generalised."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

import pandas as pd

from ...inference.coverage import check_level
from ...report import tidy as tidying
from ..parts import Base
from .parts import MixedParts

__all__ = ["Tidied"]


class Told(Protocol):
    """A model with the intervals that a tidy frame may show."""

    @property
    def parts(self) -> MixedParts:
        """The parts of the model."""

    def conf_int(self, method: Any = "wald", level: float | str = 0.95) -> pd.DataFrame:
        """Compute confidence intervals."""


class Tidied(Base):
    """Tidy frames of the estimates."""

    parts: MixedParts

    def tidy(
        self: Told,
        effects: str | Sequence[str] = ("fixed", "ran_pars"),
        conf_int: bool = False,
        level: float = 0.95,
        method: str = "wald",
    ) -> pd.DataFrame:
        """Return estimates as a tidy frame, under the column names of R's broom.mixed.

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
            How they are found; Wald's has none for standard deviations and correlations; those
            of coefficients use the degrees of freedom shown.

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
        parts = self.parts
        limits = self.conf_int(method, level) if conf_int and method != "wald" else None
        asked = level if conf_int else None
        make = {
            "fixed": lambda: fixed_rows(parts, limits, asked),
            "ran_pars": lambda: tidying.ran_pars_rows(parts.varcorr, limits),
            "ran_vals": lambda: tidying.ran_vals_rows(parts.ranef(), asked),
            "ran_coefs": lambda: tidying.ran_coefs_rows(parts.ranef(), parts.params.dropna()),
        }
        return tidying.stack(make[effect]() for effect in chosen)


def fixed_rows(parts: MixedParts, limits: pd.DataFrame | None, level: float | None) -> pd.DataFrame:
    """Lay out the coefficients; their intervals from the table unless they were found before."""
    rows = tidying.fixed_rows(parts.coef_table(), level)
    if limits is not None:
        found = limits.reindex(rows["term"])
        rows["conf.low"] = found["lower"].to_numpy()
        rows["conf.high"] = found["upper"].to_numpy()
    return rows
