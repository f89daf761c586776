"""Run a batch of responses: at once, block by block, or into a folder."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from functools import cache, partial
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from .._caller import warn_caller
from .._typing import Positions
from ..design.design import Design
from ..errors import DataError, RanefWarning
from ..fitted.generalised.refits import of_design
from ..fitted.glmm.call import GlmerCall
from ..fitted.glmm.model import GeneralizedLinearMixedModel
from ..fitted.kinds import Model
from ..fitted.lmm.call import Call
from ..fitted.lmm.fit import estimated, made
from ..fitted.lmm.model import LinearMixedModel
from ..models import lmm
from ..models.batch import estimate as batch_estimate
from ..models.batch import fits as batch
from ..models.batch.blocks import Progress
from ..models.batch.estimate import BatchEstimate, Settings
from .folder import BatchFolder
from .parts import Part, Result, fit_here, fit_on
from .responses import Block, Responses, digest
from .result import BatchResult, Labels
from .stored import StoredBatch, by_name, opened

__all__ = ["ManyRun", "call_plan", "design_digest", "warn_interrupted"]

Matrix = NDArray[np.floating[Any]]
#: Responses, and their own weights.
Task = tuple[Matrix, Matrix | None]


@dataclass(frozen=True)
class ManyRun:
    """One design, and the responses that it is fitted to.

    Attributes
    ----------
    design : Design
        Everything but the response.
    settings : Settings
        How to fit.
    source : Responses
        The responses, block by block.
    W : ndarray of shape (n_data, m), or None
        Weights that differ between responses.
    call : Call or GlmerCall
        The call that is made for one response.
    ddf : str
        Kind of degrees of freedom.
    executor : object or None
        Where to fit, as in ``run_tasks``; None for this process.
    """

    design: Design
    settings: Settings
    source: Responses
    W: Matrix | None
    call: Call | GlmerCall
    ddf: str
    executor: Any = None

    def at_once(self, Y: Matrix, line: Progress) -> BatchResult:
        """Fit responses that are all in memory, by the threads of this process."""
        W = None if self.W is None else self.used(self.W)
        estimate = batch.fit_responses(self.design, self.used(Y), self.settings, W=W, progress=line)
        assert self.source.names is not None
        if line.interrupted:
            warn_interrupted(line, len(self.source.names))
        return self.result(self.source.names, estimate, line)

    def in_memory(self, line: Progress) -> BatchResult:
        """Read responses block by block and keep the results."""
        done: list[Part] = []
        with line.interruptible():
            for part in self.fitted(self.opened(), line):
                done.append(part)
        names = [part.labels for part in done]
        parts = [part.estimate for part in done]
        found = names[0].append(names[1:]) if names else pd.Index([])
        if self.source.names is not None:
            missing = len(self.source.names) - len(found)
            found = self.source.names
            parts.append(batch_estimate.empty_estimate(missing, self.design, self.settings))
        if not len(found):
            raise DataError("responses yielded no blocks")
        if line.interrupted:
            warn_interrupted(line, len(found))
        return self.result(found, batch_estimate.joined(parts, self.design, self.settings), line)

    def stored(self, out: Any, line: Progress) -> StoredBatch:
        """Write results to a folder, part by part, resuming where an earlier run stopped."""
        with BatchFolder(out, self.plan()) as folder, line.interruptible():
            for part in self.fitted(folder.unfinished(self.opened(), line), line):
                folder.keep(part, lambda part=part: self.tables(part, line))  # type: ignore[misc]
            if not line.interrupted:
                folder.finish("responses yielded no blocks")
        names, one = self.source.names, self.source.one
        single = None if names is None or one is None else by_name(names, self.single)
        return opened(folder, single, line, None if one is None else self.again)

    def again(self) -> BatchResult:
        """Fit the responses again, into memory."""
        with Progress(None, "fits", shown=False) as line:
            return self.in_memory(line)

    def opened(self) -> Iterator[Part]:
        """Return the blocks of responses, none of them fitted yet."""
        start = 0
        for index, block in enumerate(self.source.blocks()):
            empty = batch_estimate.empty_estimate(len(block.names), self.design, self.settings)
            told = cache(partial(self.digest, block))
            yield Part(index, start, block.names, empty, block.load, told)
            start += len(block.names)

    def digest(self, block: Block) -> str:
        """Identify the values of a block."""
        values = digest(block.load()) if self.source.stamp is None else self.source.stamp
        return hashlib.sha256(f"{list(block.names)} {values}".encode()).hexdigest()[:32]

    def fitted(self, parts: Iterable[Part], line: Progress) -> Iterator[Part]:
        """Fit blocks, here or on the executor."""
        if self.executor is not None:
            work = partial(fit_piece, replace(self.design, encoder=None), self.settings)
            return fit_on(self.executor, parts, self.cut, work, line)
        core = batch.shared_core(self.design)

        def fit(part: Part) -> None:
            [(Y, W)] = self.cut(part, [np.arange(len(part.labels))])
            batch.fit_responses(
                self.design, Y, self.settings, W=W, progress=line, out=part.estimate, complete=core
            )

        return fit_here(parts, fit, line)

    def cut(self, part: Part, pieces: list[Positions]) -> Iterator[Task]:
        """Return responses of a block, and their own weights."""
        Y = self.used(part.load())
        for at in pieces:
            W = None if self.W is None else self.used(columns_at(self.W, part.first + at))
            yield columns_at(Y, at), W

    def used(self, Y: Matrix) -> Matrix:
        """Take the rows that the design uses."""
        return Y if self.design.rows is None else Y[self.design.rows]

    def result(self, names: pd.Index[Any], estimate: BatchEstimate, line: Progress) -> BatchResult:
        """Name the estimates."""
        return BatchResult(
            Labels(("response",), names, self.design.fixed_names),
            estimate,
            self.design,
            self.single,
            ddf=self.ddf,
            interrupted=line.interrupted,
            blocks=self.passes if self.source.one is not None else None,
        )

    def passes(self) -> Iterator[tuple[slice, Matrix]]:
        """Read the used rows of all responses again, block by block."""
        start = 0
        for block in self.source.blocks():
            stop = start + len(block.names)
            yield slice(start, stop), self.used(block.load())
            start = stop

    def single(self, i: int) -> Model:
        """Fit response ``i`` in full."""
        if self.source.one is None:
            raise DataError("the responses came from an iterator, which cannot be read again")
        w = None if self.W is None else self.used(self.W[:, i])
        y = self.used(self.source.one(i))
        if isinstance(self.call, GlmerCall):
            return single_generalised(self.design, y, self.call)
        return single_fit(self.design, y, w, self.call)

    def tables(self, part: Part, line: Progress) -> dict[str, pd.DataFrame]:
        """Lay out the results of a block."""
        return self.result(part.labels, part.estimate, line).parts.tables()

    def plan(self) -> dict[str, Any]:
        """Return all that the results depend on."""
        names = self.source.names
        known = "an iterator"
        if names is not None:
            known = f"{len(names)} {hashlib.sha256(repr(list(names)).encode()).hexdigest()[:16]}"
        return {
            "function": "fit_many",
            **call_plan(self.call, self.settings, self.ddf),
            "data": design_digest(self.design, self.W),
            "responses": known,
            "response files": self.source.stamp,
            "key": ["response"],
            **terms_plan(self.design, self.settings),
        }


def fit_piece(design: Design, settings: Settings, task: Task) -> Result:
    """Fit a piece of a block of responses, wherever this runs."""
    Y, W = task
    with Progress(Y.shape[1], "fits", shown=False) as line:
        estimate = batch.fit_responses(design, Y, settings, W=W, progress=line)
    if line.interrupted:
        raise KeyboardInterrupt
    return Result(estimate)


def columns_at(Y: Matrix, at: Positions) -> Matrix:
    """Take columns of a matrix, without a copy where they are consecutive."""
    consecutive = len(at) and at[-1] - at[0] + 1 == len(at)
    return Y[:, at[0] : at[-1] + 1] if consecutive else Y[:, at]


def call_plan(call: Call | GlmerCall, settings: Settings, ddf: str) -> dict[str, Any]:
    """Return the arguments that decide the results of a batch."""
    return {
        "formula": call.formula,
        "reml": settings.reml,
        "family": "" if settings.spec is None else f"{settings.spec.family} {settings.spec.link}",
        "ddf": ddf,
        "hypotheses": [[c.name, c.rows.tolist(), c.values.tolist()] for c in settings.contrasts],
        "contrasts": repr(call.contrasts),
        "weights": told(call.weights),
        "offset": told(call.offset),
        "control": repr(settings.control),
    }


def told(argument: Any) -> str:
    """Return a column's name, or note that an array was given; its values are part of the data."""
    return argument if isinstance(argument, str) else "none" if argument is None else "an array"


def terms_plan(design: Design, settings: Settings) -> dict[str, Any]:
    """Return the rows that each fit has in the tables."""
    return {
        "terms": [*design.fixed_names, *(c.name for c in settings.single)],
        "coefficients": len(design.fixed_names),
        "joint": [c.name for c in settings.joint],
    }


def design_digest(design: Design, W: Matrix | None = None) -> str:
    """Identify a design by a short text."""
    out = hashlib.sha256()
    arrays = [*design.columns, *(term.codes for term in design.random)]
    for array in [*arrays, design.weights, design.offset, design.rows, W]:
        if array is not None:
            out.update(np.ascontiguousarray(array).view(np.uint8).data)
    for term in design.random:
        for array in () if term.known is None else term.known.triangle:
            out.update(np.ascontiguousarray(array).view(np.uint8).data)
    levels = [list(term.levels) for term in design.random]
    out.update(repr((design.fixed, design.fixed_names, levels)).encode())
    return out.hexdigest()[:32]


def warn_interrupted(line: Progress, total: int) -> None:
    """State that a run ended early."""
    warn_caller(
        RanefWarning(
            f"interrupted after {line.done} of {total} {line.unit}; "
            "the others have the status 'not run'"
        )
    )


def single_fit(
    design: Design,
    y: NDArray[np.floating[Any]],
    w: NDArray[np.floating[Any]] | None,
    call: Call,
) -> LinearMixedModel:
    """Fit one response in full."""
    keep = ~np.isnan(y) if w is None else ~(np.isnan(y) | np.isnan(w))
    own = replace(design, y=np.ascontiguousarray(y, dtype=np.float64))
    if w is not None:
        own = replace(own, weights=np.ascontiguousarray(w))
    if not keep.all():
        own = own.take(np.flatnonzero(keep))
    lmm.check(own)
    core = lmm.kernel(own)
    estimate = estimated(own, core, call)
    return LinearMixedModel(made(own, estimate, call, core))


def single_generalised(
    design: Design, y: NDArray[np.floating[Any]], call: GlmerCall
) -> GeneralizedLinearMixedModel:
    """Fit one response of generalised models in full."""
    keep = ~np.isnan(y)
    own = replace(design, y=np.ascontiguousarray(y, dtype=np.float64))
    if not keep.all():
        own = own.take(np.flatnonzero(keep))
    return GeneralizedLinearMixedModel(of_design(call, own))
