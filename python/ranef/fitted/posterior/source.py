"""What a posterior needs from its model."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ... import _core
from ..._typing import Array
from ...chunks.summed import NO_ROWS, SummedDesign
from ...design.design import Design
from ...design.encode import NewRows, encode
from ...errors import UnsupportedError
from ...inference.posterior.coordinates import Coordinates
from ...inference.posterior.draws import Draws
from ...inference.posterior.from_prior import prior_draws
from ...inference.posterior.loo import Loo
from ...inference.posterior.named import listed, parameters_of
from ...inference.posterior.priors import PosteriorPriors
from ...inference.posterior.rows import drawn_predictor, rows_of_fit
from ...inference.prediction.estimable import without_estimate
from ...inference.prediction.predict import chosen_groups
from ...inference.profile.targets import Target
from ..mixed.parts import MixedParts

__all__ = ["Effects", "RowSource", "Rows", "Source"]

#: Random effects of every draw, (C, N, l, s) for each term, made when they are first needed.
Effects = Callable[[], tuple[Array, ...]]


@dataclass(frozen=True)
class Rows:
    """Rows to be predicted.

    Attributes
    ----------
    newdata : frame or None
        The rows; None for those of the fit.
    random : str or iterable of str
        Which random effects take part.
    new_levels : str
        "raise", or "population" for levels whose effects are drawn.
    trials : object
        Trials of a binomial response.
    """

    newdata: Any = None
    random: str | Iterable[str] = "all"
    new_levels: str = "raise"
    trials: Any = None


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

    @property
    def design(self) -> Design:
        """The rows."""
        return self.parts.design

    @property
    def formula(self) -> str:
        """The formula as written."""
        return self.parts.formula

    @property
    def has_rows(self) -> bool:
        """Whether the rows of the fit are at hand."""
        return not isinstance(self.design, SummedDesign)

    def core(self) -> _core.Lmm:
        """Return the kernel of the rows of a linear model."""
        raise AssertionError("random effects of a generalised model are drawn with the rest")

    @abstractmethod
    def names(self, priors: PosteriorPriors) -> list[str]:
        """Name the parameters."""

    @abstractmethod
    def parameters(self, draws: Draws, priors: PosteriorPriors) -> Array:
        """Value of each parameter at each draw, shape (C, N, k)."""

    @abstractmethod
    def means(
        self, draws: Draws, effects: Effects, rows: Rows, kind: str, rng: np.random.Generator
    ) -> tuple[Array, Any]:
        """Means, or linear predictors, of rows at draws, (S, m), and the rows' labels."""

    @abstractmethod
    def responses(
        self, draws: Draws, effects: Effects, rows: Rows, rng: np.random.Generator
    ) -> Array:
        """One response of each row at each draw, shape (S, m)."""

    @abstractmethod
    def log_likelihood(self, draws: Draws, effects: Effects) -> Array:
        """Log density of the rows of the fit given all at each draw, shape (S, n)."""

    def from_prior(self, priors: PosteriorPriors, n: int, rng: np.random.Generator) -> Draws:
        """Draw all parameters and random effects from their priors."""
        raise UnsupportedError(
            "draws from the prior are available for models with one linear predictor"
        )

    @abstractmethod
    def model_at(self, draws: Draws, effects: tuple[Array, ...], s: int) -> Any:
        """Make the model of one draw."""

    @abstractmethod
    def loo(
        self, draws: Draws, priors: PosteriorPriors, effects: Effects, group: str | None
    ) -> Loo:
        """Leave rows or levels out."""


@dataclass(frozen=True)
class RowSource(Source):
    """A model of one linear predictor."""

    @property
    def kept(self) -> NDArray[np.intp]:
        """Coefficients that are not aliased."""
        return np.asarray(self.parts.kept, dtype=np.intp)

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

    def from_prior(self, priors: PosteriorPriors, n: int, rng: np.random.Generator) -> Draws:
        """Draw all parameters and random effects from their priors."""
        terms, known = self.design.random, priors.known_scale or 1.0
        coordinates = Coordinates(terms, has_scale=False, known_scale=known)
        names = [self.design.fixed_names[j] for j in self.kept]
        return prior_draws(priors, coordinates, terms, names, n, rng)

    def predictor(
        self, draws: Draws, effects: Effects, rows: Rows, rng: np.random.Generator
    ) -> tuple[Array, Any]:
        """Linear predictor of rows at every draw, shape (S, m), and their labels."""
        if rows.newdata is None and not self.has_rows:
            raise UnsupportedError(NO_ROWS)
        groups = chosen_groups(self.design, rows.random)
        found = self.encoded(rows.newdata, groups, rows.new_levels)
        drawn = effects() if groups else (None,) * len(self.design.random)
        own = [
            b.reshape(-1, *b.shape[2:]) if b is not None and term.group in groups else None
            for term, b in zip(self.design.random, drawn, strict=True)
        ]
        return drawn_predictor(draws, found, self.kept, own, rng), found.index

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

    def whole_beta(self, draws: Draws, s: int) -> Array:
        """Coefficients of a draw, NaN where aliased."""
        beta = np.full(len(self.design.fixed), np.nan)
        beta[self.kept] = draws.beta.reshape(draws.scale.size, -1)[s]
        return beta
