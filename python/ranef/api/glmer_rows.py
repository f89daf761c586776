"""What a generalised linear mixed model says of rows: means, residuals, predictions and draws."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
import pandas as pd
import scipy

from .._core import Glmm
from ..design.encode import encode
from ..errors import UnsupportedError
from ..inference import families
from ..inference import predict as prediction
from ..inference.glmm_checks import Dispersion, dispersion_test
from ..models import glmm
from ..models.glmm_estimate import GlmmEstimate
from ..report.augment import used_rows
from .mixed_effects import Array, Effects

__all__ = ["GlmerRows"]


class GlmerRows(Effects):
    """Fitted values, residuals, predictions and simulated responses."""

    _estimate: GlmmEstimate
    _data: Any

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
        interval : {"confidence"}, optional
            With ``random="none"``, limits from the errors of the fixed effects, normal on the scale
            of the linear predictor.
        level : float
            Coverage of the interval.

        Returns
        -------
        ndarray of shape (m,), or DataFrame with columns mean, lower, upper
            A row with missing values gives NaN.

        Raises
        ------
        UnsupportedError
            For an interval that would need the errors of the random effects.
        """
        if kind not in ("response", "link"):
            raise ValueError(f"kind must be 'response' or 'link', not {kind!r}")
        if interval not in (None, "confidence"):
            raise ValueError(f"interval must be 'confidence' or None, not {interval!r}")
        groups = prediction.chosen_groups(self._design, random)
        if interval and groups:
            raise UnsupportedError(
                "intervals of glmer's predictions rest on the fixed effects alone; ask for them "
                'with random="none"'
            )
        link = self._estimate.spec.link if kind == "response" else "identity"
        if newdata is None and interval is None and random in ("all", "none"):
            at = self._estimate.eta if groups else self._fixed_part()
            return families.mean_of(link, at)
        rows = encode(
            self._design,
            self._training_data() if newdata is None else newdata,
            random=groups,
            new_levels=new_levels,
        )
        eta = prediction.linear_predictor(self._design, self._estimate, rows, groups)
        if interval is None:
            return families.mean_of(link, eta)
        if not 0.0 < level < 1.0:
            raise ValueError(f"level is a coverage between 0 and 1, not {level}")
        X = rows.X[:, self._estimate.kept]
        half = scipy.special.ndtri(0.5 + level / 2.0) * np.sqrt(
            np.einsum("ij,jk,ik->i", X, self._estimate.cov_beta, X)
        )
        columns = {"mean": eta, "lower": eta - half, "upper": eta + half}
        table = {name: families.mean_of(link, values) for name, values in columns.items()}
        if link == "inverse":
            table["lower"], table["upper"] = table["upper"], table["lower"]
        return pd.DataFrame(table, index=rows.index)

    def _fixed_part(self) -> Array:
        return prediction.fixed_part(self._design, self._estimate)

    def _training_data(self) -> Any:
        if self._data is None:
            raise ValueError(
                "this model was unpickled and does not know its data; give them to "
                "predict(newdata) or update(data=...)"
            )
        return self._data

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
