"""Findings about a generalised fit: separation, dispersion, zero variances, correlations of one."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from ... import _core
from ...design.design import Design
from ...errors import listed
from ...families import Link
from ...models.glmm.estimate import GlmmEstimate
from ...models.lmm import SINGULAR, zero_columns
from ...models.spanned import held_columns
from ..identified import ENDLESS, FINER, coarse_quadrature, endless_variances
from ..optimum.generalised import accounts_for_it, overdispersed, without_excess
from .finding import Finding
from .formulas import fix, uncorrelated, without
from .labels import Reused, check_labels
from .limits import check_limits

__all__ = ["check_generalised_fit", "check_generalised_labels"]


def check_generalised_fit(
    design: Design, core: _core.Glmm, estimate: GlmmEstimate, df: int, reused: list[str]
) -> Iterator[Finding]:
    """Return the findings about the optimum, the distribution and the covariances.

    Parameters
    ----------
    design, core, estimate
        The fit.
    df : int
        Rows minus parameters.
    reused : list of str
        Grouping factors whose labels were found to be used again.
    """
    if estimate.separated:
        names = " and ".join(repr(design.fixed_names[j]) for j in estimate.separated)
        yield Finding(
            "separated",
            "error",
            f"{names} separate{'s' * (len(estimate.separated) == 1)} all responses of one kind "
            "from those of the other: the likelihood rises without bound with the coefficient.",
            "Leave the column out, merge its levels, or count over larger units.",
        )
    elif not estimate.converged:
        yield Finding(
            "not-converged",
            "error",
            f"-2 log-likelihood can still fall by about {estimate.decrement:.2g} "
            f"({estimate.status}).",
            "Fit fewer random effects, or keep their covariances off zero by a prior.",
            'model.update(prior="weak")',
        )
        return
    endless = endless_variances(design, estimate)
    for reason in endless:
        yield Finding("endless-variance", "error", f"{reason}.", ENDLESS)
    if not endless and (coarse := coarse_quadrature(estimate)):
        finer = f"model.update(nagq={min(2 * estimate.spec.nagq + 1, 100)})"
        yield Finding("coarse-quadrature", "warning", f"{coarse}.", FINER, finer)
    yield from _dispersion(design, estimate, df)
    for t in range(len(design.random)):
        yield from _singular(design, core, estimate, t, reused)


def _dispersion(design: Design, estimate: GlmmEstimate, df: int) -> Iterator[Finding]:
    if found := overdispersed(design, estimate, df):
        wider = estimate.spec.distribution.wider
        yield Finding(
            "overdispersed",
            "warning",
            f"squared Pearson residuals are {found.ratio:.2f} times what is expected under the "
            f"distribution (p = {found.pvalue:.2g}), so standard errors are too small.",
            f"Account for it by {accounts_for_it(estimate)}.",
            f'model.update(family="{wider}")' if wider else "",
        )
    own = estimate.spec.distribution
    if without_excess(estimate):
        yield Finding(
            "no-excess",
            "note",
            f"the {own.parameters[0]} of the {own.label} runs to infinity: the responses vary no "
            f"more than {own.narrower} ones.",
            f"A {own.narrower} model gives the same fit with one parameter fewer.",
            f'model.update(family="{own.narrower}")',
        )


def _singular(
    design: Design, core: _core.Glmm, estimate: GlmmEstimate, t: int, reused: list[str]
) -> Iterator[Finding]:
    """Tell a zero variance from a correlation of one."""
    term = design.random[t]
    if term.is_structured:
        yield from check_limits(term, estimate.lambda_standard[t], estimate.lambda_[t])
        return
    for block in term.blocks:
        index = np.ix_(block, block)
        sizes = np.linalg.svd(estimate.lambda_standard[t][index], compute_uv=False)
        if sizes.min() >= SINGULAR:
            continue
        names = [term.names[i] for i in block]
        found = zero_columns(core.term_basis(t)[index], estimate.lambda_[t][index], names)
        zero = [name for name in found if name not in held_columns(design, t)]
        if found and not zero:  # held there, which has a finding of its own
            continue
        if zero:
            labels = f" Its labels are used again (see labels-reused): {term.group} is another one."
            yield Finding(
                "zero-variance",
                "warning",
                f"the variance of {', '.join(zero)} between levels of {term.group} is estimated as "
                f"zero.{labels * (term.group in reused)}",
                "Leaving it out gives the same fit; a zero here does not show that levels are "
                "equal.",
                "" if term.group in reused else fix(without(design, term, zero)),
            )
            continue
        yield Finding(
            "correlation-one",
            "warning",
            f"the covariance of ({listed(names)} | {term.group}) has variation in "
            f"{len(sizes) - int((sizes < SINGULAR).sum())} of {len(sizes)} directions.",
            "The data support fewer directions of variation than the model has. Leave the "
            "correlation out, or the column with the least variation.",
            fix(uncorrelated(design, term.group)),
        )


def check_generalised_labels(design: Design, link: Link) -> Iterator[Reused]:
    """Find labels that are used again, by linear models of the responses.

    Counts and durations are taken by their logarithms, so that rare large ones do not decide.
    """
    positive = link.low == 0.0 and link.high == np.inf
    y = np.log1p(design.y) if positive else design.y
    for found in check_labels(replace(design, y=y, offset=None), reml=False):
        evidence = f"{found.finding.evidence} (By linear models of the responses.)"
        yield replace(found, finding=replace(found.finding, evidence=evidence))
