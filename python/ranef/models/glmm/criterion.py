"""The criterion of a generalised linear mixed model in the coordinates of its search."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from ... import _core
from ..._typing import Array
from .estimate import GlmmSpec, Penalty

__all__ = ["Criterion"]


#: Dispersions are sought between these, relative to 1.
SMALLEST_DISPERSION, LARGEST_DISPERSION = 1e-8, 1e8


class Criterion:
    """-2 log-likelihood, penalty included, by theta, whitened beta, and log dispersion.

    Without a ``root`` beta is at the joint mode, and no coordinate of the search.

    Parameters
    ----------
    core, spec, penalty
        The model.
    known : mapping of int to float, optional
        Elements of theta that are known. Their coordinates do nothing but add their squared
        distance from there, so that the search leaves them at once and the Hessian has them apart.
    """

    def __init__(
        self,
        core: _core.Glmm,
        spec: GlmmSpec,
        penalty: Penalty | None,
        known: Mapping[int, float] | None = None,
    ):
        self.core = core
        self.spec = spec
        self.penalty = penalty
        self.m = len(core.parameters)
        self.held = np.array(list(known or ()), dtype=int)
        self.values_held = np.array(list((known or {}).values()), dtype=float)
        self.centre = np.zeros(0)  # beta in the standardised basis where the whitened one is zero
        self.root: Array | None = None  # (p, p) whitened to standardised
        self.rule: tuple[Array, Array] | None = None  # of the quadrature, above one point
        self.n_values = self.n_gradients = 0
        self.last = np.zeros(0)
        self.point: _core.GlmmPoint | None = None
        self.added: _core.GlmmQuadrature | None = None
        #: Minima of Laplace's approximation and of the joint mode: theta, beta, log dispersion.
        self.visited: list[tuple[Array, Array, Array]] = []

    def split(self, x: Array) -> tuple[Array, Array, float]:
        """Return theta, beta (none at the joint mode) and the dispersion."""
        stop = len(x) - self.spec.has_dispersion
        dispersion = float(np.exp(x[stop])) if self.spec.has_dispersion else 1.0
        if self.root is None:
            return self.placed(x[:stop]), np.zeros(0), dispersion
        beta = self.centre + self.root @ x[self.m : stop]
        return self.placed(x[: self.m]), beta, dispersion

    def placed(self, theta: Array) -> Array:
        """Put the elements that are known in their place."""
        if not len(self.held):
            return theta
        out = theta.copy()
        out[self.held] = self.values_held
        return out

    def value(self, x: Array) -> float:
        """Evaluate the criterion."""
        self.n_values += 1
        self.last = x
        theta, beta, dispersion = self.split(x)
        if not SMALLEST_DISPERSION < dispersion < LARGEST_DISPERSION:
            return np.inf
        penalty = 0.0 if self.penalty is None else self.penalty(theta)[0]
        penalty += float(np.sum((x[self.held] - self.values_held) ** 2))
        if not np.isfinite(penalty):
            return np.inf
        self.point = self.core.evaluate(theta, beta, dispersion)
        if not self.point.value < 1e300:
            return np.inf
        if self.rule is None:
            return self.point.value + penalty
        self.added = self.core.quadrature(*self.rule)  # its gradient comes at little extra cost
        return self.point.value + self.added.value + penalty

    def count(self, other: Criterion) -> None:
        """Add the evaluations of another search."""
        self.n_values += other.n_values
        self.n_gradients += other.n_gradients

    def gradient(self) -> Array:
        """Differentiate at the last point."""
        self.n_gradients += 1
        x = self.last
        out = self.core.gradient() if self.added is None else np.array(self.added.gradient)
        if self.root is not None:
            stop = len(out) - self.spec.has_dispersion
            out[self.m : stop] = self.root.T @ out[self.m : stop]
        if self.penalty is not None:
            out[: self.m] += self.penalty(self.placed(x[: self.m]))[1]
        out[self.held] = 2.0 * (x[self.held] - self.values_held)
        return out

    def release_beta(self) -> None:
        """Make beta a coordinate, whitened by its information where the criterion stands."""
        assert self.point is not None
        self.centre = self.point.beta
        information = self.core.information_beta()
        values, vectors = np.linalg.eigh(information)
        values = np.maximum(values, 1e-10 * values.max(initial=0.0))
        self.root = vectors / np.sqrt(values)
