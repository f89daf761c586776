"""Confidence intervals: methods of a fitted mixed model."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import pandas as pd

from ... import _core
from ..._typing import Array
from ...design.design import Design
from ...models import lmm
from ...models.lmm import LmmEstimate
from ..coefficients import level_and_method, wald_intervals
from ..parts import Base
from .fit import estimated, made
from .parts import LmmParts

if TYPE_CHECKING:
    from ...inference.profile.targets import Target
    from ...report.bootstrap import Bootstrap

__all__ = ["Intervals"]

#: How intervals are found.
METHODS = ("wald", "profile", "boot")


class Intervals(Base):
    """Intervals of the parameters."""

    parts: LmmParts

    def conf_int(
        self,
        method: Literal["wald", "profile", "boot"] | float = "wald",
        level: float | str = 0.95,
        *,
        ddf: str | None = None,
        n: int = 1000,
        seed: int | None = None,
        progress: bool = True,
    ) -> pd.DataFrame:
        """Compute confidence intervals.

        Parameters
        ----------
        method : {"wald", "profile", "boot"}
            ``"wald"``: intervals of the fixed effects from the quantiles of t, on the degrees of
            freedom of ``coef_table()``. ``"profile"``: where twice the fall of the ML
            log-likelihood reaches the normal quantile's square, for every parameter; found by root
            finding. A bound (a standard deviation of 0, a correlation of -1 or 1) where the data
            do not exclude it. ``"boot"``: quantiles of a parametric bootstrap. A number is taken
            for ``level``.
        level : float
            Coverage, between 0 and 1.
        ddf : {"satterthwaite", "kenward-roger", "residual", "inf"}, optional
            Degrees of freedom of Wald's intervals: Satterthwaite's by default; ``"inf"`` for
            normal ones, which are too short with few groups.
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
        Profiles use the likelihood, not the restricted one: a REML fit is refitted by ML first.

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
        from ..mixed.profiles import profile_intervals

        level, how = level_and_method(level, method, METHODS, "LinearMixedModel")
        if how == "profile":
            return profile_intervals(self.parts, level, progress=progress)
        if how == "boot":
            return self.bootstrap(n, seed=seed, progress=progress).conf_int("percentile", level)
        return wald_intervals(self.parts, level, ddf)

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
        """Refit the model to data drawn again.

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
            Takes a fitted model and returns a number, an array, or a Series or mapping of names to
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
        from ...inference.bootstrap import bootstrap as bootstrapping
        from ...inference.bootstrap.draws import drawer
        from ...inference.profile.targets import targets
        from ...models.batch.estimate import Settings
        from ...parallel.workers import worker_count
        from ...report.bootstrap import Bootstrap

        if n < 2:
            raise ValueError(f"a bootstrap needs 2 or more replicates, not {n}")
        threads = worker_count(workers, None if statistic is None else 1)
        from ...parallel.seeds import root_seed

        parts = self.parts
        design, estimate = parts.design, parts.estimate
        listed = targets(design, estimate.kept)
        if statistic is None:
            names = [target.name for target in listed]
            own = numbers_of(listed, design, estimate, parts.core)
        else:
            names, own = _named(statistic(self))

        root = root_seed(seed)
        draw, seeds = drawer(design, estimate, kind), root.spawn(n)
        plain = all(t.is_plain and not t.is_structured for t in design.random)
        exact = estimate.approximation is None and plain
        if statistic is None and kind != "cases" and parts.call.prior is None and exact:
            settings = Settings(reml=parts.reml, workers=threads, control=parts.call.control)
            runs = bootstrapping.run_responses(
                design, draw, listed, seeds, settings, progress=progress
            )
        else:
            start = lmm.off_boundary(estimate.lambda_standard)

            def fit(drawn: Design, core: _core.Lmm) -> LmmEstimate:
                return estimated(drawn, core, parts.call, start)

            def measure(drawn: Design, found: LmmEstimate, core: _core.Lmm) -> Array:
                if statistic is None:
                    return numbers_of(listed, drawn, found, core)
                return _named(statistic(type(self)(made(drawn, found, parts.call, core))))[1]

            runs = bootstrapping.run(
                draw,
                fit,
                measure,
                len(names),
                seeds,
                n_obs=parts.nobs,
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


def numbers_of(
    listed: list[Target], design: Design, estimate: LmmEstimate, core: _core.Lmm
) -> Array:
    """Return the value of every parameter of an estimate."""
    from ...inference.profile.targets import values
    from ...inference.structures import natural_values

    natural = natural_values(
        design.random, estimate.lambda_standard, core.term_basis, estimate.sigma
    )
    return values(listed, estimate.sigmas, estimate.sigma, estimate.beta, natural)


def _named(found: Any) -> tuple[list[str], Array]:
    """Names and numbers returned by a statistic."""
    if isinstance(found, (pd.Series, Mapping)):
        pairs = list(found.items())
        return [str(name) for name, _ in pairs], np.array([float(value) for _, value in pairs])
    numbers: Array = np.asarray(np.atleast_1d(found), dtype=np.float64).ravel()
    if len(numbers) == 1:
        return ["statistic"], numbers
    return [f"statistic{i + 1}" for i in range(len(numbers))], numbers
