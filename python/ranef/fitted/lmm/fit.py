"""From the arguments of a linear mixed model to its estimate."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Any

import numpy as np

from ... import _core
from ... import design as designs
from ..._typing import Array
from ...chunks.summed import SummedDesign
from ...design.design import Design
from ...design.frame import is_frame
from ...errors import (
    ConvergenceWarning,
    ModelError,
    RanefWarning,
    RankWarning,
    SingularFitWarning,
    UnsupportedError,
)
from ...formula import parse
from ...inference.identified import held_at_zero
from ...inference.priors.parts import prior_parts, simplified
from ...models import lmm
from ...models.lmm import LmmEstimate
from ...models.spanned import spanned_terms
from ...report.verdict import by_notes, data_warnings, not_reached, not_there_yet, singular_notes
from ..method import by_method, checked_method, settled
from .call import Call
from .parts import LmmParts

__all__ = ["checked", "complete", "estimated", "fit", "kernel_of", "made", "read"]


def fit(call: Call, data: Any, *, executor: Any = None, progress: bool = True) -> LmmParts:
    """Carry out a call: parse, build, check, fit."""
    call = complete(call, data)
    design = read(call, data, executor=executor, progress=progress)
    checked(design, call)
    design = by_method(
        design, call.method, call.threads, call.control.seed, has_prior=call.prior is not None
    )
    core = kernel_of(design)
    estimate = estimated(design, core, call)
    held = None if isinstance(design, SummedDesign) else data
    return made(design, estimate, call, core, held)


def made(
    design: Design, estimate: LmmEstimate, call: Call, core: _core.Lmm | None, data: Any = None
) -> LmmParts:
    """Put an estimate and the warnings about it together."""
    parts = LmmParts(settled(design, estimate), estimate, call, data, core)
    found = tuple(findings(parts))
    return replace(parts, warnings=found) if found else parts


def findings(parts: LmmParts) -> Iterable[RanefWarning]:
    """List everything worth a warning, in the order of the analysis."""
    design, estimate = parts.design, parts.estimate
    yield from data_warnings(design, lambda: parts.core, estimate.kept)
    yield from (RanefWarning(note) for note in by_notes(design))
    spanned = parts.spanned
    yield from (RankWarning(one.text(design)) for one in spanned)
    if estimate.is_singular and estimate.converged:
        notes = singular_notes(
            design, parts.core, estimate, [one.term for one in spanned if one.held]
        )
        if notes:
            advice = " ranef.diagnose(model) looks for the cause."
            yield SingularFitWarning("singular fit: " + "; ".join(notes) + advice)
    if not estimate.converged:
        yield ConvergenceWarning(
            f"the search stopped ({estimate.status}) where {not_there_yet(design, estimate)}; "
            "ranef.converge(model) continues from there, and "
            'ranef.help("convergence") says what this means.'
        )
    found = estimate.approximation
    if found is not None and not found.reached:
        core = parts.core
        yield ConvergenceWarning(not_reached(found, core.exact_bytes, core.exact_flops))


def complete(call: Call, data: Any) -> Call:
    """Check a call, and fill in what the data bring with them.

    Raises
    ------
    ValueError
        If ``reml`` is neither True nor False.
    UnsupportedError
        If a prior is asked for data that are read in chunks.
    """
    if not isinstance(call.reml, bool | np.bool_):
        raise ValueError(f"reml must be True or False, not {call.reml!r}")
    if (method := checked_method(call.method, call.threads)) != call.method:
        call = replace(call, method=method)
    if (prior := simplified(call.prior)) is not call.prior:
        call = replace(call, prior=prior)
    if is_frame(data):
        return call
    from ...chunks import source
    from ...chunks.sums import Sums

    if call.prior is not None and source.is_source(data):
        raise UnsupportedError("a prior needs rows in memory; leave it out, or give a frame")
    if isinstance(data, Sums):
        return replace(call, weights=data.weights, offset=data.offset, contrasts=data.contrasts)
    return call


def read(call: Call, data: Any, *, executor: Any = None, progress: bool = True) -> Design:
    """Read data as a call says: a frame's rows, or the sums of rows that come in chunks."""
    options = {"weights": call.weights, "offset": call.offset}
    options |= {"contrasts": call.contrasts, "missing": call.missing}
    if not is_frame(data):
        from ...chunks import source

        if source.is_source(data):
            refuse_in_chunks(call)
            return source.read(call.formula, data, executor=executor, progress=progress, **options)
    if executor is not None:
        raise ValueError("executor= is for data that are read in chunks; these are in memory")
    return designs.build(
        parse(call.formula), data, smooths=True, covariance=call.covariance, **options
    )


def refuse_in_chunks(call: Call) -> None:
    """Refuse what needs rows in memory."""
    if call.covariance is not None or any(bar.members for bar in parse(call.formula).random):
        raise UnsupportedError(
            "covariance= and mm() need rows in memory; pass a frame instead of data in chunks"
        )


def kernel_of(design: Design) -> _core.Lmm:
    """Build the kernel of a design.

    Raises
    ------
    ModelError
        If the fixed effects reproduce the response.
    """
    try:
        return lmm.kernel(design)
    except ModelError as error:
        if not isinstance(design, SummedDesign):
            raise
        raise ModelError(
            f"{error}: to one part in 10,000, more than sums resolve. Keep the intercept in "
            "the formula, or take a constant off the response."
        ) from None


def estimated(
    design: Design, core: _core.Lmm, call: Call, start: tuple[Array, ...] = ()
) -> LmmEstimate:
    """Fit a design as a call says: by likelihood, or with its prior."""
    control = replace(call.control, start=start) if start else call.control
    if call.prior is not None:
        from ...inference.priors.mode import fit_penalized

        return fit_penalized(design, core, call.prior, reml=call.reml, control=control)
    found = lmm.fit(design, core, reml=call.reml, control=control)
    if not found.converged:
        from ...inference.optimum.optimum import judged

        found = judged(design, core, found)
    spanned = spanned_terms(design)
    return held_at_zero(design, core, found, spanned) if spanned else found


def checked(design: Design, call: Call) -> None:
    """Refuse a model that cannot be estimated, as a call would fit it.

    Raises
    ------
    ModelError
        See :func:`ranef.models.lmm.check`.
    """
    priors = prior_parts(call.prior)
    lmm.check(design, knows_sigma=priors.sigma is not None, known=priors.points)
