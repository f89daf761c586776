"""Batches on other machines: blocks of responses or groups, each fitted where there is capacity.

A fit depends only on its own rows and response, so that the combined blocks are the same, to the
last bit, as a batch in this process.
"""

from __future__ import annotations

import copy
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np
import pandas as pd

from ..design.design import RandomTerm
from ..errors import DataError, DroppedRowsWarning, RanefError, UnsupportedError
from ..fitted.lmm.model import LinearMixedModel
from ..models.batch.estimate import ERROR, BatchEstimate
from ..parallel.engines import GROUPED, column_names
from ..parallel.progress import open_bar
from .counts import batch_ddf, batch_spec
from .groups import fit_by
from .result import BatchResult, Labels

__all__ = ["fit_groups_on", "refuse_folder"]

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
    """What the tables of a batch need from a design."""

    random: tuple[RandomTerm, ...]


def part_of(result: Any) -> Part:
    """Extract from a result what the tables need and what can be pickled."""
    random = tuple(
        replace(term, codes=np.empty(0, dtype=np.int32)) for term in result.parts.design.random
    )
    return Part(
        result.parts.labels.fits,
        result.parts.labels.terms,
        random,
        result.parts.estimate,
        result.messages,
    )


def fit_groups_on(
    kind: str, formula: str, frame: Any, by: str | Sequence[str], options: Options
) -> BatchResult:
    """Fit groups where a dataframe's parts are; arguments as in ``fit_groups``."""
    names = [by] if isinstance(by, str) else list(by)
    local = {**options, "workers": options["workers"] or 1, "progress": False}
    asked = [n for n in column_names(frame) if n in names or asks(formula, options)(n)]
    run = GROUPED[kind](frame, asked, names)
    with open_bar(None, "blocks", shown=options["progress"]) as bar:
        done = [counted(part, bar) for part in run(partial(fit_frames, formula, names, local))]
    return merged([part for part in done if len(part.fits)], names, degrees_of(options))


def fit_frames(formula: str, names: list[str], options: Options, frames: Iterator[Any]) -> Part:
    """Fit the groups of a part that comes as frames."""
    tables = [frame if isinstance(frame, pd.DataFrame) else frame.to_pandas() for frame in frames]
    tables = [table for table in tables if len(table)]
    if not tables:
        return Part(pd.Index([]))
    return fit_rows(formula, names, options, pd.concat(tables, ignore_index=True))


def fit_rows(formula: str, names: list[str], options: Options, table: pd.DataFrame) -> Part:
    """Fit the groups of some rows; one that cannot be set up does not stop the others."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DroppedRowsWarning)
        try:
            return part_of(fit_by(formula, table, names, **options))
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
    """Combine several parts; groups without results become rows with the status "error"."""
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
    """Return the messages of parts by position in all of them."""
    start = 0
    for part in parts:
        for position, message in (part.messages or {}).items():
            yield start + position, message
        start += len(part.fits)


def failed(part: Part, like: Part) -> BatchEstimate:
    """Return the results of groups that could not be set up."""
    assert like.estimate is not None
    shape = like.estimate
    out = BatchEstimate(len(part.fits), shape.p, shape.factors.shape[1], shape.settings)
    out.outcome[:] = ERROR
    return out


def widen(estimate: BatchEstimate, own: Sequence[str], terms: Sequence[str]) -> BatchEstimate:
    """Arrange coefficients as ``terms``, NaN for those that a part lacks."""
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


def merged(parts: Sequence[Part], names: list[str], ddf: str) -> BatchResult:
    """Merge parts into one result, groups in sorted order."""
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
        lambda i: not_here(fits[i]),
        ddf=ddf,
        interrupted=False,
        messages={rank[i]: text for i, text in (whole.messages or {}).items()},
    )


def not_here(label: Any) -> LinearMixedModel:
    """Refuse to fetch rows from another machine."""
    raise UnsupportedError(f"the rows of {label} are elsewhere; collect them and give them to lmer")


def refuse_folder(out: Any, executor: Any) -> None:
    """Refuse what the groups of a dataframe that lives elsewhere cannot do."""
    if executor is not None:
        raise ValueError("the dataframe brings its own engine; leave executor out")
    if out is not None:
        raise UnsupportedError(
            "the groups of a distributed dataframe are returned together; omit out=, or write "
            "the dataframe to parquet and pass the files, with an executor"
        )


def degrees_of(options: Options) -> str:
    """Return the degrees of freedom that a call implies."""
    return batch_ddf(options["ddf"], batch_spec(options["family"], options["link"], None))


def asks(formula: str, options: Options) -> Callable[[str], bool]:
    """Find which columns a call may mention."""
    named = {v for v in (options["weights"], options["offset"]) if isinstance(v, str)}
    return lambda name: name in formula or name in named


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
    """Count a part that has arrived."""
    bar.update()
    return part
