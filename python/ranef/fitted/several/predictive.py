"""Distribution of a new response of a model of several linear predictors."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from ... import _core
from ..._typing import Array
from ...inference.prediction.integrated import averaged

if TYPE_CHECKING:
    from .model import DistributionalModel

__all__ = ["PartsPredictive", "predictive"]

#: Draws behind the quantiles of a row.
DRAWS = 400


@dataclass(frozen=True)
class PartsPredictive:
    """The family's distribution, mixed over the normal errors of the predictors.

    Attributes
    ----------
    model : DistributionalModel
        What predicts.
    eta : list of ndarray of shape (m,)
        Predictors, NaN where a row cannot be predicted.
    variance : list of ndarray or None
        Variances of their errors; None for constants.
    trials : ndarray of shape (m,)
        Trials of the rows; ones where nothing is counted.
    """

    model: DistributionalModel
    eta: list[Array]
    variance: list[Array | None]
    trials: Array

    def moments(self) -> tuple[Array, Array]:
        """Return means and standard deviations, (m,) each."""
        parts = self.model.parts

        def of(at: list[Array], rows: slice) -> tuple[Array, Array]:
            flat = [np.ascontiguousarray(one.ravel()) for one in at]
            mean, own = parts.response_moments(flat, np.repeat(self.trials[rows], at[0].shape[1]))
            return mean.reshape(at[0].shape), own.reshape(at[0].shape)

        mean = averaged(lambda at, rows: of(at, rows)[0], self.eta, self.variance)

        def square(at: list[Array], rows: slice) -> Array:
            mu, own = of(at, rows)
            return np.asarray(own + mu**2)

        second = averaged(square, self.eta, self.variance)
        return mean, np.sqrt(np.maximum(second - mean**2, 0.0))

    def log_density(self, y: Array) -> Array:
        """Return the log density, or log probability, of a response of each row, (m,)."""

        def density(at: list[Array], rows: slice) -> Array:
            count = at[0].shape[1]
            flat = [np.ascontiguousarray(one.ravel()) for one in at]
            found = self._row_densities(np.repeat(y[rows], count), flat, rows, count)
            return np.exp(found).reshape(at[0].shape)

        with np.errstate(divide="ignore"):
            return np.log(averaged(density, self.eta, self.variance))

    def _row_densities(self, y: Array, eta: list[Array], rows: slice, count: int) -> Array:
        """Log densities at known predictors, by the core."""
        known = np.all([np.isfinite(one) for one in eta], axis=0)
        out, n = np.full(len(y), np.nan), int(known.sum())
        nothing = np.zeros((n, 1), order="F")
        core = _core.Predictors(
            np.ascontiguousarray(y[known]),
            np.ascontiguousarray(np.repeat(self.trials[rows], count)[known]),
            self.model.parts.family.core,
            self.model.parts.call.link,
            self.model.parts.call.zero is not None,
            [(nothing, [0], np.ascontiguousarray(one[known])) for one in eta],
            [],
            1,
        )
        out[known] = core.row_densities(np.zeros(1), [])
        return out

    def inside(self, y: Array, level: float, seed: int = 0) -> Array:
        """Tell which responses lie between the quantiles that ``level`` lies between, (m,)."""
        rng = np.random.default_rng(seed)
        known = np.isfinite(self.eta[0])
        draws = np.empty((int(known.sum()), DRAWS))
        for s in range(DRAWS):
            at = [
                one[known]
                if v is None
                else one[known] + np.sqrt(v[known]) * rng.normal(size=len(draws))
                for one, v in zip(self.eta, self.variance, strict=True)
            ]
            draws[:, s] = self.model.parts.draws(at, self.trials[known], rng)
        tail = 0.5 * (1.0 - level)
        low = np.quantile(draws, tail, axis=1, method="inverted_cdf")
        high = np.quantile(draws, 1.0 - tail, axis=1, method="inverted_cdf")
        out = np.zeros(len(y))
        out[known] = (low <= y[known] + 1e-9) & (y[known] - 1e-9 <= high)
        return out


def predictive(model: DistributionalModel, data: Any, trials: Array) -> PartsPredictive:
    """Find the distribution of a new response of each row, of levels seen or not."""
    parts = model.parts
    every = [term.group for term in parts.design.random]
    eta, _, encoded = model._new_predictors(data, every, "population")  # noqa: SLF001
    variance: list[Array | None] = [None] * len(eta)
    for part, _ in parts.designs:
        own = model._predictor_variance(part, encoded, len(eta[0]), every)  # noqa: SLF001
        variance[parts.positions[part]] = own
    whole = trials if parts.family.has_trials else np.ones(len(eta[0]))
    return PartsPredictive(model, eta, variance, whole)
