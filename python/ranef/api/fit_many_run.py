"""Run a batch of responses: at once, block by block, or into a folder."""

from __future__ import annotations

import hashlib
import warnings
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ..design.design import Design
from ..errors import DataError, RanefWarning
from ..models import batch, batch_estimate, lmm
from ..models.batch_blocks import Progress
from ..models.batch_estimate import BatchEstimate, Settings
from .batch_folder import BatchFolder
from .batch_result import BatchResult, Labels
from .fitted import Call, estimated
from .mixed_model import LinearMixedModel
from .responses import Block, Responses, digest
from .stored_batch import StoredBatch, by_name

__all__ = ["ManyRun", "call_plan", "design_digest", "warn_interrupted"]

Matrix = NDArray[np.floating[Any]]


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
    call : Call
        The call that is made for one response.
    ddf : str
        Kind of degrees of freedom.
    """

    design: Design
    settings: Settings
    source: Responses
    W: Matrix | None
    call: Call
    ddf: str

    def at_once(self, Y: Matrix, line: Progress) -> BatchResult:
        """Fit responses that are all in memory."""
        W = None if self.W is None else self.used(self.W)
        estimate = batch.fit_responses(self.design, self.used(Y), self.settings, W=W, progress=line)
        assert self.source.names is not None
        return self.result(self.source.names, estimate, line)

    def in_memory(self, line: Progress) -> BatchResult:
        """Read responses block by block and keep the results."""
        core = batch.shared_core(self.design)
        names: list[pd.Index[Any]] = []
        parts: list[BatchEstimate] = []
        with line.interruptible():
            for block in self.source.blocks():
                names.append(block.names)
                parts.append(self.empty(block))
                self.fit(block.load(), sum(map(len, names[:-1])), parts[-1], core, line)
                if line.interrupted:
                    break
        found = names[0].append(names[1:]) if names else pd.Index([])
        if self.source.names is not None:
            missing = len(self.source.names) - len(found)
            found = self.source.names
            parts.append(batch_estimate.empty_estimate(missing, self.design, self.settings))
        if not len(found):
            raise DataError("responses gave no block")
        return self.result(found, batch_estimate.joined(parts, self.design, self.settings), line)

    def stored(self, out: Any, line: Progress) -> StoredBatch:
        """Write results to a folder, part by part, and go on where an earlier run stopped."""
        folder = BatchFolder(out, self.plan())
        core = batch.shared_core(self.design)
        count = start = 0
        with line.interruptible():
            for block in self.source.blocks():
                self.part(folder, count, start, block, core, line)
                if line.interrupted:
                    break
                count += 1
                start += len(block.names)
            else:
                if not count:
                    raise DataError("responses gave no block")
                folder.finish(count)
        if line.interrupted:
            warnings.warn(
                f"interrupted after {line.done} fits; the same call with out={folder.path!r} goes "
                "on from there",
                RanefWarning,
                stacklevel=3,
            )
        names, one = self.source.names, self.source.one
        single = None if names is None or one is None else by_name(names, self.single)
        return StoredBatch(folder.path, single=single, interrupted=line.interrupted)

    def part(
        self,
        folder: BatchFolder,
        index: int,
        start: int,
        block: Block,
        core: batch.Core,
        line: Progress,
    ) -> None:
        """Fit one block and write it, unless that is done."""
        done = folder.digest(index)
        Y = None
        if self.source.stamp is None:
            Y = block.load()
            values = digest(Y)
        else:
            values = self.source.stamp
        values = hashlib.sha256(f"{list(block.names)} {values}".encode()).hexdigest()[:32]
        if done is not None:
            if done != values:
                raise DataError(
                    f"the responses {block.names[0]!r} to {block.names[-1]!r} differ from those "
                    f"that out={folder.path!r} was made from; give another folder"
                )
            return line.advance(len(block.names))
        estimate = self.empty(block)
        line.advance(folder.restore(index, estimate, values))
        line.after = folder.saver(index, estimate, values)
        try:
            self.fit(block.load() if Y is None else Y, start, estimate, core, line)
            line.after = None
            if not line.interrupted:
                tables = self.result(block.names, estimate, line)._parts()
                return folder.write(index, tables, values)
        except KeyboardInterrupt:
            line.interrupted = True
        finally:
            line.after = None
        estimate.blank()
        folder.save(index, estimate, values)

    def fit(
        self, Y: Matrix, start: int, out: BatchEstimate, core: batch.Core, line: Progress
    ) -> None:
        """Fit the responses of a block, the first of them number ``start`` of all."""
        W = None if self.W is None else self.used(self.W[:, start : start + Y.shape[1]])
        batch.fit_responses(
            self.design, self.used(Y), self.settings, W=W, progress=line, out=out, complete=core
        )

    def empty(self, block: Block) -> BatchEstimate:
        """Make room for the fits of a block."""
        return batch_estimate.empty_estimate(len(block.names), self.design, self.settings)

    def used(self, Y: Matrix) -> Matrix:
        """Take the rows that the design uses."""
        return Y if self.design.rows is None else Y[self.design.rows]

    def result(self, names: pd.Index[Any], estimate: BatchEstimate, line: Progress) -> BatchResult:
        """Name the estimates."""
        if line.interrupted:
            warn_interrupted(line, len(names))
        return BatchResult(
            Labels(("response",), names, self.design.fixed_names),
            estimate,
            self.design,
            self.single,
            ddf=self.ddf,
            interrupted=line.interrupted,
        )

    def single(self, i: int) -> LinearMixedModel:
        """Fit response ``i`` in full."""
        if self.source.one is None:
            raise DataError("the responses came from an iterator, which cannot be read again")
        w = None if self.W is None else self.used(self.W[:, i])
        return single_fit(self.design, self.used(self.source.one(i)), w, self.call)

    def plan(self) -> dict[str, Any]:
        """Give all that the results depend on."""
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


def call_plan(call: Call, settings: Settings, ddf: str) -> dict[str, Any]:
    """Give the arguments that decide the results of a batch."""
    return {
        "formula": call.formula,
        "reml": call.reml,
        "ddf": ddf,
        "hypotheses": [[c.name, c.rows.tolist(), c.values.tolist()] for c in settings.contrasts],
        "contrasts": repr(call.contrasts),
        "weights": told(call.weights),
        "offset": told(call.offset),
        "control": repr(settings.control),
    }


def told(argument: Any) -> str:
    """Tell a column's name, or that an array was given, whose values are part of the data."""
    return argument if isinstance(argument, str) else "none" if argument is None else "an array"


def terms_plan(design: Design, settings: Settings) -> dict[str, Any]:
    """Give the rows that each fit has in the tables."""
    return {
        "terms": [*design.fixed_names, *(c.name for c in settings.single)],
        "coefficients": len(design.fixed_names),
        "joint": [c.name for c in settings.joint],
    }


def design_digest(design: Design, W: Matrix | None = None) -> str:
    """Tell designs apart by a short text."""
    out = hashlib.sha256()
    arrays = [*design.columns, *(term.codes for term in design.random)]
    for array in [*arrays, design.weights, design.offset, design.rows, W]:
        if array is not None:
            out.update(np.ascontiguousarray(array).view(np.uint8).data)
    levels = [list(term.levels) for term in design.random]
    out.update(repr((design.fixed, design.fixed_names, levels)).encode())
    return out.hexdigest()[:32]


def warn_interrupted(line: Progress, total: int) -> None:
    """Say that a run ended early."""
    warnings.warn(
        f"interrupted after {line.done} of {total} {line.unit}; "
        "the others have the status 'not run'",
        RanefWarning,
        stacklevel=4,
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
        own = on_rows(own, keep)
    lmm.check(own)
    core = lmm.kernel(own)
    estimate = estimated(own, core, call)
    return LinearMixedModel(own, estimate, call, core=core)


def on_rows(design: Design, keep: NDArray[np.bool_]) -> Design:
    """Restrict a design to some of its rows, and to levels that occur there."""
    random = []
    for term in design.random:
        used, codes = np.unique(term.codes[keep], return_inverse=True)
        random.append(replace(term, codes=codes.astype(np.int32), levels=term.levels[used]))
    rows = np.arange(design.n_data) if design.rows is None else design.rows
    return replace(
        design,
        y=np.ascontiguousarray(design.y[keep]),
        columns=tuple(np.ascontiguousarray(c[keep]) for c in design.columns),
        random=tuple(random),
        weights=None if design.weights is None else design.weights[keep],
        offset=None if design.offset is None else design.offset[keep],
        rows=rows[keep],
    )
