"""Laplace's restricted likelihood: fixed effects are integrated out with the random ones."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pandas as pd

from ... import _core
from ..._typing import Array, Positions
from ...design.design import Design, RandomTerm
from ...errors import FitError
from ..lmm import DECREMENT, SINGULAR, Control
from ..states import of_size, packed, smallest
from .criterion import Criterion
from .estimate import GlmmEstimate, GlmmSpec
from .model import (
    curvature_guess,
    eigenvalues,
    kernel,
    separated_columns,
    standard_states,
    start_of,
)
from .search import Minimum, proved, search_scaled

__all__ = ["fit_restricted"]

#: Standard deviation of fixed effects that stands for none at all, of standardised columns.
FLAT = 1e4
#: Relative standard deviations that a search starts from.
STARTS = (1.0, 5.0, 0.1)


class Restricted(Criterion):
    """-2 restricted log-likelihood by theta and log dispersion.

    Notes
    -----
    Fixed effects are random effects of a term of their own whose standard deviations are fixed and
    so large that they say nothing; Laplace's approximation is then that of the integral over both,
    once the logarithm of those standard deviations is taken off [1]_.

    References
    ----------
    .. [1] Wood (2011), J. R. Stat. Soc. B 73, 3-36.
    """

    def __init__(self, core: _core.Glmm, spec: GlmmSpec, term: int):
        super().__init__(core, spec, None)
        self.own = np.array([t != term for t, _, _ in core.parameters])
        self.whole = np.where(self.own, 0.0, FLAT)
        flat = np.diag(core.factors(self.whole)[term])
        self.constant = float(-2.0 * np.log(flat).sum() - len(flat) * np.log(2.0 * np.pi))
        self.wanted = np.concatenate([self.own, np.ones(int(spec.has_dispersion), dtype=bool)])
        self.m = int(self.own.sum())

    def theta(self, x: Array) -> Array:
        """Parameters of all terms."""
        out = self.whole.copy()
        out[self.own] = x[: self.m]
        return out

    def split(self, x: Array) -> tuple[Array, Array, float]:
        """Return theta, no fixed effects, and the dispersion."""
        dispersion = float(np.exp(x[self.m])) if self.spec.has_dispersion else 1.0
        return self.theta(x), np.zeros(0), dispersion

    def value(self, x: Array) -> float:
        """Evaluate the criterion."""
        return float(super().value(x)) + self.constant

    def gradient(self) -> Array:
        """Differentiate at the last point."""
        return np.asarray(super().gradient()[self.wanted])


def fit_restricted(design: Design, spec: GlmmSpec, *, control: Control) -> GlmmEstimate:
    """Maximise Laplace's restricted likelihood over covariances and dispersion.

    Raises
    ------
    FitError
        When the criterion is not finite at any start.
    """
    plain = kernel(design, spec)
    kept = np.asarray(plain.kept, dtype=np.intp)
    wide = _with_flat_effects(design, kept)
    core = kernel(wide, spec)
    surface = Restricted(core, spec, len(design.random))
    best, failure = None, None
    for start in _starts(wide, core, plain, control):
        core.restart()
        x = start_of(design, spec, start)[surface.wanted]
        try:
            found = search_scaled(
                surface,
                x,
                curvature_guess(surface, x),
                max_steps=control.max_steps,
                tolerance=control.tolerance,
            )
        except FitError as error:
            failure = error
            continue
        if best is None or found.value < best.value - DECREMENT:
            best = found
    if best is None:
        raise failure or FitError("the restricted likelihood is not finite where a search begins")
    core.restart()
    surface.value(best.x)
    found = proved(surface, best, max_steps=control.max_steps, tolerance=control.tolerance)
    return _describe(design, plain, surface, found, kept)


def _with_flat_effects(design: Design, kept: Positions) -> Design:
    """Move the columns of X into a term of one level."""
    columns = tuple(design.fixed[j] for j in kept)
    term = RandomTerm(
        "",
        np.zeros(design.n_obs, dtype=np.int32),
        pd.Index([""]),
        columns,
        tuple(design.fixed_names[j] for j in kept),
        tuple((i,) for i in range(len(columns))),
    )
    return replace(design, fixed=(), fixed_names=(), fixed_terms=(), random=(*design.random, term))


def _starts(wide: Design, core: _core.Glmm, plain: _core.Glmm, control: Control) -> Iterator[Array]:
    """Parameters of all terms to start from."""
    base = of_size(core.parameters, wide.structures, 1.0)
    own = [t < len(wide.random) - 1 for t, _, _ in core.parameters]
    if control.start:
        base[own] = packed(plain.parameters, control.start)
        yield base
        return
    for size in STARTS:
        for number in range(3 if any(map(any, wide.structures)) else 1):
            yield of_size(core.parameters, wide.structures, size, number)


def _describe(
    design: Design, plain: _core.Glmm, surface: Restricted, found: Minimum, kept: Positions
) -> GlmmEstimate:
    """Map the minimum to the user's scale; modes are those of both kinds of effects together."""
    value = surface.value(found.x)
    _, _, dispersion = surface.split(found.x)
    p, theta = len(kept), found.x[: surface.m]
    cov = surface.core.conditional_covariances()[-1].reshape(p, p)
    plain.restart()
    point = plain.evaluate(theta, np.zeros(0), dispersion)
    T = plain.T[:p, :p]
    beta = np.full(len(design.fixed), np.nan)
    beta[kept] = T @ point.beta
    separated = separated_columns(design, plain, kept)
    for j in separated:
        at = int(np.flatnonzero(kept == j)[0])
        cov[at], cov[:, at] = np.nan, np.nan
    factors = plain.factors(theta, True)
    error = np.nan
    if surface.spec.has_dispersion and np.isfinite(found.hessian).all():
        inverse = 2.0 * np.linalg.pinv(found.hessian, rcond=1e-12, hermitian=True)
        error = float(np.sqrt(max(inverse[-1, -1], 0.0)))
    return GlmmEstimate(
        spec=surface.spec,
        objective=value,
        conditional_log_likelihood=point.log_likelihood,
        beta=beta,
        kept=kept,
        cov_beta=cov,
        theta=theta,
        dispersion=dispersion,
        dispersion_se=error,
        lambda_=tuple(plain.factors(theta)),
        lambda_standard=standard_states(plain, theta, design),
        modes=tuple(np.ascontiguousarray(b.T) for b in plain.modes()),
        eta=np.array(plain.eta),
        converged=found.decrement < DECREMENT and found.status != "saddle" and not separated,
        is_singular=smallest(plain.parameters, theta, design.structures, factors) < SINGULAR,
        separated=separated,
        status=found.status,
        gradient=found.gradient,
        eigenvalues=eigenvalues(found.hessian),
        decrement=found.decrement,
        n_objective=surface.n_values,
        n_gradient=surface.n_gradients,
        path=np.array(found.path).reshape(-1, 3),
    )
