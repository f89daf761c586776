"""Checks and the estimate of a generalised linear mixed model."""

from __future__ import annotations

from typing import Any

import numpy as np

from ...design.design import Design
from ...families import find
from ...families.response import check_response, check_whole
from ...inference.priors.generalised import CovariancePenalty
from ...models.glmm import model as glmm
from ...models.glmm.estimate import GlmmEstimate, GlmmSpec
from .call import GlmerCall

__all__ = ["MOST_COLUMNS", "check_counts", "check_quadrature", "estimated", "specification"]


#: Random effects a level that quadrature takes: the points are nagq to their power.
MOST_COLUMNS = 3


def estimated(design: Design, core: Any, call: GlmerCall) -> GlmmEstimate:
    """Fit a design as a call says: by likelihood, or with its prior."""
    penalty = None if call.prior is None else CovariancePenalty(design, core, call.prior)
    return glmm.fit(design, core, call.spec, control=call.control, penalty=penalty)


def specification(family: str, link: str | None, nagq: int) -> GlmmSpec:
    """Check the options of the model."""
    found = find(family, "glmer")
    links = [choice.name for choice in found.links]
    chosen = links[0] if link is None else str(link).lower()
    if chosen not in links:
        raise ValueError(
            f"the link of a {found.label} family is one of {', '.join(links)}, not {link!r}"
        )
    if not isinstance(nagq, int | np.integer) or isinstance(nagq, bool) or not 0 <= nagq <= 100:
        raise ValueError(f"nagq is a number of points from 0 to 100, not {nagq!r}")
    return GlmmSpec(found.name, chosen, int(nagq))


def check_counts(design: Design, spec: GlmmSpec) -> None:
    """Refuse a response outside the family's range, and counts that are not whole.

    Raises
    ------
    DataError
        With the number of rows at fault and what to give instead.
    """
    check_response(design, spec.distribution)
    check_whole(design, spec.distribution)


def check_quadrature(design: Design, spec: GlmmSpec) -> None:
    """Refuse quadrature over more than one grouping factor, or too many columns."""
    if spec.nagq <= 1:
        return
    widest = max(term.n_cols for term in design.random)
    if len(design.random) > 1 or widest > MOST_COLUMNS:
        groups = ", ".join(f"{term.group} ({term.n_cols})" for term in design.random)
        raise ValueError(
            f"nagq={spec.nagq} needs one grouping factor with at most {MOST_COLUMNS} columns; this "
            f"model has {groups}. Use nagq=1, Laplace's approximation."
        )
