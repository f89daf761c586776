"""Variances that the data cannot tell: of terms that fixed effects span, and without an end."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from .. import _core
from .._typing import Array
from ..chunks.summed import SummedDesign
from ..design.design import Design, RandomTerm
from ..models import lmm
from ..models.glmm.estimate import GlmmEstimate
from ..models.lmm import LmmEstimate

__all__ = ["ENDLESS", "Spanned", "endless_variances", "held_at_zero", "spanned_terms"]


#: Share of a column that may be left outside of a space that holds it.
OUTSIDE = 1e-9
#: Columns that a message names at most.
NAMED = 4
#: Standard deviation of a predictor of 0/1 responses that says all or nothing of a level.
ALL_OR_NOTHING = 30.0
#: What to do where no finite variance exists.
ENDLESS = (
    "Neither Laplace's approximation nor quadrature holds there: do not read the estimates. Model "
    "one response a level, take a weak prior, or gather levels with responses of both kinds."
)


@dataclass(frozen=True)
class Spanned:
    """Columns of a random-effects term whose levels' indicators the fixed effects span.

    Attributes
    ----------
    term : int
        Position in ``Design.random``.
    columns : tuple of int
        Columns of the term.
    by : tuple of str
        Fixed effects that make up the indicators.
    """

    term: int
    columns: tuple[int, ...]
    by: tuple[str, ...]

    def name(self, design: Design) -> str:
        """Write the part of the term that is not identified."""
        term = design.random[self.term]
        columns = ["1" if term.names[j] == "Intercept" else term.names[j] for j in self.columns]
        return f"({' + '.join(columns)} | {term.group})"

    def text(self, design: Design) -> str:
        """Say which term is not identified, and what spans it."""
        group = design.random[self.term].group
        more = f" and {len(self.by) - NAMED} more" if len(self.by) > NAMED else ""
        return (
            f"the variance of {self.name(design)} is not identified: the fixed effects "
            f"{', '.join(self.by[:NAMED])}{more} span the indicators of its levels, so that both "
            "say the same. It is held at zero, and standard errors are for these very levels; "
            f"leave the term out, or take {group} out of the fixed part."
        )


def spanned_terms(design: Design) -> list[Spanned]:
    """Find the columns of random-effects terms that the fixed effects span, level by level.

    Notes
    -----
    The residuals that the restricted likelihood is made of are free of the fixed effects, and so of
    such a term: the likelihood does not depend on its variance.
    """
    if isinstance(design, SummedDesign):
        return []
    p = len(design.fixed)
    near = [
        t for t, term in enumerate(design.random) if term.n_levels <= p and not term.is_structured
    ]
    if not near:
        return []
    size = np.linalg.norm(design.X, axis=0)
    X = design.X / np.where(size > 0.0, size, 1.0)
    U, d, Vt = np.linalg.svd(X, full_matrices=False)
    rank = int((d > OUTSIDE * d[0]).sum())
    U, back = U[:, :rank], Vt[:rank].T / d[:rank]
    found = []
    for t in near:
        term = design.random[t]
        if term.n_levels > rank:
            continue
        inside = [(j, _inside(design, term, j, U)) for j in range(term.n_cols)]
        held = [(j, sums) for j, sums in inside if sums is not None]
        if held:
            used = np.max([np.abs(sums @ back.T).max(axis=0) for _, sums in held], axis=0)
            by = [design.fixed_names[i] for i in np.flatnonzero(used > 1e-6 * used.max())]
            found.append(Spanned(t, tuple(j for j, _ in held), tuple(by)))
    return found


def _inside(design: Design, term: RandomTerm, j: int, U: Array) -> Array | None:
    """Coordinates of a column's indicators in a basis, shape (levels, rank); None if outside."""
    reference = term.columns[j]
    z = np.ones(design.n_obs) if reference < 0 else design.columns[reference]
    squares = np.bincount(term.codes, weights=z * z, minlength=term.n_levels)
    sums = np.column_stack(
        [np.bincount(term.codes, weights=z * u, minlength=term.n_levels) for u in U.T]
    )
    left = squares - (sums**2).sum(axis=1)
    return np.asarray(sums, float) if bool((left <= OUTSIDE * squares).all()) else None


def held_at_zero(
    design: Design, core: _core.Lmm, estimate: LmmEstimate, spanned: list[Spanned]
) -> LmmEstimate:
    """Put variances that the likelihood does not depend on to zero, the others as they are."""
    factors = [block.copy() for block in estimate.lambda_]
    for one in spanned:
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
    """Say of which grouping factors a variance has no finite estimate, and why.

    Notes
    -----
    Where all responses of a level are alike, in every level, the likelihood rises to a limit as the
    variance grows, and both Laplace's approximation and quadrature fail on the way.
    """
    if not estimate.spec.distribution.has_trials:
        return []
    found = []
    for term, factor in zip(design.random, estimate.lambda_standard, strict=True):
        low, high = np.full(term.n_levels, np.inf), np.full(term.n_levels, -np.inf)
        np.minimum.at(low, term.codes, design.y)
        np.maximum.at(high, term.codes, design.y)
        alike = (low == high) & ((low == 0.0) | (low == 1.0))
        size = 0.0 if term.is_structured else float(np.linalg.norm(factor, 2))
        if alike.all() and term.n_levels < design.n_obs:
            found.append(
                f"in each of the {term.n_levels} levels of {term.group} all responses are alike, "
                "so that the likelihood rises to a limit as the variance grows without end"
            )
        elif size > ALL_OR_NOTHING:
            found.append(
                f"the standard deviation between levels of {term.group} runs to {size:.3g} on the "
                f"scale of the {estimate.spec.link}: a level says all or nothing, in "
                f"{int(alike.sum())} of {term.n_levels} levels all responses are alike"
            )
    return found
