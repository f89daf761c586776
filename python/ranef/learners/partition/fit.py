"""From the arguments of a model tree to its estimate."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ... import design as designs
from ..._counted import counted
from ..._typing import Array, Positions
from ...design.design import Design
from ...design.frame import open_frame, to_pandas
from ...errors import ConvergenceWarning, DataError, DroppedRowsWarning, ModelError, RanefWarning
from ...fitted.lmm.call import Call
from ...fitted.lmm.fit import checked, estimated, kernel_of
from ...fitted.lmm.fit import fit as fit_mixed
from ...fitted.lmm.model import LinearMixedModel
from ...fitted.warned import dropped_rows
from ...formula.terms import offset_source, quoted
from ...inference.prediction.predict import random_part
from ...models.lmm import LmmEstimate
from ..call import positive
from .grow import Branch, Rows, Settings, assigned, grown, leaves_of
from .instability import Variable
from .written import Written, read_formula

__all__ = ["Fit", "TreeCall", "codes_of", "fit"]


@dataclass(frozen=True)
class TreeCall:
    """The arguments of a model tree."""

    formula: str
    weights: Any = None
    offset: Any = None
    missing: str = "drop"
    reml: bool = True
    alpha: float = 0.05
    bonferroni: bool = True
    min_rows: int | None = None
    min_groups: int = 5
    max_depth: int | None = None
    rounds: int = 100

    def __post_init__(self) -> None:
        if not 0.0 < self.alpha <= 1.0:
            raise ValueError(f"alpha must lie between 0 and 1, not {self.alpha!r}")
        positive("rounds", self.rounds, 1)
        positive("min_groups", self.min_groups, 1)
        for name in ("min_rows", "max_depth"):
            if (value := getattr(self, name)) is not None:
                positive(name, value, 1)


@dataclass(frozen=True, eq=False)
class Fit:
    """One fit, frozen.

    Attributes
    ----------
    base : Design
        Rows with the columns of the model of a leaf.
    variables : tuple of Variable
        Variables that may divide the rows.
    tree : Branch
        The tree.
    leaf : ndarray of shape (n,), int
        Leaf of each row, from 0.
    beta, se : ndarray of shape (leaves, k)
        Coefficients of the leaves with their standard errors.
    modes : tuple of ndarray
        Conditional modes of the random effects.
    mixed : LinearMixedModel
        The mixed model with coefficients for each leaf.
    trace : DataFrame
        Log-likelihood and leaves of each round.
    converged : bool
        Whether a round found the same tree again.
    warnings : tuple of RanefWarning
        What the fit warned of.
    """

    base: Design
    variables: tuple[Variable, ...]
    tree: Branch
    leaf: Positions
    beta: Array
    se: Array
    modes: tuple[Array, ...]
    mixed: LinearMixedModel
    trace: pd.DataFrame
    converged: bool
    warnings: tuple[RanefWarning, ...]


def fit(call: TreeCall, data: Any) -> Fit:
    """Carry out a call."""
    written = read_formula(call.formula, data)
    frame, kept, lost = complete(written, data, call)
    arguments = {name: on_rows(getattr(call, name), kept) for name in ("weights", "offset")}
    base = designs.build(written.mixed, frame, missing=call.missing, **arguments)
    used = frame if base.rows is None else frame.iloc[base.rows]
    variables = tuple(variable_of(used[name], name, base) for name in written.variables)
    k = len(base.fixed)
    full_rank(base)
    settings = Settings(
        call.alpha,
        call.bonferroni,
        call.min_rows or 10 * k,
        call.min_groups,
        call.max_depth or base.n_obs,
    )
    mixed_call = Call(written.mixed.text, reml=call.reml)
    tree, leaf, estimate, trace, converged = alternate(base, variables, settings, mixed_call, call)
    count = len(leaves_of(tree))
    beta = estimate.beta.reshape(count, k)
    se = np.full(count * k, np.nan)
    se[estimate.kept] = np.sqrt(np.diag(estimate.cov_beta))
    mixed = inside(written, call, base, used, leaf, count, arguments)
    warnings = [*lost, *dropped_rows(base), *mixed.warnings]
    if not converged:
        warnings.append(
            ConvergenceWarning(
                f"after {counted(len(trace), 'round')} the tree still changes from one round to "
                "the next; the one with the highest log-likelihood is returned"
            )
        )
    return Fit(
        base,
        variables,
        tree,
        leaf,
        beta,
        se.reshape(count, k),
        estimate.modes,
        mixed,
        trace,
        converged,
        tuple(warnings),
    )


def full_rank(base: Design) -> None:
    """Refuse a model of a leaf whose coefficients are not determined."""
    X = base.X / np.maximum(np.linalg.norm(base.X, axis=0), 1e-300)
    rank = int(np.linalg.matrix_rank(X))
    if rank < X.shape[1]:
        raise ModelError(
            f"the model of a leaf has {counted(X.shape[1], 'coefficient')}, and the data determine "
            f"{rank}: {', '.join(base.fixed_names)} depend on each other; leave one out"
        )


def complete(
    written: Written, data: Any, call: TreeCall
) -> tuple[pd.DataFrame, NDArray[np.bool_], list[RanefWarning]]:
    """Leave out rows without a value of a dividing variable; return the rest and its positions."""
    source = open_frame(data)
    for name in written.variables:
        source.check(name)
    frame = to_pandas(data)
    gaps = frame[list(written.variables)].isna()
    kept = np.asarray(~gaps.to_numpy().any(axis=1), dtype=np.bool_)
    if kept.all():
        return frame, kept, []
    counts = ", ".join(f"{name} ({int(gap.sum())})" for name, gap in gaps.items() if gap.any())
    lost = int((~kept).sum())
    verb = "is" if lost == 1 else "are"
    told = f"{lost} of {len(frame)} rows {verb} left out because values are missing in {counts}"
    if call.missing == "raise":
        raise DataError(
            f"{counted(lost, 'row has', 'rows have')} missing values, by column: {counts}"
        )
    return frame[kept], kept, [DroppedRowsWarning(told)]


def on_rows(value: Any, kept: NDArray[np.bool_]) -> Any:
    """Select the remaining rows of an array."""
    if value is None or isinstance(value, str) or kept.all() or np.shape(value) != kept.shape:
        return value
    return np.asarray(value)[kept]


def variable_of(column: pd.Series[Any], name: str, base: Design) -> Variable:
    """Read a variable that may divide the rows.

    Raises
    ------
    DataError
        If it has only one value, or is infinite.
    """
    if column.nunique() < 2:
        raise DataError(f"{name!r} has one value in the rows used; it cannot divide them", name)
    if pd.api.types.is_datetime64_any_dtype(column) or pd.api.types.is_timedelta64_dtype(column):
        raise DataError(
            f"column {name!r} contains dates or times; make it a number first, such as days since "
            f"the start: ({name} - {name}.min()).dt.days",
            name,
        )
    is_number = pd.api.types.is_numeric_dtype(column) and not pd.api.types.is_bool_dtype(column)
    if is_number:
        values, levels, is_ordered = column.to_numpy(dtype=np.float64), None, False
        if not np.isfinite(values).all():
            raise DataError(f"{name!r} is infinite in some rows; drop or correct these", name)
    else:
        known = column.astype("category").cat.remove_unused_categories()
        is_ordered = bool(known.cat.ordered)
        values = known.cat.codes.to_numpy(dtype=np.float64)
        levels = tuple(map(str, known.cat.categories))
    group, codes = level_of(values, base)
    return Variable(name, values, levels, is_ordered, group, codes)


def level_of(values: Array, base: Design) -> tuple[str, Positions | None]:
    """Find the coarsest grouping factor within whose levels a variable is constant."""
    for term in sorted(base.random, key=lambda term: term.n_levels):
        if len(term.memberships) > 1 or term.n_levels == len(values):
            continue
        first = np.zeros(term.n_levels, dtype=np.intp)
        first[term.codes[::-1]] = np.arange(len(values))[::-1]
        if np.array_equal(values, values[first[term.codes]]):
            return term.group, np.asarray(term.codes, dtype=np.intp)
    return "rows", None


def alternate(
    base: Design,
    variables: tuple[Variable, ...],
    settings: Settings,
    mixed_call: Call,
    call: TreeCall,
) -> tuple[Branch, Positions, LmmEstimate, pd.DataFrame, bool]:
    """Grow the tree beside random effects, and fit these beside the tree, in turn.

    References
    ----------
    Fokkema, Smits, Zeileis, Hothorn and Kelderman (2018), Behav. Res. Methods 50, 2016-2034.
    """
    X = base.X
    whole = base.y if base.offset is None else base.y - base.offset
    weights = np.ones(base.n_obs) if base.weights is None else base.weights
    effects, trace = np.zeros(base.n_obs), []
    seen: dict[bytes, tuple[float, Branch, Positions, LmmEstimate]] = {}
    values = {one.name: one.values for one in variables}
    last, converged = b"", False
    for _ in range(call.rounds):
        tree = grown(Rows(X, whole - effects, weights, variables), settings)
        leaf = assigned(tree, values, base.n_obs)
        key = leaf.tobytes()
        if key in seen:
            converged = key == last
            if converged:
                seen[key] = (np.inf, tree, leaf, seen[key][3])
            break
        design = of_leaves(base, X, leaf, len(leaves_of(tree)))
        checked(design, mixed_call)
        estimate = estimated(design, kernel_of(design), mixed_call)
        effects = random_part(design, estimate.modes)
        llf = -0.5 * estimate.objective
        trace.append((llf, estimate.sigma, len(leaves_of(tree))))
        seen[key], last = (llf, tree, leaf, estimate), key
    best = max(seen.values(), key=lambda item: item[0])
    table = pd.DataFrame(trace, columns=["llf", "sigma", "leaves"])
    table.index = pd.RangeIndex(1, len(table) + 1, name="round")
    return best[1], best[2], best[3], table, converged


def of_leaves(base: Design, X: Array, leaf: Positions, count: int) -> Design:
    """Return the design with a coefficient of each column for each leaf."""
    first = len(base.columns)
    columns = [X[:, j] * (leaf == i) for i in range(count) for j in range(X.shape[1])]
    names = [f"{name}, leaf {i + 1}" for i in range(count) for name in base.fixed_names]
    return replace(
        base,
        columns=(*base.columns, *columns),
        fixed=tuple(range(first, first + len(columns))),
        fixed_names=tuple(names),
        fixed_terms=(("leaf", tuple(range(len(columns)))),),
    )


def inside(
    written: Written,
    call: TreeCall,
    base: Design,
    used: pd.DataFrame,
    leaf: Positions,
    count: int,
    arguments: Mapping[str, Any],
) -> LinearMixedModel:
    """Fit the mixed model of the last round from a frame with the leaves as a column of it."""
    formula, frame, word = written.mixed, used.copy(), "leaf"
    while word in frame:
        word += "_"
    frame[word] = pd.Categorical.from_codes(leaf, pd.Index([str(k + 1) for k in range(count)]))
    terms = [term.source() if term.factors else "" for term in formula.terms]
    if count > 1:
        fixed = ["0", *(f"{quoted(word)}:{term}" if term else word for term in terms)]
    else:
        fixed = [term or "1" for term in terms] + ([] if "" in terms else ["0"])
    offsets = [offset_source(factor) for factor in formula.offsets]
    bars = [one.source() for one in formula.random]
    text = f"{formula.response} ~ " + " + ".join([*fixed, *offsets, *bars])
    weights = base.weights if arguments["weights"] is not None else None
    offset = arguments["offset"]
    if offset is not None and not isinstance(offset, str) and base.rows is not None:
        offset = np.asarray(offset)[base.rows]
    parts = fit_mixed(Call(text, reml=call.reml, weights=weights, offset=offset), frame)
    return LinearMixedModel(parts)


def codes_of(column: pd.Series[Any], variable: Variable) -> Array:
    """Read a variable of new rows: numbers, or codes of the levels of the fit; NaN if missing.

    Raises
    ------
    DataError
        If a level is new, or the column is of another kind.
    """
    name = variable.name
    if variable.levels is None:
        try:
            return column.to_numpy(dtype=np.float64, na_value=np.nan)
        except (TypeError, ValueError):
            raise DataError(
                f"{name!r} was numeric in the fit and is not in the new data", name
            ) from None
    known = {level: float(i) for i, level in enumerate(variable.levels)}
    missing = column.isna().to_numpy()
    out = np.array(column.astype(str).map(known), dtype=np.float64)
    if (np.isnan(out) & ~missing).any():
        new = column[np.isnan(out) & ~missing].iloc[0]
        raise DataError(
            f"{name!r} has the level {new!r}, which the fit did not see; it knows "
            f"{', '.join(map(repr, variable.levels[:10]))}",
            name,
        )
    out[missing] = np.nan
    return out
