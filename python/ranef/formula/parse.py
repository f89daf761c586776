"""Formula text to ``Formula``."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import lru_cache

from ..errors import FormulaError
from .bars import parse_bar, parse_structured
from .evaluation import SAFE, evaluation_of
from .smooths import is_smooth, parse_smooth
from .syntax import Summand, bars_in, check_operators, sides, summands
from .terms import Bar, Factor, FactorKind, Formula, Smooth
from .tokens import Kind, Piece, normal_expression, pieces
from .wilkinson import to_factor, to_terms

__all__ = ["parse", "place_of"]

MULTIPLIED = "a random-effects term can only be added: write ... + (1 | g)"


def parse(text: str) -> Formula:
    """Parse a formula; the result holds no data.

    Parameters
    ----------
    text : str
        A formula such as ``"y ~ x + (1 + x | g)"``.

    Returns
    -------
    Formula
        The parsed formula; the same object for the same text.

    Raises
    ------
    FormulaError
        If the text is wrong; the message shows the place.

    Examples
    --------
    >>> formula = parse("y ~ x + (1 | school / room)")
    >>> [bar.group for bar in formula.random]
    ['school', 'school:room']
    """
    if isinstance(text, Formula):
        return text
    if not isinstance(text, str):
        raise TypeError(f"a formula is a text, not {type(text).__name__}")
    parsed = parse_text(re.sub(r"\s", " ", text).rstrip())
    evaluation = evaluation_of(text)
    return parsed if evaluation is SAFE else parsed.evaluated(evaluation)


@lru_cache(maxsize=512)
def parse_text(text: str) -> Formula:
    """Parse a formula on one line."""
    if not text.strip():
        raise FormulaError("the formula is empty; write y ~ x + (1 | g)")
    left, right = sides(pieces(text), text)
    right_side = Right()
    split_right(right, text, right_side)
    response, factor = parse_response(left, text)
    fixed = right_side.fixed
    return Formula(
        text,
        response,
        factor,
        fixed=spell(fixed, text),
        terms=to_terms([*joined(fixed)] if fixed else [ONE], text),
        random=tuple(right_side.random),
        offsets=tuple(right_side.offsets),
        smooths=tuple(right_side.smooths),
    )


ONE = Piece(Kind.VALUE, "1", 0, 1)


def parse_response(left: Sequence[Piece], text: str) -> tuple[str, Factor]:
    """Read the left side: a column, or one Python expression of columns."""
    start, stop = left[0].start, left[-1].stop
    spelled = text[start:stop].strip()
    if bars_in(left):
        raise FormulaError("a bar cannot stand in the response", text, left[bars_in(left)[0]].start)
    if len(left) == 1 and left[0].is_operand:
        if left[0].kind is Kind.VALUE:
            raise FormulaError("the response is a column, not a constant", text, start, stop)
        return spelled, to_factor(left[0])
    return spelled, Factor(normal_expression(spelled, text, start, stop), FactorKind.PYTHON)


@dataclass
class Right:
    """The right side of a formula, sorted while it is read."""

    fixed: list[Summand] = field(default_factory=list)
    random: list[Bar] = field(default_factory=list)
    offsets: list[Factor] = field(default_factory=list)
    smooths: list[Smooth] = field(default_factory=list)


def split_right(right: Sequence[Piece], text: str, out: Right) -> None:
    """Sort the summands of the right side into fixed ones, bars, smooths and offsets."""
    for summand in summands(right, text):
        first = summand.pieces[0]
        alone = len(summand.pieces) == 1
        if bars_in(summand.pieces):
            split_bars(summand, text, out)
        elif any(piece.kind is Kind.STRUCTURE for piece in summand.pieces):
            split_structured(summand, text, out)
        elif is_offset(first) and alone:
            out.offsets.append(read_offset(summand, text))
        elif is_smooth(first) and alone:
            out.smooths.append(read_smooth(summand, text))
        elif summand.is_bracketed and any(map(is_smooth, summand.pieces)) and summand.sign == "+":
            split_right(summand.pieces[1:-1], text, out)
        else:
            check_fixed(summand, text)
            out.fixed.append(summand)


def read_smooth(summand: Summand, text: str) -> Smooth:
    """Read a smooth term, which can only be added."""
    if summand.sign == "-":
        message = "a smooth term cannot be subtracted; leave it out"
        raise FormulaError(message, text, summand.sign_at, summand.stop)
    return parse_smooth(summand.pieces[0], text)


def split_structured(summand: Summand, text: str, out: Right) -> None:
    """Read a summand with a covariance structure: the bar, or a sum with it in parentheses."""
    if len(summand.pieces) > 1 and not summand.is_bracketed:
        raise FormulaError(MULTIPLIED, text, summand.start, summand.stop)
    if summand.sign == "-":
        message = "a random-effects term cannot be subtracted; leave it out"
        raise FormulaError(message, text, summand.sign_at, summand.stop)
    if summand.is_bracketed:
        split_right(summand.pieces[1:-1], text, out)
    else:
        out.random += parse_structured(summand.pieces[0], text)


def split_bars(summand: Summand, text: str, out: Right) -> None:
    """Read a summand that holds a bar: a term, or a sum with terms in parentheses."""
    if not summand.is_bracketed:
        bar = summand.pieces[bars_in(summand.pieces)[0]]
        outside = bars_in(summand.pieces, 0)
        if outside:
            message = (
                "put the random-effects term into parentheses: (1 | g); factors whose effects "
                'least squares absorbs are no part of the formula: feols(..., absorb="g")'
            )
            raise FormulaError(message, text, bar.start, bar.stop)
        raise FormulaError(MULTIPLIED, text, summand.start, summand.stop)
    if summand.sign == "-":
        message = "a random-effects term cannot be subtracted; leave it out"
        raise FormulaError(message, text, summand.sign_at, summand.stop)
    if bars_in(summand.pieces, 1):
        out.random += parse_bar(summand.pieces, text)
    else:
        split_right(summand.pieces[1:-1], text, out)


def place_of(factor: Factor, text: str) -> tuple[int, int]:
    """Find a factor in the text of a formula; the whole text if it is not found."""
    offset = f"offset({factor.expr})"
    for piece in pieces(text):
        if piece.text in (factor.expr, offset):
            return piece.start, piece.stop
    at = text.find(factor.expr)
    return (at, at + len(factor.expr)) if at >= 0 else (0, len(text))


def check_fixed(summand: Summand, text: str) -> None:
    """Check that a summand without a bar is well formed."""
    check_operators(summand.pieces, text)
    for piece in summand.pieces:
        if is_offset(piece):
            message = "an offset can only be added: write ... + offset(x)"
            raise FormulaError(message, text, piece.start, piece.stop)
        if is_smooth(piece):
            message = (
                "a smooth term can only be added: write ... + s(x), with by=z for a curve that is "
                "multiplied by z, or differs between the levels of z"
            )
            raise FormulaError(message, text, piece.start, piece.stop)


def is_offset(piece: Piece) -> bool:
    """Return whether a piece is a call of offset()."""
    return piece.kind is Kind.PYTHON and piece.text.startswith("offset(")


def read_offset(summand: Summand, text: str) -> Factor:
    """Take the expression out of ``offset(expression)``."""
    inner = summand.pieces[0].text[len("offset(") : -1]
    if summand.sign == "-":
        raise FormulaError(
            "an offset can only be added; write offset(-(x))", text, summand.sign_at, summand.stop
        )
    if not inner:
        raise FormulaError("this offset is empty", text, summand.start, summand.stop)
    expr = normal_expression(inner, text, summand.start, summand.stop)
    name = expr[1:-1] if expr.startswith("`") and expr.find("`", 1) == len(expr) - 1 else expr
    is_name = name != expr or name.replace(".", "_").isidentifier()
    return Factor(name, FactorKind.NAME if is_name else FactorKind.PYTHON)


def joined(fixed: Sequence[Summand]) -> list[Piece]:
    """Lay summands side by side again, each behind its sign."""
    out: list[Piece] = []
    for summand in fixed:
        if out or summand.sign == "-":
            out.append(Piece(Kind.OPERATOR, summand.sign, summand.sign_at, summand.sign_at + 1))
        out += summand.pieces
    return out


def spell(fixed: Sequence[Summand], text: str) -> str:
    """Spell the fixed part, "1" if it is empty."""
    out = "".join(f" {s.sign} {text[s.start : s.stop].strip()}" for s in fixed)
    return out.removeprefix(" + ").strip() or "1"
