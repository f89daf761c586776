"""Random-effects terms: the contents of the parentheses around a bar."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from ..errors import FormulaError
from .members import is_members, parse_members
from .shapes import HOMOGENEOUS, split_arguments
from .syntax import bars_in, check_operators, closing
from .terms import Bar
from .tokens import Kind, Piece, pieces
from .wilkinson import to_terms

__all__ = ["parse_bar", "parse_structured"]

#: Structures of places, which have one standard deviation.
ONE_SD = ("ou", "exponential", "matern")
MAKE_COLUMN = "a grouping factor is a column, a:b or a/b; make the column in the data first"


def parse_bar(parts: Sequence[Piece], text: str) -> list[Bar]:
    """Parse ``(left | group)``, parentheses included, into one bar for each level of nesting."""
    inside = parts[1:-1]
    at = bars_in(inside, 0)
    start, stop = parts[0].start, parts[-1].stop
    if len(at) > 1 or len(bars_in(inside)) > 1:
        second = inside[bars_in(inside)[1]]
        message = "a random-effects term has one bar; write one term for each grouping factor"
        raise FormulaError(message, text, second.start, second.stop)
    bar = inside[at[0]]
    left, right = inside[: at[0]], inside[at[0] + 1 :]
    if not left:
        message = "there is nothing before the bar; write (1 | g) for a random intercept"
        raise FormulaError(message, text, bar.start, bar.stop)
    if not right:
        raise FormulaError(
            "the grouping factor is missing after the bar", text, bar.start, bar.stop
        )
    for piece in parts:
        if piece.kind is Kind.STRUCTURE:
            message = "a structure takes one bar: write ar1(0 + t | g) as a term of its own"
            raise FormulaError(message, text, piece.start, piece.stop)
    check_operators(left, text)
    check_no_offset(left, text)
    terms = to_terms(left, text)
    if not terms:
        message = "no column is left on this side of the bar; write (1 | g) for an intercept"
        raise FormulaError(message, text, left[0].start, left[-1].stop)
    spelled = text[left[0].start : left[-1].stop].strip()
    if is_members(right):
        members = parse_members(right[0], text)
        label = members.label
        return [
            Bar(spelled, terms, label, (label,), bar.text == "||", start, stop, members=members)
        ]
    return [
        Bar(spelled, terms, ":".join(names), names, bar.text == "||", start, stop)
        for names in grouping(right, text)
    ]


def parse_structured(piece: Piece, text: str) -> list[Bar]:
    """Parse ``ar1(0 + t | g, hom=True)`` into bars."""
    opening = piece.text.index("(")
    name = piece.text[:opening].strip()
    inside = piece.text[opening + 1 : piece.text.rindex(")")]
    (_, first), *rest = split_arguments(inside)
    start = piece.start + opening + 1
    homogeneous = HOMOGENEOUS[name]
    for at, argument in rest:
        homogeneous = read_hom(name, argument, text, start + at)
    padded = " " * start + first
    parts = [
        Piece(Kind.OPEN, "(", start - 1, start),
        *pieces(padded),
        Piece(Kind.CLOSE, ")", piece.stop - 1, piece.stop),
    ]
    bars = parse_bar(parts, text)
    if any(bar.uncorrelated for bar in bars):
        message = f"{name}() says which covariances there are; write one bar inside it"
        raise FormulaError(message, text, piece.start, piece.stop)
    structure = "" if name == "us" else name
    return [
        replace(
            bar,
            structure=structure,
            homogeneous=homogeneous,
            start=piece.start,
            stop=piece.stop,
        )
        for bar in bars
    ]


def read_hom(name: str, argument: str, text: str, at: int) -> bool:
    """Read the ``hom=`` of a structure."""
    word, _, value = (part.strip() for part in argument.partition("="))
    if word != "hom" or value not in ("True", "False"):
        message = f"after the group, {name}() takes hom=True or hom=False and nothing else"
        raise FormulaError(message, text, at, at + len(argument))
    if value == "False" and name in ONE_SD:
        message = f"{name}() has one standard deviation for all places; leave hom out"
        raise FormulaError(message, text, at, at + len(argument))
    if value == "True" and name == "us":
        message = "us() is for any covariances; cs(..., hom=True) has one standard deviation"
        raise FormulaError(message, text, at, at + len(argument))
    return value == "True"


def check_no_offset(parts: Sequence[Piece], text: str) -> None:
    """Raise for an offset inside a random-effects term."""
    for piece in parts:
        if piece.kind is Kind.PYTHON and piece.text.startswith("offset("):
            message = "an offset belongs outside the parentheses of a random-effects term"
            raise FormulaError(message, text, piece.start, piece.stop)


def grouping(parts: Sequence[Piece], text: str) -> list[tuple[str, ...]]:
    """Expand a grouping expression into the columns of each grouping factor."""
    check_grouping_pieces(parts, text)
    check_operators(parts, text)
    return nest(parts, text)


def check_grouping_pieces(parts: Sequence[Piece], text: str) -> None:
    """Raise for what a grouping expression cannot hold."""
    for piece in parts:
        if piece.kind in (Kind.PYTHON, Kind.VALUE):
            raise FormulaError(MAKE_COLUMN, text, piece.start, piece.stop)
        if piece.kind is Kind.OPERATOR and piece.text in "+*-":
            message = (
                "one grouping factor in each term: write (1 | a) + (1 | b) for crossed factors"
            )
            raise FormulaError(message, text, piece.start, piece.stop)
        if piece.kind is Kind.OPERATOR and piece.text not in ":/":
            raise FormulaError(MAKE_COLUMN, text, piece.start, piece.stop)


def nest(parts: Sequence[Piece], text: str) -> list[tuple[str, ...]]:
    """Expand ``a/b`` into a and a:b; a slash binds less than a colon."""
    levels: list[tuple[str, ...]] = []
    for part in split_at(parts, "/"):
        inner = cross(part, text)
        outer = levels[-1] if levels else ()
        levels += [(*outer, *(n for n in names if n not in outer)) for names in inner]
    return levels


def cross(parts: Sequence[Piece], text: str) -> list[tuple[str, ...]]:
    """Join the factors of ``a:b``; one of them may be nested, as in ``a:(b/c)``."""
    out: list[tuple[str, ...]] = [()]
    for part in split_at(parts, ":"):
        inner = [(part[0].text,)] if len(part) == 1 else nest(part[1:-1], text)
        out = [(*a, *(n for n in b if n not in a)) for a in out for b in inner]
    return out


def split_at(parts: Sequence[Piece], operator: str) -> list[Sequence[Piece]]:
    """Split at an operator outside parentheses."""
    out: list[Sequence[Piece]] = []
    i = start = 0
    while i < len(parts):
        if parts[i].kind is Kind.OPEN:
            i = closing(parts, i)
        elif parts[i].kind is Kind.OPERATOR and parts[i].text == operator:
            out.append(parts[start:i])
            start = i + 1
        i += 1
    return [*out, parts[start:]]
