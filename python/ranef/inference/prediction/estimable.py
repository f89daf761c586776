"""New rows whose mean the data do not determine: cells that the fit never saw."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ..._caller import warn_caller
from ..._counted import counted
from ..._typing import Array
from ...design.design import Design
from ...design.encode import NewRows
from ...design.frame import open_frame
from ...errors import RankWarning
from ...formula import FactorKind
from ...models.gls.model import alias
from ...models.within import Absorption, absorb, absorbed_effects
from ..hypotheses.linear import not_estimable

__all__ = ["without_estimate", "without_estimate_beside"]

#: Cells that a warning names at most.
NAMED = 3
#: What a combination may miss besides absorbed factors, in units of the column.
TOLERANCE = 1e-6


def without_estimate(
    design: Design,
    newdata: Any,
    rows: NewRows,
    kept: NDArray[np.intp],
    aliasing: tuple[Sequence[int], Array] | None = None,
) -> NewRows:
    """Mark the rows whose mean is not estimable as missing, and warn of them.

    Parameters
    ----------
    design : Design
        The design of the fit.
    newdata : frame or mapping
        The new rows.
    rows : NewRows
        What ``encode`` makes of them.
    kept : sequence of int
        Columns of X that stand on their own.
    aliasing : (sequence of int, ndarray of shape (n_kept, n_aliased)), optional
        The other columns, as combinations of the kept ones; worked out from the rows of the design
        by default.

    Notes
    -----
    A mean x'beta is estimable where x is a combination of the rows of X: where its aliased columns
    depend on the others as those of the fit do [1]_. Anything else would come from the coding.

    References
    ----------
    .. [1] Searle (1971), Linear Models, section 5.4.
    """
    if len(kept) == rows.X.shape[1]:
        return rows
    aliased, combinations = alias(design, kept) if aliasing is None else aliasing
    lost = ~rows.missing & not_estimable(rows.X, kept, aliased, combinations)
    if not lost.any():
        return rows
    return _marked(design, newdata, rows, lost)


def without_estimate_beside(
    design: Design,
    newdata: Any,
    rows: NewRows,
    positions: NDArray[np.intp],
    kept: NDArray[np.bool_],
    absorption: Absorption,
) -> NewRows:
    """Mark rows whose mean is not estimable beside absorbed factors, and warn of them.

    Parameters
    ----------
    design, newdata, rows
        As for :func:`without_estimate`.
    positions : sequence of int
        Columns of the design that were fitted.
    kept : ndarray of shape (len(positions),), bool
        Which of them have a coefficient.
    absorption : Absorption
        The absorbed factors.

    Notes
    -----
    The columns that have no coefficient are combinations of the others and of the factors'
    indicators: a new row is estimable where the same combination gives its values. Factors whose
    levels fall into unconnected parts leave effects undetermined; a random element of what they
    leave, which moves a mean that is not estimable with probability one, finds those rows.
    """
    X, new = design.X[:, positions], rows.X[:, positions]
    inner = absorb(X, absorption)
    combinations = np.linalg.lstsq(inner[:, kept], inner[:, ~kept], rcond=None)[0]
    gaps = new[:, ~kept] - new[:, kept] @ combinations
    left = X[:, ~kept] - X[:, kept] @ combinations
    lost = np.zeros(len(new), dtype=bool)
    for gap, column, x in zip(gaps.T, left.T, X[:, ~kept].T, strict=True):
        effects = absorbed_effects(column, absorption)
        lost |= np.abs(gap - _sums(effects, absorption, rows)) > TOLERANCE * np.abs(x).max()
    if len(absorption.names) > 1:
        rng = np.random.default_rng(0)
        drawn = [rng.normal(size=levels) for levels in absorption.n_levels]
        fitted = sum(e[codes] for e, codes in zip(drawn, absorption.codes.T, strict=True))
        found = absorbed_effects(np.asarray(fitted), absorption)
        free = [a - b for a, b in zip(drawn, found, strict=True)]
        lost |= np.abs(_sums(free, absorption, rows)) > TOLERANCE
    lost &= ~rows.missing
    return _marked(design, newdata, rows, lost) if lost.any() else rows


def _sums(effects: Sequence[Array], absorption: Absorption, rows: NewRows) -> Array:
    """Add up effects of the factors in new rows, the mean one for levels not seen, shape (m,)."""
    total = np.zeros(len(rows.X))
    for effect, codes, term in zip(effects, absorption.codes.T, rows.terms, strict=False):
        assert term is not None
        total += np.append(effect, effect[codes].mean())[term.codes]
    return total


def _marked(design: Design, newdata: Any, rows: NewRows, lost: NDArray[np.bool_]) -> NewRows:
    """Make rows missing, with a warning."""
    warn_caller(RankWarning(_reason(design, newdata, rows, lost)))
    X = rows.X.copy(order="F")
    X[lost] = np.nan
    return replace(rows, X=X, missing=rows.missing | lost)


def _reason(design: Design, newdata: Any, rows: NewRows, lost: NDArray[np.bool_]) -> str:
    """State which cells were never observed."""
    cells = _cells(design, newdata, lost)
    if cells.shape[1]:
        distinct = cells.drop_duplicates()
        named = [
            ", ".join(f"{name} = {value}" for name, value in cell.items())
            for _, cell in distinct.head(NAMED).iterrows()
        ]
        more = len(distinct) - len(named)
    else:
        index = np.flatnonzero(lost) if rows.index is None else rows.index[lost]
        named = [f"row {label}" for label in list(index)[:NAMED]]
        more = int(lost.sum()) - len(named)
    where = "; ".join(named) + (f"; and {more} more" if more > 0 else "")
    return (
        f"predictions are NaN in {int(lost.sum())} of {counted(len(lost), 'row')} ({where}): the "
        "data of the fit have no rows that determine this mean, so any value would come from the "
        "coding. Drop the interaction, or predict for combinations that were observed"
    )


def _cells(design: Design, newdata: Any, lost: NDArray[np.bool_]) -> pd.DataFrame:
    """Values of the categorical columns of the fixed part in some new rows."""
    frame = open_frame(newdata)
    encoder = design.encoder
    factors = [factor for term in encoder.formula.terms for factor in term.factors]
    chosen = {
        factor.expr: np.asarray(frame.series(factor.expr), dtype=object)[lost]
        for factor in factors
        if factor.kind is FactorKind.NAME and encoder.factors[factor.expr].is_categorical
    }
    return pd.DataFrame(chosen)
