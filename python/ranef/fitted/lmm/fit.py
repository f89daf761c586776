"""From the arguments of a linear mixed model to its estimate."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from ... import _core
from ... import design as designs
from ..._typing import Array
from ...chunks import source
from ...chunks.summed import SummedDesign
from ...chunks.sums import Sums
from ...design.design import Design
from ...design.frame import is_frame
from ...errors import ModelError, UnsupportedError
from ...formula import parse
from ...inference.optimum.optimum import judged
from ...inference.priors.mode import fit_penalized
from ...inference.priors.parts import prior_parts, simplified
from ...models import lmm
from ...models.lmm import LmmEstimate
from .call import Call

__all__ = ["checked", "complete", "estimated", "kernel_of", "read"]


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
    call = replace(call, prior=simplified(call.prior))
    if call.prior is not None and not is_frame(data) and source.is_source(data):
        raise UnsupportedError("a prior needs rows in memory; leave it out, or give a frame")
    if isinstance(data, Sums):
        return replace(call, weights=data.weights, offset=data.offset, contrasts=data.contrasts)
    return call


def read(call: Call, data: Any, *, executor: Any = None, progress: bool = True) -> Design:
    """Read data as a call says: a frame's rows, or the sums of rows that come in chunks."""
    options = {"weights": call.weights, "offset": call.offset}
    options |= {"contrasts": call.contrasts, "missing": call.missing}
    if not is_frame(data) and source.is_source(data):
        return source.read(call.formula, data, executor=executor, progress=progress, **options)
    if executor is not None:
        raise ValueError("executor adds up data that are read in chunks; these are in memory")
    return designs.build(parse(call.formula), data, **options)


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
        return fit_penalized(design, core, call.prior, reml=call.reml, control=control)
    found = lmm.fit(design, core, reml=call.reml, control=control)
    return found if found.converged else judged(design, core, found)


def checked(design: Design, call: Call) -> None:
    """Refuse a model that cannot be estimated, as a call would fit it.

    Raises
    ------
    ModelError
        See :func:`ranef.models.lmm.check`.
    """
    lmm.check(design, knows_sigma=prior_parts(call.prior).sigma is not None)
