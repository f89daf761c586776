"""Fit one formula to each group of a frame."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from .. import design as designs
from ..design.design import Design
from ..design.frame import Frame, open_frame
from ..design.reading import Reading, read_factor
from ..design.values import Categories, read_codes
from ..errors import DataError, DroppedRowsWarning, RanefError
from ..formula import Formula, parse
from ..models import batch
from ..models.batch import ERROR, BatchEstimate, Settings
from ..models.batch_blocks import Progress
from ..models.batch_groups import fit_own, slices
from ..models.lmm import Control
from .batch_result import BatchResult, Labels
from .engines import frame_kind
from .fit_many import check_ddf, read_tests, warn_interrupted, worker_count
from .fitted import Call
from .lmer import fit_call

__all__ = ["fit_groups"]

Codes = NDArray[np.intp]


def fit_groups(  # noqa: PLR0913 (every option of a fit)
    formula: str,
    data: Any,
    by: str | Sequence[str],
    *,
    weights: str | None = None,
    offset: str | None = None,
    contrasts: Mapping[str, Any] | None = None,
    reml: bool = True,
    tests: Sequence[Any] = (),
    ddf: str = "residual",
    workers: int | None = None,
    progress: bool = True,
    control: Control | None = None,
    executor: Any = None,
) -> BatchResult:
    """Fit the same formula to each group of rows, each with a design of its own.

    Parameters
    ----------
    formula : str
        The model.
    data : DataFrame
        pandas, polars or Arrow table, or a mapping of columns; or a Dask or Spark dataframe or a
        Ray dataset, whose groups are fitted where they are.
    by : str or sequence of str
        Columns whose values, or combinations of values, make the groups.
    weights, offset : str, optional
        Names of columns.
    contrasts : mapping, optional
        Coding of categorical columns, by name.
    reml, tests, ddf, workers, progress, control, executor
        As in :func:`ranef.fit_many`.

    Returns
    -------
    BatchResult
        Tables with rows for each group, in sorted order, whatever became of its fit.

    Warns
    -----
    DroppedRowsWarning
        When rows are left out because values are missing.

    Notes
    -----
    Groups in which every level of the categorical predictors occurs are slices of one design. A
    group that lacks a level, and every group where a transformation such as ``scale(x)`` learns
    from the data, gets a design built from its own rows; coefficients that it lacks are NaN, and
    the others are coded by the levels that the group has.

    Examples
    --------
    >>> import ranef
    >>> cake = ranef.datasets.load("cake")
    >>> groups = ranef.fit_groups("angle ~ temp + (1 | replicate)", cake, "recipe", progress=False)
    >>> groups.fits["nobs"].tolist()
    [90, 90, 90]
    """
    check_ddf(ddf)
    if executor is not None or frame_kind(data) is not None:
        from .batch_engines import fit_groups_on

        options = {
            "weights": weights,
            "offset": offset,
            "contrasts": contrasts,
            "reml": reml,
            "tests": tests,
            "ddf": ddf,
            "workers": workers,
            "progress": progress,
            "control": control,
        }
        return fit_groups_on(executor, formula, data, by, options)
    parsed = parse(formula)
    frame = open_frame(data)
    names = (by,) if isinstance(by, str) else tuple(by)
    codes, labels = read_groups(frame, names)
    used = columns_used(parsed, frame, weights, offset)
    design = designs.build(parsed, used, weights=weights, offset=offset, contrasts=contrasts)
    rows = np.arange(frame.n_rows) if design.rows is None else design.rows
    warn_dropped(design, codes)
    settings = Settings(
        reml=reml,
        satterthwaite=ddf == "satterthwaite",
        workers=worker_count(workers),
        contrasts=read_tests(tests, design.fixed_names, ddf),
        control=control or Control(),
    )
    call = Call(formula, reml, weights, offset, contrasts, "drop", settings.control)
    line = Progress(len(labels), "groups", shown=progress)
    shared = shared_groups(design, used, codes[rows], len(labels))
    estimate, messages = fit_all(design, used, codes, shared, len(labels), settings, call, line)
    line.close()
    if line.interrupted:
        warn_interrupted(line)
    return BatchResult(
        Labels(names, labels, design.fixed_names),
        estimate,
        design,
        lambda i: fit_call(call, of_rows(used, np.flatnonzero(codes == i))),
        ddf=ddf,
        interrupted=line.interrupted,
        messages=messages,
    )


def read_groups(frame: Frame, names: Sequence[str]) -> tuple[Codes, pd.Index[Any]]:
    """Give each row's group, -1 where missing, and the groups' labels."""
    if not names:
        raise DataError("by is empty; name the columns that make the groups")
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
    """Take the columns that the formula's text or an argument may name."""
    asked = {argument for argument in arguments if isinstance(argument, str)}
    return {
        name: frame.series(name)
        for name in dict.fromkeys(frame.names)
        if isinstance(name, str) and (name in formula.text or name in asked)
    }


def of_rows(columns: Mapping[str, pd.Series[Any]], rows: Codes) -> dict[str, pd.Series[Any]]:
    """Take some rows of each column."""
    return {name: column.iloc[rows] for name, column in columns.items()}


def warn_dropped(design: Design, codes: Codes) -> None:
    """Say which rows belong to no group or miss a value."""
    dropped = {**design.dropped, "by": int((codes < 0).sum())}
    where = ", ".join(f"{column} ({count})" for column, count in dropped.items() if count)
    if where:
        warnings.warn(
            DroppedRowsWarning(f"rows are left out because values are missing in {where}"),
            stacklevel=3,
        )


def shared_groups(
    design: Design, columns: Mapping[str, Any], codes: Codes, n_groups: int
) -> NDArray[np.bool_]:
    """Tell which groups' own designs are slices of the whole design."""
    factors = design.encoder.factors
    if any(fitted.state for fitted in factors.values()):
        return np.zeros(n_groups, dtype=bool)
    shared = np.ones(n_groups, dtype=bool)
    reading = Reading(open_frame(columns))
    formula = design.encoder.formula
    terms = [*formula.terms, *(term for bar in formula.random for term in bar.terms)]
    for factor in {f.expr: f for term in terms for f in term.factors}.values():
        if not factors[factor.expr].is_categorical:
            continue
        read_factor(factor, reading)
        value = reading.values[factor.expr]
        assert isinstance(value, Categories)
        levels = value.codes if design.rows is None else value.codes[design.rows]
        inside = codes >= 0
        pairs = np.unique(np.stack([codes[inside], levels[inside]], axis=1), axis=0)
        found = np.bincount(pairs[:, 0], minlength=n_groups)
        shared &= found == len(np.unique(levels))
    return shared


def fit_all(
    design: Design,
    columns: Mapping[str, Any],
    codes: Codes,
    shared: NDArray[np.bool_],
    n_groups: int,
    settings: Settings,
    call: Call,
    line: Progress,
) -> tuple[BatchEstimate, dict[int, str]]:
    """Fit the groups that share the design, then those with designs of their own."""
    rows = np.arange(design.n_data) if design.rows is None else design.rows
    of_row = codes[rows]
    inside = np.flatnonzero((of_row >= 0) & shared[of_row])
    order, start = slices(of_row[inside], n_groups)
    estimate = batch.fit_slices(
        take(design, inside[order]), start.tolist(), settings, members=shared, progress=line
    )
    messages: dict[int, str] = {}
    with line.interruptible():
        for i in [] if line.interrupted else np.flatnonzero(~shared).tolist():
            own = of_rows(columns, np.flatnonzero(codes == i))
            fit_single(design, own, i, settings, call, estimate, messages)
            line.advance(1)
    return estimate, messages


def fit_single(
    whole: Design,
    columns: Mapping[str, Any],
    at: int,
    settings: Settings,
    call: Call,
    estimate: BatchEstimate,
    messages: dict[int, str],
) -> None:
    """Build a group's own design and fit it; what is wrong with it becomes its status."""
    try:
        own = designs.build(
            parse(call.formula),
            columns,
            weights=call.weights,
            offset=call.offset,
            contrasts=call.contrasts,
        )
        fit_own(own, whole, settings, estimate, at)
    except RanefError as error:
        estimate.outcome[at] = ERROR
        messages[at] = str(error)


def take(design: Design, order: Codes) -> Design:
    """Reorder the rows of a design; levels that no longer occur stay."""
    return replace(
        design,
        y=design.y[order],
        columns=tuple(column[order] for column in design.columns),
        random=tuple(replace(term, codes=term.codes[order]) for term in design.random),
        weights=None if design.weights is None else design.weights[order],
        offset=None if design.offset is None else design.offset[order],
    )
