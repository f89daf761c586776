"""Change a formula the way R's ``update`` does."""

from __future__ import annotations

from collections.abc import Sequence

from ranef.errors import FormulaError

from .bars import parse_bar
from .parse import is_offset, parse, read_offset
from .syntax import Summand, bars_in, check_operators, sides, summands
from .terms import Bar, Factor, Formula, Term
from .tokens import Kind, Piece, pieces
from .wilkinson import to_terms

__all__ = ["update"]


def update(old: Formula, text: str) -> Formula:
    """Change a formula; a dot stands for what was on the same side of it.

    Parameters
    ----------
    old : Formula
        The formula to start from.
    text : str
        The change, such as ``". ~ . + x"`` or ``"log(.) ~ . - (1 | g)"``.

    Returns
    -------
    Formula
        The changed formula, its fixed part written out.

    Examples
    --------
    >>> from ranef.formula import parse
    >>> str(update(parse("y ~ x + (1 | g)"), ". ~ . + z - x"))
    'y ~ z + (1 | g)'
    """
    text = text.strip()
    text = f".{text}" if text.startswith("~") else text
    left, right = sides(pieces(text), text)
    response = text[left[0].start : left[-1].stop].strip()
    response = substitute_dot(response, left, old.response)
    random, offsets = list(old.random), list(old.offsets)
    rest = summands(right, text)
    if not any(is_dot(s) for s in rest):
        random, offsets = [], []
    fixed = [
        s
        for s in rest
        if not change_random(s, random, text) and not change_offset(s, offsets, text)
    ]
    body = [*fixed_sources(old, fixed, text), *(bar.source() for bar in merged(random))]
    body += [f"offset({factor.expr})" for factor in offsets]
    return parse(f"{response} ~ {' + '.join(body)}")


def substitute_dot(response: str, left: Sequence[Piece], old: str) -> str:
    """Put the old response where the new left side has a dot."""
    if response == ".":
        return old
    return response if "(.)" not in response else response.replace("(.)", f"({old})")


def is_dot(summand: Summand) -> bool:
    """Tell whether a summand is, or multiplies, the old right side."""
    return any(stands_for_old(piece) for piece in summand.pieces)


def stands_for_old(piece: Piece) -> bool:
    """Tell whether a piece is the dot."""
    return piece.text == "." and piece.kind in (Kind.NAME, Kind.VALUE)


def change_random(summand: Summand, random: list[Bar], text: str) -> bool:
    """Add or remove a random-effects term; False if the summand is none."""
    if not bars_in(summand.pieces):
        return False
    if not summand.is_bracketed or not bars_in(summand.pieces, 1):
        raise FormulaError(
            "a random-effects term can only be added or removed", text, summand.start, summand.stop
        )
    for bar in parse_bar(summand.pieces, text):
        if summand.sign == "+":
            random += [bar] if not find(bar, random) else []
        elif not find(bar, random):
            raise FormulaError(
                f"the model has no term {bar.source()}", text, summand.start, summand.stop
            )
        else:
            random.remove(find(bar, random)[0])
    return True


def find(bar: Bar, random: Sequence[Bar]) -> list[Bar]:
    """Terms that mean the same as ``bar``."""
    meaning = (set(bar.terms), bar.factors, bar.uncorrelated)
    return [b for b in random if (set(b.terms), b.factors, b.uncorrelated) == meaning]


def merged(random: Sequence[Bar]) -> list[Bar]:
    """Leave out terms that are there already."""
    out: list[Bar] = []
    for bar in random:
        out += [bar] if not find(bar, out) else []
    return out


def change_offset(summand: Summand, offsets: list[Factor], text: str) -> bool:
    """Add or remove an offset; False if the summand is none."""
    if len(summand.pieces) > 1 or not is_offset(summand.pieces[0]):
        return False
    factor = read_offset(Summand("+", summand.pieces, summand.sign_at), text)
    if summand.sign == "+":
        offsets.append(factor)
    elif factor in offsets:
        offsets.remove(factor)
    else:
        raise FormulaError("the model has no such offset", text, summand.start, summand.stop)
    return True


def fixed_sources(old: Formula, fixed: Sequence[Summand], text: str) -> list[str]:
    """Spell the terms of the new fixed part."""
    spelled = "".join(f" {s.sign} {with_dot(s, old, text)}" for s in fixed).removeprefix(" +")
    parts = pieces(spelled.strip() or "1")
    check_operators(parts, text)
    terms = to_terms(parts, spelled)
    sources = [term.source() for term in terms if term.factors]
    if Term() not in terms:
        return ["0", *sources]
    return sources or ["1"]


def with_dot(summand: Summand, old: Formula, text: str) -> str:
    """Spell a summand, the old fixed part in place of the dot."""
    inside = " + ".join(term.source() for term in old.terms if term.factors)
    first = "1" if Term() in old.terms else "0"
    whole = f"({first} + {inside})" if inside else f"({first})"
    out = ""
    for piece in summand.pieces:
        out += whole if stands_for_old(piece) else text[piece.start : piece.stop]
    return out
