"""Confidence intervals: methods of a fitted mixed model."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Self

import numpy as np
import pandas as pd

from ... import _core
from ..._typing import Array
from ...design.design import Design
from ...errors import UnsupportedError
from ...inference.bootstrap import bootstrap as bootstrapping
from ...inference.bootstrap.draws import drawer
from ...inference.bootstrap.results import Bootstrap
from ...inference.profile.linear import linear_curves
from ...inference.profile.profile import Walked
from ...inference.profile.targets import targets, values
from ...models import lmm
from ...models.batch.estimate import Settings
from ...models.lmm import LmmEstimate
from ...parallel.workers import worker_count
from ...report.coefficients import interval_table
from ..mixed.profiles import PRIOR, Profiles
from .base import Fitted
from .fit import estimated

__all__ = ["Intervals"]


class Intervals(Profiles, Fitted):
    """Intervals of the parameters."""

    def conf_int(
        self,
        method: str = "wald",
        level: float = 0.95,
        *,
        n: int = 1000,
        seed: int | None = None,
        progress: bool = True,
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
        progress : bool
            Whether to show a progress bar when it takes longer than a second.

        Returns
        -------
        DataFrame
            Columns lower, upper. Rows of a profile and of a bootstrap: ``sd_TERM|GROUP``,
            ``cor_TERM.TERM|GROUP``, ``sigma``, then the coefficients.

        Notes
        -----
        Profiles rest on the likelihood, not the restricted one: a REML fit is refitted by ML first.

        Examples
        --------
        >>> import ranef
        >>> sleep = ranef.datasets.load("sleepstudy")
        >>> model = ranef.lmer("Reaction ~ Days + (Days | Subject)", sleep)
        >>> model.conf_int("profile").round(2)
                                     lower   upper
        sd_Intercept|Subject         14.38   37.72
        cor_Days.Intercept|Subject   -0.48    0.69
        sd_Days|Subject               3.80    8.75
        sigma                        22.90   28.86
        Intercept                   237.68  265.13
        Days                          7.36   13.58
        """
        if method == "profile":
            return self._profile_intervals(level, progress=progress)
        if method == "boot":
            return self.bootstrap(n, seed=seed, progress=progress).conf_int("percentile", level)
        if method != "wald":
            raise ValueError(f"method must be 'wald', 'profile' or 'boot', not {method!r}")
        return interval_table(
            self._design.fixed_names, self._estimate.beta, self.bse, np.inf, level
        )

    def bootstrap(
        self,
        n: int = 1000,
        kind: str = "parametric",
        *,
        seed: int | None = None,
        workers: int | None = None,
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
        workers : int, optional
            Threads; all cores by default, and one for a ``statistic``, which runs in Python.
        statistic : callable, optional
            Takes a fitted model and gives a number, an array, or a Series or mapping of names to
            numbers, as ``lambda m: m.r2().marginal``. By default all parameters.
        progress : bool
            Whether to show a progress bar when it takes longer than a second.

        Returns
        -------
        Bootstrap
            ``replicates``, ``conf_int(method)``, ``bse``, ``bias`` and counts of failed and
            singular fits.

        Examples
        --------
        >>> import ranef
        >>> sleep = ranef.datasets.load("sleepstudy")
        >>> model = ranef.lmer("Reaction ~ Days + (Days | Subject)", sleep)
        >>> found = model.bootstrap(200, seed=1)
        >>> found.conf_int().loc["Days"].round(0).tolist()
        [8.0, 14.0]
        >>> found.failed, found.singular
        (0, 3)
        """
        if n < 2:
            raise ValueError(f"a bootstrap needs 2 or more replicates, not {n}")
        threads = worker_count(workers, None if statistic is None else 1)
        estimate = self._estimate
        listed = targets(self._design, estimate.kept)
        if statistic is None:
            names = [target.name for target in listed]
            own = values(listed, estimate.sigmas, estimate.sigma, estimate.beta)
        else:
            names, own = _named(statistic(self))

        root = np.random.SeedSequence(seed)
        draw, seeds = drawer(self._design, estimate, kind), root.spawn(n)
        exact = estimate.approximation is None
        if statistic is None and kind != "cases" and self.call.prior is None and exact:
            settings = Settings(reml=self.reml, workers=threads, control=self.call.control)
            runs = bootstrapping.run_responses(
                self._design, draw, listed, seeds, settings, progress=progress
            )
        else:
            start = lmm.off_boundary(estimate.lambda_standard)

            def fit(design: Design, core: _core.Lmm) -> LmmEstimate:
                return estimated(design, core, self.call, start)

            def measure(design: Design, found: LmmEstimate, core: _core.Lmm) -> Array:
                if statistic is None:
                    return values(listed, found.sigmas, found.sigma, found.beta)
                return _named(statistic(self._like(design, found, core)))[1]

            runs = bootstrapping.run(
                draw,
                fit,
                measure,
                len(names),
                seeds,
                n_obs=self.nobs,
                workers=threads,
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

    def _walked(self) -> Walked:
        """Fit this design by ML, from the present optimum."""
        if self.call.prior is not None:
            raise UnsupportedError(PRIOR)
        self._exact_only("a profile", "conf_int('wald') or conf_int('boot')")
        estimate = self._estimate
        if self.reml:
            start = lmm.off_boundary(estimate.lambda_standard)
            estimate = lmm.fit(
                self._design, self._core, reml=False, control=lmm.Control(start=start)
            )
        return linear_curves(self._design, self._core, estimate)


def _named(found: Any) -> tuple[list[str], Array]:
    """Names and numbers of what a statistic gave."""
    if isinstance(found, (pd.Series, Mapping)):
        pairs = list(found.items())
        return [str(name) for name, _ in pairs], np.array([float(value) for _, value in pairs])
    numbers: Array = np.asarray(np.atleast_1d(found), dtype=np.float64).ravel()
    if len(numbers) == 1:
        return ["statistic"], numbers
    return [f"statistic{i + 1}" for i in range(len(numbers))], numbers
