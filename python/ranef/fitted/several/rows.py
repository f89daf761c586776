"""What a model of several predictors says of rows: means, predictions, residuals and draws."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import scipy

from ..._typing import Array, Random
from ...design.design import Design
from ...design.encode import NewRows, encode
from ...errors import UnsupportedError
from ...families.shaped import Given, ShapedFamily, mean_of
from ...families.shaped_registry import shaped_family
from ...inference.coverage import check_level, t_quantile
from ...inference.prediction import predict as prediction
from ...inference.prediction.table import labelled
from ...models.glmm.estimate import PartsEstimate
from ...models.glmm.several import at_parts
from .call import PartsCall
from .fit import Parts
from .named import Effects

__all__ = ["PartsRows"]

KINDS = ("response", "conditional", "zero", "dispersion", "link")
RESIDUALS = ("response", "pearson")


class PartsRows(Effects):
    """Fitted values, residuals, predictions and simulated responses."""

    _estimate: PartsEstimate
    _parts: Parts
    call: PartsCall

    @property
    def _family(self) -> ShapedFamily:
        return shaped_family(self.call.family)

    @property
    def _positions(self) -> dict[str, int]:
        """Predictor of each part."""
        names = ["location", *(shape.name for shape in self._family.shapes)]
        if self.call.dispersion is not None:
            names[1] = "dispersion"
        if self.call.zero is not None:
            names.append("zero")
        return {name: j for j, name in enumerate(names)}

    def _trials(self) -> Array:
        design = self._design
        if design.weights is None or not self._family.trials:
            return np.ones(design.n_obs)
        return design.weights

    # ------------------------------------------------------------------ predictors of rows

    def _constant(self, n: int) -> list[Array]:
        """Predictors that are constants, NaN for those of formulas."""
        out = [np.full(n, np.nan) for _ in self._positions]
        known = dict(self._parts.designs)
        for name, j in self._positions.items():
            if name not in known:
                out[j] = np.full(n, float(self._estimate.values(name)[0]))
        return out

    def _terms_of(self, part: str) -> list[tuple[str, int]]:
        """Key and place in the whole design of each term of a part."""
        prefix = "" if part == "location" else f"{part}:"
        place = {term.group: t for t, term in enumerate(self._design.random)}
        known = dict(self._parts.designs)[part].random
        return [(prefix + term.group, place[prefix + term.group]) for term in known]

    def _fitted_predictors(self, random: bool) -> list[Array]:
        """Predictors of the rows of the fit."""
        if random:
            return list(np.ascontiguousarray(self._estimate.eta.T))
        out = self._constant(self.nobs)
        for part, design in self._parts.designs:
            kept = self._estimate.block(part).kept
            eta = design.X[:, kept] @ self._estimate.values(part)[kept]
            out[self._positions[part]] = eta if design.offset is None else eta + design.offset
        return out

    def _chosen(self, random: Random) -> list[str]:
        return prediction.chosen_groups(self._design, random)

    def _encoded(
        self, part: str, design: Design, data: Any, groups: list[str], new_levels: str
    ) -> NewRows:
        keys = self._terms_of(part)
        prefix = len(part) + 1 if part != "location" else 0
        own = [key[prefix:] for key, _ in keys if key in groups]
        return encode(design, data, random=own, new_levels=new_levels)

    def _new_predictors(
        self, data: Any, groups: list[str], new_levels: str
    ) -> tuple[list[Array], pd.Index[Any] | None, dict[str, NewRows]]:
        """Predictors of new rows, their labels, and the rows of each part."""
        encoded = {
            part: self._encoded(part, design, data, groups, new_levels)
            for part, design in self._parts.designs
        }
        n = len(encoded["location"].missing)
        out = self._constant(n)
        for part, rows in encoded.items():
            kept = self._estimate.block(part).kept
            eta = rows.X[:, kept] @ self._estimate.values(part)[kept]
            if rows.offset is not None:
                eta = eta + rows.offset
            for (_, t), new in zip(self._terms_of(part), rows.terms, strict=True):
                if new is not None:
                    seen = np.where(new.codes >= 0, new.codes, 0)
                    modes = np.where((new.codes >= 0)[:, None], self._estimate.modes[t][seen], 0.0)
                    eta = eta + np.einsum("ij,ij->i", new.z, modes)
            out[self._positions[part]] = np.where(rows.missing, np.nan, eta)
        return out, encoded["location"].index, encoded

    # ------------------------------------------------------------------ means

    def _given(self, eta: list[Array], trials: Array) -> Given:
        return self._family.given(self.call.link, eta, trials)

    def _zero(self, eta: list[Array]) -> Array:
        """Probability of a structural zero."""
        if self.call.zero is None:
            return np.zeros(len(eta[0]))
        return np.asarray(scipy.special.expit(eta[-1]))

    def _means(self, kind: str, eta: list[Array], trials: Array) -> Array:
        if kind == "link":
            return eta[0]
        if kind == "zero":
            return self._zero(eta)
        if kind == "dispersion":
            first = self._family.shapes[0]
            return np.asarray(first.natural(eta[1]))
        mean = np.asarray(self._family.mean(self._given(eta, trials)), dtype=np.float64)
        return mean if kind == "conditional" else (1.0 - self._zero(eta)) * mean

    def _variance(self, eta: list[Array]) -> Array:
        """Variance of a response, structural zeros included."""
        given, zero = self._given(eta, self._trials()), self._zero(eta)
        mean = self._family.mean(given)
        return np.asarray((1.0 - zero) * (self._family.variance(given) + zero * mean**2))

    @property
    def fittedvalues(self) -> pd.Series[Any]:
        """Means given the random effects at their modes, structural zeros included."""
        eta = self._fitted_predictors(True)
        return self._rows(self._means("response", eta, self._trials()))

    def resid(self, kind: str = "pearson") -> pd.Series[Any]:
        """Compute residuals of the rows used, given the random effects.

        Parameters
        ----------
        kind : {"pearson", "response"}
            Response less mean, over the root of its variance or as it is.
        """
        if kind not in RESIDUALS:
            raise ValueError(f"kind must be one of {', '.join(RESIDUALS)}, not {kind!r}")
        eta = self._fitted_predictors(True)
        left = self._design.y - self._means("response", eta, self._trials())
        return self._rows(left if kind == "response" else left / np.sqrt(self._variance(eta)))

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
        random : {"all", "none"} or list of str
            Which random effects take part: all, none, or those named as in ``varcorr``.
        new_levels : {"raise", "population"}
            What to do with levels the fit has not seen: raise, or give them the effect zero.
        interval : {"confidence"}, optional
            Limits for kinds "link", "zero" and "dispersion", normal on the scale of the part's
            predictor; they include the errors of fixed and random effects, and the variance of a
            new level.
        se : bool
            Whether to add a column ``se``: standard errors, of kind "link" only.
        level : float
            Coverage of the interval.
        trials : int, str or array-like, optional
            Not needed for a mean; refused.

        Returns
        -------
        Series of length m, or DataFrame with columns mean, se, lower, upper
            Labelled as the rows of ``newdata``. A row with missing values gives NaN.
        """
        self._check_kind(kind, interval)
        if se and kind != "link":
            raise UnsupportedError('standard errors are those of the predictor: take kind="link"')
        if trials is not None:
            raise ValueError("trials are for prediction intervals, which this model does not have")
        groups = self._chosen(random)
        if newdata is None and interval is None and not se and random in ("all", "none", None):
            eta = self._fitted_predictors(bool(groups))
            return self._rows(self._means(kind, eta, self._trials()))
        data = self._training_data() if newdata is None else newdata
        eta, index, encoded = self._new_predictors(data, groups, new_levels)
        mean = self._means(kind, eta, np.ones(len(eta[0])))
        if interval is None and not se:
            return labelled(mean, index)
        check_level(level)
        table = self._limits_of(kind, eta, encoded, groups, level, index)
        if se:
            table.insert(1, "se", (table["upper"] - table["mean"]) / float(t_quantile(level)))
        return table if interval is not None else table[["mean", "se"]]

    def _check_kind(self, kind: str, interval: str | None) -> None:
        if kind not in KINDS:
            raise ValueError(f"kind must be one of {', '.join(map(repr, KINDS))}, not {kind!r}")
        if kind == "zero" and self.call.zero is None:
            raise ValueError("the model has no zero part: give glmer(..., zero='~ 1')")
        if kind == "dispersion" and not self._family.shapes:
            raise ValueError(f"a {self.call.family} response has no dispersion of its own")
        if interval not in (None, "confidence"):
            raise ValueError(f"interval must be 'confidence' or None, not {interval!r}")
        if interval is not None and kind in ("response", "conditional"):
            raise ValueError(
                "confidence limits are those of one part: take kind='link', 'zero' or "
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
        position = 1 if kind == "dispersion" else self._positions[part]
        center = eta[position]
        if part == "dispersion" and self.call.dispersion is None:
            part = self._family.shapes[0].name
        half = t_quantile(level) * np.sqrt(
            self._predictor_variance(part, encoded, len(center), groups)
        )
        values = [self._natural(kind, at) for at in (center, center - half, center + half)]
        return pd.DataFrame(dict(zip(("mean", "lower", "upper"), values, strict=True)), index=index)

    def _natural(self, kind: str, eta: Array) -> Array:
        """Carry a part's predictor over to its own scale."""
        if kind == "zero":
            return mean_of("logit", eta)
        return eta if kind == "link" else np.asarray(self._family.shapes[0].natural(eta))

    def _predictor_variance(
        self, part: str, encoded: dict[str, NewRows], n: int, groups: list[str]
    ) -> Array:
        """Variance of the error of one part's predictor."""
        e, block = self._estimate, self._estimate.block(part)
        rows = encoded.get(part)
        usable = np.ones(n, bool) if rows is None else ~rows.missing
        m = int(usable.sum())
        X = np.zeros((m, len(e.standard)), order="F")
        own = np.ones((m, 1)) if rows is None else rows.X[usable][:, block.kept]
        X[:, block.places] = own @ block.T
        terms: list[tuple[Any, Array]] = [
            (None, np.zeros((m, term.n_cols), order="F")) for term in self._design.random
        ]
        if rows is not None:
            for (key, t), new in zip(self._terms_of(part), rows.terms, strict=True):
                if new is not None and key in groups:
                    z = new.z[usable] @ self._parts.plan.bases[t]
                    terms[t] = (np.ascontiguousarray(new.codes[usable]), np.asfortranarray(z))
        out = np.full(n, np.nan)
        core = at_parts(self._parts.plan, e)
        out[usable] = core.prediction_variances(X, e.standard_cov, terms)
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
            A response a column; shares of the trials where the response is one.
        """
        rng = np.random.default_rng(seed)
        base, trials = self._fitted_predictors(False), self._trials()
        out = np.empty((self.nobs, n), order="F")
        for i in range(n):
            eta = [part.copy() for part in base]
            modes = prediction.random_draws(self._design, self._estimate.lambda_, 1.0, rng)
            for part, _ in self._parts.designs:
                for _, t in self._terms_of(part):
                    term = self._design.random[t]
                    z = self._design.z(term)
                    eta[self._positions[part]] += np.einsum("ij,ij->i", z, modes[t][term.codes])
            y = np.asarray(self._family.draw(self._given(eta, trials), rng), dtype=np.float64)
            out[:, i] = np.where(rng.random(self.nobs) < self._zero(eta), 0.0, y)
        return out

    def _conditional_covariances(self) -> list[Array]:
        """Conditional covariance of each level, (levels, s, s) for each term."""
        core = at_parts(self._parts.plan, self._estimate)
        out = []
        for term, basis, block in zip(
            self._design.random, self._parts.plan.bases, core.conditional_covariances(), strict=True
        ):
            k = term.n_cols
            own = block.T.reshape(term.n_levels, k, k)
            out.append(np.einsum("ab,lbc,dc->lad", basis, own, basis))
        return out
