"""Fit one model to many responses."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from formulaic.utils.constraints import LinearConstraints
from numpy.typing import NDArray

from .. import design as designs
from ..batch.many_run import ManyRun
from ..batch.responses import in_memory, open_responses, read_responses
from ..batch.result import BatchResult
from ..batch.stored import StoredBatch
from ..design.design import Design
from ..design.frame import open_frame
from ..errors import DataError, FormulaError, UnsupportedError
from ..fitted.lmm.fit import Call
from ..formula import parse
from ..models import lmm
from ..models.batch.blocks import Progress
from ..models.batch.estimate import Contrast, Settings
from ..models.lmm import Control
from ..parallel.workers import worker_count

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
    out: Any = None,
    executor: Any = None,
) -> BatchResult | StoredBatch:
    """Fit the same linear mixed model to each of many responses.

    Parameters
    ----------
    formula : str
        The model, such as ``"~ x + (1 + x | g)"``; a column's name on the left side is replaced.
    data : DataFrame
        The design's columns: pandas, polars or Arrow table, or a mapping.
    responses : array, DataFrame, sequence of str, path, pyarrow Dataset, or iterator
        A response a column, a value for each row of the data, NaN where missing; or names of
        columns of ``data``; or a parquet file, folder, pattern or dataset whose columns are the
        responses (those called like a column of the data left out); or an iterator of blocks of
        responses (matrices, frames, or mappings of names to columns), or a function that starts
        one. Files and iterators are read block by block.
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
        Whether to show a bar on a terminal or in a notebook.
    control : Control, optional
        Settings of the search.
    out : str or path, optional
        Folder to write the tables to, as parquet, part by part. A run that was stopped goes on
        when it is called again with the same arguments; finished fits are not made again.
    executor : Executor, callable, Client or module, optional
        Where pieces of the responses are fitted, instead of in this process: a
        ``concurrent.futures.Executor``, a function that starts one, a
        ``dask.distributed.Client``, or the module ``ray``;
        ``workers`` are the threads of each piece, one by default.

    Returns
    -------
    BatchResult or StoredBatch
        Tables with a row for each response, in order, whatever became of its fit; with ``out`` a
        view of the folder.

    Raises
    ------
    FormulaError, DataError, ModelError
        If formula, data and responses do not fit each other, or ``out`` holds another run.

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
    frame = open_frame(data)
    source = open_responses(responses, frame)
    held = None
    if source is None:
        names, held = read_responses(responses, frame)
        source = in_memory(names, held)
    W = read_matrix_weights(weights, frame.n_rows, source.names)
    shared = None if W is not None else weights
    design = shared_design(formula, data, frame.n_rows, shared, offset, contrasts)
    lmm.check(design)
    settings = Settings(
        reml=reml,
        satterthwaite=ddf == "satterthwaite",
        workers=worker_count(workers, None if executor is None else 1),
        contrasts=read_tests(tests, design.fixed_names, ddf),
        control=control or Control(),
    )
    call = Call(formula, reml, weights, offset, contrasts, "drop", settings.control)
    run = ManyRun(design, settings, source, W, call, ddf, executor)
    total = None if source.names is None else len(source.names)
    with Progress(total, "fits", shown=progress) as line:
        if out is not None:
            return run.stored(out, line)
        if held is None or executor is not None:
            return run.in_memory(line)
        return run.at_once(held, line)


def check_ddf(ddf: str) -> None:
    """Refuse unknown kinds of degrees of freedom."""
    if ddf not in ("residual", "inf", "satterthwaite"):
        raise ValueError(f"ddf must be 'residual', 'inf' or 'satterthwaite', not {ddf!r}")


def read_matrix_weights(
    weights: Any, n_rows: int, names: pd.Index[Any] | None
) -> NDArray[np.floating[Any]] | None:
    """Give weights that differ between responses, None for one column of weights."""
    if weights is None or isinstance(weights, str) or np.ndim(weights) != 2:
        return None
    if names is None:
        raise UnsupportedError(
            "a matrix of weights needs responses that are all known beforehand, not an iterator"
        )
    W = np.asarray(weights, dtype=np.float64)
    shape = (n_rows, len(names))
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
