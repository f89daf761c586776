"""Variances that the data do not identify: of terms that fixed effects span, and unbounded ones."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from .. import _core
from .._counted import counted
from .._typing import Array, Codes
from ..design.design import Design
from ..models import lmm
from ..models.lmm import LmmEstimate
from ..models.spanned import Spanned

if TYPE_CHECKING:
    from ..design.design import RandomTerm
    from ..models.glmm.estimate import GlmmEstimate

__all__ = [
    "ENDLESS",
    "FINER",
    "coarse_quadrature",
    "endless_terms",
    "endless_variances",
    "held_at_zero",
]


#: Standard deviation of a predictor of 0/1 responses that says all or nothing of a level.
ALL_OR_NOTHING = 30.0
#: Change of -2 log-likelihood, all effects doubled, below which an optimum is none.
FLAT = 0.1
#: Change of -2 log-likelihood by a quadrature of twice the points that deserves a warning.
COARSE = 0.5
#: What to do where a quadrature is too coarse.
FINER = (
    "Its optimum may lie elsewhere: raise nagq, to 100 at most, until the estimates stay the same."
)
#: What to do where no finite variance exists.
ENDLESS = (
    "Neither Laplace's approximation nor quadrature is valid there: do not interpret the "
    "estimates. Model one response per level, use a weak prior, or collect levels with responses "
    "of both kinds."
)


def held_at_zero(
    design: Design, core: _core.Lmm, estimate: LmmEstimate, spanned: list[Spanned]
) -> LmmEstimate:
    """Put variances that the likelihood does not depend on to zero, the others as they are."""
    factors = [block.copy() for block in estimate.lambda_]
    if not (held := [one for one in spanned if one.held]):
        return estimate
    for one in held:
        rows = factors[one.term].copy()
        rows[list(one.columns)] = 0.0
        factors[one.term] = _lower(rows)
    at = lmm.evaluate(
        design, core, tuple(np.asfortranarray(f) for f in factors), reml=estimate.reml
    )
    return replace(
        at,
        converged=estimate.converged,
        status=estimate.status,
        decrement=estimate.decrement,
        path=estimate.path,
        n_objective=estimate.n_objective + 1,
        n_gradient=estimate.n_gradient,
    )


def _lower(rows: Array) -> Array:
    """Lower triangular factor of rows @ rows.T, diagonal zero or more."""
    R = np.asarray(np.linalg.qr(rows.T, mode="r"))
    signs = np.where(np.diag(R) < 0.0, -1.0, 1.0)
    return np.asarray(np.tril((signs[:, None] * R).T))


def endless_variances(design: Design, estimate: GlmmEstimate) -> list[str]:
    """State for which grouping factors of a binomial model a variance is unbounded, and why."""
    if not estimate.spec.distribution.has_trials:
        return []
    link = estimate.spec.link
    found = endless_terms(design, estimate.lambda_standard, link, edges=(0.0, 1.0))
    is_flat = estimate.doubled < FLAT and abs(estimate.quadrature_gap) <= COARSE
    if is_flat and not found:
        sizes = [0.0 if t.is_structured else largest(f) for t, f in _factors(design, estimate)]
        at = int(np.argmax(sizes))
        found.append(
            f"the standard deviation between levels of {design.random[at].group} is "
            f"{sizes[at]:.3g} on the scale of the {link}, and -2 log-likelihood changes by no more "
            f"than {max(estimate.doubled, 0.0):.2g} where all effects are doubled, so that it has "
            "no finite optimum that can be told from infinite ones"
        )
    return found


def _factors(design: Design, estimate: GlmmEstimate) -> zip[tuple[RandomTerm, Array]]:
    """Pair terms with their covariance factors."""
    return zip(design.random, estimate.lambda_standard, strict=True)


def endless_terms(
    design: Design, factors: Sequence[Array], link: str, *, edges: tuple[float, ...] = ()
) -> list[str]:
    """State for which grouping factors a variance has no finite estimate, and why.

    Parameters
    ----------
    design : Design
        Shares of successes, or categories as numbers, and the terms.
    factors : sequence of ndarray
        Standardised factor of each term's covariance.
    link : str
        Scale of the random effects.
    edges : tuple of float
        Responses that say all or nothing of a level; any if empty.

    Notes
    -----
    Where all responses of a level are alike, in every level, the likelihood rises to a limit as the
    variance grows, and both Laplace's approximation and quadrature fail on the way.
    """
    found = []
    for term, factor in zip(design.random, factors, strict=False):
        if len(term.memberships) > 1:
            continue
        size = 0.0 if term.is_structured else largest(factor)
        if size <= ALL_OR_NOTHING and _differs_within(term.codes, design.y, edges):
            continue
        low = np.full(term.n_levels, np.inf)
        high = np.full(term.n_levels, -np.inf)
        np.minimum.at(low, term.codes, design.y)
        np.maximum.at(high, term.codes, design.y)
        alike = (low == high) & (np.isin(low, edges) if edges else True)
        if alike.all() and term.n_levels < design.n_obs:
            found.append(
                f"in each of the {counted(term.n_levels, 'level')} of {term.group} all responses "
                "are alike, so that the likelihood rises to a limit as the variance grows without "
                "bound"
            )
        elif size > ALL_OR_NOTHING:
            found.append(
                f"the standard deviation between levels of {term.group} is {size:.3g} on the scale "
                f"of the {link}: levels are nearly all or nothing, and in "
                f"{int(alike.sum())} of {counted(term.n_levels, 'level')} all responses are alike"
            )
    return found


def _differs_within(codes: Codes, y: Array, edges: tuple[float, ...]) -> bool:
    """Return whether the first row's level alone shows that not all levels are alike."""
    own = y[codes == codes[0]]
    least = own.min()
    return bool(least != own.max() or (edges and least not in edges))


def largest(factor: Array) -> float:
    """Return the largest standard deviation along any axis of a covariance's factor."""
    return abs(float(factor[0, 0])) if factor.size == 1 else float(np.linalg.norm(factor, 2))


def coarse_quadrature(estimate: GlmmEstimate) -> str:
    """State that twice the points of quadrature change the likelihood; nothing if they do not."""
    gap, nagq = estimate.quadrature_gap, estimate.spec.nagq
    if abs(gap) <= COARSE:
        return ""
    return (
        f"quadrature of {nagq} points is too coarse here: with {counted(2 * nagq + 1, 'point')}, "
        f"-2 log-likelihood at the estimates is {abs(gap):.2g} {'higher' if gap > 0 else 'lower'}"
    )
