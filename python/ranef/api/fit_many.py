"""Fit one model to many responses."""

from __future__ import annotations

import os
import warnings
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
from formulaic.utils.constraints import LinearConstraints
from numpy.typing import NDArray

from .. import design as designs
from ..design.design import Design
from ..design.frame import open_frame
from ..errors import DataError, FormulaError, RanefWarning, UnsupportedError
from ..formula import parse
from ..models import batch, lmm
from ..models.batch import Contrast, Settings
from ..models.batch_blocks import Progress
from ..models.lmm import Control
from .batch_result import BatchResult, Labels
from .fitted import Call
from .mixed_model import LinearMixedModel

__all__ = ["fit_many"]

#: The response of the shared design; no column of a frame can be called that by accident.
STAND_IN = "the batch's response"


def fit_many(  # noqa: PLR0913 (every option of a fit)
    formula: str,
    data: Any,
    responses: Any,
    *,
    weights: Any = None,
    offset: Any = None,
    contrasts: Any = None,
    reml: bool = True,
    tests: Sequence[Any] = (),
    ddf: str = "residual",
    workers: int | None = None,
    progress: bool = True,
    control: Control | None = None,
    executor: Any = None,
) -> BatchResult:
    """Fit the same linear mixed model to each of many responses.

    Parameters
    ----------
    formula : str
        The model, such as ``"~ x + (1 + x | g)"``; a column's name on the left side is replaced.
    data : DataFrame
        The design's columns: pandas, polars or Arrow table, or a mapping.
    responses : array, DataFrame, or sequence of str
        A response a column, a value for each row of the data, NaN where missing; or names of
        columns of ``data``.
    weights : str or array-like, optional
        Precision weights: a column, n numbers, or a matrix with a column for each response.
    offset : str or array-like, optional
        Known part of the linear predictor of every response.
    contrasts : mapping, optional
        Coding of categorical columns, by name.
    reml : bool
        Whether to maximise the restricted likelihood; False for the full likelihood.
    tests : sequence of str, array, or (name, str or array)
        Linear hypotheses such as ``"a - b = 0"`` or ``"a = 0, b = 0"`` over coefficient names, or
        matrices with a column for each coefficient. One row makes a t test in ``table``, several
        an F test in ``tests``.
    ddf : {"residual", "inf", "satterthwaite"}
        Degrees of freedom of the tests: n - p, infinite, or Satterthwaite's (t tests only).
    workers : int, optional
        Threads; by default one for each processor that this process may use. The results are the
        same to the last bit for any number.
    progress : bool
        Whether to show a line of progress on a terminal.
    control : Control, optional
        Settings of the search.
    executor : Executor, callable, Client or module, optional
        Where blocks of responses are fitted, instead of threads: a ``concurrent.futures.Executor``,
        a function that starts one, a ``dask.distributed.Client``, or the module ``ray``;
        ``workers`` are the threads of each block, one by default.

    Returns
    -------
    BatchResult
        Tables with a row for each response, in order, whatever became of its fit.

    Raises
    ------
    FormulaError, DataError, ModelError
        If formula, data and responses do not fit each other.

    Notes
    -----
    Cross products of the design are made once; a response adds its products with the design's
    columns and one search. Responses with the same missing rows share a design. A fit that fails is
    a row with its status. Ctrl-C ends the run within a second and returns what is done.

    Examples
    --------
    >>> import numpy as np, ranef
    >>> sleep = ranef.datasets.load("sleepstudy")
    >>> shuffled = np.random.default_rng(1).normal(size=(len(sleep), 100))
    >>> batch = ranef.fit_many("~ Days + (1 | Subject)", sleep, shuffled, progress=False)
    >>> len(batch.table)
    200
    """
    check_ddf(ddf)
    if executor is not None:
        from .batch_engines import fit_many_on

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
        return fit_many_on(executor, formula, data, responses, options)
    names, Y = read_responses(responses, data)
    W = read_matrix_weights(weights, Y.shape)
    design = shared_design(
        formula, data, len(Y), None if W is not None else weights, offset, contrasts
    )
    lmm.check(design)
    settings = Settings(
        reml=reml,
        satterthwaite=ddf == "satterthwaite",
        workers=worker_count(workers),
        contrasts=read_tests(tests, design.fixed_names, ddf),
        control=control or Control(),
    )
    if design.rows is not None:
        Y = Y[design.rows]
        W = None if W is None else W[design.rows]
    line = Progress(Y.shape[1], "fits", shown=progress)
    estimate = batch.fit_responses(design, Y, settings, W=W, progress=line)
    line.close()
    if line.interrupted:
        warn_interrupted(line)
    call = Call(formula, reml, weights, offset, contrasts, "drop", settings.control)
    return BatchResult(
        Labels(("response",), names, design.fixed_names),
        estimate,
        design,
        lambda i: single_fit(design, Y[:, i], None if W is None else W[:, i], call),
        ddf=ddf,
        interrupted=line.interrupted,
    )


def check_ddf(ddf: str) -> None:
    """Refuse unknown kinds of degrees of freedom."""
    if ddf not in ("residual", "inf", "satterthwaite"):
        raise ValueError(f"ddf must be 'residual', 'inf' or 'satterthwaite', not {ddf!r}")


def warn_interrupted(line: Progress) -> None:
    """Say that a run ended early."""
    warnings.warn(
        f"interrupted after {line.done} of {line.total} {line.unit}; "
        "the others have the status 'not run'",
        RanefWarning,
        stacklevel=3,
    )


def worker_count(workers: int | None) -> int:
    """Threads to use."""
    if workers is None:
        if hasattr(os, "sched_getaffinity"):
            return len(os.sched_getaffinity(0))
        return os.cpu_count() or 1
    if workers != int(workers) or workers < 1:
        raise ValueError(f"workers must be a whole number from 1 on, not {workers!r}")
    return int(workers)


def read_responses(responses: Any, data: Any) -> tuple[pd.Index[Any], NDArray[np.floating[Any]]]:
    """Give names of the responses and their matrix, shape (n_data, m)."""
    frame = open_frame(data)
    if isinstance(responses, str):
        responses = [responses]
    if isinstance(responses, Sequence) and all(isinstance(name, str) for name in responses):
        if not responses:
            raise DataError("responses is empty; name at least one column")
        columns = [frame.series(name) for name in responses]
        return pd.Index(responses), np.column_stack([floats(c, str(c.name)) for c in columns])
    if not hasattr(responses, "shape"):
        responses = np.asarray(responses)
    if isinstance(responses, np.ndarray):
        Y, names = responses, None
    else:
        table = open_frame(responses)
        names = pd.Index(table.names)
        if table.index is not None and frame.index is not None:
            same_rows(table.index, frame.index)
        Y = np.column_stack([floats(table.series(n), n) for n in table.names])
    if Y.ndim != 2:
        raise DataError(
            f"responses has {Y.ndim} dimension(s); give a matrix with a row for each row of the "
            "data and a column for each response"
        )
    if len(Y) != frame.n_rows:
        turned = " (its transpose has as many)" if Y.shape[1] == frame.n_rows else ""
        raise DataError(
            f"responses has {len(Y)} rows and the data have {frame.n_rows}{turned}; give a value "
            "for each row of the data"
        )
    if Y.dtype.kind not in "fiu":
        raise DataError(f"responses must be numbers, not {Y.dtype}")
    Y = Y if Y.dtype.kind == "f" else Y.astype(np.float64)
    return pd.RangeIndex(Y.shape[1]) if names is None else names, Y


def same_rows(index: pd.Index[Any], other: pd.Index[Any]) -> None:
    """Refuse responses whose row labels are those of other rows."""
    if len(index) == len(other) and not index.equals(other):
        raise DataError("the index of responses differs from that of the data")


def floats(series: pd.Series[Any], name: str) -> NDArray[np.float64]:
    """Give a response's values, NaN where missing."""
    try:
        return np.asarray(series.to_numpy(dtype=np.float64, na_value=np.nan))
    except (TypeError, ValueError) as error:
        raise DataError(f"response {name!r} cannot be read as numbers: {error}", name) from None


def read_matrix_weights(weights: Any, shape: tuple[int, ...]) -> NDArray[np.floating[Any]] | None:
    """Give weights that differ between responses, None for one column of weights."""
    if weights is None or isinstance(weights, str) or np.ndim(weights) != 2:
        return None
    W = np.asarray(weights, dtype=np.float64)
    if W.shape != shape:
        raise DataError(f"weights have the shape {W.shape} and responses {shape}", "weights")
    bad = np.flatnonzero((W <= 0.0).any(axis=0) | np.isinf(W).any(axis=0))
    if len(bad):
        raise DataError(
            f"weights must be finite and above zero; they are not in column {bad[0]}"
            + (f" and {len(bad) - 1} more" if len(bad) > 1 else ""),
            "weights",
        )
    return W


def shared_design(
    formula: str, data: Any, n: int, weights: Any, offset: Any, contrasts: Any
) -> Design:
    """Build the design that all responses share; its own response is zero."""
    text = str(formula)
    left, tilde, right = text.rpartition("~")
    if not tilde:
        raise FormulaError("a formula needs a ~; write ~ x + (1 | g)", text)
    left = left.strip().strip("`")
    if "(" in left or "~" in left:
        raise FormulaError(
            "responses are fitted as they are given; transform them first and leave the left side "
            "of the formula empty",
            text,
        )
    formula_ = parse(f"`{STAND_IN}` ~ {right}")
    frame = open_frame(data)
    named = {argument for argument in (weights, offset) if isinstance(argument, str)}
    columns: dict[str, Any] = {
        name: frame.series(name)
        for name in dict.fromkeys(frame.names)
        if isinstance(name, str) and (name in right or name in named)
    }
    columns[STAND_IN] = np.zeros(n)
    return designs.build(
        formula_, columns, weights=weights, offset=offset, contrasts=contrasts, missing="drop"
    )


def read_tests(tests: Sequence[Any], names: Sequence[str], ddf: str) -> tuple[Contrast, ...]:
    """Read linear hypotheses over the coefficients."""
    if isinstance(tests, str):
        tests = [tests]
    out: list[Contrast] = []
    for test in tests:
        label, spec = test if isinstance(test, tuple) else (None, test)
        if not isinstance(spec, str):
            spec = np.atleast_2d(np.asarray(spec, dtype=np.float64))
            if spec.shape[1] != len(names):
                raise ValueError(
                    f"a test has {spec.shape[1]} columns for {len(names)} coefficients: "
                    f"{', '.join(names)}"
                )
            label = label or f"test {len(out) + 1}"
        try:
            parsed = LinearConstraints.from_spec(spec, variable_names=list(names))
        except Exception as error:
            raise ValueError(
                f"the test {spec!r} cannot be read ({error}); the coefficients are "
                f"{', '.join(names)}, those with other characters than letters in backquotes"
            ) from None
        rows = np.asarray(parsed.constraint_matrix, dtype=np.float64)
        if len(rows) > 1 and ddf == "satterthwaite":
            raise UnsupportedError(
                f"Satterthwaite's degrees of freedom of a test of {len(rows)} rows are not "
                "available in a batch; use ddf='residual', or test its rows one by one"
            )
        values = np.broadcast_to(np.asarray(parsed.constraint_values, float), (len(rows),))
        out.append(Contrast(str(label or spec), rows, values))
    return tuple(out)


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
    estimate = lmm.fit(own, core, reml=call.reml, control=call.control)
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
