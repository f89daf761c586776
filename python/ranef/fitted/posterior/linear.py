"""A linear mixed model, as its posterior needs it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from ... import _core
from ..._options import check_name
from ..._typing import Array
from ...inference.posterior.coordinates import Coordinates
from ...inference.posterior.draws import Draws
from ...inference.posterior.left_out import level_densities, row_densities
from ...inference.posterior.loo import Loo, leave_one_out
from ...inference.posterior.priors import PosteriorPriors
from ...inference.priors.parts import prior_parts
from ...models import lmm
from ..lmm.parts import LmmParts
from .source import Effects, Rows, RowSource

__all__ = ["LinearSource"]


@dataclass(frozen=True)
class LinearSource(RowSource):
    """A linear mixed model."""

    parts: LmmParts

    def residual(self, priors: PosteriorPriors) -> str | None:
        """Sigma, unless it is known."""
        return "sigma" if priors.known_scale is None else None

    def core(self) -> _core.Lmm:
        """Return the kernel of the rows, without those that a prior of the fit is worth."""
        if prior_parts(self.parts.call.prior).fixed is None:
            return self.parts.core
        return lmm.kernel(self.design)

    def means(
        self, draws: Draws, effects: Effects, rows: Rows, kind: str, rng: np.random.Generator
    ) -> tuple[Array, Any]:
        """Means of rows at every draw, shape (S, m), and their labels."""
        return self.predictor(draws, effects, rows, rng)

    def responses(
        self, draws: Draws, effects: Effects, rows: Rows, rng: np.random.Generator
    ) -> Array:
        """One response of each row at each draw; new rows have weight 1."""
        if rows.trials is not None:
            raise ValueError("trials= is for binomial responses")
        eta, _ = self.predictor(draws, effects, rows, rng)
        weights = self.own_weights if rows.newdata is None else np.ones(eta.shape[1])
        noise = rng.standard_normal(eta.shape) / np.sqrt(weights)
        return np.asarray(eta + draws.scale.reshape(-1, 1) * noise)

    def log_likelihood(self, draws: Draws, effects: Effects) -> Array:
        """Return normal log densities of the rows of the fit given all, shape (S, n)."""
        eta, _ = self.predictor(draws, effects, Rows(), np.random.default_rng(0))
        sd = draws.scale.reshape(-1, 1) / np.sqrt(self.own_weights)
        z = (self.design.y - eta) / sd
        return np.asarray(-0.5 * z**2 - np.log(sd) - 0.5 * np.log(2.0 * np.pi))

    def model_at(self, draws: Draws, effects: tuple[Array, ...], s: int) -> Any:
        """Make the model of one draw."""
        total = draws.scale.size
        sigma = float(draws.scale.ravel()[s])
        factors = [L.reshape(total, *L.shape[2:])[s] / sigma for L in draws.roots]
        core = self.core()
        at = lmm.evaluate(self.design, core, tuple(factors), reml=self.parts.reml)
        estimate = replace(
            at,
            beta=self.whole_beta(draws, s),
            sigma=sigma,
            modes=tuple(b.reshape(total, *b.shape[2:])[s] for b in effects),
            converged=True,
        )
        return self.make(replace(self.parts, estimate=estimate, kernel=core, warnings=()))

    def loo(
        self, draws: Draws, priors: PosteriorPriors, effects: Effects, group: str | None
    ) -> Loo:
        """Leave rows or levels out, random effects integrated."""
        design = self.design
        known_scale = priors.known_scale
        coordinates = Coordinates(
            design.random, has_scale=known_scale is None, known_scale=known_scale or 1.0
        )
        if group is None:
            found, seen = row_densities(design, self.core(), draws, coordinates, priors)
            return leave_one_out(found, self.parts.label(design.y).index, "row", seen)
        known = {term.group: term for term in design.random}
        group = check_name("group", group, known)
        found = level_densities(design, self.core(), draws, coordinates, priors, group)
        return leave_one_out(found, known[group].levels, group)
