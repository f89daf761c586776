"""Reference grids, marginal means over them, and contrasts of these."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from fractions import Fraction
from itertools import combinations
from math import gcd, lcm, prod
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from .._counted import counted
from .._options import check_option
from .._typing import Array
from ..design.aligned import by_name
from ..design.design import Design
from ..design.encode import Encoder, encode
from ..design.expressions import columns_of
from ..design.frame import Frame, did_you_mean, open_frame
from ..design.values import is_numbers
from ..errors import UnsupportedError
from ..formula import FactorKind

__all__ = [
    "contrast_weights",
    "crossed",
    "grid_weights",
    "marginal_rows",
    "reference_grid",
    "slopes",
]


METHODS = ("pairwise", "revpairwise", "trt.vs.ctrl", "dunnett", "consec", "eff", "poly")
WEIGHTS = ("equal", "proportional", "outer", "cells")
#: Names of polynomials by degree.
DEGREES = ("linear", "quadratic", "cubic", "quartic")
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
    if encoder.smooths:
        raise UnsupportedError(
            "marginal means and their figures are of models without smooths, and this one has "
            f"{encoder.smooths[0].label}: model.plot.smooths() draws it, and model.predict(new, "
            "random='none', interval='confidence') predicts rows of your choice"
        )
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
    design: Design,
    grid: Mapping[str, pd.Series[Any]],
    keep: Sequence[str],
    weights: Array | None = None,
) -> tuple[pd.DataFrame, Array, Array]:
    """Average the rows of X over a grid.

    Parameters
    ----------
    design : Design
        The design.
    grid : mapping of str to Series
        Values of each variable.
    keep : sequence of str
        Variables not to average over.
    weights : ndarray of shape (others, cells), optional
        Weights of the combinations of the other variables, of sum 1 in each cell; equal ones by
        default.

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
    if weights is None:
        weights = np.full((len(table) // size, size), size / len(table))
    L = np.einsum("ic,icp->cp", weights, rows.X.reshape(-1, size, rows.X.shape[1]))
    offset = np.zeros(size)
    if rows.offset is not None:
        offset = (weights * rows.offset.reshape(-1, size)).sum(axis=0)
    return table.loc[: size - 1, list(keep)], L, offset


def grid_weights(
    kind: str,
    grid: Mapping[str, pd.Series[Any]],
    keep: Sequence[str],
    used: pd.DataFrame,
) -> Array | None:
    """Weights of the combinations of the variables that are averaged over, shape (others, cells).

    Parameters
    ----------
    kind : {"equal", "proportional", "outer", "cells"}
        The same for all; by how often a combination occurs; by the product of how often each level
        occurs; by how often a combination occurs within the cell.
    grid : mapping of str to Series
        Values of each variable.
    keep : sequence of str
        Variables not to average over.
    used : DataFrame
        The rows of the fit.

    Returns
    -------
    ndarray, or None for equal weights
        NaN in a cell without rows.
    """
    others = [name for name in grid if name not in keep]
    if kind == "equal" or all(len(grid[name]) == 1 for name in others):
        return None
    order = [*keep, *others]
    # values of a number are chosen, not counted: each weighs the same
    chosen = {name for name in order if is_numbers(grid[name], name)}
    codes = [_positions(grid[name], used[name], name in chosen) for name in order]
    known = np.all([code >= 0 for code in codes], axis=0)
    sizes = [len(grid[name]) for name in order]
    counts = np.zeros([1 if name in chosen else len(grid[name]) for name in order])
    np.add.at(counts, tuple(code[known] for code in codes), 1.0)
    counts = np.broadcast_to(counts, sizes)
    n = len(keep)
    if kind != "cells":
        counts = np.broadcast_to(counts.sum(axis=tuple(range(n)), keepdims=True), sizes)
    if kind == "outer":
        product = np.ones(sizes)
        for axis in range(n, len(sizes)):
            rest = tuple(i for i in range(len(sizes)) if i != axis)
            product = product * counts.sum(axis=rest, keepdims=True)
        counts = product
    cells = int(np.prod(sizes[:n]))
    # the first variable runs fastest, in cells and in what is averaged over
    flat = np.ravel(counts, order="F").reshape(-1, cells)
    with np.errstate(invalid="ignore"):
        return np.asarray(flat / flat.sum(axis=0))


def _positions(values: pd.Series[Any], column: pd.Series[Any], chosen: bool) -> NDArray[np.intp]:
    """Which of a variable's values each row has, -1 for none; of chosen ones all have the first."""
    if chosen:
        return np.zeros(len(column), dtype=np.intp)
    place = {value: i for i, value in enumerate(values)}
    return np.array([place.get(value, -1) for value in column], dtype=np.intp)


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


def contrast_weights(
    method: Any, labels: Sequence[str], ref: int | str, between: str = "-"
) -> tuple[list[str], Array]:
    """Return names and coefficients of contrasts of k means, shape (r, k).

    Parameters
    ----------
    method : str or mapping of str to sequence
        One of "pairwise", "revpairwise", "trt.vs.ctrl", "dunnett" (another name of it), "consec",
        "eff", "poly", or weights by name.
    labels : sequence of str
        Names of the means.
    ref : int or str
        The control of "trt.vs.ctrl", by position or name.
    between : str
        Sign between two means in the name of their contrast.
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
            raise ValueError(
                f"each contrast needs {counted(k, 'weight')}, one for each of {list(labels)}"
            )
        return [str(name) for name in method], C
    method = check_option("method", method, METHODS, shown=(*METHODS, "a mapping"))
    if method == "eff":
        return [f"{label} effect" for label in labels], np.eye(k) - 1.0 / k
    if method == "poly":
        return polynomials(k)
    if method == "dunnett":
        method = "trt.vs.ctrl"
    control = position_of(ref, labels)
    pairs = {
        "pairwise": [(i, j) for i, j in combinations(range(k), 2)],
        "revpairwise": [(j, i) for i, j in combinations(range(k), 2)],
        "trt.vs.ctrl": [(i, control) for i in range(k) if i != control],
        "consec": [(i + 1, i) for i in range(k - 1)],
    }[method]
    C = np.zeros((len(pairs), k))
    for row, (i, j) in zip(C, pairs, strict=True):
        row[i], row[j] = 1.0, -1.0
    return [f"{labels[i]} {between} {labels[j]}" for i, j in pairs], C


def position_of(ref: Any, labels: Sequence[str]) -> int:
    """Return the position of the mean that others are compared with, given by position or name."""
    if isinstance(ref, str):
        if ref in labels:
            return list(labels).index(ref)
        raise ValueError(
            f"ref={ref!r} is none of the means {list(labels)}{did_you_mean(ref, labels)}"
        )
    if isinstance(ref, bool) or not isinstance(ref, int | np.integer):
        raise TypeError(f"ref is the position or the name of a mean, not {ref!r}")
    if not -len(labels) <= ref < len(labels):
        raise ValueError(f"ref={ref} is not a position among {counted(len(labels), 'mean')}")
    return int(ref) % len(labels)


def polynomials(k: int) -> tuple[list[str], Array]:
    """Orthogonal polynomials of up to six degrees over k equal steps, in whole numbers."""
    steps = [Fraction(2 * i - k + 1, 2) for i in range(k)]
    found: list[list[Fraction]] = [[Fraction(1)] * k]
    for degree in range(1, min(6, k - 1) + 1):
        column = [step**degree for step in steps]
        for other in found:
            size = sum(x * x for x in other)
            share = sum((x * y for x, y in zip(column, other, strict=True)), Fraction(0)) / size
            column = [x - share * y for x, y in zip(column, other, strict=True)]
        whole = lcm(*(x.denominator for x in column))
        numbers = [int(x * whole) for x in column]
        found.append([Fraction(x, gcd(*numbers)) for x in numbers])
    names = [*DEGREES, "degree 5", "degree 6"][: len(found) - 1]
    return names, np.array([[float(x) for x in column] for column in found[1:]]).reshape(-1, k)
