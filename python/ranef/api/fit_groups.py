"""Fit one formula to each group of a frame or of files."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from typing import Any, overload

from .._typing import Ddf
from ..batch.counts import batch_ddf, batch_spec
from ..batch.engines import fit_groups_on, refuse_folder
from ..batch.groups import fit_by
from ..batch.result import BatchResult
from ..batch.stored import StoredBatch
from ..formula import with_functions
from ..models.lmm import Control
from ..parallel.engines import frame_kind
from ..words.answers import answering

__all__ = ["fit_groups"]


@overload
def fit_groups(
    formula: str,
    data: Any,
    by: str | Sequence[str],
    *,
    weights: str | None = None,
    offset: str | None = None,
    contrasts: Mapping[str, Any] | None = None,
    family: str | None = None,
    link: str | None = None,
    reml: bool = True,
    tests: Sequence[Any] = (),
    ddf: Ddf | None = None,
    workers: int | None = None,
    progress: bool = True,
    control: Control | None = None,
    out: None = None,
    executor: Any = None,
    functions: Mapping[str, Callable[..., Any]] | None = None,
    trust_formula: bool = False,
) -> BatchResult: ...
@overload
def fit_groups(
    formula: str,
    data: Any,
    by: str | Sequence[str],
    *,
    weights: str | None = None,
    offset: str | None = None,
    contrasts: Mapping[str, Any] | None = None,
    family: str | None = None,
    link: str | None = None,
    reml: bool = True,
    tests: Sequence[Any] = (),
    ddf: Ddf | None = None,
    workers: int | None = None,
    progress: bool = True,
    control: Control | None = None,
    out: str | os.PathLike[str],
    executor: Any = None,
    functions: Mapping[str, Callable[..., Any]] | None = None,
    trust_formula: bool = False,
) -> StoredBatch: ...
@answering
def fit_groups(
    formula: str,
    data: Any,
    by: str | Sequence[str],
    *,
    weights: str | None = None,
    offset: str | None = None,
    contrasts: Mapping[str, Any] | None = None,
    family: str | None = None,
    link: str | None = None,
    reml: bool = True,
    tests: Sequence[Any] = (),
    ddf: Ddf | None = None,
    workers: int | None = None,
    progress: bool = True,
    control: Control | None = None,
    out: str | os.PathLike[str] | None = None,
    executor: Any = None,
    functions: Mapping[str, Callable[..., Any]] | None = None,
    trust_formula: bool = False,
) -> BatchResult | StoredBatch:
    """Fit the same formula, linear or generalised, to each group of rows with its own design.

    Parameters
    ----------
    formula : str
        The model.
    data : DataFrame, path or pyarrow Dataset
        pandas, polars or Arrow table, or a mapping of columns; or a parquet file, folder or
        pattern, or a dataset, larger than memory; or a Dask or Spark dataframe or a Ray dataset,
        whose groups are fitted where they are.
    by : str or sequence of str
        Columns whose values, or combinations of values, make the groups.
    weights, offset : str, optional
        Names of columns.
    contrasts : mapping, optional
        Coding of categorical columns, by name.
    family : {"binomial", "poisson", "negative_binomial", "gamma"}, optional
        Distribution of the response, for generalised models by Laplace's approximation. Weights
        are then trials of shares, and an exposure goes into the formula, ``offset(log(time))``.
    link : str, optional
        Link of the mean; the family's usual one by default.
    reml, tests, ddf, workers, progress, control, out, executor
        As in :func:`ranef.fit_many`.
    functions : mapping of str to callable, optional
        Functions of your own that the formula may call, by name: ``{"f": f}``.
    trust_formula : bool
        Allow any Python in the formula, for formulas that you wrote yourself. By default a formula
        can use only the language of formulas and ``functions``.

    Returns
    -------
    BatchResult or StoredBatch
        Tables with rows for each group, in sorted order, including fits that failed; with ``out``
        a view of the folder.

    Warns
    -----
    DroppedRowsWarning
        When rows are dropped because values are missing.

    Notes
    -----
    Groups in which every level of the categorical predictors occurs are slices of one design. A
    group that lacks a level, and every group where a transformation such as ``scale(x)`` learns
    from the data, gets a design built from its own rows; coefficients that it lacks are NaN, and
    the others are coded by the levels that the group has. A group whose rows do not make a design
    (infinite values, one level) is a row with the status "error"; ``messages`` says why.

    Files are read twice: the columns of ``by`` (and those of categorical predictors), then the
    rows of a million or so at a time, group by group. A group's rows may lie anywhere. Where they
    lie together (data sorted or partitioned by ``by``) each row is read once more; otherwise every
    block of groups reads all row groups that have rows of it, and a warning says how often.
    Memory use is a block of rows (at least one group), two row groups, and the groups' names.

    Examples
    --------
    >>> import ranef
    >>> cake = ranef.datasets.load("cake")
    >>> groups = ranef.fit_groups("angle ~ temp + (1 | replicate)", cake, "recipe", progress=False)
    >>> groups.fits["nobs"].tolist()
    [90, 90, 90]

    Infections in each period, a generalised model each:

    >>> cbpp = ranef.datasets.load("cbpp")
    >>> periods = ranef.fit_groups(
    ...     "cbind(incidence, size - incidence) ~ 1 + (1 | herd)",
    ...     cbpp,
    ...     "period",
    ...     family="binomial",
    ...     progress=False,
    ... )
    >>> periods.fits["status"].tolist()
    ['converged', 'converged', 'converged', 'converged']
    """
    formula = with_functions(formula, functions, trust_formula)
    options: dict[str, Any] = {"weights": weights, "offset": offset, "reml": reml}
    options |= {"tests": tests, "ddf": ddf, "workers": workers, "progress": progress}
    options |= {"contrasts": contrasts, "control": control, "family": family, "link": link}
    batch_ddf(ddf, batch_spec(family, link, None))
    if (kind := frame_kind(data)) is not None:
        refuse_folder(out, executor)
        return fit_groups_on(kind, formula, data, by, options)
    return fit_by(formula, data, by, **options, out=out, executor=executor)
