"""What a fit of several linear predictors warns of."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from ...errors import ConvergenceWarning, RanefWarning, RankWarning, SingularFitWarning
from ...inference.identified import ENDLESS
from ...models.lmm import SINGULAR
from ...report.verdict import alias_notes, convergence
from ..warned import dropped_rows
from .parts import PredictorParts, SeveralParts

__all__ = ["REMEDY", "findings", "not_there", "singular"]

#: What may help a search that stopped early.
REMEDY = (
    "A simpler zero or dispersion part, fewer random effects, or merged levels of a predictor may "
    "help."
)


def findings(parts: SeveralParts) -> Iterable[RanefWarning]:
    """List everything worth a warning, in the order of the analysis."""
    estimate = parts.estimate
    yield from dropped_rows(parts.design)
    for part, own in parts.designs:
        block = estimate.block(part)
        if block.aliased:
            notes = " ".join(alias_notes(own, block.aliased, block.alias, block.kept))
            yield RankWarning(f"the columns of the {part} have less than full rank: {notes}")
    if parts.call.zero is not None and all_single(parts):
        yield RanefWarning(
            "every row is one trial, so that zeros of the zero part and other failures differ by "
            "the shape of the link alone: both parts lean on that shape. Leave zero= out, or give "
            "successes of several trials."
        )
    spanned = parts.spanned
    yield from (RankWarning(one.text(parts.design)) for one in spanned)
    if estimate.is_singular and (told := singular(parts)):
        yield SingularFitWarning("singular fit: " + "; ".join(told))
    yield from (ConvergenceWarning(f"{reason}. {ENDLESS}") for reason in parts.endless)
    if estimate.separated:
        far = " and ".join(f"{name!r} ({part})" for part, name in estimate.separated)
        yield ConvergenceWarning(
            f"the likelihood rises without bound with {far}: fitted values run to the edge of "
            "their range, so that no finite coefficient exists and its standard error is left "
            "out. Leave the column out, or merge its levels."
        )
    elif not parts.endless:
        yield from not_there(parts, REMEDY)


def all_single(parts: SeveralParts) -> bool:
    """Return whether the response counts the successes of single trials."""
    weights = parts.design.weights
    return parts.family.has_trials and (weights is None or bool(np.all(weights == 1.0)))


def singular(parts: PredictorParts) -> list[str]:
    """Name the terms that are singular."""
    out = []
    told = {one.term for one in parts.spanned}
    each = zip(parts.design.random, parts.estimate.lambda_standard, strict=True)
    for t, (term, block) in enumerate(each):
        if t not in told and np.linalg.svd(block, compute_uv=False).min() < SINGULAR:
            size = "variance is zero" if len(block) == 1 else "covariance matrix is singular"
            out.append(
                f"the {size} for ({' + '.join(term.names)} | {term.group}); drop the term, or "
                "a column of it, for the same fit"
            )
    return out


def not_there(parts: PredictorParts, remedy: str) -> Iterable[RanefWarning]:
    """State that the search stopped early, where it did."""
    estimate = parts.estimate
    if convergence(estimate, parts.optimum(), [], remedy).converged:
        return
    left = (
        f"-2 log-likelihood can still fall by about {estimate.decrement:.2g}"
        if np.isfinite(estimate.decrement)
        else "the curvature of the likelihood cannot be computed"
    )
    yield ConvergenceWarning(f"the search stopped ({estimate.status}) where {left}. {remedy}")
