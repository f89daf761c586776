"""One formula, many groups: frames, designs, columns."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from functools import cache, partial
from typing import Any

import numpy as np
import pandas as pd

from ..chunks.rows import Sample
from ..design.design import Design
from ..design.frame import Frame, open_frame
from ..design.structures.structure import check_free
from ..design.values import read_codes
from ..errors import DataError, ModelError
from ..fitted.glmm.call import GlmerCall
from ..fitted.lmm.call import Call
from ..formula import Formula
from ..formula.parse import parse
from ..models.batch.blocks import Progress
from ..models.batch.estimate import Settings
from ..models.lmm import Control
from ..parallel.workers import worker_count
from .counts import batch_ddf, batch_spec, check_plain
from .group_rows import build, try_build
from .group_run import GroupRun
from .group_sources import Codes, Columns, GroupRows, group_files, group_frame, is_files
from .many import read_tests
from .responses import is_dataset
from .result import BatchResult
from .stored import StoredBatch

__all__ = [
    "columns_used",
    "digest",
    "files_and_design",
    "frame_and_design",
    "read_groups",
    "sampled",
]

#: What fits each group where this does not.
BY_HAND = "as {name: ranef.lmer(formula, rows) for name, rows in data.groupby(by)}"


def frame_and_design(
    call: Call | GlmerCall,
    data: Any,
    by: tuple[str, ...],
    sample: Sample,
    in_blocks: bool,
    progress: bool,
) -> tuple[GroupRows, Design]:
    """Read the groups of a frame, and a design in which every level occurs."""
    frame = open_frame(data)
    codes, labels = read_groups(frame, by)
    columns = columns_used(sample.formula, frame, call.weights, call.offset)
    whole = try_build(call, columns)
    if whole is None:
        sample.add(columns)
        whole = sampled(call, sample)
    stamp = cache(partial(digest, columns, codes))
    return group_frame(columns, codes, labels, stamp, in_blocks=in_blocks), whole


def files_and_design(
    call: Call | GlmerCall,
    data: Any,
    by: tuple[str, ...],
    sample: Sample,
    in_blocks: bool,
    progress: bool,
) -> tuple[GroupRows, Design]:
    """Read the groups of files, and a design in which every level occurs."""

    def wanted(name: str) -> bool:
        return name in sample.formula.text or name in sample.arguments

    groups = group_files(data, by, wanted, sample, progress=progress)
    return groups, sampled(call, sample)


def sampled(call: Call | GlmerCall, sample: Sample) -> Design:
    """Build a design from rows that show every level, without rows that have infinite values."""
    columns = sample.frame()
    whole = try_build(call, columns)
    if whole is not None:
        return whole
    numbers = [column for column in columns.values() if column.dtype.kind == "f"]
    finite = np.flatnonzero(~np.any([np.isinf(column) for column in numbers], axis=0))
    return build(call, {name: column.iloc[finite] for name, column in columns.items()})


def digest(columns: Columns, codes: Codes) -> str:
    """Identify data by a short text."""
    out = hashlib.sha256(np.ascontiguousarray(codes).tobytes())
    for name, column in columns.items():
        out.update(name.encode())
        out.update(pd.util.hash_array(column.to_numpy()).tobytes())
    return out.hexdigest()[:32]


def read_groups(frame: Frame, names: Sequence[str]) -> tuple[Codes, pd.Index[Any]]:
    """Return each row's group, -1 where missing, and the groups' labels."""
    parts = [read_codes(frame.series(name), name) for name in names]
    missing = np.any([codes < 0 for codes, _ in parts], axis=0)
    if missing.all():
        raise DataError(f"{', '.join(map(repr, names))} is missing in every row", names[0])
    keys = np.stack([codes for codes, _ in parts], axis=1)[~missing]
    found, inverse = np.unique(keys, axis=0, return_inverse=True)
    codes = np.full(len(missing), -1, dtype=np.intp)
    codes[~missing] = inverse.ravel()
    values = [levels[found[:, i]] for i, (_, levels) in enumerate(parts)]
    if len(names) == 1:
        return codes, pd.Index(values[0], name=names[0])
    return codes, pd.MultiIndex.from_arrays(values, names=list(names))


def columns_used(formula: Formula, frame: Frame, *arguments: Any) -> dict[str, pd.Series[Any]]:
    """Select the columns that the formula's text or an argument may mention."""
    asked = {argument for argument in arguments if isinstance(argument, str)}
    return {
        name: frame.series(name)
        for name in dict.fromkeys(frame.names)
        if isinstance(name, str) and (name in formula.text or name in asked)
    }


def fit_by(  # noqa: PLR0913 (every option of a fit)
    formula: str,
    data: Any,
    by: str | Sequence[str],
    *,
    weights: str | None = None,
    offset: str | None = None,
    contrasts: Any = None,
    family: str | None = None,
    link: str | None = None,
    reml: bool = True,
    tests: Sequence[Any] = (),
    ddf: str | None = None,
    workers: int | None = None,
    progress: bool = True,
    control: Control | None = None,
    out: Any = None,
    executor: Any = None,
) -> BatchResult | StoredBatch:
    """Fit every group of rows in memory or in files; arguments as of ``fit_groups``."""
    parsed = parse(formula)
    check_free(parsed, "fit_groups", BY_HAND)
    parsed.refuse_smooths("fit_groups", BY_HAND)
    if not parsed.random:
        raise ModelError(
            "the formula has no random-effects term such as (1 | g); fit_groups fits a mixed model "
            "to each group. For a regression in each, use ranef.lmlist(formula, data, groups=by), "
            "or ranef.feols on the rows of one."
        )
    names = (by,) if isinstance(by, str) else tuple(by)
    if not names:
        raise DataError("by is empty; name the columns that define the groups")
    for name, given in (("weights", weights), ("offset", offset)):
        if given is not None and not isinstance(given, str):
            raise TypeError(f"{name} must be the name of a column, not a {type(given).__name__}")
    spec, limits = batch_spec(family, link, None), Control.of(control)
    degrees = batch_ddf(ddf, spec)
    call: Call | GlmerCall = Call(formula, reml, weights, offset, contrasts, "drop", limits)
    if spec is not None:
        call = GlmerCall(formula, spec, weights, offset, contrasts, "drop", limits)
    sample = Sample(parsed, weights, offset)
    if is_dataset(data) and not getattr(data, "files", None):
        data = data.to_table()
    opened = files_and_design if is_files(data) else frame_and_design
    in_blocks = not (out is None and executor is None)
    groups, whole = opened(call, data, names, sample, in_blocks, progress)
    if spec is not None:
        check_plain(whole)
    settings = Settings(
        reml=reml and spec is None,
        satterthwaite=degrees == "satterthwaite",
        workers=worker_count(workers, None if executor is None else 1),
        contrasts=read_tests(tests, whole.fixed_names, degrees),
        control=call.control,
        spec=spec,
    )
    run = GroupRun(whole, settings, groups, names, call, degrees, executor)
    with Progress(len(groups.labels), "groups", shown=progress) as line:
        return run.in_memory(line) if out is None else run.stored(out, line)
