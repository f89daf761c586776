"""Joint tests of the variables of the fixed part, by contrasts of marginal means."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import combinations, product
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ..design.expressions import columns_of
from ..design.frame import open_frame
from ..fitted.kinds import Answering
from ..inference.emmeans import marginal_rows
from ..inference.hypotheses.linear import joint
from .parts import part_of

__all__ = ["effects_of", "joint_rows"]


def effects_of(
    model: Answering, data: Any, grid: Mapping[str, Any], by: Sequence[str]
) -> list[tuple[str, ...]]:
    """List the sets of variables that occur together in a term, small ones first."""
    frame, encoder = open_frame(data), model.parts.design.encoder
    found: dict[tuple[str, ...], None] = {}
    order = [name for name in grid if name not in by]
    for term in encoder.formula.terms:
        names: set[str] = set()
        for factor in term.factors:
            own = [factor.expr] if factor.expr in grid else None
            evaluation = encoder.formula.evaluation
            names |= set(own or columns_of(factor.expr, frame, evaluation))
        known = [name for name in order if name in names]
        for size in range(1, len(known) + 1):
            found.update(dict.fromkeys(combinations(known, size)))
    return sorted(found, key=lambda names: (len(names), [order.index(name) for name in names]))


def joint_rows(
    model: Answering,
    grid: Mapping[str, pd.Series[Any]],
    effects: Sequence[tuple[str, ...]],
    by: Sequence[str],
    ddf: str | None,
) -> pd.DataFrame:
    """Test each effect, within each combination of the levels of ``by``."""
    parts, rows = model.parts, []
    part = part_of(model, "location")
    approximation = parts.approximation(ddf)
    approximation = part.approximation or approximation
    levels = [list(grid[name]) for name in by]
    for names in effects:
        L = marginal_rows(parts.design, grid, [*names, *by])[1]
        sizes = [len(grid[name]) for name in names]
        C = interaction(sizes)
        size = int(np.prod(sizes))
        for place, at in enumerate(product(*levels[::-1])):
            own = C @ L[place * size : (place + 1) * size]
            tested, lost = independent(part.rows(own))
            row: dict[str, Any] = dict(zip(by, at[::-1], strict=True))
            row |= {"term": ":".join(names), "num_df": len(tested), "den_df": np.nan}
            row |= {"F": np.nan, "pvalue": np.nan}
            if len(tested):
                found = joint(tested, part.beta, approximation)
                row |= {"den_df": found.den_df, "F": found.F, "pvalue": found.pvalue}
            rows.append(row | {"note": f"{lost} contrasts are not estimable" if lost else ""})
    table = pd.DataFrame(rows)
    if by:
        place_of = {name: {v: i for i, v in enumerate(grid[name])} for name in by}
        keys = pd.DataFrame({name: table[name].map(place_of[name]) for name in by})
        table = table.iloc[np.lexsort([keys[name] for name in list(by)[::-1]])]
    return table.set_index([*by, "term"])


def interaction(sizes: Sequence[int]) -> NDArray[np.float64]:
    """Contrasts that make up an interaction of variables, the first variable running fastest."""
    C: NDArray[np.float64] = np.ones((1, 1))
    for size in sizes:
        steps = np.diff(np.eye(size), axis=0)
        C = np.asarray(np.kron(steps, C))
    return C


def independent(rows: NDArray[np.float64]) -> tuple[NDArray[np.float64], int]:
    """Rows of full rank in the coefficients, and how many are not estimable: rows of NaN."""
    lost = np.isnan(rows).any(axis=1)
    known = rows[~lost]
    if not known.size:
        return known[:0], int(lost.sum())
    _, sizes, basis = np.linalg.svd(known, full_matrices=False)
    rank = int((sizes > 1e-9 * max(float(sizes[0]), 1e-300)).sum()) if sizes[0] > 1e-9 else 0
    return np.asarray(basis[:rank]), int(lost.sum())
