"""Formula and data to a frozen `Design`."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .._counted import counted
from .._options import check_option
from ..errors import DataError, FormulaError
from ..formula import Factor, FactorKind, Formula, Term, place_of
from .coding import FittedFactor, fit_factor
from .design import NO_TRIALS, Design
from .encode import Encoder
from .frame import copy_strided, did_you_mean, open_frame, owners, row_labels
from .known.covariance import known_covariances
from .known.members import read_members
from .matrix import Store
from .random import random_terms
from .reading import Reading, read_argument, read_factor, read_group, rows_to_keep
from .scope import Column, check_names, columns_of_terms
from .smooths.reading import read_smooth, with_random_smooths
from .smooths.terms import add_smooths, fixed_columns, smooth_terms
from .values import Categories, Numbers, Value
from .width import check_width, number_hint

__all__ = ["build"]

Vector = NDArray[np.float64]
Mask = NDArray[np.bool_]
SCORES = 20  # more levels than this are no scores


def build(
    formula: Formula,
    data: Any,
    *,
    weights: Any = None,
    offset: Any = None,
    contrasts: Mapping[str, Any] | None = None,
    missing: str = "drop",
    response: str = "numeric",
    covariance: Any = None,
    smooths: bool = False,
) -> Design:
    """Apply a formula to data.

    Parameters
    ----------
    formula : Formula
        The parsed formula.
    data : frame or mapping
        A pandas, polars or Arrow table, or a mapping of names to arrays.
    weights, offset : str or array_like of shape (n,), optional
        A column's name, or one value for each row of the data.
    contrasts : mapping of str to contrasts, optional
        Column to its contrasts: a name such as "sum", formulaic's ``contr.sum``, or a matrix.
    missing : {"drop", "raise"}
        What to do with rows that have missing values: drop and count them, or raise.
    response : {"numeric", "binary", "counts"}
        Whether the response must be numbers, or may have two levels, the first coded 0, or also be
        two columns of successes and failures; then y is the share of successes, and the weights are
        the trials.
    covariance : mapping of str to covariance, optional
        Known covariances of the levels of grouping factors: labelled frames, pedigrees or
        precisions.
    smooths : bool
        Whether the model takes smooth terms.

    Returns
    -------
    Design
        Response, columns and terms on the rows without missing values.

    Raises
    ------
    DataError
        If the data do not fit the formula; the message names the column.
    FormulaError
        If the formula asks for the same random effect twice, or for an unknown function.
    UnsupportedError
        If it has smooth terms and the model takes none.
    """
    if not smooths:
        formula.refuse_smooths("this model")
    missing = check_option("missing", missing, ("drop", "raise"))
    response = check_option("response", response, ("numeric", "binary", "counts"))
    reading = Reading(open_frame(data), evaluation=formula.evaluation)
    if reading.frame.n_rows == 0:
        raise DataError("the data have no rows")
    formula = with_random_smooths(formula, reading.frame)
    read_all(formula, reading)
    weight = read_argument(weights, "weights", reading)
    added = read_argument(offset, "offset", reading)
    keep = with_trials(formula, reading, response, rows_to_keep(reading, missing))
    values = {expr: on_rows(value, keep) for expr, value in reading.values.items()}
    factors = fit_factors(formula, values, reading.states, contrasts or {})
    curves = add_smooths(formula, values, factors)
    store = Store(values, factors)
    layout = columns_of_terms(formula.terms, factors)
    check_width(layout, factors, reading.frame.n_rows if keep is None else int(keep.sum()))
    fixed = [column for _, columns in layout for column in columns] + fixed_columns(curves)
    check_names(fixed)
    references = tuple(store.refer(column) for column in fixed)
    known = known_covariances(covariance, [bar.group for bar in formula.random])
    random, recipes, groupings = random_terms(
        formula, reading.groups, keep, store, reading.members, known
    )
    n = reading.frame.n_rows if keep is None else int(keep.sum())
    more = smooth_terms(curves, reading.groups, keep, store, n)
    random, recipes, groupings = (*random, *more[0]), (*recipes, *more[1]), (*groupings, *more[2])
    weight, added = on(weight, keep), on(added, keep)
    answer = values[formula.left.expr]
    if response == "counts" and isinstance(answer, Numbers) and len(answer.arrays) == 2:
        y, weight = successes(formula.response, answer, weight)
    else:
        y = response_vector(formula, answer, response)
    arrays = [
        y,
        weight,
        added,
        *store.columns.values(),
        *(codes for term in random if term.is_plain for codes, _ in term.memberships),
    ]
    source = offset if offset is None or isinstance(offset, str) else ""
    return Design(
        y=y,
        columns=tuple(store.columns.values()),
        fixed=references,
        fixed_names=tuple(column.name for column in fixed),
        fixed_terms=positions(layout),
        random=random,
        weights=positive(weight, keep, reading),
        offset=total_offset(formula, values, added),
        response=formula.response,
        rows=None if keep is None else np.flatnonzero(keep),
        n_data=reading.frame.n_rows,
        index=reading.frame.index,
        dropped={name: int(gaps.sum()) for name, gaps in reading.missing.items()},
        encoder=Encoder(formula, factors, tuple(fixed), recipes, groupings, source, curves),
        owners=owners(reading.frame, arrays),
    )


def read_all(formula: Formula, reading: Reading) -> None:
    """Read every variable of the formula."""
    factors = [formula.left, *(f for term in all_terms(formula) for f in term.factors)]
    copy_strided(reading.frame, dict.fromkeys(f.expr for f in factors if f.kind is FactorKind.NAME))
    for factor in [*factors, *formula.offsets]:
        try:
            read_factor(factor, reading)
        except FormulaError as error:
            raise placed(error, factor, formula) from None
    for bar in formula.random:
        if bar.members is not None:
            reading.members[bar.members.source()] = read_members(bar.members, reading)
            continue
        for name in bar.factors:
            read_group(name, reading)
    for smooth in formula.smooths:
        try:
            read_smooth(smooth, reading)
        except FormulaError as error:
            raise FormulaError(str(error), formula.text, smooth.start, smooth.stop) from None


def placed(error: FormulaError, factor: Factor, formula: Formula) -> FormulaError:
    """Show an error of an expression in the formula: the function at fault, or the expression."""
    start, stop = place_of(factor, formula.text)
    name = re.match(r"[\w.]+", str(error))
    at = formula.text.find(name.group(), start, stop) if name else -1
    if name and at >= 0:
        start, stop = at, at + len(name.group())
    return FormulaError(str(error), formula.text, start, stop)


def all_terms(formula: Formula) -> list[Term]:
    """Terms of the fixed part and of the left sides of all bars."""
    return [*formula.terms, *(term for bar in formula.random for term in bar.terms)]


def on_rows(value: Value, keep: Mask | None) -> Value:
    """Restrict a variable to the kept rows, and to levels that occur there."""
    value = value if keep is None else value.take(keep)
    return value.compressed() if isinstance(value, Categories) else value


def on(array: Vector | None, keep: Mask | None) -> Vector | None:
    """Restrict an array to the kept rows."""
    return array if array is None or keep is None else array[keep]


def fit_factors(
    formula: Formula,
    values: Mapping[str, Value],
    states: Mapping[str, dict[str, Any]],
    contrasts: Mapping[str, Any],
) -> dict[str, FittedFactor]:
    """Learn the columns of each factor of the right side."""
    used = [f.expr for term in all_terms(formula) for f in term.factors]
    smooth = [f.expr for one in formula.smooths for f in one.factors if f.expr in values]
    used = list(dict.fromkeys([*used, *(f.expr for f in formula.offsets), *smooth]))
    for name in contrasts:
        if name not in used:
            hint = did_you_mean(name, used)
            raise DataError(f"contrasts are given for {name!r}, not in the formula{hint}", name)
    return {e: fit_factor(e, values[e], contrasts.get(e), states.get(e, {})) for e in used}


def positions(
    layout: Sequence[tuple[Term, Sequence[Column]]],
) -> tuple[tuple[str, tuple[int, ...]], ...]:
    """Return the columns of each fixed term."""
    out, start = [], 0
    for term, columns in layout:
        out.append((term.name, tuple(range(start, start + len(columns)))))
        start += len(columns)
    return tuple(out)


def response_vector(formula: Formula, value: Value, kind: str) -> Vector:
    """Return the response as numbers."""
    name = formula.response
    if isinstance(value, Numbers):
        if len(value.arrays) > 1:
            raise DataError(
                f"the response {name!r} has {counted(len(value.arrays), 'column')}; only a "
                "binomial response of glmer has two, cbind(successes, failures)",
                name,
            )
        return value.arrays[0]
    shown = ", ".join(repr(level) for level in value.levels[:4].tolist())
    if kind == "numeric":
        texts = value.levels.astype(str)
        hint = number_hint(texts, name)
        scores = ordered_hint(value) if not hint or texts.str.isdecimal().all() else ""
        raise DataError(
            f"the response {name!r} is not numeric (its values are {shown}"
            f"{', ...' if len(value.levels) > 4 else ''}); "
            f"{hint or 'make it numbers, such as 0 and 1'}{scores}",
            name,
        )
    if len(value.levels) != 2:
        count = len(value.levels)
        raise DataError(
            f"the response {name!r} needs two levels, not {count} ({shown}){ordered_hint(value)}",
            name,
        )
    return value.codes.astype(np.float64)


def ordered_hint(value: Categories) -> str:
    """Name the model of ordered categories."""
    if not 3 <= len(value.levels) <= SCORES:
        return ""
    return "; for ordered categories, such as scores, use ranef.clmm"


def successes(name: str, value: Numbers, weight: Vector | None) -> tuple[Vector, Vector]:
    """Return the share of successes and the trials of two columns of counts."""
    if weight is not None:
        raise DataError(f"{name} already contains the trials; omit the weights", "weights")
    count, failures = value.arrays
    for column, what in ((count, "successes"), (failures, "failures")):
        bad = int(np.sum((column < 0.0) | (column != np.round(column))))
        if bad:
            raise DataError(
                f"the {what} in {name} are not counts 0, 1, 2, ... in {counted(bad, 'row')}", name
            )
    trials = count + failures
    return count / trials, trials


def with_trials(
    formula: Formula, reading: Reading, response: str, keep: Mask | None
) -> Mask | None:
    """Leave out rows without trials, which say nothing, and count them."""
    answer = reading.values[formula.left.expr]
    if response != "counts" or not isinstance(answer, Numbers) or len(answer.arrays) != 2:
        return keep
    count, failures = answer.arrays
    empty: Mask = (count == 0.0) & (failures == 0.0)
    if not empty.any():
        return keep
    if empty.all() if keep is None else not (keep & ~empty).any():
        raise DataError(f"{formula.response} has no trials in any row", formula.response)
    reading.missing[formula.response + NO_TRIALS] = empty
    left: Mask = ~empty if keep is None else keep & ~empty
    return left


def positive(weights: Vector | None, keep: Mask | None, reading: Reading) -> Vector | None:
    """Refuse weights of zero or below."""
    if weights is None or weights.min() > 0:
        return weights
    bad = np.flatnonzero(weights <= 0)
    rows = bad if keep is None else np.flatnonzero(keep)[bad]
    where = row_labels(rows, reading.frame.index)
    message = f"weights must be above zero; they are not in {where}; drop these rows first"
    raise DataError(message, "weights")


def total_offset(
    formula: Formula, values: Mapping[str, Value], added: Vector | None
) -> Vector | None:
    """Add up the offsets of the formula and the argument."""
    parts = [] if added is None else [added]
    for factor in formula.offsets:
        value = values[factor.expr]
        if not isinstance(value, Numbers) or len(value.arrays) > 1:
            raise DataError(f"offset({factor.expr}) must be one column of numbers", factor.expr)
        parts.append(value.arrays[0])
    if not parts:
        return None
    total: Vector = parts[0] if len(parts) == 1 else np.sum(parts, axis=0)
    return total
