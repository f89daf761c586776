"""What a posterior asks of the model that it is of."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ... import _core
from ..._typing import Array
from ...design.design import Design
from ...design.encode import NewRows, encode
from ...errors import UnsupportedError
from ...inference.posterior.coordinates import Coordinates
from ...inference.posterior.draws import Draws
from ...inference.posterior.generalised import log_likelihood_rows
from ...inference.posterior.left_out import level_densities, row_densities
from ...inference.posterior.loo import Loo, leave_one_out
from ...inference.posterior.named import listed, parameters_of
from ...inference.posterior.priors import PosteriorPriors
from ...inference.posterior.rows import rows_of_fit
from ...inference.prediction.estimable import without_estimate
from ...inference.priors.parts import prior_parts
from ...inference.profile.targets import Target
from ...models import lmm
from ..glmm.parts import GlmmParts
from ..glmm.rows import checked_trials
from ..lmm.parts import LmmParts
from ..mixed.parts import MixedParts

__all__ = ["GeneralisedSource", "LinearSource", "Source"]

Effects = Callable[[], tuple[Array, ...]]


@dataclass(frozen=True)
class Source(ABC):
    """A fitted model, as a posterior needs it.

    Attributes
    ----------
    parts : MixedParts
        Its parts.
    make : callable
        Makes a model of parts.
    """

    parts: MixedParts
    make: Callable[[Any], Any]

    is_generalised = False

    @property
    def design(self) -> Design:
        """The rows."""
        return self.parts.design

    @property
    def kept(self) -> NDArray[np.intp]:
        """Coefficients that are not aliased."""
        return np.asarray(self.parts.kept, dtype=np.intp)

    @property
    def formula(self) -> str:
        """The formula as written."""
        return self.parts.formula

    @abstractmethod
    def residual(self, priors: PosteriorPriors) -> str | None:
        """Name the parameter that belongs to the rows, if there is one."""

    def targets(self, priors: PosteriorPriors) -> list[Target]:
        """List the parameters."""
        return listed(self.design, self.kept, self.residual(priors))

    def names(self, priors: PosteriorPriors) -> list[str]:
        """Name the parameters."""
        return [target.name for target in self.targets(priors)]

    def parameters(self, draws: Draws, priors: PosteriorPriors) -> Array:
        """Value of each parameter at each draw, shape (C, N, k)."""
        return parameters_of(self.targets(priors), self.design, self.kept, draws)

    def core(self) -> _core.Lmm:
        """Return the kernel of the rows of a linear model."""
        raise AssertionError("random effects of a generalised model are drawn with the rest")

    def encoded(self, newdata: Any, groups: Iterable[str], new_levels: str) -> NewRows:
        """Encode rows; means that are not estimable are NaN."""
        if newdata is None:
            return rows_of_fit(self.design)
        rows = encode(self.design, newdata, random=list(groups), new_levels=new_levels)
        return without_estimate(self.design, newdata, rows, self.kept, self.parts.aliasing())

    @property
    def own_weights(self) -> Array:
        """Weights or trials of the rows of the fit, shape (n,)."""
        weights = self.design.weights
        return np.ones(self.design.n_obs) if weights is None else weights

    @abstractmethod
    def mean(self, eta: Array) -> Array:
        """Means of linear predictors."""

    @abstractmethod
    def trials(self, trials: Any, newdata: Any, n: int) -> Array:
        """Trials of rows to predict."""

    @abstractmethod
    def respond(self, eta: Array, scale: Array, weights: Array, rng: np.random.Generator) -> Array:
        """Draw responses for linear predictors of shape (S, m)."""

    @abstractmethod
    def log_likelihood(self, eta: Array, scale: Array) -> Array:
        """Log density of the rows of the fit for linear predictors of shape (S, n)."""

    @abstractmethod
    def model_at(self, draws: Draws, effects: tuple[Array, ...], s: int) -> Any:
        """Make the model of one draw."""

    @abstractmethod
    def loo(
        self, draws: Draws, priors: PosteriorPriors, effects: Effects, group: str | None
    ) -> Loo:
        """Leave rows or levels out."""

    def whole_beta(self, draws: Draws, s: int) -> Array:
        """Coefficients of a draw, NaN where aliased."""
        beta = np.full(len(self.design.fixed), np.nan)
        beta[self.kept] = draws.beta.reshape(draws.scale.size, -1)[s]
        return beta


@dataclass(frozen=True)
class LinearSource(Source):
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

    def mean(self, eta: Array) -> Array:
        """Return the linear predictor itself."""
        return eta

    def trials(self, trials: Any, newdata: Any, n: int) -> Array:
        """Weights of the rows: new ones have 1."""
        if trials is not None:
            raise ValueError("trials are those of a binomial response")
        return np.ones(n)

    def respond(self, eta: Array, scale: Array, weights: Array, rng: np.random.Generator) -> Array:
        """Add normal errors."""
        noise = rng.standard_normal(eta.shape) / np.sqrt(weights)
        return np.asarray(eta + scale[:, None] * noise)

    def log_likelihood(self, eta: Array, scale: Array) -> Array:
        """Return normal log densities."""
        sd = scale[:, None] / np.sqrt(self.own_weights)
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
        if group is None:
            found = row_densities(design, self.core(), draws)
            return leave_one_out(found, self.parts.label(design.y).index, "row")
        known = {term.group: term for term in design.random}
        if group not in known:
            raise ValueError(f"group must be one of {list(known)}, not {group!r}")
        known_scale = priors.known_scale
        coordinates = Coordinates(
            design.random, has_scale=known_scale is None, known_scale=known_scale or 1.0
        )
        found = level_densities(design, self.core(), draws, coordinates, priors, group)
        return leave_one_out(found, known[group].levels, group)


@dataclass(frozen=True)
class GeneralisedSource(Source):
    """A generalised linear mixed model."""

    parts: GlmmParts

    is_generalised = True

    def residual(self, priors: PosteriorPriors) -> str | None:
        """Name the dispersion of a family that has one."""
        spec = self.parts.estimate.spec
        return spec.distribution.parameters[0] if spec.has_dispersion else None

    def mean(self, eta: Array) -> Array:
        """Means of linear predictors."""
        return np.asarray(self.parts.estimate.spec.transform.mean(eta))

    def trials(self, trials: Any, newdata: Any, n: int) -> Array:
        """Trials of rows to predict."""
        if newdata is None and trials is None:
            return self.own_weights
        data = self.parts.training_data() if newdata is None else newdata
        return checked_trials(self.parts, trials, data, newdata is None, n)

    def respond(self, eta: Array, scale: Array, weights: Array, rng: np.random.Generator) -> Array:
        """Draw from the family."""
        spec = self.parts.estimate.spec
        params = spec.distribution.params(scale[:, None], weights)
        return np.asarray(spec.distribution.draw(rng, spec.transform.mean(eta), params))

    def log_likelihood(self, eta: Array, scale: Array) -> Array:
        """Log densities of the family."""
        family = self.parts.estimate.spec.distribution
        dispersion = scale[:, None] if family.has_dispersion else 1.0
        return log_likelihood_rows(
            family, self.design.y, self.mean(eta), self.own_weights, dispersion
        )

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
        if group is not None:
            raise UnsupportedError(
                "leaving whole levels out of a generalised model integrates their effects again; "
                f"use ranef.cross_validate([model], group={group!r}), which fits again"
            )
        rows = rows_of_fit(self.design)
        total = draws.scale.size
        eta = draws.beta.reshape(total, -1) @ rows.X[:, self.kept].T
        if rows.offset is not None:
            eta += rows.offset
        for term, b in zip(rows.terms, effects(), strict=True):
            assert term is not None
            flat = b.reshape(total, *b.shape[2:])
            for j in range(term.z.shape[1]):
                eta += flat[:, term.codes, j] * term.z[:, j]
        found = self.log_likelihood(eta, draws.scale.ravel())
        return leave_one_out(found, self.parts.label(self.design.y).index, "row")
