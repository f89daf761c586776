"""Confidence intervals: methods of a fitted mixed model."""

from __future__ import annotations

import numpy as np
import pandas as pd

from ..inference import profile as profiling
from ..inference.profile import Profiled
from ..models import lmm
from ..report.coefficients import interval_table
from ..report.profile import Profile
from .fitted import Fitted

__all__ = ["Intervals"]


class Intervals(Fitted):
    """Intervals of the parameters."""

    def conf_int(self, method: str = "wald", level: float = 0.95) -> pd.DataFrame:
        """Give confidence intervals.

        Parameters
        ----------
        method : {"wald", "profile"}
            ``"wald"``: normal intervals of the fixed effects. ``"profile"``: where twice the fall of the
            ML log-likelihood reaches the normal quantile's square, for every parameter; found by root
            finding. A bound (a standard deviation of 0, a correlation of -1 or 1) where the data do not
            exclude it.
        level : float
            Coverage, between 0 and 1.

        Returns
        -------
        DataFrame
            Columns lower, upper. Rows of a profile: ``sd_TERM|GROUP``, ``cor_TERM.TERM|GROUP``,
            ``sigma``, then the coefficients.

        Notes
        -----
        Profiles rest on the likelihood, not the restricted one: a REML fit is refitted by ML first.
        """
        if method == "profile":
            z, ml = profiling.critical(level), self._profiled()
            found = {c.target.name: profiling.interval(c, z) for c in profiling.curves(ml)}
            return pd.DataFrame.from_dict(found, orient="index", columns=["lower", "upper"])
        if method != "wald":
            raise ValueError(f"method must be 'wald' or 'profile', not {method!r}")
        return interval_table(
            self._design.fixed_names, self._estimate.beta, self.bse, np.inf, level
        )

    def profile(self, level: float = 0.99, steps: int = 8) -> Profile:
        """Profile the ML deviance: how badly each value of a parameter fits at the best of the others.

        Parameters
        ----------
        level : float
            Coverage of the widest interval to be read from it.
        steps : int
            Held values on each side of the estimate, evenly spaced in zeta.

        Returns
        -------
        Profile
            ``table``, ``conf_int(level)``, ``plot()``.
        """
        z, ml = profiling.critical(level), self._profiled()
        if steps < 2:
            raise ValueError(f"steps must be 2 or more, not {steps}")
        paths = [profiling.path(c, ml, z, steps) for c in profiling.curves(ml)]
        return Profile(paths, level)

    def _profiled(self) -> Profiled:
        """The ML fit of this design, from the present optimum."""
        estimate = self._estimate
        if self.reml:
            start = lmm.off_boundary(estimate.lambda_standard)
            estimate = lmm.fit(
                self._design, self._core, reml=False, control=lmm.Control(start=start)
            )
        return Profiled(self._design, self._core, estimate)
