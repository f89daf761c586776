"""Change a formula as R's ``update`` does."""

from __future__ import annotations

import re
from collections.abc import Sequence

from ..errors import FormulaError
from .bars import parse_bar
from .evaluation import like
from .parse import is_offset, parse, read_offset
from .smooths import is_smooth, parse_smooth
from .syntax import Summand, bars_in, check_operators, sides, summands
from .terms import Bar, Factor, FactorKind, Formula, Smooth, Term, offset_source
from .tokens import Kind, Piece, pieces
from .wilkinson import to_terms

__all__ = ["update"]

LONE_DOT = re.compile(r"(?<![\w.`])\.(?![\w.`])")


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
    before, tilde, after = text.strip().partition("~")
    response = new_response(before.strip(), old)
    text = f"{response} {tilde}{after}"
    _, right = sides(pieces(text), text)
    random, offsets, smooths = list(old.random), list(old.offsets), list(old.smooths)
    rest = summands(right, text)
    if not any(is_dot(s) for s in rest):
        random, offsets, smooths = [], [], []
    fixed = [
        s
        for s in rest
        if not change_random(s, random, text)
        and not change_offset(s, offsets, text)
        and not change_smooths(s, smooths, text)
    ]
    body = [*fixed_sources(old, fixed, text), *(bar.source() for bar in merged(random))]
    body += [smooth.source() for smooth in smooths]
    body += [offset_source(factor) for factor in offsets]
    return parse(like(f"{response} ~ {' + '.join(body)}", old))


def new_response(left: str, old: Formula) -> str:
    """Insert the old response where the new left side has a dot or is empty."""
    if left in ("", "."):
        return old.response
    whole = old.response if old.left.kind is FactorKind.NAME else f"({old.response})"
    return LONE_DOT.sub(lambda match: whole, left)


def is_dot(summand: Summand) -> bool:
    """Return whether a summand is, or multiplies, the old right side."""
    return any(stands_for_old(piece) for piece in summand.pieces)


def stands_for_old(piece: Piece) -> bool:
    """Return whether a piece is the dot."""
    return piece.text == "." and piece.kind in (Kind.NAME, Kind.VALUE)


def change_random(summand: Summand, random: list[Bar], text: str) -> bool:
    """Add or remove a random-effects term; False if the summand is not one."""
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
    """Leave out terms that are already present."""
    out: list[Bar] = []
    for bar in random:
        out += [bar] if not find(bar, out) else []
    return out


def change_offset(summand: Summand, offsets: list[Factor], text: str) -> bool:
    """Add or remove an offset; False if the summand is not one."""
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


def change_smooths(summand: Summand, smooths: list[Smooth], text: str) -> bool:
    """Add or remove a smooth term, whatever its options; False if the summand is not one."""
    if len(summand.pieces) > 1 or not is_smooth(summand.pieces[0]):
        return False
    smooth = parse_smooth(summand.pieces[0], text)
    if summand.sign == "+":
        smooths += [] if smooth in smooths else [smooth]
        return True
    found = [other for other in smooths if (other.label, other.by) == (smooth.label, smooth.by)]
    if not found:
        message = f"the model has no term {smooth.text}"
        raise FormulaError(message, text, summand.start, summand.stop)
    smooths.remove(found[0])
    return True


def fixed_sources(old: Formula, fixed: Sequence[Summand], text: str) -> list[str]:
    """Spell the terms of the new fixed part."""
    spelled = "".join(f" {s.sign} {with_dot(s, old, text)}" for s in fixed).removeprefix(" +")
    parts = pieces(spelled.strip() or "1")
    check_operators(parts, text)
    goes_on = any(s.sign == "+" and is_lone_dot(s) for s in fixed)
    terms = to_terms(parts, spelled, intercept=Term() in old.terms if goes_on else True)
    sources = [term.source() for term in terms if term.factors]
    if Term() not in terms:
        return ["0", *sources]
    return sources or ["1"]


def is_lone_dot(summand: Summand) -> bool:
    """Return whether a summand is the old right side and nothing else."""
    return len(summand.pieces) == 1 and stands_for_old(summand.pieces[0])


def with_dot(summand: Summand, old: Formula, text: str) -> str:
    """Spell a summand, the old fixed part without its intercept in place of the dot."""
    kept = " + ".join(term.source() for term in old.terms if term.factors)
    empty = "1" if Term() in old.terms else "0"
    whole = f"({kept or empty})"
    out = ""
    for piece in summand.pieces:
        out += whole if stands_for_old(piece) else text[piece.start : piece.stop]
    return out
