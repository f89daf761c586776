"""Fit one model to many responses."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from typing import Any, overload

from .._typing import Ddf
from ..batch.counts import (
    batch_ddf,
    batch_spec,
    check_plain,
    refuse_matrix_weights,
    with_size_factors,
)
from ..batch.many import (
    check_covariance,
    check_left,
    read_matrix_weights,
    read_tests,
    shared_design,
)
from ..batch.many_run import ManyRun
from ..batch.responses import in_memory, open_responses, read_responses
from ..batch.result import BatchResult
from ..batch.stored import StoredBatch
from ..design.frame import open_frame
from ..fitted.glmm.call import GlmerCall
from ..fitted.lmm.call import Call
from ..formula import with_functions
from ..models import lmm
from ..models.batch.blocks import Progress
from ..models.batch.estimate import Settings
from ..models.glmm import model as glmm
from ..models.lmm import Control
from ..parallel.workers import worker_count
from ..words.answers import answering

__all__ = ["fit_many"]


@overload
def fit_many(
    formula: str,
    data: Any,
    responses: Any,
    *,
    weights: Any = None,
    offset: Any = None,
    contrasts: Any = None,
    family: str | None = None,
    link: str | None = None,
    size_factors: Any = None,
    reml: bool = True,
    tests: Sequence[Any] = (),
    ddf: Ddf | None = None,
    workers: int | None = None,
    progress: bool = True,
    control: Control | None = None,
    covariance: Mapping[str, Any] | None = None,
    out: None = None,
    executor: Any = None,
    functions: Mapping[str, Callable[..., Any]] | None = None,
    trust_formula: bool = False,
) -> BatchResult: ...
@overload
def fit_many(
    formula: str,
    data: Any,
    responses: Any,
    *,
    weights: Any = None,
    offset: Any = None,
    contrasts: Any = None,
    family: str | None = None,
    link: str | None = None,
    size_factors: Any = None,
    reml: bool = True,
    tests: Sequence[Any] = (),
    ddf: Ddf | None = None,
    workers: int | None = None,
    progress: bool = True,
    control: Control | None = None,
    covariance: Mapping[str, Any] | None = None,
    out: str | os.PathLike[str],
    executor: Any = None,
    functions: Mapping[str, Callable[..., Any]] | None = None,
    trust_formula: bool = False,
) -> StoredBatch: ...
@answering
def fit_many(
    formula: str,
    data: Any,
    responses: Any,
    *,
    weights: Any = None,
    offset: Any = None,
    contrasts: Any = None,
    family: str | None = None,
    link: str | None = None,
    size_factors: Any = None,
    reml: bool = True,
    tests: Sequence[Any] = (),
    ddf: Ddf | None = None,
    workers: int | None = None,
    progress: bool = True,
    control: Control | None = None,
    covariance: Mapping[str, Any] | None = None,
    out: str | os.PathLike[str] | None = None,
    executor: Any = None,
    functions: Mapping[str, Callable[..., Any]] | None = None,
    trust_formula: bool = False,
) -> BatchResult | StoredBatch:
    """Fit the same mixed model, linear or generalised, to each of many responses.

    Parameters
    ----------
    formula : str
        The model, such as ``"~ x + (1 + x | g)"``; a column's name on the left side is replaced.
    data : DataFrame
        The design's columns: pandas, polars or Arrow table, or a mapping.
    responses : array, DataFrame, sequence of str, path, pyarrow Dataset, or iterator
        One column per response, with a value for each row of the data, NaN where missing; or names
        of columns of ``data``; or a parquet file, folder, pattern or dataset whose columns are the
        responses (except those with the name of a column of the data); or an iterator of blocks of
        responses (matrices, frames, or mappings of names to columns), or a function that starts
        one. Files and iterators are read block by block. A matrix of scipy.sparse, or an AnnData
        whose X is one, is made dense block by block.
    weights : str or array-like, optional
        Precision weights: a column, n numbers, or a matrix with a column for each response.
    offset : str or array-like, optional
        Known part of the linear predictor of every response.
    contrasts : mapping, optional
        Coding of categorical columns, by name.
    family : {"binomial", "poisson", "negative_binomial", "gamma"}, optional
        Distribution of the responses, for generalised models by Laplace's approximation. Weights
        are then trials of shares.
    link : str, optional
        Link of their mean; the family's usual one by default.
    size_factors : str or array-like, optional
        Size of each row, such as a cell's sequencing depth: a column, or a number above zero for
        each row of the data. Its logarithm is added to the linear predictor of every response.
    reml : bool
        Whether to maximise the restricted likelihood; False for the full likelihood. Generalised
        models maximise the likelihood.
    tests : sequence of str, array, or (name, str or array)
        Linear hypotheses such as ``"a - b = 0"`` or ``"a = 0, b = 0"`` over coefficient names, or
        matrices with a column for each coefficient. One row makes a t test in ``table``, several
        an F test in ``tests``.
    ddf : {"residual", "inf", "satterthwaite"}, optional
        Degrees of freedom of the tests: n - p by default, infinite, or Satterthwaite's (t tests
        only). Those of generalised models are infinite.
    workers : int, optional
        Threads; by default one for each processor that this process may use. The results are the
        same to the last bit for any number.
    progress : bool
        Whether to show a bar on a terminal or in a notebook.
    control : Control, optional
        Settings of the search.
    covariance : mapping of str to covariance, optional
        Known covariance of the levels of the one grouping factor, as in :func:`ranef.lmer`:
        ``{"animal": A}``. It is decomposed once for all responses (and again for each set of
        missing rows), after which a response of 5,000 levels takes a few milliseconds.
    out : str or path, optional
        Folder to write the tables to, as parquet, part by part. A run that was stopped continues
        when it is called again with the same arguments; finished fits are not repeated.
    executor : Executor, callable, Client or module, optional
        Where pieces of the responses are fitted, instead of in this process: a
        ``concurrent.futures.Executor``, a function that starts one, a
        ``dask.distributed.Client``, or the module ``ray``;
        ``workers`` are the threads of each piece, one by default.
    functions : mapping of str to callable, optional
        Functions of your own that the formula may call, by name: ``{"f": f}``.
    trust_formula : bool
        Allow any Python in the formula, for formulas that you wrote yourself. By default a formula
        can use only the language of formulas and ``functions``.

    Returns
    -------
    BatchResult or StoredBatch
        Tables with a row for each response, in order, including fits that failed; with ``out`` a
        view of the folder.

    Raises
    ------
    FormulaError, DataError, ModelError
        If formula, data and responses do not fit each other, or ``out`` holds another run.

    Notes
    -----
    Cross products of the design are made once; a response adds its products with the design's
    columns and one search. A generalised model adds a search of its own on all rows, by the same
    steps as :func:`ranef.glmer`. Responses with the same missing rows share a design. A fit that
    fails is a row with its status. Ctrl-C ends the run within a second and returns what is done.

    Examples
    --------
    >>> import numpy as np, ranef
    >>> sleep = ranef.datasets.load("sleepstudy")
    >>> shuffled = np.random.default_rng(1).normal(size=(len(sleep), 100))
    >>> batch = ranef.fit_many("~ Days + (1 | Subject)", sleep, shuffled, progress=False)
    >>> len(batch.table)
    200

    Counts, with a dispersion of their own each:

    >>> counts = np.random.default_rng(1).negative_binomial(2, 0.3, size=(len(sleep), 5))
    >>> batch = ranef.fit_many(
    ...     "~ Days + (1 | Subject)", sleep, counts, family="negative_binomial", progress=False
    ... )
    >>> batch.fits.shape
    (5, 8)
    """
    formula = with_functions(formula, functions, trust_formula)
    spec = batch_spec(family, link, size_factors)
    degrees = batch_ddf(ddf, spec)
    frame = open_frame(data)
    source = open_responses(responses, frame)
    held = None
    if source is None:
        names, held = read_responses(responses, frame)
        source = in_memory(names, held)
    W = read_matrix_weights(weights, frame, source.names)
    if spec is not None:
        refuse_matrix_weights(W)
        offset = with_size_factors(offset, size_factors, frame)
    shared = None if W is not None else weights
    check_left(formula, source.names)
    design = shared_design(formula, data, frame.n_rows, shared, offset, contrasts, covariance)
    if covariance is not None:
        check_covariance(spec, W, degrees)
    if spec is None:
        lmm.check(design)
    else:
        glmm.check(design, spec)
        check_plain(design)
    settings = Settings(
        reml=reml and spec is None,
        satterthwaite=degrees == "satterthwaite",
        workers=worker_count(workers, None if executor is None else 1),
        contrasts=read_tests(tests, design.fixed_names, degrees),
        control=Control.of(control),
        spec=spec,
    )
    call: Call | GlmerCall
    if spec is None:
        call = Call(
            formula,
            reml,
            weights,
            offset,
            contrasts,
            "drop",
            settings.control,
            covariance=covariance,
        )
    else:
        call = GlmerCall(formula, spec, weights, offset, contrasts, "drop", settings.control)
    run = ManyRun(design, settings, source, W, call, degrees, executor)
    total = None if source.names is None else len(source.names)
    with Progress(total, "fits", shown=progress) as line:
        if out is not None:
            return run.stored(out, line)
        if held is None or executor is not None:
            return run.in_memory(line)
        return run.at_once(held, line)
