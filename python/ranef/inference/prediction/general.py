"""Errors of predictions where levels have a known covariance, or a row has several."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

import numpy as np

from ... import _core
from ..._typing import Array
from ...design.design import Design, RandomTerm
from ...design.encode import NewRows
from ...models.lmm import LmmEstimate

if TYPE_CHECKING:
    from ...models.glmm.estimate import GlmmEstimate

__all__ = ["general_variances", "glmm_variances", "new_level_size", "sparse_rows"]


def new_level_size(term: RandomTerm) -> float:
    """Variance of the effect of a level not seen, relative to its column's."""
    return 1.0 if term.known is None else term.known.new_level


def sparse_rows(
    design: Design, rows: NewRows, groups: Iterable[str]
) -> tuple[list[int], list[int], list[float]]:
    """Lay out the rows of Z without missing values: starts, columns and values.

    A column for each random effect, term by term, a level's columns together.
    """
    from scipy.sparse import coo_array, csr_array

    usable = np.flatnonzero(~rows.missing)
    row, column, value = [], [], []
    offset = 0
    for term, new in zip(design.random, rows.terms, strict=True):
        s = term.n_cols
        for codes, weight in [] if new is None or term.group not in groups else new.rows:
            known = np.flatnonzero(codes[usable] >= 0)
            at = usable[known]
            for j in range(s):
                row.append(known)
                column.append(offset + codes[at].astype(np.int64) * s + j)
                value.append(weight[at] * new.z[at, j])  # type: ignore[union-attr]
        offset += term.n_levels * s
    if not row:
        return [0] * (len(usable) + 1), [], []
    entries = (np.concatenate(value), (np.concatenate(row), np.concatenate(column)))
    Z = csr_array(coo_array(entries, shape=(len(usable), offset)))
    return Z.indptr.tolist(), Z.indices.tolist(), Z.data.tolist()


def general_variances(
    design: Design, estimate: LmmEstimate, core: _core.Lmm, rows: NewRows, groups: Iterable[str]
) -> Array:
    """Variance of the error of the mean relative to sigma^2, NaN where a row is missing."""
    X = np.asfortranarray(rows.X[~rows.missing][:, estimate.kept])
    found = core.general_variances(
        list(estimate.lambda_standard), X, *sparse_rows(design, rows, groups)
    )
    return _with_new_levels(found, design, estimate.lambda_, rows, groups)


def glmm_variances(
    design: Design,
    estimate: GlmmEstimate,
    core: _core.GeneralGlmm,
    rows: NewRows,
    groups: Iterable[str],
) -> Array:
    """Variance of the error of the linear predictor, NaN where a row is missing."""
    X = np.asfortranarray(rows.X[~rows.missing][:, estimate.kept])
    found = core.general_variances(X, estimate.cov_beta, *sparse_rows(design, rows, groups))
    return _with_new_levels(found, design, estimate.lambda_, rows, groups)


def _with_new_levels(
    found: Array,
    design: Design,
    factors: tuple[Array, ...],
    rows: NewRows,
    groups: Iterable[str],
) -> Array:
    """Add the whole variance of levels not seen."""
    usable = ~rows.missing
    for term, new, block in zip(design.random, rows.terms, factors, strict=True):
        if new is not None and term.group in groups:
            size = new_level_size(term) * new.unseen[usable]
            found = found + size * ((new.z[usable] @ block) ** 2).sum(axis=1)
    out = np.full(len(usable), np.nan)
    out[usable] = found
    return out
