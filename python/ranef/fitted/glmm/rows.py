"""What a generalised linear mixed model says of rows: means, residuals, predictions and draws."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
import pandas as pd

from ..._core import Glmm
from ..._typing import Array
from ...design.encode import NewRows, encode
from ...design.frame import open_frame
from ...inference import families
from ...inference.coverage import check_level, t_quantile
from ...inference.optimum.generalised import Dispersion, dispersion_test
from ...inference.prediction import predict as prediction
from ...inference.prediction.generalised import Predictive, predictor_variance
from ...models.glmm import model as glmm
from ...models.glmm.estimate import GlmmEstimate
from ...report.augment import used_rows
from ..named import Effects

__all__ = ["GlmerRows"]


class GlmerRows(Effects):
    """Fitted values, residuals, predictions and simulated responses."""

    _estimate: GlmmEstimate

    @property
    def _core(self) -> Glmm:
        """A kernel of these rows, not evaluated yet."""
        return glmm.kernel(self._design, self._estimate.spec)

    @property
    def _weights(self) -> Array:
        design = self._design
        return np.ones(design.n_obs) if design.weights is None else design.weights

    @property
    def fittedvalues(self) -> pd.Series[Any]:
        """Means given the random effects at their modes, for the rows used."""
        return self._rows(families.mean_of(self._estimate.spec.link, self._estimate.eta))

    def resid(self, kind: str = "deviance") -> pd.Series[Any]:
        """Compute residuals of the rows used, given the random effects.

        Parameters
        ----------
        kind : {"deviance", "pearson", "response", "working"}
            Signed roots of each row's deviance; response less mean over the root of its variance;
            response less mean; that over the slope of the mean. Those of a gamma do not know phi.
        """
        e = self._estimate
        return self._rows(
            families.resid(e.spec, kind, self._design.y, e.eta, self._weights, e.dispersion)
        )

    @property
    def deviance(self) -> float:
        """Sum of squared deviance residuals: conditional on the random effects."""
        return float(np.sum(self.resid("deviance") ** 2))

    def overdispersion(self) -> Dispersion:
        """Compare the squared Pearson residuals with what the distribution lets one expect.

        Returns
        -------
        Dispersion
            ``ratio``, ``chisq``, ``df``, ``pvalue``. Of no use for 0/1 responses, whose variance
            cannot exceed that of their mean.
        """
        return dispersion_test(self._design, self._estimate, self.df_resid)

    def predict(
        self,
        newdata: Any = None,
        *,
        kind: str = "response",
        random: str | Iterable[str] = "all",
        new_levels: str = "raise",
        interval: str | None = None,
        level: float = 0.95,
        trials: Any = None,
    ) -> Any:
        """Predict means, or linear predictors.

        Parameters
        ----------
        newdata : DataFrame, optional
            New rows; the fitted rows by default.
        kind : {"response", "link"}
            The mean, or the linear predictor.
        random : {"all", "none"} or list of str
            Which random effects take part: all, none (a level whose effects are zero, which is not
            the mean over levels), or those of the groups named.
        new_levels : {"raise", "population"}
            What to do with levels the fit has not seen: raise, or give them the effect zero.
        interval : {"confidence", "prediction"}, optional
            Limits of the mean, normal on the scale of the linear predictor, or quantiles of one new
            response. Both hold the errors of fixed and random effects and the variance of a new
            level; a prediction interval with ``random="none"`` is for a response whose levels are
            not known.
        level : float
            Coverage of the interval.
        trials : int, str or array-like, optional
            Trials of each new binomial response, for prediction intervals of its share of
            successes: a number, a column of ``newdata``, or an array. By default those of the rows
            of the fit, and 1 for new rows.

        Returns
        -------
        ndarray of shape (m,), or DataFrame with columns mean, lower, upper
            A row with missing values gives NaN.

        Notes
        -----
        The error of the linear predictor has the variance z'D z + r'C r, r = x - X'W Z D z: D
        is the conditional covariance of the random effects, W the observed weights and C the
        covariance of the fixed effects; covariance parameters and dispersion count as known. A new
        level adds z'Sigma z. Prediction intervals are quantiles of the family's distribution, mixed
        over a normal linear predictor with this variance; of counts and shares they are values that
        occur, so that they cover at least ``level``.
        """
        if kind not in ("response", "link"):
            raise ValueError(f"kind must be 'response' or 'link', not {kind!r}")
        if interval not in (None, "confidence", "prediction"):
            raise ValueError(
                f"interval must be 'confidence', 'prediction' or None, not {interval!r}"
            )
        if interval == "prediction" and kind == "link":
            raise ValueError("a prediction interval is one of responses: kind='response'")
        groups = prediction.chosen_groups(self._design, random)
        link = self._estimate.spec.link if kind == "response" else "identity"
        if newdata is None and interval is None and random in ("all", "none"):
            at = self._estimate.eta if groups else self._fixed_part()
            return families.mean_of(link, at)
        data = self._training_data() if newdata is None else newdata
        if interval is None:
            rows = self._encoded(data, groups, new_levels)
            eta = prediction.linear_predictor(self._design, self._estimate, rows, groups)
            return families.mean_of(link, eta)
        check_level(level)
        rows, eta, variance = self._predictor(data, groups, new_levels)
        if interval == "prediction":
            if not groups:
                variance += prediction.population_variance(self._design, self._estimate, data)
            counted = self._trials(trials, data, newdata is None, len(eta))
            e = self._estimate
            found = Predictive(e.spec, e.dispersion, eta, variance, counted)
            lower, upper = (found.quantile(0.5 + side * level / 2.0) for side in (-1.0, 1.0))
        else:
            lower, upper = families.limits_of(link, eta, t_quantile(level) * np.sqrt(variance))
        return pd.DataFrame(
            {"mean": families.mean_of(link, eta), "lower": lower, "upper": upper},
            index=rows.index,
        )

    def _predictive(self, data: Any, trials: Array) -> Predictive:
        """Give the distribution of a new response of each row, of levels seen or not."""
        every = [term.group for term in self._design.random]
        _, eta, variance = self._predictor(data, every, "population")
        e = self._estimate
        return Predictive(e.spec, e.dispersion, eta, variance, trials)

    def _encoded(self, data: Any, groups: list[str], new_levels: str) -> NewRows:
        return encode(self._design, data, random=groups, new_levels=new_levels)

    def _predictor(
        self, data: Any, groups: list[str], new_levels: str
    ) -> tuple[NewRows, Array, Array]:
        """Give new rows, their linear predictor and the variance of its error."""
        rows = self._encoded(data, groups, new_levels)
        eta = prediction.linear_predictor(self._design, self._estimate, rows, groups)
        return rows, eta, predictor_variance(self._design, self._estimate, rows, groups)

    def _trials(self, trials: Any, data: Any, own: bool, n: int) -> Array:
        """Trials of the rows to predict; ones where there is nothing to count."""
        design = self._design
        if self._estimate.spec.family != "binomial":
            if trials is not None:
                raise ValueError("trials are those of a binomial response")
            return np.ones(n)
        if trials is None and own:
            kept = np.arange(design.n_data) if design.rows is None else design.rows
            out = np.ones(n)
            out[kept] = self._weights
            return out
        if isinstance(trials, str):
            trials = open_frame(data).series(trials).to_numpy(dtype=float)
        out = np.broadcast_to(np.asarray(1.0 if trials is None else trials, float), n).copy()
        if not (np.isfinite(out) & (out >= 1.0) & (out == np.round(out))).all():
            raise ValueError("trials are whole numbers of 1 or more")
        return out

    def _fixed_part(self) -> Array:
        return prediction.fixed_part(self._design, self._estimate)

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
            A response a column; shares of the trials where the response is binomial.
        """
        e, design = self._estimate, self._design
        rng = np.random.default_rng(seed)
        base = self._fixed_part()
        out = np.empty((design.n_obs, n), order="F")
        for i in range(n):
            modes = prediction.random_draws(design, e.lambda_, 1.0, rng)
            mean = families.mean_of(e.spec.link, base + prediction.random_part(design, modes))
            out[:, i] = families.draw(e.spec, mean, self._weights, e.dispersion, rng)
        return out

    def augment(self) -> pd.DataFrame:
        """Give the rows that were used with what the model says of them, under broom.mixed's names.

        Returns
        -------
        DataFrame
            The data, then .fitted (linear predictor), .mu (mean), .fixed (linear predictor without
            random effects), .resid (deviance residuals), and .offset, .weights where there are any.
        """
        new = {
            ".fitted": self._estimate.eta,
            ".mu": self.fittedvalues.to_numpy(),
            ".fixed": self._fixed_part(),
            ".resid": self.resid().to_numpy(),
        }
        if self._design.offset is not None:
            new[".offset"] = self._design.offset
        if self._design.weights is not None:
            new[".weights"] = self._design.weights
        return used_rows(self._design, self._data).assign(**new)

    def _conditional_covariances(self) -> list[Array]:
        """Conditional covariance of each level, (levels, s, s) for each term."""
        core = self._evaluated()
        return [
            block.T.reshape(term.n_levels, term.n_cols, term.n_cols)
            for term, block in zip(self._design.random, core.conditional_covariances(), strict=True)
        ]

    def _evaluated(self) -> Glmm:
        """Give a kernel that stands at the estimate."""
        return glmm.at_estimate(self._design, self._estimate)
