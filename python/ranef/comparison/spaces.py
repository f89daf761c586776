"""How two generalised models are nested, part by part."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from ..design.design import INTERCEPT, Design
from ..fitted.generalised.parts import GeneralisedParts
from ..fitted.glmm.parts import GlmmParts
from ..fitted.ordinal.parts import OrdinalParts
from ..fitted.several.parts import SeveralParts
from ..inference.lrt.fixed import fixed_space
from ..inference.lrt.lrt import Parts, Relation, relate
from ..inference.lrt.random import covariance_blocks

__all__ = ["Spaces", "related", "spaces_of"]

#: The spaces of a model by part.
Spaces = dict[str, Parts]

#: For parts that one of two models lacks and no constant stands for.
UNRELATED = Relation(same_fixed=False, same_random=False, nested=False, zeros=0, shift=0.0)


def spaces_of(parts: GeneralisedParts) -> Spaces:
    """List the spaces of all parts; a constant one where a part has no formula."""
    if isinstance(parts, GlmmParts):
        found = {"location": space(parts.design, parts.kept)}
        if parts.call.spec.has_dispersion:
            found["dispersion"] = constant(parts.design)
        return found
    if isinstance(parts, SeveralParts):
        found = {
            name: space(design, parts.estimate.block(name).kept) for name, design in parts.designs
        }
        if parts.family.shapes:
            found.setdefault("dispersion", constant(parts.design))
        return found
    assert isinstance(parts, OrdinalParts)
    found = {"location": location_of(parts)}
    for name, design in (("scale", parts.scale), ("nominal", parts.nominal)):
        found[name] = (
            constant(parts.design)
            if design is None
            else space(design, np.arange(len(design.fixed)))
        )
    return found


def location_of(parts: OrdinalParts) -> Parts:
    """Prepare location and nominal effects: an equal effect on all thresholds is among these."""
    design, nominal = parts.design, parts.nominal
    kept = np.r_[0, parts.estimate.block("location").kept + 1]
    if nominal is None:
        return space(design, kept)
    shift = len(design.columns)
    joined = replace(
        design,
        columns=(*design.columns, *nominal.columns),
        fixed=(*design.fixed, *(j + shift for j in nominal.fixed[1:])),
    )
    more = len(design.fixed) + np.arange(len(nominal.fixed) - 1)
    return space(joined, np.r_[kept, more])


def space(design: Design, kept: Any) -> Parts:
    """Prepare one part for comparison."""
    plain = all(term.is_plain for term in design.random)
    return Parts(fixed_space(design, kept), covariance_blocks(design) if plain else [], design)


def constant(design: Design) -> Parts:
    """Prepare a part that is one number."""
    alone = replace(design, fixed=(INTERCEPT,), fixed_names=("Intercept",), random=(), offset=None)
    return space(alone, np.arange(1))


def related(small: GeneralisedParts, large: GeneralisedParts) -> Relation:
    """Compare two models of one distribution on the same rows."""
    low, high = spaces_of(small), spaces_of(large)
    if set(low) != set(high):
        return UNRELATED  # zeros that one of them lacks: a probability at its bound
    found = [relate(low[name], high[name]) for name in low]
    same = nested = True
    if isinstance(small, OrdinalParts) and isinstance(large, OrdinalParts):
        same = small.call.thresholds == large.call.thresholds
        nested = same or large.call.thresholds == "flexible"
    return Relation(
        same_fixed=same and all(one.same_fixed for one in found),
        same_random=all(one.same_random for one in found),
        nested=nested and all(one.nested for one in found),
        zeros=sum(one.zeros for one in found),
        shift=0.0,
    )
