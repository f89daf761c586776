"""Rows of a generalised linear mixed model: means, residuals, predictions and draws."""

from __future__ import annotations

from functools import partial
from typing import Any, Literal, overload

import numpy as np
import pandas as pd

from ..._number import Real
from ..._options import check_option
from ..._typing import INTERVALS, Array, Interval, NewLevels, Random
from ...design.aligned import check_rows
from ...design.frame import open_frame
from ...errors import UnsupportedError
from ...families.links import IDENTITY
from ...inference.coverage import check_level, t_quantile
from ...inference.optimum.generalised import Dispersion, dispersion_test
from ...inference.prediction import predict as prediction
from ...inference.prediction.generalised import Predictive
from ...inference.prediction.integrated import INTEGRATE, averaged, no_interval, spread_of_rows
from ...inference.prediction.table import labelled, laid_out
from ...report.augment import callers_rows
from ..parts import Base
from ..residual_series import Residuals
from .parts import GlmmParts, encoded, new_rows
from .residuals import ResidualKind, of_kept, residuals

__all__ = ["Rows"]


class Rows(Base):
    """Fitted values, residuals, predictions and simulated responses."""

    parts: GlmmParts

    @property
    def fittedvalues(self) -> pd.Series[Any]:
        """Means given the random effects at their modes, for the rows used."""
        self.parts.each_row("fittedvalues")
        return self.parts.label(self.parts.estimate.spec.transform.mean(self.parts.estimate.eta))

    @property
    def resid(self) -> Residuals:
        """Deviance residuals of the rows used, given the random effects; see ``residuals``."""
        return Residuals.of(partial(residuals, self.parts), "deviance")

    def residuals(self, kind: ResidualKind = "deviance") -> pd.Series[Any]:
        """Compute residuals of the rows used, given the random effects.

        Parameters
        ----------
        kind : {"deviance", "pearson", "response", "working"}
            Signed roots of each row's deviance; response minus mean over the root of its variance;
            response minus mean; that over the slope of the mean. Those of a gamma ignore phi.

        Returns
        -------
        Series of length n
            Labelled as the caller's rows.
        """
        return residuals(self.parts, kind)

    @property
    def deviance(self) -> Real:
        """Sum of squared deviance residuals: conditional on the random effects."""
        return Real(np.sum(of_kept(self.parts, "deviance") ** 2))

    def overdispersion(self) -> Dispersion:
        """Compare the squared Pearson residuals with their expectation under the distribution.

        Returns
        -------
        Dispersion
            ``ratio``, ``chisq``, ``df``, ``pvalue``. Of no use for 0/1 responses, whose variance
            cannot exceed that of their mean.
        """
        return dispersion_test(
            self.parts.design, self.parts.estimate, self.parts.nobs - self.parts.npar
        )

    @overload
    def predict(
        self,
        newdata: Any = None,
        *,
        kind: str = "response",
        random: Random = "all",
        new_levels: NewLevels = "raise",
        interval: None = None,
        se: Literal[False] = False,
        level: float = 0.95,
        trials: Any = None,
    ) -> pd.Series[Any]: ...
    @overload
    def predict(
        self,
        newdata: Any = None,
        *,
        kind: str = "response",
        random: Random = "all",
        new_levels: NewLevels = "raise",
        interval: Interval,
        se: bool = False,
        level: float = 0.95,
        trials: Any = None,
    ) -> pd.DataFrame: ...
    @overload
    def predict(
        self,
        newdata: Any = None,
        *,
        kind: str = "response",
        random: Random = "all",
        new_levels: NewLevels = "raise",
        interval: Interval | None = None,
        se: Literal[True],
        level: float = 0.95,
        trials: Any = None,
    ) -> pd.DataFrame: ...
    def predict(
        self,
        newdata: Any = None,
        *,
        kind: str = "response",
        random: Random = "all",
        new_levels: NewLevels = "raise",
        interval: Interval | None = None,
        se: bool = False,
        level: float = 0.95,
        trials: Any = None,
    ) -> pd.Series[Any] | pd.DataFrame:
        """Predict means, or linear predictors.

        Parameters
        ----------
        newdata : DataFrame, optional
            New rows; the fitted rows by default.
        kind : {"response", "link"}
            The mean, or the linear predictor.
        random : {"all", "none", "integrate"} or list of str
            Which random effects take part: all, none (a level whose effects are zero, which is not
            the mean over levels), or those of the groups named. ``"integrate"`` averages over the
            distribution of the random effects: the mean over new levels.
        new_levels : {"raise", "population"}
            What to do with levels that the fit has not seen: raise, or use an effect of zero.
        interval : {"confidence", "prediction"}, optional
            Limits of the mean, normal on the scale of the linear predictor, or quantiles of one new
            response. Both include the uncertainty of fixed and random effects and the variance of a
            new level; a prediction interval with ``random="none"`` is for a response whose levels
            are not known.
        se : bool
            Whether to add a column ``se``: standard errors of the mean, by the delta
            method where there is a link.
        level : float
            Coverage of the interval.
        trials : int, str or array-like, optional
            Trials of each new binomial response, for prediction intervals of its share of
            successes: a number, a column of ``newdata``, or an array. By default those of the rows
            of the fit, and 1 for new rows.

        Returns
        -------
        Series of length m, or DataFrame with columns mean, se, lower, upper
            Labelled as the rows of ``newdata``. A row with missing values is NaN.

        Notes
        -----
        The error of the linear predictor has the variance z'D z + r'C r, r = x - X'W Z D z: D
        is the conditional covariance of the random effects, W the observed weights and C the
        covariance of the fixed effects; covariance parameters and dispersion are taken as known. A
        new level adds z'Sigma z. Prediction intervals are quantiles of the family's distribution,
        mixed over a normal linear predictor with this variance; of counts and shares they are
        values that occur, so that they cover at least ``level``.
        """
        kind = check_option("kind", kind, ("response", "link"))
        if interval is not None:
            interval = check_option("interval", interval, INTERVALS)
        if interval == "prediction" and kind == "link":
            raise ValueError("a prediction interval is for responses: use kind='response'")
        if newdata is None:
            self.parts.each_row("predict() without rows")
        if isinstance(random, str) and random == INTEGRATE:
            no_interval(interval)
            return over_levels(self.parts, newdata, kind)
        groups = prediction.chosen_groups(self.parts.design, random)
        own = prediction.varying(self.parts.design, groups)
        link = self.parts.estimate.spec.transform if kind == "response" else IDENTITY
        if newdata is None and interval is None and not se and random in ("all", "none", None):
            at = (
                self.parts.estimate.eta
                if random == "all"
                else prediction.fixed_part(self.parts.design, self.parts.estimate)
            )
            return self.parts.label(link.mean(at))
        data = self.parts.training_data() if newdata is None else newdata
        if interval is None and not se:
            rows = encoded(self.parts, data, groups, new_levels)
            eta = prediction.linear_predictor(self.parts.design, self.parts.estimate, rows, groups)
            return labelled(link.mean(eta), rows.index)
        check_level(level)
        rows, eta, variance = new_rows(self.parts, data, groups, new_levels)
        error = np.sqrt(variance) * np.abs(link.slope(eta)) if se else None
        if interval is None:
            return laid_out(link.mean(eta), error, None, rows.index)
        if interval == "prediction":
            if not own:
                variance += prediction.population_variance(
                    self.parts.design, self.parts.estimate, data
                )
            counted = checked_trials(self.parts, trials, data, newdata is None, len(eta))
            e = self.parts.estimate
            found = Predictive(e.spec, e.dispersion, eta, variance, counted)
            lower, upper = (found.quantile(0.5 + side * level / 2.0) for side in (-1.0, 1.0))
        else:
            lower, upper = link.limits(eta, t_quantile(level) * np.sqrt(variance))
        return laid_out(link.mean(eta), error, (lower, upper), rows.index)

    def simulate(self, n: int = 1, *, seed: Any = None) -> Array:
        """Draw new responses from the fitted model, new random effects each time.

        Parameters
        ----------
        n : int
            Number of draws.
        seed : int or Generator, optional
            Makes the draws repeatable.

        Returns
        -------
        ndarray of shape (nobs, n)
            One response per column; shares of the trials where the response is binomial.
        """
        self.parts.each_row("simulate")
        e, design = self.parts.estimate, self.parts.design
        rng, params = np.random.default_rng(seed), e.params(self.parts.weights)
        base = prediction.fixed_part(self.parts.design, self.parts.estimate)
        out = np.empty((design.n_obs, n), order="F")
        for i in range(n):
            modes = prediction.random_draws(design, e.lambda_, 1.0, rng)
            mean = e.spec.transform.mean(base + prediction.random_part(design, modes))
            out[:, i] = e.spec.distribution.draw(rng, mean, params)
        return out

    def augment(self) -> pd.DataFrame:
        """Return the rows used with the model's values for them, under broom.mixed's names.

        Returns
        -------
        DataFrame
            The data, then .fitted (linear predictor), .mu (mean), .fixed (linear predictor without
            random effects), .resid (deviance residuals), and .offset, .weights where there are any.
        """
        new = {
            ".fitted": self.parts.estimate.eta,
            ".mu": self.fittedvalues.to_numpy(),
            ".fixed": prediction.fixed_part(self.parts.design, self.parts.estimate),
            ".resid": residuals(self.parts, "deviance").to_numpy(),
        }
        if self.parts.design.offset is not None:
            new[".offset"] = self.parts.design.offset
        if self.parts.design.weights is not None:
            new[".weights"] = self.parts.design.weights
        return callers_rows(self.parts).assign(**new)


def over_levels(parts: GlmmParts, newdata: Any, kind: str) -> pd.Series[Any]:
    """Average means, or linear predictors, over the distribution of the random effects."""
    design, estimate = parts.design, parts.estimate
    index: pd.Index[Any] | None
    if newdata is None:
        eta, index = prediction.fixed_part(design, estimate), parts.label(design.y).index
    else:
        rows = encoded(parts, newdata, [], "population")
        eta, index = prediction.linear_predictor(design, estimate, rows, []), rows.index
    if kind == "link":
        return labelled(eta, index)
    link = estimate.spec.transform
    if link.positive:
        raise UnsupportedError(
            "the mean over a normal linear predictor does not exist with an inverse link; use "
            "model.update(link='log')"
        )
    variance = spread_of_rows(design, design.random, estimate.sigmas, newdata)
    return labelled(averaged(lambda at, _: link.mean(at[0]), [eta], [variance]), index)


def checked_trials(parts: GlmmParts, trials: Any, data: Any, own: bool, n: int) -> Array:
    """Trials of the rows to predict; ones where there is nothing to count."""
    design = parts.design
    if not parts.estimate.spec.distribution.has_trials:
        if trials is not None:
            raise ValueError("trials= is for binomial responses")
        return np.ones(n)
    if trials is None and own:
        kept = np.arange(design.n_data) if design.rows is None else design.rows
        out = np.ones(n)
        out[kept] = parts.weights
        return out
    if isinstance(trials, str):
        trials = open_frame(data).series(trials).to_numpy(dtype=float)
    frame = open_frame(data)
    check_rows(trials, "trials", frame.index, frame.n_rows)
    out = np.broadcast_to(np.asarray(1.0 if trials is None else trials, float), n).copy()
    if not (np.isfinite(out) & (out >= 1.0) & (out == np.round(out))).all():
        raise ValueError("trials must be positive integers")
    return out
