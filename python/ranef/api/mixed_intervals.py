"""Confidence intervals: methods of a fitted mixed model."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Self

import numpy as np
import pandas as pd

from .. import _core
from ..design.design import Design
from ..inference import bootstrap as bootstrapping
from ..inference import profile as profiling
from ..inference.bootstrap_draws import drawer
from ..inference.bootstrap_results import Bootstrap
from ..inference.profile import Profiled
from ..inference.profile_targets import targets, values
from ..models import lmm
from ..models.lmm import LmmEstimate
from ..report.coefficients import interval_table
from ..report.profile import Profile
from .fitted import Array, Fitted

__all__ = ["Intervals"]


class Intervals(Fitted):
    """Intervals of the parameters."""

    def conf_int(
        self, method: str = "wald", level: float = 0.95, *, n: int = 1000, seed: int | None = None
    ) -> pd.DataFrame:
        """Give confidence intervals.

        Parameters
        ----------
        method : {"wald", "profile", "boot"}
            ``"wald"``: normal intervals of the fixed effects. ``"profile"``: where twice the fall
            of the ML log-likelihood reaches the normal quantile's square, for every parameter;
            found by root finding. A bound (a standard deviation of 0, a correlation of -1 or 1)
            where the data do not exclude it. ``"boot"``: quantiles of a parametric bootstrap.
        level : float
            Coverage, between 0 and 1.
        n : int
            Replicates of the bootstrap.
        seed : int, optional
            Makes the bootstrap repeatable.

        Returns
        -------
        DataFrame
            Columns lower, upper. Rows of a profile and of a bootstrap: ``sd_TERM|GROUP``,
            ``cor_TERM.TERM|GROUP``, ``sigma``, then the coefficients.

        Notes
        -----
        Profiles rest on the likelihood, not the restricted one: a REML fit is refitted by ML first.
        """
        if method == "profile":
            z, ml = profiling.critical(level), self._profiled()
            found = {c.target.name: profiling.interval(c, z) for c in profiling.curves(ml)}
            return pd.DataFrame.from_dict(found, orient="index", columns=["lower", "upper"])
        if method == "boot":
            return self.bootstrap(n, seed=seed).conf_int("percentile", level)
        if method != "wald":
            raise ValueError(f"method must be 'wald', 'profile' or 'boot', not {method!r}")
        return interval_table(
            self._design.fixed_names, self._estimate.beta, self.bse, np.inf, level
        )

    def profile(self, level: float = 0.99, steps: int = 8) -> Profile:
        """Profile the ML deviance: how badly each value fits at the best of all others.

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

    def bootstrap(
        self,
        n: int = 1000,
        kind: str = "parametric",
        *,
        seed: int | None = None,
        workers: int = 1,
        statistic: Callable[[Any], Any] | None = None,
        progress: bool = True,
    ) -> Bootstrap:
        """Refit the model to data drawn anew.

        Parameters
        ----------
        n : int
            Replicates.
        kind : {"parametric", "residual", "cases", "wild"}
            ``"parametric"``: from the fitted model. ``"residual"``: conditional modes and
            residuals, rescaled to the estimated variances and resampled. ``"cases"``: whole groups
            resampled. ``"wild"``: the residuals of each group times a random sign.
        seed : int, optional
            Makes the draws repeatable, whatever the number of workers.
        workers : int
            Threads. They pay where a fit takes more than a millisecond.
        statistic : callable, optional
            Takes a fitted model and gives a number, an array, or a Series or mapping of names to
            numbers, as ``lambda m: m.r2().marginal``. By default all parameters.
        progress : bool
            Whether to show a progress bar on a terminal, when tqdm is installed.

        Returns
        -------
        Bootstrap
            ``replicates``, ``conf_int(method)``, ``bse``, ``bias`` and counts of failed and
            singular fits.
        """
        if n < 2:
            raise ValueError(f"a bootstrap needs 2 or more replicates, not {n}")
        if workers < 1:
            raise ValueError(f"workers must be 1 or more, not {workers}")
        estimate = self._estimate
        listed = targets(self._design, estimate.kept)
        if statistic is None:
            names = [target.name for target in listed]
            own = np.array(values(listed, estimate.sigmas, estimate.sigma, estimate.beta))
        else:
            names, own = _named(statistic(self))

        def measure(design: Design, found: LmmEstimate, core: _core.Lmm) -> Array:
            if statistic is None:
                return np.array(values(listed, found.sigmas, found.sigma, found.beta))
            return _named(statistic(self._like(design, found, core)))[1]

        root = np.random.SeedSequence(seed)
        runs = bootstrapping.run(
            drawer(self._design, estimate, kind),
            measure,
            len(names),
            root.spawn(n),
            reml=self.reml,
            start=lmm.off_boundary(estimate.lambda_standard),
            workers=workers,
            progress=progress,
        )
        return Bootstrap(
            pd.DataFrame(runs.values, columns=names),
            pd.Series(own, index=names),
            kind,
            int(root.entropy),  # type: ignore[arg-type]
            failed=int(runs.failed.sum()),
            singular=int(runs.singular.sum()),
            stopped=int(runs.stopped.sum()),
            message=runs.message,
        )

    def _like(self, design: Design, estimate: LmmEstimate, core: _core.Lmm) -> Self:
        """Make a fitted model of the same call."""
        return type(self)(design, estimate, self.call, core=core)

    def _profiled(self) -> Profiled:
        """Fit this design by ML, from the present optimum."""
        estimate = self._estimate
        if self.reml:
            start = lmm.off_boundary(estimate.lambda_standard)
            estimate = lmm.fit(
                self._design, self._core, reml=False, control=lmm.Control(start=start)
            )
        return Profiled(self._design, self._core, estimate)


def _named(found: Any) -> tuple[list[str], Array]:
    """Names and numbers of what a statistic gave."""
    if isinstance(found, (pd.Series, Mapping)):
        series = pd.Series(found, dtype=float)
        return [str(name) for name in series.index], np.asarray(series, dtype=np.float64)
    numbers: Array = np.asarray(np.atleast_1d(found), dtype=np.float64).ravel()
    if len(numbers) == 1:
        return ["statistic"], numbers
    return [f"statistic{i + 1}" for i in range(len(numbers))], numbers
