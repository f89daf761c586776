"""Smooth terms: methods of a fitted mixed model, linear or generalised."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
import pandas as pd

from ..._options import check_name, check_option, nearest
from ...formula import parse
from ...inference.coverage import check_level
from ...report.whole_frame import WholeFrame
from ..parts import Base
from .parts import CurvedParts

__all__ = ["Smooths"]

#: Points of a curve that is asked for without new data.
POINTS = 100


class Smooths(Base):
    """Smooth terms."""

    parts: CurvedParts

    @property
    def smooths(self) -> pd.DataFrame:
        """Smooth terms with their degrees of freedom and tests; empty where there are none.

        Returns
        -------
        DataFrame
            One row per term. Columns edf (effective degrees of freedom), ref_df (those of the
            test), F or chisq, pvalue, and sd: the standard deviation of the random coefficients,
            which depends on the basis but for ``bs="re"``; the root of their mean variance where
            there are several. A test of more than 2,000 random effects is left out (NaN).

        Notes
        -----
        A curve is tested for being zero everywhere [1]_; random effects, and curves of which all
        is penalised, for a variance of zero [2]_. Both take the smoothing as known.

        References
        ----------
        .. [1] Wood (2013), Biometrika 100, 221-228.
        .. [2] Wood (2013), Biometrika 100, 1005-1010.

        Examples
        --------
        >>> import ranef
        >>> sleep = ranef.datasets.load("sleepstudy")
        >>> model = ranef.lmer("Reaction ~ s(Days, k=6) + (1 | Subject)", sleep)
        >>> model.smooths["edf"].round(1).to_dict()
        {'s(Days)': 1.0}
        """
        from ...inference.smooths.table import rows_of
        from ...report.smooths import smooth_table

        known: pd.DataFrame | None = self.parts.__dict__.get("_smooths")
        if known is None:
            smooths = parse(self.parts.call.formula).smooths
            fit = self.parts.smoothed
            known = smooth_table(rows_of(fit, smooths), fit.known_scale)
            self.parts.__dict__["_smooths"] = known
        return WholeFrame(known)

    def smooth(
        self,
        term: str,
        newdata: Any = None,
        *,
        derivative: str | None = None,
        interval: Literal["pointwise", "simultaneous"] | None = None,
        level: float = 0.95,
        seed: int = 0,
    ) -> pd.DataFrame:
        """Evaluate one smooth, which sums to zero over the rows of the fit.

        Parameters
        ----------
        term : str
            Its name in ``smooths``.
        newdata : DataFrame, optional
            Values of its variables; 100 even steps over the range of the fit by default, for a
            smooth of one variable. With the column ``by`` the smooth is multiplied by it; without,
            it is the curve itself.
        derivative : str, optional
            A variable, to differentiate by it.
        interval : {"pointwise", "simultaneous"}, optional
            Limits of each value, or of all of them together.
        level : float
            Coverage of the limits.
        seed : int
            Of the draws that a simultaneous band rests on.

        Returns
        -------
        DataFrame
            Columns fit and se, lower and upper with an interval, and the variable first where
            there are no new data. A row with missing values is NaN.

        Raises
        ------
        ValueError
            If there is no such term, or no such variable.
        RanefWarning
            Outside the range of the fit.

        Notes
        -----
        Standard errors are Bayesian, for all coefficients together, at the estimated variances;
        averaged across the curve, such intervals have their nominal coverage [1]_.

        References
        ----------
        .. [1] Marra and Wood (2012), Scand. J. Stat. 39, 53-74.

        Examples
        --------
        >>> import ranef
        >>> sleep = ranef.datasets.load("sleepstudy")
        >>> model = ranef.lmer("Reaction ~ s(Days, k=6) + (1 | Subject)", sleep)
        >>> model.smooth("s(Days)", {"Days": [0, 9]})["fit"].round(1).tolist()
        [-47.1, 47.1]
        """
        from ...inference.smooths.curve import curve_of

        design = self.parts.design
        known = {t.group: i for i, t in enumerate(design.random) if t.smooth is not None}
        if term not in known:
            listed = ", ".join(map(repr, known)) or "none"
            raise ValueError(
                f"there is no curve {term!r}{nearest(term, known)}; there are {listed}. Effects of "
                "single levels are in ranef()"
            )
        smooth = design.random[known[term]].smooth
        assert smooth is not None
        if derivative is not None:
            derivative = check_name("derivative", derivative, smooth.variables)
        if interval is not None:
            check_option("interval", interval, ("pointwise", "simultaneous"))
        check_level(level)
        own = pd.DataFrame()
        if newdata is None:
            if len(smooth.variables) > 1 or not smooth.is_curve:
                raise ValueError(f"{term} needs newdata: values of {', '.join(smooth.variables)}")
            newdata = own = self._grid(known[term])
        fitted = curve_of(self.parts.smoothed, known[term], newdata, derivative)
        out = own.assign(fit=fitted.fit, se=fitted.se)
        if fitted.index is not None:
            out.index = fitted.index
        if interval is not None:
            half = fitted.half_width(interval, level, seed)
            out = out.assign(lower=out["fit"] - half, upper=out["fit"] + half)
        return out

    def _smooth_summary(self) -> pd.DataFrame | None:
        """Table of the smooth terms for a summary, None where there are none."""
        return self.smooths if parse(self.parts.call.formula).smooths else None

    def _parametric(self, table: pd.DataFrame) -> pd.DataFrame:
        """Leave what belongs to smooth terms out of a table of coefficients."""
        terms = [t.smooth for t in self.parts.design.random if t.smooth is not None]
        names = {name for smooth in terms for name in smooth.fixed_names}
        return table[[name not in names for name in table.index]] if names else table

    def _grid(self, position: int) -> pd.DataFrame:
        """Even steps over the range of a smooth's variable."""
        smooth = self.parts.design.random[position].smooth
        assert smooth is not None
        name = smooth.smooth.variables[0]
        if not name.expr.isidentifier() and name.kind.value == "python":
            raise ValueError(
                f"{smooth.label} is a smooth of an expression; pass newdata with its columns"
            )
        low, high = smooth.ranges[0]
        return pd.DataFrame({name.expr: np.linspace(low, high, POINTS)})
