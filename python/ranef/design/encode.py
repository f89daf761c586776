"""Apply a fitted design to new rows."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from .._options import check_option
from ..errors import DataError
from ..formula import Factor, FactorKind, Formula
from .coding import FittedFactor
from .design import Design
from .frame import open_frame, row_labels
from .groups import Grouping, codes_of_new
from .known.members import MemberGrouping, Membership
from .matrix import matrix
from .reading import Reading, read_argument, read_factor, read_group, union
from .scope import Column
from .smooths.reading import stacked
from .smooths.terms import evaluated, multiplier, warn_beyond
from .structures.structure import Structure
from .values import Categories, Numbers, Value, find_levels, read_codes

if TYPE_CHECKING:
    from .smooths.fitted import FittedSmooth

__all__ = ["Encoder", "NewRows", "NewSmooth", "NewTerm", "encode", "encode_smooth"]


@dataclass(frozen=True)
class Encoder:
    """What a design learned from its data, enough to treat new rows in the same way.

    Attributes
    ----------
    formula : Formula
        The formula.
    factors : dict of str to FittedFactor
        Factors of all model matrices and offsets, by expression.
    fixed : tuple of Column
        Columns of X.
    random : tuple of tuple of Column
        Columns of each random-effects term.
    groupings : tuple of Grouping or MemberGrouping
        Grouping factor of each term.
    offset : str or None
        Column given as ``offset``; "" when an array was given.
    smooths : tuple of FittedSmooth
        Smooth terms; their columns are factors of that name.
    """

    formula: Formula
    factors: dict[str, FittedFactor]
    fixed: tuple[Column, ...]
    random: tuple[tuple[Column, ...], ...]
    groupings: tuple[Grouping | MemberGrouping, ...]
    offset: str | None
    smooths: tuple[FittedSmooth, ...] = ()


@dataclass(frozen=True)
class NewTerm:
    """A random-effects term on new rows.

    Attributes
    ----------
    group : str
        The grouping factor.
    codes : ndarray of shape (m,), int32
        Level of each row; -1 for a level that the fit did not see, or a missing one.
    z : ndarray of shape (m, s)
        Columns, Fortran order.
    places : tuple of ndarray of shape (m, d), or None
        For each block whose columns are places where the rows are; empty where there is none.
    extra : ndarray of shape (m,), or None
        Variance of the effects of rows at unseen places that the columns do not explain.
    membership : Membership or None
        The levels of each row, if it has several; ``codes`` then refers to the first.
    """

    group: str
    codes: NDArray[np.int32]
    z: NDArray[np.float64]
    membership: Membership | None = None
    places: tuple[NDArray[np.float64] | None, ...] = ()
    extra: NDArray[np.float64] | None = None

    @property
    def rows(self) -> list[tuple[NDArray[np.int32], NDArray[np.float64]]]:
        """Codes and weights of the rows, member by member; -1 for a level not seen."""
        if self.membership is None:
            return [(self.codes, np.ones(len(self.codes)))]
        return list(zip(self.membership.codes, self.membership.weights, strict=True))

    def effect(self, b: NDArray[np.float64]) -> NDArray[np.float64]:
        """Compute z'b by rows from the effects of the levels, zero for one not seen, shape (m,)."""
        out = np.zeros(len(self.codes))
        for codes, weight in self.rows:
            known = codes >= 0
            at = np.einsum("ij,ij->i", self.z[known], b[codes[known]])
            out[known] += at if self.membership is None else weight[known] * at
        return out

    @property
    def unseen(self) -> NDArray[np.float64]:
        """Sum of the squared weights of unseen levels, all distinct, shape (m,)."""
        return np.asarray(sum(np.where(codes < 0, weight**2, 0.0) for codes, weight in self.rows))


@dataclass(frozen=True)
class NewRows:
    """New rows in terms of a fitted design.

    Attributes
    ----------
    X : ndarray of shape (m, p)
        Fixed-effects matrix, Fortran order; NaN in rows with missing values.
    offset : ndarray of shape (m,) or None
        Known part of the linear predictor.
    terms : tuple of NewTerm or None
        One for each term of the design; None for a term not requested.
    missing : ndarray of shape (m,), bool
        Rows with a missing value in a column that is needed.
    index : Index or None
        Row labels, when the new data are a pandas frame.
    """

    X: NDArray[np.float64]
    offset: NDArray[np.float64] | None
    terms: tuple[NewTerm | None, ...]
    missing: NDArray[np.bool_]
    index: pd.Index[Any] | None


def encode(
    design: Design,
    newdata: Any,
    *,
    random: bool | Iterable[str] | None = True,
    new_levels: str = "raise",
    coded: bool = True,
) -> NewRows:
    """Apply a design to new rows; none is lost.

    Parameters
    ----------
    design : Design
        A design that was built from data.
    newdata : frame or mapping
        New rows; the response need not be there.
    random : bool, None or iterable of str
        Which random-effects terms: True or None for all, False or nothing for none, or grouping
        factors by label. The grouping columns of other terms need not be there.
    new_levels : {"raise", "population"}
        What to do with a level of a grouping factor that the fit did not see: raise, or code -1.
    coded : bool
        Whether levels of grouping factors are found. Without, every code is -1 and their columns
        need not be there.

    Returns
    -------
    NewRows
        Matrices and codes of the new rows.

    Raises
    ------
    DataError
        If a column is missing, or a factor of the fixed part has a level that the fit did not see.
    """
    new_levels = check_option("new_levels", new_levels, ("raise", "population"))
    encoder: Encoder = design.encoder
    chosen = chosen_terms(design, random)
    frame = open_frame(newdata)
    states = {expr: fitted.state for expr, fitted in encoder.factors.items()}
    reading = Reading(frame, states=states, evaluation=encoder.formula.evaluation)
    read_needed(encoder, chosen, reading, coded)
    added = read_offset_argument(encoder, reading)
    unknown = np.full(frame.n_rows, -1, dtype=np.int32)
    codes, members = {}, {}
    for t in chosen:
        grouping = encoder.groupings[t]
        codes[t] = unknown
        if isinstance(grouping, MemberGrouping):
            found = grouping.read(reading, new_levels if coded else "population")
            unseen = np.full_like(found.codes, -1)
            members[t] = found if coded else replace(found, codes=unseen)
            codes[t] = members[t].codes[0]
        elif coded:
            codes[t] = new_codes(grouping, reading, new_levels)
    missing = union(reading.missing.values())
    missing = np.zeros(frame.n_rows, dtype=bool) if missing is None else missing
    check_finite(reading)

    def laid_out(columns: tuple[Column, ...]) -> NDArray[np.float64]:
        out = matrix(columns, reading.values, encoder.factors, frame.n_rows)
        out[missing] = np.nan
        return out

    terms: list[NewTerm | None] = [None] * len(design.random)
    for t in chosen:
        z = laid_out(encoder.random[t])
        places = tuple(coordinates(one, reading) for one in design.random[t].structures)
        terms[t] = NewTerm(design.random[t].group, codes[t], z, members.get(t), places)
    offset = total_offset(encoder, reading, added)
    return NewRows(laid_out(encoder.fixed), offset, tuple(terms), missing, frame.index)


@dataclass(frozen=True)
class NewSmooth:
    """The variables of one smooth on new rows.

    Attributes
    ----------
    x : ndarray of shape (m, d)
        Its variables; NaN where missing.
    multiplier : ndarray of shape (m,) or None
        What ``by`` multiplies it by; None if the new rows lack it.
    codes : ndarray of shape (m,), int32
        Level of each row, 0 for a curve; -1 for a level that the fit did not see.
    index : Index or None
        Row labels, when the new data are a pandas frame.
    """

    x: NDArray[np.float64]
    multiplier: NDArray[np.float64] | None
    codes: NDArray[np.int32]
    index: pd.Index[Any] | None


def encode_smooth(design: Design, position: int, newdata: Any) -> NewSmooth:
    """Read only the variables of the smooth behind a term of a design."""
    encoder: Encoder = design.encoder
    one = design.random[position].smooth
    assert one is not None
    frame = open_frame(newdata)
    states = {expr: fitted.state for expr, fitted in encoder.factors.items()}
    reading = Reading(frame, states=states, evaluation=encoder.formula.evaluation)
    by = one.smooth.by
    knows_by = by is not None and (by.kind is not FactorKind.NAME or by.expr in frame)
    for factor in one.smooth.factors:
        if factor.expr != one.group and (factor != by or knows_by):
            read_known(factor, encoder.factors[factor.expr], reading)
    if one.group is not None:
        read_group(one.group, reading)
    grouping = encoder.groupings[position]
    assert isinstance(grouping, Grouping)
    codes = new_codes(grouping, reading, "raise")
    check_finite(reading)
    warn_beyond([one], reading.values)
    return NewSmooth(
        stacked(one.variables, reading.values, one.smooth),
        multiplier(one, reading.values) if knows_by else None,
        codes,
        frame.index,
    )


def coordinates(structure: Structure | None, reading: Reading) -> NDArray[np.float64] | None:
    """Find where the rows are, for a structure of places."""
    if structure is None or not structure.columns:
        return None
    values = [reading.values[name] for name in structure.columns]
    return np.column_stack([one.arrays[0] for one in values if isinstance(one, Numbers)])


def chosen_terms(design: Design, random: bool | Iterable[str] | None) -> list[int]:
    """Positions of the requested random-effects terms."""
    if random is None or isinstance(random, bool):
        return list(range(len(design.random))) if random in (None, True) else []
    asked = [random] if isinstance(random, str) else list(random)
    known = [term.group for term in design.random]
    for label in asked:
        if label not in known:
            raise ValueError(f"there is no grouping factor {label!r}; there are {', '.join(known)}")
    return [t for t, label in enumerate(known) if label in asked]


def read_needed(encoder: Encoder, chosen: list[int], reading: Reading, coded: bool) -> None:
    """Read the variables that the chosen matrices need, each in its fitted kind."""
    columns = [*encoder.fixed, *(c for t in chosen for c in encoder.random[t])]
    needed = dict.fromkeys(expr for column in columns for expr, _ in column.parts)
    kinds = {f.expr: f for term in all_terms(encoder.formula) for f in term}
    smooths = [one for one in encoder.smooths if one.label in needed]
    factors = [kinds[expr] for expr in needed if expr in kinds]
    factors += [f for one in smooths for f in one.smooth.factors if f.expr != one.group]
    for factor in dict.fromkeys([*factors, *encoder.formula.offsets]):
        read_known(factor, encoder.factors[factor.expr], reading)
    for one in smooths:
        reading.values[one.label] = evaluated(one, reading.values)
    warn_beyond(smooths, reading.values)
    for t in chosen if coded else ():
        grouping = encoder.groupings[t]
        for name in () if isinstance(grouping, MemberGrouping) else grouping.names:
            if name not in reading.frame and encoder.formula.random:
                raise DataError(
                    f"the data have no column {name!r}, whose random effects take part"
                    f'{reading.frame.hint(name)}; random="none" predicts without them',
                    name,
                    reading.frame.names,
                )
            read_group(name, reading)


def all_terms(formula: Formula) -> list[tuple[Factor, ...]]:
    """Factors of every term of the fixed and random parts."""
    terms = [*formula.terms, *(term for bar in formula.random for term in bar.terms)]
    return [term.factors for term in terms]


def read_known(factor: Factor, fitted: FittedFactor, reading: Reading) -> None:
    """Read one factor and translate it to the levels of the fit."""
    expr = factor.expr
    if fitted.is_categorical and factor.kind is FactorKind.NAME and expr not in reading.values:
        codes, levels = read_codes(reading.frame.series(expr), expr)
        reading.values[expr] = Categories(codes, levels)
        if (codes < 0).any():
            reading.missing[expr] = codes < 0
    read_factor(factor, reading)
    reading.values[expr] = translated(reading.values[expr], fitted, reading)


def translated(value: Value, fitted: FittedFactor, reading: Reading) -> Value:
    """Recode a new value to the levels of the fit."""
    if fitted.levels is None:
        if isinstance(value, Numbers):
            return value
        if len(value.levels):
            raise DataError(
                f"{fitted.expr!r} was numeric in the fit and is not in the new data", fitted.expr
            )
        return Numbers((np.full(len(value.codes), np.nan),) * len(fitted.full))
    if isinstance(value, Numbers):
        raise DataError(
            f"{fitted.expr!r} had levels in the fit and is numeric in the new data", fitted.expr
        )
    place = find_levels(fitted.levels, value.levels)
    codes = np.append(place, -1)[value.codes]
    unseen = np.flatnonzero((codes < 0) & (value.codes >= 0))
    if len(unseen):
        level = value.levels[value.codes[unseen[0]]]
        raise DataError(unseen_level(level, fitted.expr, fitted.levels), fitted.expr)
    return replace(value, codes=codes, levels=fitted.levels)


def unseen_level(level: Any, expr: str, levels: pd.Index[Any]) -> str:
    """State that a factor of the fixed part has a new level."""
    shown = ", ".join(repr(v) for v in levels[:10].tolist())
    more = f" and {len(levels) - 10} more" if len(levels) > 10 else ""
    return f"{expr!r} has the level {level!r}, which the fit did not see; it knows {shown}{more}"


def read_offset_argument(encoder: Encoder, reading: Reading) -> NDArray[np.float64] | None:
    """Read the column that was given as offset."""
    if encoder.offset == "":
        raise DataError(
            "the model was fitted with an offset given as an array, which new rows cannot have; "
            "put it into a column and name that, or write offset(column) in the formula",
            "offset",
        )
    return read_argument(encoder.offset, "offset", reading)


def new_codes(grouping: Grouping, reading: Reading, new_levels: str) -> NDArray[np.int32]:
    """Code the new rows by the levels of the fit."""
    if not grouping.names:  # a smooth, which has one level
        return np.zeros(reading.frame.n_rows, dtype=np.int32)
    series = [reading.frame.series(name) for name in grouping.names]
    codes = codes_of_new(grouping, series)
    new = codes < 0
    for name in grouping.names:
        if name in reading.missing:
            new &= ~reading.missing[name]
    if new_levels == "raise" and new.any():
        first = np.flatnonzero(new)
        labels = dict.fromkeys(":".join(str(s.iloc[i]) for s in series) for i in first[:1000])
        shown = ", ".join(repr(label) for label in list(labels)[:5])
        label = ":".join(grouping.names)
        raise DataError(
            f"grouping factor {label!r} has levels that the fit did not see: {shown}"
            f"{' and others' if len(labels) > 5 else ''}; "
            f'with new_levels="population" they are given no effect of their own',
            label,
        )
    return codes


def check_finite(reading: Reading) -> None:
    """Refuse infinite values."""
    for name, infinite in reading.infinite.items():
        where = row_labels(np.flatnonzero(infinite), reading.frame.index)
        raise DataError(f"{name!r} is infinite in {where} of the new data", name)


def total_offset(
    encoder: Encoder, reading: Reading, added: NDArray[np.float64] | None
) -> NDArray[np.float64] | None:
    """Add up the offsets."""
    parts = [] if added is None else [added]
    for factor in encoder.formula.offsets:
        value = reading.values[factor.expr]
        assert isinstance(value, Numbers)
        parts.append(value.arrays[0])
    return np.sum(parts, axis=0) if parts else None
