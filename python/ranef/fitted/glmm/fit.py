"""Checks and the estimate of a generalised linear mixed model."""

from __future__ import annotations

from typing import Any

import numpy as np

from ...design.design import Design
from ...errors import DataError
from ...families.response import check_response
from ...inference.priors.generalised import CovariancePenalty
from ...models.glmm import model as glmm
from ...models.glmm.estimate import FAMILIES, GlmmEstimate, GlmmSpec
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
    family = str(family).lower()
    if family == "gaussian":
        raise ValueError("a gaussian family is that of ranef.lmer(formula, data, reml=False)")
    if family not in FAMILIES:
        raise ValueError(f"family is one of {', '.join(FAMILIES)}, not {family!r}")
    links = FAMILIES[family]
    chosen = links[0] if link is None else str(link).lower()
    if chosen not in links:
        raise ValueError(
            f"the link of a {family} family is one of {', '.join(links)}, not {link!r}"
        )
    if not isinstance(nagq, int | np.integer) or isinstance(nagq, bool) or not 0 <= nagq <= 100:
        raise ValueError(f"nagq is a number of points from 0 to 100, not {nagq!r}")
    return GlmmSpec(family, chosen, int(nagq))


def check_counts(design: Design, spec: GlmmSpec) -> None:
    """Refuse a response outside the family's range, and counts that are not whole.

    Raises
    ------
    DataError
        With the number of rows at fault and what to give instead.
    """
    family = "poisson" if spec.family == "negative_binomial" else spec.family
    check_response(design, family)
    if spec.family == "gamma":
        return
    counts, words = design.y, "counts 0, 1, 2, ..."
    if spec.family == "binomial":
        trials = np.ones(design.n_obs) if design.weights is None else design.weights
        if bad := int(np.sum(trials != np.round(trials))):
            raise DataError(
                f"the weights of a binomial response are its trials, and {bad} of them are not "
                "whole numbers",
                "weights",
            )
        counts, words = design.y * trials, "shares of whole numbers of trials"
    bad = int(np.sum(np.abs(counts - np.round(counts)) > 1e-6 * np.maximum(1.0, counts)))
    if bad:
        hint = (
            "; give the trials as weights, or cbind(successes, failures)"
            if spec.family == "binomial"
            else '; for positive measurements use family="gamma", for rates counts and an offset'
        )
        raise DataError(
            f"a {spec.family} response is made of {words}; {design.response!r} is not in {bad} "
            f"rows{hint}",
            design.response,
        )


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
