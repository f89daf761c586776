"""A generalised linear mixed model, as its posterior needs it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from ..._typing import Array
from ...errors import UnsupportedError
from ...inference.posterior.draws import Draws
from ...inference.posterior.loo import Loo, leave_one_out
from ...inference.posterior.priors import PosteriorPriors
from ...inference.posterior.rows import rows_of_fit
from ..glmm.parts import GlmmParts
from ..glmm.rows import checked_trials
from .source import Effects, Rows, RowSource

__all__ = ["GeneralisedSource", "left_out_rows"]


@dataclass(frozen=True)
class GeneralisedSource(RowSource):
    """A generalised linear mixed model."""

    parts: GlmmParts

    def residual(self, priors: PosteriorPriors) -> str | None:
        """Name the dispersion of a family that has one."""
        spec = self.parts.estimate.spec
        return spec.distribution.parameters[0] if spec.has_dispersion else None

    def means(
        self, draws: Draws, effects: Effects, rows: Rows, kind: str, rng: np.random.Generator
    ) -> tuple[Array, Any]:
        """Means, or linear predictors, of rows at every draw, (S, m), and their labels."""
        eta, index = self.predictor(draws, effects, rows, rng)
        return (eta if kind == "link" else self._mean(eta)), index

    def _mean(self, eta: Array) -> Array:
        return np.asarray(self.parts.estimate.spec.transform.mean(eta))

    def _trials(self, rows: Rows, n: int) -> Array:
        if rows.newdata is None and rows.trials is None:
            return self.own_weights
        data = self.parts.training_data() if rows.newdata is None else rows.newdata
        return checked_trials(self.parts, rows.trials, data, rows.newdata is None, n)

    def responses(
        self, draws: Draws, effects: Effects, rows: Rows, rng: np.random.Generator
    ) -> Array:
        """One response of each row at each draw, shape (S, m)."""
        eta, _ = self.predictor(draws, effects, rows, rng)
        family = self.parts.estimate.spec.distribution
        params = family.params(draws.scale.reshape(-1, 1), self._trials(rows, eta.shape[1]))
        missing = np.isnan(eta)
        drawn = np.asarray(family.draw(rng, self._mean(np.where(missing, 0.0, eta)), params))
        return np.where(missing, np.nan, drawn)

    def log_likelihood(self, draws: Draws, effects: Effects) -> Array:
        """Log densities of the rows of the fit given all, shape (S, n)."""
        eta, _ = self.predictor(draws, effects, Rows(), np.random.default_rng(0))
        family = self.parts.estimate.spec.distribution
        params = family.params(draws.scale.reshape(-1, 1), self.own_weights)
        rows = family.need("logpdf")(self.design.y, self._mean(eta), params)
        return np.asarray(rows if family.has_trials else self.own_weights * rows)

    def model_at(self, draws: Draws, effects: tuple[Array, ...], s: int) -> Any:
        """Make the model of one draw."""
        total = draws.scale.size
        at = self.parts.estimate
        modes = tuple(b.reshape(total, *b.shape[2:])[s] for b in effects)
        beta = self.whole_beta(draws, s)
        rows = rows_of_fit(self.design)
        eta = rows.X[:, self.kept] @ beta[self.kept]
        if rows.offset is not None:
            eta = eta + rows.offset
        for term, b in zip(rows.terms, modes, strict=True):
            assert term is not None
            eta = eta + np.einsum("ij,ij->i", term.z, b[term.codes])
        estimate = replace(
            at,
            beta=beta,
            dispersion=float(draws.scale.ravel()[s]) if at.spec.has_dispersion else 1.0,
            lambda_=tuple(L.reshape(total, *L.shape[2:])[s] for L in draws.roots),
            modes=modes,
            eta=eta,
        )
        return self.make(replace(self.parts, estimate=estimate, kernel=None, warnings=()))

    def loo(
        self, draws: Draws, priors: PosteriorPriors, effects: Effects, group: str | None
    ) -> Loo:
        """Leave rows out, given the random effects."""
        found = left_out_rows(group, self.log_likelihood(draws, effects))
        return leave_one_out(found, self.parts.label(self.design.y).index, "row", found)


def left_out_rows(group: str | None, found: Array) -> Array:
    """Refuse to leave out levels whose effects were not integrated."""
    if group is not None:
        raise UnsupportedError(
            "leaving whole levels out of a generalised model integrates their effects again; "
            f"use ranef.cross_validate([model], group={group!r}), which fits again"
        )
    return found
