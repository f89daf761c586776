"""The parts of a fitted cumulative link model."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..._counted import counted
from ..._typing import Array, Positions
from ...design.design import Design
from ...errors import UnsupportedError
from ...families.links import link_named, mean_of
from ...inference.hypotheses import linear
from ...inference.identified import endless_terms
from ...inference.profile.several import Linear
from ...inference.shares.observed import Observed
from ...inference.shares.r2 import Variances, variances_of, without_rows
from ...models.glmm.plan import Plan
from ...models.glmm.thresholds import OrdinalPlan
from ..parts import Parts
from ..several.parts import PredictorParts
from .call import OrdinalCall

__all__ = ["OrdinalParts", "cross_in", "crossed"]


def crossed(cuts: Array) -> NDArray[np.bool_]:
    """Tell the rows in which a threshold, of (m, K), lies below the one before it."""
    return np.asarray((np.diff(cuts, axis=1) < 0.0).any(axis=1))


@dataclass(frozen=True, eq=False, repr=False)
class OrdinalParts(PredictorParts):
    """A fit of ordered categories; its coefficients are those of location, scale and nominal.

    Attributes
    ----------
    design : Design
        The location's; ``y`` holds the categories from 0.
    nominal, scale : Design or None
        Those of the other formulas.
    categories : tuple
        Labels of the categories that occur, in order.
    absent : tuple
        Labels of those that do not.
    ordinal : OrdinalPlan
        What the kernel is made of, with the map back.
    """

    call: OrdinalCall
    nominal: Design | None = field(kw_only=True)
    scale: Design | None = field(kw_only=True)
    categories: tuple[Any, ...] = field(kw_only=True)
    ordinal: OrdinalPlan = field(kw_only=True)
    absent: tuple[Any, ...] = field(kw_only=True, default=())

    @property
    def plan(self) -> Plan:
        """What the kernel is made of."""
        return self.ordinal.plan

    @property
    def distribution(self) -> str:
        """The link, which says what the latent response is."""
        return self.call.link

    @cached_property
    def endless(self) -> list[str]:
        """Why variances have no finite estimate; empty where they have."""
        return endless_terms(self.design, self.estimate.lambda_standard, self.call.link)

    @property
    def npar(self) -> int:
        """Parameters of the thresholds, coefficients, and covariance parameters."""
        return len(self.estimate.standard) + self.n_covariances

    def latent(self, method: str) -> tuple[Design, Variances]:
        """Compute the parts of the latent response's variance, and the terms they are of.

        Raises
        ------
        UnsupportedError
            Where it has no variance, or predictors act on single thresholds.
        """
        self.scale_word(method)
        own = link_named(self.call.link).latent_variance
        if own is None:
            raise UnsupportedError(
                f"the latent response of a {self.call.link} link has no variance; refit with "
                "another link, or read model.varcorr"
            )
        if self.nominal is not None:
            raise UnsupportedError(
                "nominal effects move single thresholds, so that no one latent response has their "
                "share of variance; refit without nominal=, or read model.varcorr"
            )
        design, p = self.design, len(self.design.fixed_names) - 1
        linear = design.X[:, 1:] @ np.nan_to_num(self.beta[:p])
        spread = float(np.exp(2.0 * self.estimate.eta[:, 3]).mean())
        found = variances_of(design, linear, self.estimate.sigmas, own * spread)
        return without_rows(design, found)

    def observed(self) -> Observed:
        """Refuse shares of a variance that categories do not have.

        Raises
        ------
        UnsupportedError
            Always.
        """
        raise UnsupportedError(
            'categories have no variance of their own: use scale="latent", or score them as '
            "numbers and fit ranef.lmer"
        )

    def scale_word(self, method: str) -> str:
        """Call the scale of the latent response by its name."""
        super().scale_word(method)
        return "latent"

    @cached_property
    def cuts(self) -> list[str]:
        """Names of the thresholds."""
        return [f"{low}|{high}" for low, high in pairwise(map(str, self.categories))]

    @cached_property
    def mapped(self) -> tuple[tuple[str, ...], Array]:
        """Names of all coefficients but thresholds, and their map; NaN rows where aliased."""
        names = list(self.design.fixed_names[1:])
        maps = np.full((len(names), len(self.estimate.standard)), np.nan)
        maps[self.estimate.block("location").kept] = self.ordinal.location
        if self.scale is not None:
            names += [f"scale:{name}" for name in self.scale.fixed_names[1:]]
        if self.nominal is not None:
            names += [f"{cut}:{name}" for name in self.nominal.fixed_names[1:] for cut in self.cuts]
        return tuple(names), np.vstack([maps, self.ordinal.scale, self.ordinal.nominal])

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the coefficients of location, scale and nominal."""
        return self.mapped[0]

    @property
    def beta(self) -> Array:
        """Their estimates, NaN where aliased."""
        return np.asarray(self.mapped[1] @ self.estimate.standard)

    @property
    def kept(self) -> Positions:
        """Positions of those that are not aliased."""
        return np.flatnonzero(np.isfinite(self.mapped[1]).all(axis=1))

    @cached_property
    def cov(self) -> Array:
        """Covariance of those; NaN where a coefficient runs away."""
        maps = self.mapped[1][self.kept]
        out = np.asarray(maps @ self.estimate.standard_cov @ maps.T)
        lost = {name for part, name in self.estimate.separated if part != "thresholds"}
        for at, j in enumerate(self.kept):
            if self.names[j].removeprefix("scale:") in lost:
                out[at], out[:, at] = np.nan, np.nan
        return out

    @property
    def terms(self) -> Sequence[tuple[str, tuple[int, ...]]]:
        """Terms of the location and the positions of their coefficients."""
        return [
            (name, tuple(j - 1 for j in columns if j > 0))
            for name, columns in self.design.fixed_terms
            if any(j > 0 for j in columns)
        ]

    def estimable(self, L: Array) -> Array:
        """Write hypotheses in the coefficients that are not aliased, shape (r, n_kept)."""
        block = self.estimate.block("location")
        if not block.aliased:
            return Parts.estimable(self, L)
        p = len(self.design.fixed_names) - 1
        own = linear.estimable(L[:, :p], block.kept, block.aliased, block.alias[1:], self.names[:p])
        return np.hstack([own, L[:, p:]])

    def location_rows(self) -> Array:
        """Write the kept coefficients as functions of all parameters, shape (n_kept, m + P)."""
        maps = self.mapped[1][self.kept]
        return np.hstack([np.zeros((len(maps), self.n_covariances)), maps])

    def cut_points(self) -> Array:
        """Thresholds at the first level of the nominal variables."""
        return np.asarray(self.ordinal.thresholds @ self.estimate.standard)

    def moved_cuts(self, own: Array) -> Array:
        """Thresholds of rows, shape (m, K), by their columns of the nominal part, (m, q)."""
        moves = (self.ordinal.nominal @ self.estimate.standard).reshape(own.shape[1], -1)
        return self.cut_points() + own @ moves

    def listed(self) -> list[Linear]:
        """List the thresholds and the coefficients that are not aliased."""
        cuts = [
            Linear(name, row) for name, row in zip(self.cuts, self.ordinal.thresholds, strict=True)
        ]
        return [*cuts, *(Linear(self.names[j], self.mapped[1][j]) for j in self.kept)]

    def cumulative(self, eta: Array, cuts: Array, zeta: Array) -> Array:
        """Probabilities of each category or a lower one, (m, categories).

        Parameters
        ----------
        eta, zeta : ndarray of shape (m,)
            Location and log scale.
        cuts : ndarray of shape (m, K)
            Thresholds.
        """
        latent = (cuts - eta[:, None]) / np.exp(zeta)[:, None]
        below = mean_of(self.call.link, latent)
        last = np.where(np.isnan(eta), np.nan, 1.0)
        return np.column_stack([below, last])


def cross_in(parts: OrdinalParts, n: int) -> str:
    """Say that thresholds cross in n rows."""
    names = " and ".join(map(repr, parts.nominal.fixed_names[1:] if parts.nominal else ()))
    return (
        f"the thresholds cross in {counted(n, 'row')}, so that a category would have a negative "
        f"probability there: the nominal effects of {names} are not valid that far out"
    )
