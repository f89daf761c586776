"""A model of several linear predictors, as its posterior needs it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from ..._typing import Array
from ...errors import UnsupportedError
from ...inference.posterior.draws import Draws
from ...inference.posterior.loo import Loo, leave_one_out
from ...inference.posterior.named import listed, parameters_of
from ...inference.posterior.priors import PosteriorPriors
from ...models.glmm.several import basis_of
from ..several.parts import SeveralParts
from .generalised import left_out_rows
from .source import Effects, Rows, Source

__all__ = ["SeveralSource"]

#: Draws that predictions take at most, evenly spaced: each makes a model of its own.
MOST_DRAWS = 400


@dataclass(frozen=True)
class SeveralSource(Source):
    """A model of location, zeros and dispersion; draws hold standardised coefficients."""

    parts: SeveralParts

    def names(self, priors: PosteriorPriors) -> list[str]:
        """Name the coefficients of all parts, shapes, and covariance parameters."""
        none = np.empty(0, dtype=np.intp)
        return [linear.name for linear in self.parts.listed()] + [
            target.name for target in listed(self.design, none, None)
        ]

    def parameters(self, draws: Draws, priors: PosteriorPriors) -> Array:
        """Value of each parameter at each draw, shape (C, N, k)."""
        none = np.empty(0, dtype=np.intp)
        columns = []
        for linear in self.parts.listed():
            value = draws.beta @ linear.row
            columns.append(value if linear.natural is None else linear.natural(value))
        every = listed(self.design, none, None)
        if not every:
            return np.stack(columns, axis=-1)
        rest = parameters_of(every, self.design, none, replace(draws, beta=draws.beta[..., :0]))
        return np.concatenate([np.stack(columns, axis=-1), rest], axis=-1)

    def _predictors(self, draws: Draws, effects: Effects) -> list[Array]:
        """Predictors of the rows of the fit at every draw, shape (S, n) each."""
        plan, total = self.parts.plan, draws.scale.size
        standard = draws.beta.reshape(total, -1)
        out = []
        for X, index, offset in plan.inputs:
            eta = standard[:, index] @ X.T
            out.append(eta + offset if len(offset) else eta)
        for (codes, _, z, _, place), basis, b in zip(
            plan.terms, plan.bases, effects(), strict=True
        ):
            own = b.reshape(total, *b.shape[2:]) @ np.linalg.inv(basis).T
            for j in range(z.shape[1]):
                out[place] = out[place] + own[:, codes, j] * z[:, j]
        if plan.unit != 1.0:
            out[0] = plan.unit * out[0]
            out[1] = out[1] + np.log(plan.unit)
        return out

    def means(
        self, draws: Draws, effects: Effects, rows: Rows, kind: str, rng: np.random.Generator
    ) -> tuple[Array, Any]:
        """Means, or linear predictors, of rows at evenly spaced draws, and their labels."""
        if rows.new_levels != "raise":
            raise UnsupportedError(
                "effects of new levels can be drawn only for models with one linear predictor; "
                "leave new levels "
                'out, or take random="none"'
            )
        total = draws.scale.size
        drawn, out = effects(), []
        for s in np.linspace(0, total - 1, min(total, MOST_DRAWS)).round().astype(int):
            model = self.model_at(draws, drawn, int(s))
            out.append(model.predict(rows.newdata, kind=kind, random=rows.random))
        index = getattr(rows.newdata, "index", None)
        return np.array(out, dtype=np.float64), index

    def responses(
        self, draws: Draws, effects: Effects, rows: Rows, rng: np.random.Generator
    ) -> Array:
        """One response of each row of the fit at each draw, shape (S, n)."""
        if rows.newdata is not None or rows.random != "all":
            raise UnsupportedError(
                "responses of new rows can be drawn only for models with one linear predictor; "
                "take "
                'interval="confidence"'
            )
        parts = self.parts
        every = self._predictors(draws, effects)
        out = np.empty_like(every[0])
        for s in range(len(out)):
            out[s] = parts.draws([part[s] for part in every], parts.trials, rng)
        return out

    def log_likelihood(self, draws: Draws, effects: Effects) -> Array:
        """Log densities of the rows of the fit given all, shape (S, n)."""
        core, plan, total = self.parts.plan.core(), self.parts.plan, draws.scale.size
        standard = draws.beta.reshape(total, -1)
        drawn = [b.reshape(total, *b.shape[2:]) for b in effects()]
        back = [np.linalg.inv(basis) for basis in plan.bases]
        unit = np.log(plan.unit) * plan.weights
        return np.array(
            [
                core.row_densities(
                    standard[s], [R @ b[s].T for R, b in zip(back, drawn, strict=True)]
                )
                - unit
                for s in range(total)
            ]
        )

    def model_at(self, draws: Draws, effects: tuple[Array, ...], s: int) -> Any:
        """Make the model of one draw."""
        total, at = draws.scale.size, self.parts.estimate
        standard = draws.beta.reshape(total, -1)[s]
        one = replace(draws, beta=standard[None, None], scale=draws.scale[:1, :1])
        modes = tuple(b.reshape(total, *b.shape[2:])[s] for b in effects)
        eta = self._predictors(one, lambda: tuple(b[None, None] for b in modes))
        estimate = replace(
            at,
            standard=standard,
            coefficients=basis_of(self.parts.plan) @ standard,
            lambda_=tuple(L.reshape(total, *L.shape[2:])[s] for L in draws.roots),
            modes=modes,
            eta=np.column_stack([part[0] for part in eta]),
        )
        return self.make(replace(self.parts, estimate=estimate, kernel=None, warnings=()))

    def loo(
        self, draws: Draws, priors: PosteriorPriors, effects: Effects, group: str | None
    ) -> Loo:
        """Leave rows out, given the random effects."""
        found = left_out_rows(group, self.log_likelihood(draws, effects))
        return leave_one_out(found, self.parts.label(self.design.y).index, "row", found)
