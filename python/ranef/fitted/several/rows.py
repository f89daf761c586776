"""Rows of a model of several predictors: means, predictions, residuals and draws."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from ..._options import check_option
from ..._typing import Array, Random
from ...design.design import Design
from ...design.encode import NewRows, encode
from ...errors import UnsupportedError
from ...families.links import LOGIT
from ...inference.coverage import check_level, t_quantile
from ...inference.prediction import predict as prediction
from ...inference.prediction.integrated import INTEGRATE, averaged, no_interval, spread_of_rows
from ...inference.prediction.places import only_seen_places
from ...inference.prediction.table import labelled
from ...report.augment import callers_rows
from ..parts import Base
from ..residual_series import Residuals
from .parts import SeveralParts

__all__ = ["PartsRows"]

KINDS = ("response", "conditional", "zero", "dispersion", "link")
RESIDUALS = ("response", "pearson")


class PartsRows(Base):
    """Fitted values, residuals, predictions and simulated responses."""

    parts: SeveralParts

    def _chosen(self, random: Random) -> list[str]:
        return prediction.chosen_groups(self.parts.design, random)

    def _encoded(
        self, part: str, design: Design, data: Any, groups: list[str], new_levels: str
    ) -> NewRows:
        keys = self.parts.terms_of(part)
        prefix = len(part) + 1 if part != "location" else 0
        own = [key[prefix:] for key, _ in keys if key in groups]
        rows = encode(design, data, random=own, new_levels=new_levels)
        return only_seen_places(design, rows)

    def _new_predictors(
        self, data: Any, groups: list[str], new_levels: str
    ) -> tuple[list[Array], pd.Index[Any] | None, dict[str, NewRows]]:
        """Predictors of new rows, their labels, and the rows of each part."""
        encoded = {
            part: self._encoded(part, design, data, groups, new_levels)
            for part, design in self.parts.designs
        }
        n = len(encoded["location"].missing)
        out = self.parts.constants(n)
        for part, rows in encoded.items():
            kept = self.parts.estimate.block(part).kept
            eta = rows.X[:, kept] @ self.parts.estimate.values(part)[kept]
            if rows.offset is not None:
                eta = eta + rows.offset
            for (_, t), new in zip(self.parts.terms_of(part), rows.terms, strict=True):
                if new is not None:
                    seen = np.where(new.codes >= 0, new.codes, 0)
                    modes = np.where(
                        (new.codes >= 0)[:, None], self.parts.estimate.modes[t][seen], 0.0
                    )
                    eta = eta + np.einsum("ij,ij->i", new.z, modes)
            out[self.parts.positions[part]] = np.where(rows.missing, np.nan, eta)
        return out, encoded["location"].index, encoded

    @property
    def fittedvalues(self) -> pd.Series[Any]:
        """Means given the random effects at their modes, structural zeros included."""
        eta = self.parts.predictors(random=True)
        return self.parts.label(self.parts.means("response", eta, self.parts.trials))

    @property
    def resid(self) -> Residuals:
        """Pearson residuals of the rows used, given the random effects; see ``residuals``."""
        return Residuals.of(self.residuals, "pearson")

    def residuals(self, kind: str = "pearson") -> pd.Series[Any]:
        """Compute residuals of the rows used, given the random effects.

        Parameters
        ----------
        kind : {"pearson", "response"}
            Response minus mean, over the root of its variance or as it is.

        Returns
        -------
        Series of length n
            Labelled as the caller's rows.
        """
        every = (*RESIDUALS, "deviance", "working")
        name = check_option("kind", kind, every, shown=RESIDUALS)
        if name not in RESIDUALS:
            raise UnsupportedError(
                f"kind={name!r} is not available here; use kind='pearson' or 'response'"
            )
        eta = self.parts.predictors(random=True)
        left = self.parts.design.y - self.parts.means("response", eta, self.parts.trials)
        return self.parts.label(
            left if name == "response" else left / np.sqrt(self.parts.response_variance(eta))
        )

    def augment(self) -> pd.DataFrame:
        """Return the rows used with the model's values for them, under broom.mixed's names.

        Returns
        -------
        DataFrame
            The data, then .fitted (the location's linear predictor), .mu (mean, structural zeros
            included), .fixed (the linear predictor without random effects), .resid (Pearson
            residuals), and .zero (probability of a structural zero) where there is such a part.
        """
        eta = self.parts.predictors(random=True)
        new = {
            ".fitted": eta[0],
            ".mu": self.fittedvalues.to_numpy(),
            ".fixed": self.parts.predictors(random=False)[0],
            ".resid": self.residuals("pearson").to_numpy(),
        }
        if self.parts.call.zero is not None:
            new[".zero"] = self.parts.zero_share(eta)
        return callers_rows(self.parts).assign(**new)

    def predict(
        self,
        newdata: Any = None,
        *,
        kind: str = "response",
        random: Random = "all",
        new_levels: str = "raise",
        interval: str | None = None,
        se: bool = False,
        level: float = 0.95,
        trials: Any = None,
    ) -> Any:
        """Predict means, probabilities of zeros, dispersions, or linear predictors.

        Parameters
        ----------
        newdata : DataFrame, optional
            New rows; the fitted rows by default.
        kind : {"response", "conditional", "zero", "dispersion", "link"}
            The mean with structural zeros; that of the other responses; the probability of a
            structural zero; the dispersion parameter; the linear predictor of the location.
        random : {"all", "none", "integrate"} or list of str
            Which random effects take part: all, none, or those named as in ``varcorr``.
            ``"integrate"`` averages over the distribution of the random effects of all parts.
        new_levels : {"raise", "population"}
            What to do with levels that the fit has not seen: raise, or use an effect of zero.
        interval : {"confidence"}, optional
            Limits for kinds "link", "zero" and "dispersion", normal on the scale of the part's
            predictor; they include the uncertainty of fixed and random effects, and the variance of
            a new level.
        se : bool
            Whether to add a column ``se``: standard errors, of kind "link" only.
        level : float
            Coverage of the interval.
        trials : int, str or array-like, optional
            Not needed for a mean; refused.

        Returns
        -------
        Series of length m, or DataFrame with columns mean, se, lower, upper
            Labelled as the rows of ``newdata``. A row with missing values is NaN.
        """
        kind = check_option("kind", kind, KINDS)
        self._check_kind(kind, interval)
        if se and kind != "link":
            raise UnsupportedError('standard errors are for the linear predictor: use kind="link"')
        if trials is not None:
            raise ValueError("trials are for prediction intervals, which this model does not have")
        if isinstance(random, str) and random == INTEGRATE:
            no_interval(interval)
            return self._over_levels(newdata, kind)
        groups = self._chosen(random)
        if newdata is None and interval is None and not se and random in ("all", "none", None):
            eta = self.parts.predictors(random=bool(groups))
            return self.parts.label(self.parts.means(kind, eta, self.parts.trials))
        data = self.parts.training_data() if newdata is None else newdata
        eta, index, encoded = self._new_predictors(data, groups, new_levels)
        mean = self.parts.means(kind, eta, np.ones(len(eta[0])))
        if interval is None and not se:
            return labelled(mean, index)
        check_level(level)
        table = self._limits_of(kind, eta, encoded, groups, level, index)
        if se:
            table.insert(1, "se", (table["upper"] - table["mean"]) / float(t_quantile(level)))
        return table if interval is not None else table[["mean", "se"]]

    def _over_levels(self, newdata: Any, kind: str) -> pd.Series[Any]:
        """Average over the distribution of the random effects of all parts."""
        parts = self.parts
        index: pd.Index[Any] | None
        if newdata is None:
            eta, index = parts.predictors(random=False), parts.label(parts.design.y).index
        else:
            eta, index, _ = self._new_predictors(newdata, [], "population")
        m = len(eta[0])
        trials = parts.trials if newdata is None else np.ones(m)
        variance: list[Array | None] = [None] * len(eta)
        for part, design in parts.designs:
            if design.random:
                sigmas = [parts.estimate.sigmas[t] for _, t in parts.terms_of(part)]
                spread = spread_of_rows(design, design.random, sigmas, newdata)
                variance[parts.positions[part]] = spread

        def mean(at: list[Array], rows: slice) -> Array:
            shape = at[0].shape
            flat = [np.ascontiguousarray(one.ravel()) for one in at]
            of_rows = np.repeat(trials[rows], shape[1])
            return self.parts.means(kind, flat, of_rows).reshape(shape)

        return labelled(averaged(mean, eta, variance), index)

    def _check_kind(self, kind: str, interval: str | None) -> None:
        if kind == "zero" and self.parts.call.zero is None:
            raise ValueError("the model has no zero part: give glmer(..., zero='~ 1')")
        if kind == "dispersion" and not self.parts.family.shapes:
            raise ValueError(f"a {self.parts.call.family} response has no dispersion of its own")
        if interval not in (None, "confidence"):
            raise ValueError(f"interval must be 'confidence' or None, not {interval!r}")
        if interval is not None and kind in ("response", "conditional"):
            raise ValueError(
                "confidence limits are for one part: use kind='link', 'zero' or "
                "'dispersion'; for means draw from model.simulate()"
            )

    def _limits_of(
        self,
        kind: str,
        eta: list[Array],
        encoded: dict[str, NewRows],
        groups: list[str],
        level: float,
        index: pd.Index[Any] | None,
    ) -> pd.DataFrame:
        """Compute normal limits on the scale of one part's predictor, and carry them over."""
        part = "location" if kind == "link" else kind
        position = 1 if kind == "dispersion" else self.parts.positions[part]
        center = eta[position]
        if part == "dispersion" and self.parts.call.dispersion is None:
            part = self.parts.family.shapes[0].name
        half = t_quantile(level) * np.sqrt(
            self._predictor_variance(part, encoded, len(center), groups)
        )
        values = [self._natural(kind, at) for at in (center, center - half, center + half)]
        return pd.DataFrame(dict(zip(("mean", "lower", "upper"), values, strict=True)), index=index)

    def _natural(self, kind: str, eta: Array) -> Array:
        """Carry a part's predictor over to its own scale."""
        if kind == "zero":
            return LOGIT.mean(eta)
        return eta if kind == "link" else np.asarray(self.parts.family.shapes[0].natural(eta))

    def _predictor_variance(
        self, part: str, encoded: dict[str, NewRows], n: int, groups: list[str]
    ) -> Array:
        """Variance of the error of one part's predictor."""
        e, block = self.parts.estimate, self.parts.estimate.block(part)
        rows = encoded.get(part)
        usable = np.ones(n, bool) if rows is None else ~rows.missing
        m = int(usable.sum())
        X = np.zeros((m, len(e.standard)), order="F")
        own = np.ones((m, 1)) if rows is None else rows.X[usable][:, block.kept]
        X[:, block.places] = own @ block.T
        terms: list[tuple[Any, Array]] = [
            (None, np.zeros((m, term.n_cols), order="F")) for term in self.parts.design.random
        ]
        if rows is not None:
            for (key, t), new in zip(self.parts.terms_of(part), rows.terms, strict=True):
                if new is not None and key in groups:
                    z = new.z[usable] @ self.parts.plan.bases[t]
                    terms[t] = (np.ascontiguousarray(new.codes[usable]), np.asfortranarray(z))
        out = np.full(n, np.nan)
        out[usable] = self.parts.evaluated().prediction_variances(X, e.standard_cov, terms)
        return out

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
            One response per column; shares of the trials where the response is one.
        """
        rng = np.random.default_rng(seed)
        base, trials = self.parts.predictors(random=False), self.parts.trials
        out = np.empty((self.parts.nobs, n), order="F")
        for i in range(n):
            eta = [part.copy() for part in base]
            modes = prediction.random_draws(
                self.parts.design, self.parts.estimate.lambda_, 1.0, rng
            )
            for part, _ in self.parts.designs:
                for _, t in self.parts.terms_of(part):
                    term = self.parts.design.random[t]
                    z = self.parts.design.z(term)
                    eta[self.parts.positions[part]] += np.einsum(
                        "ij,ij->i", z, modes[t][term.codes]
                    )
            out[:, i] = self.parts.draws(eta, trials, rng)
        return out
