"""Rows of a cumulative link model: probabilities, classes, fitted values and draws."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from ..._caller import warn_caller
from ..._options import check_option
from ..._typing import Array, Random
from ...design.encode import encode
from ...errors import ModelError, RanefWarning
from ...families.links import mean_of
from ...inference.prediction import predict as prediction
from ...inference.prediction.integrated import INTEGRATE, averaged, spread_of_rows
from ...inference.prediction.places import only_seen_places
from ...inference.prediction.table import labelled
from ..parts import Base
from .parts import OrdinalParts, cross_in, crossed

__all__ = ["OrdinalRows"]

KINDS = ("prob", "class", "cumulative", "link")


class OrdinalRows(Base):
    """Predictions, fitted values and simulated responses."""

    parts: OrdinalParts

    def predict(
        self,
        newdata: Any = None,
        *,
        kind: str = "prob",
        random: Random = "all",
        new_levels: str = "raise",
    ) -> Any:
        """Predict probabilities of categories, the most probable one, or the linear predictor.

        Parameters
        ----------
        newdata : DataFrame, optional
            New rows; the fitted rows by default.
        kind : {"prob", "class", "cumulative", "link"}
            Probability of each category; the most probable category; probability of each category
            or a lower one; the linear predictor of the location.
        random : {"all", "none", "integrate"} or list of str
            Which random effects take part: all, none, or those of the groups named.
            ``"integrate"`` averages probabilities over the distribution of the random effects.
        new_levels : {"raise", "population"}
            What to do with levels that the fit has not seen: raise, or use an effect of zero.

        Returns
        -------
        DataFrame or Series
            One column per category for "prob" and "cumulative". A row with missing values is NaN,
            as is, with a warning, one whose nominal effects take its thresholds out of order.
        """
        kind = check_option("kind", kind, KINDS)
        data = self.parts.training_data() if newdata is None else newdata
        integrated = isinstance(random, str) and random == INTEGRATE
        eta, cuts, zeta, index = self._predictors(
            data, "none" if integrated else random, new_levels
        )
        if newdata is None and self.parts.design.rows is not None:  # the rows of the fit
            rows = self.parts.design.rows
            eta, cuts, zeta = eta[rows], cuts[rows], zeta[rows]
            index = None if index is None else index[rows]
        if kind == "link":
            return labelled(eta, index)
        eta = self._in_order(eta, cuts)
        if integrated:
            cumulative = self._over_levels(eta, cuts, zeta, newdata)
        else:
            cumulative = self.parts.cumulative(eta, cuts, zeta)
        columns = list(self.parts.categories)
        if kind == "cumulative":
            return pd.DataFrame(cumulative, index=index, columns=columns)
        prob = pd.DataFrame(np.diff(cumulative, axis=1, prepend=0.0), index=index, columns=columns)
        return prob if kind == "prob" else self._classes(prob)

    def _in_order(self, eta: Array, cuts: Array) -> Array:
        """Leave out, with a warning, the rows whose thresholds cross."""
        lost = crossed(cuts) & np.isfinite(eta)
        if lost.any():
            told = cross_in(self.parts, int(lost.sum()))
            warn_caller(RanefWarning(f"{told}. Predictions are NaN in them."))
        return np.where(lost, np.nan, eta)

    def _over_levels(self, eta: Array, cuts: Array, zeta: Array, newdata: Any) -> Array:
        """Average cumulative probabilities over the distribution of the random effects."""
        parts, link = self.parts, self.parts.call.link
        if not parts.design.random:
            return self.parts.cumulative(eta, cuts, zeta)
        variance = spread_of_rows(parts.design, parts.design.random, parts.estimate.sigmas, newdata)

        def below(cut: Array) -> Array:
            def mean(at: list[Array], rows: slice) -> Array:
                latent = (cut[rows, None] - at[0]) / np.exp(zeta[rows, None])
                return mean_of(link, latent)

            return averaged(mean, [eta], [variance])

        last = np.where(np.isnan(eta), np.nan, 1.0)
        return np.column_stack([*(below(cut) for cut in cuts.T), last])

    def _classes(self, prob: pd.DataFrame) -> pd.Series[Any]:
        known = prob.notna().all(axis=1).to_numpy()
        best = np.where(known, prob.fillna(0.0).to_numpy().argmax(axis=1), -1)
        dtype = pd.CategoricalDtype(list(self.parts.categories), ordered=True)
        return pd.Series(pd.Categorical.from_codes(best, dtype=dtype), index=prob.index)

    def _predictors(
        self, data: Any, random: Random, new_levels: str
    ) -> tuple[Array, Array, Array, pd.Index[Any] | None]:
        """Location (m,), thresholds (m, K) and log scale (m,) of rows."""
        e, plan = self.parts.estimate, self.parts.ordinal
        groups = prediction.chosen_groups(self.parts.design, random)
        rows = encode(self.parts.design, data, random=groups, new_levels=new_levels)
        rows = only_seen_places(self.parts.design, rows)
        kept = e.block("location").kept
        eta = rows.X[:, 1:][:, kept] @ (plan.location @ e.standard)
        if rows.offset is not None:
            eta = eta + rows.offset
        for t, new in enumerate(rows.terms):
            if new is not None:
                seen = np.where(new.codes >= 0, new.codes, 0)
                modes = np.where((new.codes >= 0)[:, None], e.modes[t][seen], 0.0)
                eta = eta + np.einsum("ij,ij->i", new.z, modes)
        m = len(eta)
        cuts = np.tile(self.parts.cut_points(), (m, 1))
        if self.parts.nominal is not None:
            own = encode(self.parts.nominal, data, random=False).X[:, 1:]
            cuts = self.parts.moved_cuts(own)
        zeta = np.zeros(m)
        if self.parts.scale is not None:
            zeta = encode(self.parts.scale, data, random=False).X[:, 1:] @ (plan.scale @ e.standard)
        return np.where(rows.missing, np.nan, eta), cuts, zeta, rows.index

    @property
    def fittedvalues(self) -> pd.Series[Any]:
        """Probability of the category that was observed, given the random effects."""
        eta = self.parts.estimate.eta
        high, low = eta[:, 1], eta[:, 2]
        y, top = self.parts.design.y, len(self.parts.categories) - 1
        scale = np.exp(eta[:, 3])
        above = np.where(y >= top, 1.0, mean_of(self.parts.call.link, (high - eta[:, 0]) / scale))
        below = np.where(y <= 0, 0.0, mean_of(self.parts.call.link, (low - eta[:, 0]) / scale))
        return self.parts.label(above - below)

    def simulate(self, n: int = 1, *, seed: Any = None) -> Array:
        """Draw new categories from the fitted model, from 0, new random effects each time.

        Parameters
        ----------
        n : int
            Number of draws.
        seed : int or Generator, optional
            Makes the draws repeatable.

        Returns
        -------
        ndarray of shape (nobs, n)
            Positions in ``categories``.
        """
        rng = np.random.default_rng(seed)
        eta, cuts, zeta, _ = self._predictors(self.parts.training_data(), "none", "raise")
        if self.parts.design.rows is not None:
            eta, cuts, zeta = (part[self.parts.design.rows] for part in (eta, cuts, zeta))
        if lost := int(crossed(cuts).sum()):
            raise ModelError(f"{cross_in(self.parts, lost)}: such rows cannot be drawn")
        out = np.empty((self.parts.nobs, n), order="F")
        for i in range(n):
            modes = prediction.random_draws(
                self.parts.design, self.parts.estimate.lambda_, 1.0, rng
            )
            moved = eta + prediction.random_part(self.parts.design, modes)
            cumulative = self.parts.cumulative(moved, cuts, zeta)
            out[:, i] = (cumulative < rng.random((self.parts.nobs, 1))).sum(axis=1)
        return out
