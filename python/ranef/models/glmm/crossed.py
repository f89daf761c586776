"""Generalised linear mixed models of crossed intercepts without a factor."""

from __future__ import annotations

from typing import Any

import numpy as np

from ... import _core
from ...design.design import Design
from ...design.method import Sample
from ..lmm import Approximation, Control, fits, method_of
from .criterion import Criterion
from .estimate import GlmmSpec
from .search import Minimum, Proof, proved, search_scaled

__all__ = [
    "SAMPLED",
    "approximation_of",
    "crossed_kernel",
    "descend",
    "exact_cost",
    "refined",
]

#: Parts of the sample whose gradients show how far its optimum is from the exact one.
PARTS = 8
#: Tolerance of the search under a better approximation, and of one that a proof is to follow.
REST, LOOSE = 1e-6, 1e-4
#: Share of the standard deviations by which a first step may move them.
FIRST = 0.3
#: Proof of a minimum that is known to a Monte Carlo error: one gradient a
#: parameter, and a Hessian that serves after longer steps.
SAMPLED = Proof(sides=1, polished=1e-10, short=1e-4)


def crossed_kernel(design: Design, spec: GlmmSpec) -> _core.CrossedGlmm | None:
    """Build the iterative kernel of a design; None where the exact one is to be taken.

    Raises
    ------
    ModelError
        When the machine lacks the memory; with the gigabytes that are needed.
    """
    name = method_of(design)
    if name == "exact" or spec.nagq > 1:
        return None
    terms = [
        (term.codes, term.n_levels, list(term.columns), [0] * term.n_cols) for term in design.random
    ]
    n, columns, fixed = design.n_obs, list(design.columns), list(design.fixed)
    if name == "auto" and not _core.plan_crossed(n, columns, fixed, terms, name)[0]:
        return None
    core = _core.CrossedGlmm(
        np.ascontiguousarray(design.y, dtype=np.float64),
        columns,
        fixed,
        terms,
        np.ones(n) if design.weights is None else design.weights,
        np.zeros(n) if design.offset is None else design.offset,
        spec.distribution.core,
        spec.link,
        design.method.seed,
        design.method.threads,
    )
    sample = design.method.sample
    if sample is not None and sample.deflation is not None and fits(sample, design):
        core.resume(
            sample.n_probes,
            sample.exact_second,
            sample.deflated_at,
            sample.low,
            sample.high,
            sample.deflation,
        )
    return core


def descend(core: Any, spec: GlmmSpec, control: Control) -> tuple[Criterion, Minimum] | None:
    """Search over all parameters at once, from moment estimates of standard deviations.

    None for a kernel or a model that has no such start.
    """
    if not isinstance(core, _core.CrossedGlmm) or spec.nagq != 1 or spec.has_dispersion:
        return None
    theta = np.array(core.start())
    surface = Criterion(core, spec, None)
    if not np.isfinite(surface.value(theta)):
        return None
    bends = np.maximum(core.curvature(), 1e-2)
    surface.release_beta()
    assert surface.root is not None
    p = len(surface.root)
    found = search_scaled(
        surface,
        np.r_[theta, np.zeros(p)],
        np.diag(np.r_[bends, np.full(p, 2.0)]),
        max_steps=control.max_steps,
        tolerance=max(LOOSE, control.tolerance),
        radius=max(1.0, FIRST * float(np.linalg.norm(theta * np.sqrt(bends)))),
    )
    return surface, found


def refined(
    surface: Criterion, found: Minimum, control: Control, *, prove: bool = False
) -> Minimum:
    """Make the sample of an iterative kernel as large as promised, and search on from a minimum.

    Parameters
    ----------
    surface, found
        The criterion and its minimum.
    control : Control
        Settings of the search.
    prove : bool
        Whether a minimum that has moved is proved again.
    """
    core: Any = surface.core
    if not isinstance(core, _core.CrossedGlmm):
        return found
    surface.value(found.x)
    while core.improve(_theta_error(surface, found)):
        found = search_scaled(
            surface,
            found.x,
            found.hessian,
            max_steps=control.max_steps,
            tolerance=max(REST, control.tolerance),
        )
        if prove:
            found = proved(
                surface,
                found,
                max_steps=control.max_steps,
                tolerance=control.tolerance,
                proof=SAMPLED,
            )
        surface.value(found.x)
    return found


def _theta_error(surface: Criterion, found: Minimum) -> float:
    """Largest Monte Carlo standard deviation of a parameter, in units of its standard error.

    An optimum moves by the inverse Hessian times the error of the gradient, whose covariance the
    gradients by parts of the sample show.
    """
    core: Any = surface.core
    values, vectors = np.linalg.eigh(found.hessian)
    if not values[0] > 0.0:
        return float("inf")
    parts = np.array(core.gradient_parts(PARTS))
    if surface.root is not None:
        stop = len(parts) - surface.spec.has_dispersion
        parts[surface.m : stop] = surface.root.T @ parts[surface.m : stop]
    noise = np.cov(parts) / PARTS
    inverse = (vectors / values) @ vectors.T
    spread = inverse @ np.atleast_2d(noise) @ inverse
    return float(np.sqrt(np.max(np.diag(spread) / (2.0 * np.diag(inverse)))))


def approximation_of(design: Design, core: Any) -> Approximation | None:
    """Copy an iterative kernel's report on its accuracy; None for another kernel."""
    if not isinstance(core, _core.CrossedGlmm):
        return None
    of = core.approximation
    sample = Sample(
        tuple(term.n_levels for term in design.random),
        of.n_probes,
        of.exact_second,
        tuple(of.deflated_at),
        of.low,
        of.high,
        np.array(core.deflation),
    )
    return Approximation(
        llf_error=0.5 * of.value_sd,
        theta_error=of.theta_sd,
        residual=of.residual,
        reached=of.is_reached,
        n_deflated=of.n_deflated,
        degree=of.degree,
        sample=sample,
    )


def exact_cost(design: Design) -> tuple[float, float]:
    """Bytes and operations of one dense factor, which an exact fit would take."""
    levels = sorted(term.n_levels for term in design.random)
    q = float(sum(levels[:-1]))
    return 8.0 * q * q, q**3
