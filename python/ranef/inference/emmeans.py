"""Reference grids, marginal means over them, and contrasts of these."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import combinations
from math import prod
from typing import Any

import numpy as np
import pandas as pd
import scipy

from .._typing import Array
from ..design.aligned import by_name
from ..design.design import Design
from ..design.encode import Encoder, encode
from ..design.expressions import columns_of
from ..design.frame import Frame, did_you_mean, open_frame
from ..design.values import is_numbers
from ..formula import FactorKind
from .coverage import check_level, t_quantile
from .hypotheses.linear import f_pvalue

__all__ = [
    "adjusted",
    "contrast_weights",
    "critical",
    "crossed",
    "marginal_rows",
    "reference_grid",
    "slopes",
]


ADJUSTMENTS = ("tukey", "sidak", "bonferroni", "holm", "none")
METHODS = ("pairwise", "revpairwise", "trt.vs.ctrl", "consec", "eff")
#: Cells of a reference grid at most.
MOST_CELLS = 1_000_000
#: Step of the slope along a covariate, in its standard deviations.
STEP = 1e-3


def reference_grid(design: Design, data: Any, at: Mapping[str, Any]) -> dict[str, pd.Series[Any]]:
    """Choose values for every variable of the fixed part: all levels, or the mean.

    Parameters
    ----------
    design : Design
        The design.
    data : frame or mapping
        The data of the fit.
    at : mapping of str to value or sequence
        Values to take instead.

    Returns
    -------
    dict of str to Series
        Values of each variable.
    """
    frame = open_frame(data)
    encoder: Encoder = design.encoder
    categorical, levels = variables(encoder, frame)
    if unknown := [name for name in at if name not in categorical]:
        raise ValueError(
            f"at names {unknown[0]!r}, which the fixed part does not use"
            f"{did_you_mean(unknown[0], categorical)}"
        )
    grid = {}
    for name, is_categorical in categorical.items():
        series = frame.series(name)
        series = series if design.rows is None else series.iloc[design.rows]
        given = at.get(name)
        if given is not None:
            values = [given] if np.ndim(given) == 0 else list(given)
        elif name in levels:
            values = list(levels[name])
        elif is_categorical:
            values = occurring(series)
        else:
            values = [float(np.mean(series.to_numpy(dtype=float, na_value=np.nan)))]
        grid[name] = typed(values, name, series, levels.get(name))
    if prod(len(values) for values in grid.values()) > MOST_CELLS:
        raise ValueError("the reference grid has more than a million cells; fix variables by at=")
    return grid


def variables(encoder: Encoder, frame: Frame) -> tuple[dict[str, bool], dict[str, pd.Index[Any]]]:
    """List the columns that the fixed part uses: whether they are categories, and their levels.

    A number in a condition, such as x in ``I(x > 5)``, is a number still.
    """
    categorical: dict[str, bool] = {}
    levels: dict[str, pd.Index[Any]] = {}
    factors = [f for term in encoder.formula.terms for f in term.factors]
    for factor in [*factors, *encoder.formula.offsets]:
        fitted = encoder.factors[factor.expr]
        if factor.kind is FactorKind.NAME:
            names = [factor.expr]
            if fitted.levels is not None:
                levels[factor.expr] = fitted.levels
            kinds = [fitted.is_categorical]
        else:
            names = columns_of(factor.expr, frame, encoder.formula.evaluation)
            marked = fitted.is_categorical and factor.expr.startswith(("C(", "factor("))
            kinds = [marked or not is_numbers(frame.series(name), name) for name in names]
        for name, kind in zip(names, kinds, strict=True):
            categorical[name] = categorical.get(name, False) or kind
    if encoder.offset:
        categorical.setdefault(encoder.offset, False)
    return categorical, levels


def occurring(series: pd.Series[Any]) -> list[Any]:
    """Return the distinct values of a column, categories in their order."""
    found = series.dropna().unique()
    if isinstance(series.dtype, pd.CategoricalDtype):
        present = set(found)
        return [value for value in series.cat.categories if value in present]
    return sorted(found)


def typed(
    values: Sequence[Any], name: str, series: pd.Series[Any], levels: pd.Index[Any] | None
) -> pd.Series[Any]:
    """Return values the kind of the column that they stand for."""
    if levels is None:
        is_number = is_numbers(series, name)
        return pd.Series(values, dtype=None if is_number else series.dtype)
    for value in values:
        if value not in levels:
            shown = ", ".join(repr(level) for level in levels[:10].tolist())
            raise ValueError(f"{name!r} has no level {value!r}; it has {shown}")
    return pd.Series(pd.Categorical(values, categories=levels))


def crossed(grid: Mapping[str, pd.Series[Any]]) -> pd.DataFrame:
    """All combinations of values, the first variable running fastest."""
    sizes = [len(values) for values in grid.values()]
    index = np.indices(sizes[::-1]).reshape(len(sizes), prod(sizes))[::-1]
    return pd.DataFrame(
        {
            name: values.iloc[at].reset_index(drop=True)
            for (name, values), at in zip(grid.items(), index, strict=True)
        },
        index=range(prod(sizes)),
    )


def marginal_rows(
    design: Design, grid: Mapping[str, pd.Series[Any]], keep: Sequence[str]
) -> tuple[pd.DataFrame, Array, Array]:
    """Average the rows of X over a grid, with equal weights.

    Parameters
    ----------
    design : Design
        The design.
    grid : mapping of str to Series
        Values of each variable.
    keep : sequence of str
        Variables not to average over.

    Returns
    -------
    cells : DataFrame
        Combinations of the kept variables.
    L : ndarray of shape (cells, p)
        Mean rows.
    offset : ndarray of shape (cells,)
        Mean offsets.
    """
    ordered = {name: grid[name] for name in keep} | dict(grid)
    table = crossed(ordered)
    rows = encode(design, table, random=False)
    size = prod(len(grid[name]) for name in keep)
    L = rows.X.reshape(-1, size, rows.X.shape[1]).mean(axis=0)
    offset = np.zeros(size)
    if rows.offset is not None:
        offset = rows.offset.reshape(-1, size).mean(axis=0)
    return table.loc[: size - 1, list(keep)], L, offset


def slopes(
    design: Design, grid: Mapping[str, pd.Series[Any]], var: str, step: float, keep: Sequence[str]
) -> tuple[pd.DataFrame, Array]:
    """Average the derivative of the rows of X along a variable; see ``marginal_rows``.

    Where a column jumps, as that of a condition does, the slope is that of the side without it.
    """
    here = grid[var].astype(float)

    def differences(h: float) -> tuple[Array, Array]:
        below, at, above = (
            marginal_rows(design, {**grid, var: here + d}, keep)[1] for d in (-h, 0.0, h)
        )
        return (at - below) / h, (above - at) / h

    left, right = differences(step)
    nearer_left, nearer_right = differences(step / 2.0)
    gap, nearer_gap = np.abs(right - left), np.abs(nearer_right - nearer_left)
    real = gap > 1e-6 * (np.abs(left) + np.abs(right))
    slope = (left + right) / 2.0
    # a smooth column's gap halves with the step, one at a jump doubles, one past a jump is gone
    slope = np.where(real & (nearer_gap < gap / 4.0), (nearer_left + nearer_right) / 2.0, slope)
    flatter = np.where(np.abs(nearer_left) < np.abs(nearer_right), nearer_left, nearer_right)
    slope = np.where(real & (nearer_gap > gap * 1.5), flatter, slope)
    return crossed({name: grid[name] for name in keep}), slope


# ------------------------------------------------------------------ contrasts


def contrast_weights(method: Any, labels: Sequence[str], ref: int) -> tuple[list[str], Array]:
    """Return names and coefficients of contrasts of k means, shape (r, k).

    Parameters
    ----------
    method : str or mapping of str to sequence
        One of "pairwise", "revpairwise", "trt.vs.ctrl", "consec", "eff", or weights by name.
    labels : sequence of str
        Names of the means.
    ref : int
        The control of "trt.vs.ctrl".
    """
    k = len(labels)
    if isinstance(method, Mapping):
        C = np.array(
            [
                np.asarray(by_name(w, labels, "the weights of a contrast"), float)
                for w in method.values()
            ]
        )
        if C.ndim != 2 or C.shape[1] != k:
            raise ValueError(f"each contrast needs {k} weights, one for each of {list(labels)}")
        return [str(name) for name in method], C
    if method == "eff":
        return [f"{label} effect" for label in labels], np.eye(k) - 1.0 / k
    pairs = {
        "pairwise": [(i, j) for i, j in combinations(range(k), 2)],
        "revpairwise": [(j, i) for i, j in combinations(range(k), 2)],
        "trt.vs.ctrl": [(i, ref) for i in range(k) if i != ref],
        "consec": [(i + 1, i) for i in range(k - 1)],
    }.get(method)
    if pairs is None:
        raise ValueError(f"method must be one of {METHODS} or a mapping, not {method!r}")
    C = np.zeros((len(pairs), k))
    for row, (i, j) in zip(C, pairs, strict=True):
        row[i], row[j] = 1.0, -1.0
    return [f"{labels[i]} - {labels[j]}" for i, j in pairs], C


def adjusted(t: Array, df: Array, adjust: str, n_means: int) -> Array:
    """Two-sided p-values of a family of t statistics, adjusted for their number.

    Parameters
    ----------
    t, df : ndarray of shape (r,)
        Statistics and degrees of freedom.
    adjust : {"tukey", "sidak", "bonferroni", "holm", "none"}
        Tukey's studentised range (for all pairs of means), or an adjustment of plain p-values.
    n_means : int
        Means that are compared.

    Returns
    -------
    ndarray of shape (r,)
        Adjusted p-values.
    """
    r = int(np.isfinite(t).sum())
    plain = f_pvalue(t**2, 1.0, df)
    if adjust == "none" or r <= 1:
        return plain
    if adjust == "tukey":
        return np.asarray(scipy.stats.studentized_range.sf(np.sqrt(2.0) * np.abs(t), n_means, df))
    if adjust == "sidak":
        return np.asarray(-np.expm1(r * np.log1p(-plain)))
    if adjust == "bonferroni":
        return np.asarray(np.minimum(r * plain, 1.0))
    if adjust != "holm":
        raise ValueError(f"adjust must be one of {ADJUSTMENTS}, not {adjust!r}")
    order = np.argsort(plain)
    factors = np.maximum(r - np.arange(len(t)), 1)
    out = np.empty(len(t))
    out[order] = np.minimum(np.maximum.accumulate(factors * plain[order]), 1.0)
    return np.asarray(np.where(np.isfinite(plain), out, np.nan))


def critical(df: Array, level: float, adjust: str, n_means: int) -> Array:
    """Half widths, in standard errors, of intervals that hold for a family of contrasts.

    Holm's adjustment has no intervals of its own; Bonferroni's stand in.
    """
    check_level(level)
    r = int(np.isfinite(df).sum() + np.isinf(df).sum())
    if adjust == "tukey" and r > 1:
        distinct, at = np.unique(np.round(df, 6), return_inverse=True)
        known = np.isfinite(distinct) | np.isinf(distinct)
        value = np.full(len(distinct), np.nan)
        value[known] = scipy.stats.studentized_range.ppf(level, n_means, distinct[known])
        return np.asarray(value[at] / np.sqrt(2.0))
    if adjust == "sidak":
        level = level ** (1.0 / max(r, 1))
    elif adjust in ("bonferroni", "holm"):
        level = 1.0 - (1.0 - level) / max(r, 1)
    return t_quantile(level, df)
