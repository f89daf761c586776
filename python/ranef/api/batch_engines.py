"""Batches on other machines: blocks of responses or of groups, each fitted where there is room.

A fit depends on its own rows and response only, so that blocks put together are the same, to the
last bit, as a batch in this process.
"""

from __future__ import annotations

import copy
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np
import pandas as pd

from ..design.design import RandomTerm
from ..design.frame import open_frame
from ..errors import DataError, DroppedRowsWarning, RanefError, UnsupportedError
from ..models.batch_estimate import ERROR, BatchEstimate
from ..models.progress import open_bar
from .batch_result import BatchResult, Labels
from .engines import GROUPED, column_names, frame_kind, run_tasks
from .fit_groups import fit_groups
from .fit_many import fit_many, read_matrix_weights
from .lmer import lmer
from .mixed_model import LinearMixedModel
from .responses import open_responses, read_responses

__all__ = ["fit_groups_on", "fit_many_on", "refuse_out"]

#: Blocks that a batch is cut into, at most.
BLOCKS = 64

Options = Mapping[str, Any]


@dataclass(frozen=True)
class Part:
    """The fits of a block.

    Attributes
    ----------
    fits : Index of length m
        Their labels.
    terms : tuple of str
        Coefficients.
    random : tuple of RandomTerm
        Random-effects terms, without rows.
    estimate : BatchEstimate or None
        Results; None if the block could not be set up.
    messages : dict of int to str
        What went wrong, by position in the block.
    """

    fits: pd.Index[Any]
    terms: tuple[str, ...] = ()
    random: tuple[RandomTerm, ...] = ()
    estimate: BatchEstimate | None = None
    messages: Mapping[int, str] | None = None


@dataclass(frozen=True)
class Terms:
    """What the tables of a batch need of a design."""

    random: tuple[RandomTerm, ...]


def part_of(result: Any) -> Part:
    """Take out of a result what tables need and what pickles."""
    random = tuple(
        replace(term, codes=np.empty(0, dtype=np.int32)) for term in result._design.random
    )
    return Part(
        result._labels.fits, result._labels.terms, random, result._estimate, result.messages
    )


# ------------------------------------------------------------------ responses


def fit_many_on(
    executor: Any, formula: str, data: Any, responses: Any, options: Options
) -> BatchResult:
    """Fit blocks of responses on an executor; arguments as of ``fit_many``."""
    frame = open_frame(data)
    if open_responses(responses, frame) is not None:
        raise UnsupportedError(
            "executor takes responses in memory; for files and iterators leave it out, or call "
            "fit_many for a part of the columns on each worker"
        )
    names, Y = read_responses(responses, frame)
    W = read_matrix_weights(options["weights"], frame.n_rows, names)
    used = columns_asked(formula, data, options, ())
    width = -(-Y.shape[1] // BLOCKS)
    local = {**options, "workers": options["workers"] or 1, "progress": False}
    first = fit_block(formula, used, local, (Y[:, :1], None if W is None else W[:, :1]))
    blocks = [
        (Y[:, i : i + width], None if W is None else W[:, i : i + width])
        for i in range(0, Y.shape[1], width)
    ]
    parts = run_tasks(executor, partial(fit_block, formula, used, local), blocks)
    with open_bar(len(blocks), "blocks", shown=options["progress"]) as bar:
        done = [counted(part, bar) for part in parts]
    estimate = joined([part.estimate for part in done if part.estimate is not None], first.terms)

    def single(i: int) -> LinearMixedModel:
        one = {**local, "weights": options["weights"] if W is None else W[:, i]}
        return fit_many(formula, used, Y[:, i : i + 1], **one).fit(0)

    return BatchResult(
        Labels(("response",), names, first.terms),
        estimate,
        Terms(first.random),  # type: ignore[arg-type]
        single,
        ddf=options["ddf"],
        interrupted=False,
    )


def fit_block(formula: str, data: Any, options: Options, task: tuple[Any, Any]) -> Part:
    """Fit a block of responses."""
    Y, W = task
    weights = options["weights"] if W is None else W
    return part_of(fit_many(formula, data, Y, **{**options, "weights": weights}))


# ------------------------------------------------------------------ groups


def fit_groups_on(
    executor: Any, formula: str, data: Any, by: str | Sequence[str], options: Options
) -> BatchResult:
    """Fit blocks of groups on an executor, or where a dataframe's parts are."""
    names = [by] if isinstance(by, str) else list(by)
    local = {**options, "workers": options["workers"] or 1, "progress": False}
    single: Callable[[Any], LinearMixedModel]
    if (kind := frame_kind(data)) is not None:
        asked = [n for n in column_names(data) if n in names or asks(formula, options)(n)]
        run = GROUPED[kind](data, asked, names)
        parts: Iterable[Part] = run(partial(fit_frames, formula, names, local))
        total = None
        single = not_here
    else:
        table = pd.DataFrame(columns_asked(formula, data, options, names))
        blocks = group_blocks(table, names)
        parts = run_tasks(executor, partial(fit_rows, formula, names, local), blocks)
        total = len(blocks)
        single = partial(fit_label, formula, table, names, local)
    with open_bar(total, "blocks", shown=options["progress"]) as bar:
        done = [counted(part, bar) for part in parts]
    return merged([part for part in done if len(part.fits)], names, options["ddf"], single)


def group_blocks(table: pd.DataFrame, names: list[str]) -> list[pd.DataFrame]:
    """Cut rows into blocks of whole groups."""
    for name in names:
        if name not in table:
            raise DataError(f"the data have no column {name!r}", name)
    codes = table.groupby(names, sort=True, observed=True).ngroup().to_numpy()
    if (codes < 0).any():
        count = int((codes < 0).sum())
        warnings.warn(
            DroppedRowsWarning(f"{count} rows are left out because values are missing in by"),
            stacklevel=4,
        )
    if not (codes >= 0).any():
        raise DataError(f"{', '.join(map(repr, names))} is missing in every row", names[0])
    width = -(-(codes.max() + 1) // BLOCKS)
    order = np.argsort(codes, kind="stable")[int((codes < 0).sum()) :]
    starts = np.searchsorted(codes[order], np.arange(width, codes.max() + 1, width))
    return [table.iloc[rows] for rows in np.split(order, starts)]


def fit_frames(formula: str, names: list[str], options: Options, frames: Iterator[Any]) -> Part:
    """Fit the groups of a part that comes as frames."""
    tables = [frame if isinstance(frame, pd.DataFrame) else frame.to_pandas() for frame in frames]
    tables = [table for table in tables if len(table)]
    if not tables:
        return Part(pd.Index([]))
    return fit_rows(formula, names, options, pd.concat(tables, ignore_index=True))


def fit_rows(formula: str, names: list[str], options: Options, table: pd.DataFrame) -> Part:
    """Fit the groups of some rows; one that cannot be set up does not hinder the others."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DroppedRowsWarning)
        try:
            return part_of(fit_groups(formula, table, names, **options))
        except RanefError as error:
            groups = [rows for _, rows in table.groupby(names, sort=True, observed=True)]
            if len(groups) > 1:
                parts = [fit_rows(formula, names, options, rows) for rows in groups]
                return put_together(parts)
            label = tuple(table[name].iloc[0] for name in names)
            fits = pd.MultiIndex.from_tuples([label], names=names)
            alone = fits if len(names) > 1 else fits.get_level_values(0)
            return Part(alone, messages={0: str(error)})


def put_together(parts: Sequence[Part]) -> Part:
    """Make one part of several; groups without results become rows with the status "error"."""
    known = [part for part in parts if part.estimate is not None]
    if not known:
        fits = parts[0].fits.append([part.fits for part in parts[1:]])
        return Part(fits, messages=dict(numbered(parts)))
    widest = max(known, key=lambda part: len(part.terms))
    extra = [t for part in known for t in part.terms if t not in widest.terms]
    terms = (*widest.terms, *dict.fromkeys(extra))
    filled = [part.estimate or failed(part, widest) for part in parts]
    of_terms = [part.terms if part.estimate is not None else widest.terms for part in parts]
    widened = [widen(e, own, terms) for e, own in zip(filled, of_terms, strict=True)]
    fits = parts[0].fits.append([part.fits for part in parts[1:]])
    return Part(fits, terms, widest.random, joined(widened, terms), dict(numbered(parts)))


def numbered(parts: Sequence[Part]) -> Iterator[tuple[int, str]]:
    """Give the messages of parts by position in all of them."""
    start = 0
    for part in parts:
        for position, message in (part.messages or {}).items():
            yield start + position, message
        start += len(part.fits)


def failed(part: Part, like: Part) -> BatchEstimate:
    """Give the results of groups that could not be set up."""
    assert like.estimate is not None
    shape = like.estimate
    out = BatchEstimate(len(part.fits), shape.p, shape.factors.shape[1], shape.settings)
    out.outcome[:] = ERROR
    return out


def widen(estimate: BatchEstimate, own: Sequence[str], terms: Sequence[str]) -> BatchEstimate:
    """Arrange coefficients as ``terms``, NaN for those that a part has not."""
    if tuple(own) == tuple(terms):
        return estimate
    out = copy.copy(estimate)
    place = [*(terms.index(name) for name in own)]
    place += range(len(terms), len(terms) + estimate.estimate.shape[1] - len(own))
    for name in ("estimate", "variance", "df"):
        values = getattr(estimate, name)
        wide = np.full((len(values), len(terms) + values.shape[1] - len(own)), np.nan)
        wide[:, place] = values
        setattr(out, name, wide)
    out.p = len(terms)
    return out


def merged(
    parts: Sequence[Part], names: list[str], ddf: str, single: Callable[[Any], LinearMixedModel]
) -> BatchResult:
    """Make one result of parts, groups in sorted order."""
    if not parts:
        raise DataError("the data have no rows")
    whole = put_together(parts)
    if whole.estimate is None:
        raise DataError(f"no group can be fitted; the first one: {(whole.messages or {})[0]}")
    order = whole.fits.argsort()
    estimate = copy.copy(whole.estimate)
    for name, array in estimate.arrays().items():
        setattr(estimate, name, array[order])
    fits = whole.fits[order]
    rank = {int(old): new for new, old in enumerate(order)}
    return BatchResult(
        Labels(tuple(names), fits, whole.terms),
        estimate,
        Terms(whole.random),  # type: ignore[arg-type]
        lambda i: single(fits[i]),
        ddf=ddf,
        interrupted=False,
        messages={rank[i]: text for i, text in (whole.messages or {}).items()},
    )


def fit_label(
    formula: str, table: pd.DataFrame, names: list[str], options: Options, label: Any
) -> LinearMixedModel:
    """Fit one group in full."""
    values = label if len(names) > 1 else (label,)
    rows = np.logical_and.reduce([table[n] == v for n, v in zip(names, values, strict=True)])
    kept = ("weights", "offset", "contrasts", "reml", "control")
    return lmer(formula, table[rows], **{name: options[name] for name in kept})


def not_here(label: Any) -> LinearMixedModel:
    """Refuse to fetch rows from another machine."""
    raise UnsupportedError(f"the rows of {label} are elsewhere; collect them and give them to lmer")


# ------------------------------------------------------------------ both


def refuse_out(out: Any) -> None:
    """Refuse to write parts from many places."""
    if out is not None:
        raise UnsupportedError("executor gives its result in memory; leave out out, or executor")


def asks(formula: str, options: Options) -> Callable[[str], bool]:
    """Tell which columns a call may name."""
    named = {v for v in (options["weights"], options["offset"]) if isinstance(v, str)}
    return lambda name: name in formula or name in named


def columns_asked(
    formula: str, data: Any, options: Options, names: Iterable[str]
) -> dict[str, pd.Series[Any]]:
    """Take the columns that a call may name."""
    frame = open_frame(data)
    wanted = asks(formula, options)
    return {
        name: frame.series(name)
        for name in dict.fromkeys(frame.names)
        if isinstance(name, str) and (name in names or wanted(name))
    }


def joined(estimates: Sequence[BatchEstimate], terms: Sequence[str]) -> BatchEstimate:
    """Put the rows of results one below the other."""
    if len({estimate.factors.shape[1] for estimate in estimates}) > 1:
        raise DataError(
            "the random-effects terms have different columns in different groups; make their "
            "factors categorical with the same categories"
        )
    out = copy.copy(estimates[0])
    out.p = len(terms)
    for name in out.arrays():
        setattr(out, name, np.concatenate([getattr(estimate, name) for estimate in estimates]))
    return out


def counted(part: Part, bar: Any) -> Part:
    """Count a part that has come."""
    bar.update()
    return part
