"""What a model explains: methods of a fitted mixed model."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Protocol, overload

import numpy as np
import pandas as pd

from ..._typing import Array
from ...errors import UnsupportedError
from ...inference.coverage import check_level
from ..coefficients import linear_test
from ..parts import Base
from .parts import LmmParts

if TYPE_CHECKING:
    from ...inference.caic import ConditionalAic
    from ...inference.shares.icc import Icc
    from ...inference.shares.results import R2
    from ...report.bootstrap import Bootstrap

__all__ = ["Shares"]


class Drawn(Protocol):
    """A model with a parametric bootstrap."""

    parts: LmmParts

    def bootstrap(
        self,
        n: int = 1000,
        *,
        seed: int | None = None,
        statistic: Callable[[Any], Any] | None = None,
        progress: bool = True,
    ) -> Bootstrap:
        """Refit the model to data drawn again."""


class Shares(Base):
    """Proportions of variance and the conditional AIC."""

    parts: LmmParts

    def r2(
        self: Drawn,
        method: str = "nakagawa",
        level: float = 0.95,
        *,
        interval: str | None = None,
        n: int = 1000,
        seed: int | None = None,
        progress: bool = True,
    ) -> R2:
        """Return R², by a named definition.

        Parameters
        ----------
        method : {"nakagawa", "nsj", "sgv", "kr", "xu"}
            ``"nakagawa"``: marginal and conditional R² of Nakagawa, Schielzeth and Johnson.
            ``"nsj"``, ``"sgv"``, ``"kr"``: semi-partial R² of each term with limits, from the mean
            variance, the standardised generalised variance, or Kenward-Roger tests. ``"xu"``: from
            the residuals.
        level : float
            Coverage of the limits.
        interval : {"boot"}, optional
            Quantiles of a parametric bootstrap for ``marginal`` and ``conditional``, besides the
            limits that the semi-partial methods always have.
        n : int
            Replicates of the bootstrap.
        seed : int, optional
            Makes it repeatable.
        progress : bool
            Whether to show a progress bar when it takes longer than a second.

        Returns
        -------
        R2
            ``marginal``, ``conditional``, ``interval``, ``table``, and a ``note`` on its
            limits.

        Examples
        --------
        >>> import ranef
        >>> sleep = ranef.datasets.load("sleepstudy")
        >>> model = ranef.lmer("Reaction ~ Days + (Days | Subject)", sleep)
        >>> found = model.r2(interval="boot", n=200, seed=1)
        >>> round(found.marginal, 3), round(found.conditional, 3)
        (0.279, 0.799)
        >>> found.interval.loc["conditional"].round(1).tolist()
        [0.7, 0.9]
        """
        check_level(level)

        def shares(model: Drawn) -> dict[str, float]:
            found = found_r2(model.parts, method, level)
            both = {"marginal": found.marginal, "conditional": found.conditional}
            return {name: value for name, value in both.items() if not np.isnan(value)}

        found = found_r2(self.parts, method, level)
        limits = share_interval(self, interval, shares, level, n, seed, progress)
        if limits is None:
            return found
        table, note = limits
        return replace(found, interval=table, note=f"{found.note} {note}")

    @overload
    def icc(
        self: Drawn,
        at: None = None,
        *,
        interval: str | None = None,
        level: float = 0.95,
        n: int = 1000,
        seed: int | None = None,
        progress: bool = True,
    ) -> Icc: ...
    @overload
    def icc(
        self: Drawn,
        at: Mapping[str, Sequence[Any]],
        *,
        interval: str | None = None,
        level: float = 0.95,
        n: int = 1000,
        seed: int | None = None,
        progress: bool = True,
    ) -> pd.DataFrame: ...
    def icc(
        self: Drawn,
        at: Mapping[str, Sequence[Any]] | None = None,
        *,
        interval: str | None = None,
        level: float = 0.95,
        n: int = 1000,
        seed: int | None = None,
        progress: bool = True,
    ) -> Icc | pd.DataFrame:
        """Return the intraclass correlation.

        Parameters
        ----------
        at : mapping of str to sequence, optional
            Values of covariates at which to compute it, as ``{"Days": range(10)}``: with random
            slopes it depends on them.
        interval : {"boot"}, optional
            Quantiles of a parametric bootstrap.
        level : float
            Their coverage.
        n, seed, progress
            Replicates of the bootstrap, what makes it repeatable, and whether to show a progress
            bar when it takes longer than a second.

        Returns
        -------
        Icc
            ``adjusted``, ``unadjusted``, ``by_group``, ``interval``, ``note``: averages over the
            rows of the data.
        DataFrame
            With ``at``: each combination of values, icc, var_random, var_residual, and lower and
            upper of icc when an interval is asked for.

        Examples
        --------
        >>> import ranef
        >>> sleep = ranef.datasets.load("sleepstudy")
        >>> model = ranef.lmer("Reaction ~ Days + (Days | Subject)", sleep)
        >>> model.icc(at={"Days": [0, 9]}).round(2)
           Days   icc  var_random  var_residual
        0     0  0.48      612.09        654.94
        1     9  0.85     3625.77        654.94
        """
        from ...inference.shares.icc import icc
        from ...inference.shares.r2 import variances

        check_level(level)
        if at is not None:
            return icc_between(self, at, interval, level, n, seed, progress)

        def shares(model: Drawn) -> dict[str, float]:
            found = icc(model.parts.design, variances(model.parts.design, model.parts.estimate))
            each = {str(group): float(share) for group, share in found.by_group.items()}
            return {
                "adjusted": found.adjusted,
                "unadjusted": found.unadjusted,
                **(each if len(each) > 1 else {}),
            }

        found = icc(self.parts.design, variances(self.parts.design, self.parts.estimate))
        limits = share_interval(self, interval, shares, level, n, seed, progress)
        if limits is None:
            return found
        table, note = limits
        return replace(found, interval=table, note=f"{found.note} {note}")

    def variance_decomposition(
        self: Drawn,
        *,
        interval: str | None = None,
        level: float = 0.95,
        n: int = 1000,
        seed: int | None = None,
        progress: bool = True,
    ) -> pd.DataFrame:
        """Split the variance of the responses into its parts, averaged over the rows of the data.

        Parameters
        ----------
        interval : {"boot"}, optional
            Quantiles of a parametric bootstrap for the shares.
        level : float
            Their coverage.
        n, seed, progress
            Replicates of the bootstrap, what makes it repeatable, and whether to show a progress
            bar when it takes longer than a second.

        Returns
        -------
        DataFrame
            Columns component, group, variance, share: fixed effects, each grouping factor at the
            mean of its covariates and as they vary (Rights and Sterba, 2019), residual; lower and
            upper of the share when an interval is asked for.

        Examples
        --------
        >>> import ranef
        >>> sleep = ranef.datasets.load("sleepstudy")
        >>> model = ranef.lmer("Reaction ~ Days + (Days | Subject)", sleep)
        >>> model.variance_decomposition()["share"].round(2).tolist()
        [0.28, 0.43, 0.09, 0.2]
        """
        from ...inference.shares.icc import decomposition
        from ...inference.shares.r2 import variances

        check_level(level)
        table = decomposition(self.parts.design, variances(self.parts.design, self.parts.estimate))

        def shares(model: Drawn) -> dict[str, float]:
            parts = variances(model.parts.design, model.parts.estimate)
            found = decomposition(model.parts.design, parts)
            return {str(i): value for i, value in enumerate(found["share"])}

        limits = share_interval(self, interval, shares, level, n, seed, progress)
        if limits is not None:
            table["lower"] = limits[0]["lower"].to_numpy()
            table["upper"] = limits[0]["upper"].to_numpy()
        return table

    def caic(self) -> ConditionalAic:
        """Return the conditional AIC of Greven and Kneib (2010).

        Returns
        -------
        ConditionalAic
            ``caic``, ``df``, ``cll``, and a ``note`` on its limits. A singular fit is
            refitted without the columns that add no variance (``dropped``).

        Examples
        --------
        >>> import ranef
        >>> sleep = ranef.datasets.load("sleepstudy")
        >>> model = ranef.lmer("Reaction ~ Days + (Days | Subject)", sleep)
        >>> found = model.caic()
        >>> round(found.caic, 2), round(found.df, 2)
        (1711.62, 31.3)
        """
        from ...inference.caic import conditional_aic

        if self.parts.call.prior is not None:
            raise UnsupportedError(
                "the conditional AIC rests on the likelihood, and this model was fitted with a "
                "prior; use model.update(prior=None).caic()"
            )
        self.parts.exact_only("the conditional AIC", "model.aic")
        return conditional_aic(self.parts.design, self.parts.estimate, self.parts.core)


def found_r2(parts: LmmParts, method: str, level: float) -> R2:
    """Compute R² by a named definition, without a bootstrap."""
    from ...inference.shares.results import r2

    def test(L: Array) -> tuple[float, float, float]:
        found = linear_test(parts, L, ddf="kenward-roger")
        return found.F, found.num_df, found.den_df

    return r2(parts.design, parts.estimate, method, level, test)


def share_interval(
    model: Drawn,
    interval: str | None,
    shares: Callable[[Drawn], Mapping[str, float]],
    level: float,
    n: int,
    seed: int | None,
    progress: bool,
) -> tuple[pd.DataFrame, str] | None:
    """Limits of proportions by a parametric bootstrap, and words about it."""
    if interval is None:
        return None
    if interval != "boot":
        raise ValueError(f"interval must be 'boot' or None, not {interval!r}")
    runs = model.bootstrap(n, seed=seed, statistic=shares, progress=progress)
    words = f"Intervals of {level:.0%} by {n:,} parametric bootstrap fits (seed {runs.seed})"
    words += f", of which {runs.failed} failed and are left out." if runs.failed else "."
    return runs.conf_int("percentile", level), words


def icc_between(
    model: Drawn,
    at: Mapping[str, Sequence[Any]],
    interval: str | None,
    level: float,
    n: int,
    seed: int | None,
    progress: bool,
) -> pd.DataFrame:
    """Return it where covariates have chosen values."""
    from ...inference.shares.icc import icc_at

    if not at:
        raise ValueError("at is empty; name a covariate and values, as in {'Days': range(10)}")
    data = model.parts.training_data("icc(at=) needs them")
    table = icc_at(model.parts.design, model.parts.estimate, data, at)

    def shares(drawn: Drawn) -> dict[str, float]:
        found = icc_at(model.parts.design, drawn.parts.estimate, data, at)
        return {str(i): value for i, value in enumerate(found["icc"])}

    limits = share_interval(model, interval, shares, level, n, seed, progress)
    if limits is not None:
        table["lower"] = limits[0]["lower"].to_numpy()
        table["upper"] = limits[0]["upper"].to_numpy()
    return table
