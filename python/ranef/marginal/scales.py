"""Means of responses and probabilities of categories, averaged over a reference grid."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from math import prod
from typing import Any

import numpy as np
import pandas as pd

from .._typing import Array
from ..design.encode import encode
from ..fitted.ordinal.parts import OrdinalParts
from ..fitted.several.parts import SeveralParts
from ..inference.emmeans import crossed, reference_grid
from ..inference.hypotheses.linear import FixedDf
from ..report.emmeans import MarginalMeans
from .grid import check_known, grid_notes

__all__ = ["grid_of_parts", "on_own_scale"]

#: Steps of differences, in standard errors.
STEP = 1e-4

#: Values of a function of the standardised coefficients, (cells, columns).
Values = Callable[[Array], Array]


def grid_of_parts(parts: Any, data: Any, at: Mapping[str, Any]) -> dict[str, pd.Series[Any]]:
    """Choose values for every variable of every part."""
    if isinstance(parts, SeveralParts):
        designs = [design for _, design in parts.designs]
    else:
        designs = [d for d in (parts.design, parts.scale, parts.nominal) if d is not None]
    grid: dict[str, pd.Series[Any]] = {}
    for design in designs:
        grid |= reference_grid(design, data, {})
    check_known(list(at), grid)
    for design in designs:
        own = reference_grid(design, data, {})
        grid |= reference_grid(design, data, {k: v for k, v in at.items() if k in own})
    return grid


def on_own_scale(
    model: Any,
    keep: Sequence[str],
    within: Sequence[str],
    at: Mapping[str, Any],
    data: Any,
    level: float,
) -> MarginalMeans:
    """Average means, or probabilities, over the grid; standard errors by the delta method.

    Random effects are zero. Means are averaged, not predictors.
    """
    parts = model.parts
    grid = grid_of_parts(parts, data, at)
    check_known([*keep, *within], grid)
    named = [*keep, *within]
    table = crossed({name: grid[name] for name in named} | dict(grid))
    size = prod(len(grid[name]) for name in named)
    cells = table.loc[: size - 1, named]
    of_rows = means_of_rows(parts, table)

    def averaged(standard: Array) -> Array:
        values = of_rows(standard)
        return np.asarray(values.reshape(-1, size, values.shape[1]).mean(axis=0))

    standard, cov = parts.estimate.standard, parts.estimate.standard_cov
    found = averaged(standard)
    J = jacobian(lambda x: averaged(x).T.ravel(), standard, np.sqrt(np.diag(cov)))
    what, by, remarks = "mean", list(within), []
    if isinstance(parts, OrdinalParts):
        remarks = ["intervals of probabilities are symmetric on the scale of the logit"]
        what, name = "prob", parts.design.response.strip("`")
        by = [*by, name]
        cells = pd.concat(
            [cells.assign(**{name: label}) for label in parts.categories], ignore_index=True
        )
    notes = (
        "normal tests by the delta method; random effects are zero, and means are averaged",
        *remarks,
        *grid_notes(grid, named),
    )
    m = found.size
    return MarginalMeans(
        what,
        cells,
        tuple(by),
        np.eye(m),
        np.zeros(m),
        found.T.ravel(),
        FixedDf(J @ cov @ J.T, np.inf),
        level,
        notes,
        response=parts.design.response.strip("`"),
    )


def jacobian(f: Callable[[Array], Array], x: Array, se: Array) -> Array:
    """Differentiate by central differences, shape (values, len(x))."""
    out = []
    for j, size in enumerate(np.where(np.isfinite(se) & (se > 0.0), se, 1.0)):
        step = np.zeros(len(x))
        step[j] = STEP * size
        out.append((f(x + step) - f(x - step)) / (2.0 * step[j]))
    return np.array(out).T


def means_of_rows(parts: Any, table: pd.DataFrame) -> Values:
    """Return means of rows, (m, 1), or probabilities of categories, (m, K), by coefficients."""
    if isinstance(parts, SeveralParts):
        return several_means(parts, table)
    return probabilities(parts, table)


def several_means(parts: SeveralParts, table: pd.DataFrame) -> Values:
    """Return means, structural zeros included, as a function of the coefficients."""
    n = len(table)
    inputs: list[tuple[int, Array, Array]] = []
    known = dict(parts.designs)
    for name, position in parts.positions.items():
        block = parts.estimate.block(name)
        X, offset = np.zeros((n, len(parts.estimate.standard))), np.zeros(n)
        if name in known:
            rows = encode(known[name], table, random=False)
            X[:, block.places] = rows.X[:, block.kept] @ block.T
            offset = offset if rows.offset is None else rows.offset
        else:
            X[:, block.places] = 1.0
        inputs.append((position, X, offset))
    inputs.sort(key=lambda item: item[0])
    trials = np.ones(n)

    def values(standard: Array) -> Array:
        eta = [np.ascontiguousarray(X @ standard + offset) for _, X, offset in inputs]
        return parts.means("response", eta, trials)[:, None]

    return values


def probabilities(parts: OrdinalParts, table: pd.DataFrame) -> Values:
    """Return probabilities of categories as a function of the coefficients."""
    plan, n = parts.ordinal, len(table)
    rows = encode(parts.design, table, random=False)
    kept = parts.estimate.block("location").kept
    X = rows.X[:, 1:][:, kept] @ plan.location
    offset = np.zeros(n) if rows.offset is None else rows.offset
    K, P = plan.thresholds.shape
    N = np.zeros((n, 0))
    if parts.nominal is not None:
        N = encode(parts.nominal, table, random=False).X[:, 1:]
    S = np.zeros((n, 0))
    if parts.scale is not None:
        S = encode(parts.scale, table, random=False).X[:, 1:]
    nominal = plan.nominal.reshape(N.shape[1], K, P)

    def values(standard: Array) -> Array:
        cuts = plan.thresholds @ standard + np.einsum("nq,qkp,p->nk", N, nominal, standard)
        zeta = S @ (plan.scale @ standard)
        below = parts.cumulative(X @ standard + offset, cuts, zeta)
        return np.diff(below, axis=1, prepend=0.0)

    return values
