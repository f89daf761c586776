"""Split pieces of a formula into its sides and summands, and check its operators."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ..errors import FormulaError
from .tokens import Kind, Piece

__all__ = ["Summand", "bars_in", "check_operators", "closing", "sides", "summands"]

BARS = ("|", "||")
ALLOWED = ("+", "-", "*", "/", ":", "**", "^")


@dataclass(frozen=True, slots=True)
class Summand:
    """The pieces between two signs of a sum.

    Attributes
    ----------
    sign : str
        "+" or "-".
    pieces : tuple of Piece
        The pieces, without the sign.
    sign_at : int
        Place of the sign, or of the first piece without one.
    """

    sign: str
    pieces: tuple[Piece, ...]
    sign_at: int

    @property
    def start(self) -> int:
        """Where the summand starts in the text."""
        return self.pieces[0].start

    @property
    def stop(self) -> int:
        """Where it ends."""
        return self.pieces[-1].stop

    @property
    def is_bracketed(self) -> bool:
        """Whether it is one pair of parentheses and nothing else."""
        return closing(self.pieces, 0) == len(self.pieces) - 1


def sides(parts: list[Piece], text: str) -> tuple[list[Piece], list[Piece]]:
    """Split at the only tilde."""
    tildes = [i for i, p in enumerate(parts) if p.kind is Kind.OPERATOR and p.text == "~"]
    if not tildes:
        raise FormulaError("a formula needs a response and a ~, as in y ~ x + (1 | g)", text)
    if len(tildes) > 1:
        raise FormulaError("a formula has only one ~", text, parts[tildes[1]].start)
    left, right = parts[: tildes[0]], parts[tildes[0] + 1 :]
    tilde = parts[tildes[0]].start
    if not left:
        raise FormulaError("the response is missing before ~", text, tilde)
    if not right:
        raise FormulaError("nothing follows ~; write y ~ 1 for a mean only", text, tilde)
    return left, right


def summands(parts: Sequence[Piece], text: str) -> list[Summand]:
    """Split a sum at its signs outside parentheses."""
    out: list[Summand] = []
    sign, sign_at, current = "+", parts[0].start, list[Piece]()
    depth = 0
    for piece in parts:
        is_sign = piece.kind is Kind.OPERATOR and piece.text in "+-" and depth == 0
        depth += (piece.kind is Kind.OPEN) - (piece.kind is Kind.CLOSE)
        if not is_sign:
            current.append(piece)
            continue
        if current:
            out.append(Summand(sign, tuple(current), sign_at))
            sign, current = piece.text, []
        else:
            sign = "-" if (sign == "-") != (piece.text == "-") else "+"
        sign_at = piece.start
    if not current:
        raise FormulaError(f"nothing follows this {parts[-1].text}", text, parts[-1].start)
    return [*out, Summand(sign, tuple(current), sign_at)]


def closing(parts: Sequence[Piece], opening: int) -> int:
    """Find the parenthesis that closes the one at ``opening``; -1 if that is not one."""
    depth = 0
    for i in range(opening, len(parts)):
        depth += (parts[i].kind is Kind.OPEN) - (parts[i].kind is Kind.CLOSE)
        if depth == 0:
            return i if i > opening else -1
    return -1


def bars_in(parts: Sequence[Piece], depth: int | None = None) -> list[int]:
    """Positions of bars, at one depth of parentheses or at any."""
    out, level = [], 0
    for i, piece in enumerate(parts):
        level += (piece.kind is Kind.OPEN) - (piece.kind is Kind.CLOSE)
        is_bar = piece.kind is Kind.OPERATOR and piece.text in BARS
        if is_bar and depth in (None, level):
            out.append(i)
    return out


def check_operators(parts: Sequence[Piece], text: str) -> None:
    """Check that operands and operators alternate; raise at the first that does not."""
    expects_operand = True
    for before, piece in zip([None, *parts], parts, strict=False):
        if piece.kind is Kind.OPERATOR:
            check_operator(piece, expects_operand, text)
            expects_operand = True
        elif piece.kind is Kind.CLOSE:
            if expects_operand:
                raise FormulaError(empty_message(before), text, before_start(before, piece))
            expects_operand = False
        else:
            if not expects_operand:
                raise FormulaError(missing_operator(before, piece), text, piece.start, piece.stop)
            check_operand(piece, text)
            expects_operand = piece.kind is Kind.OPEN
    if expects_operand and parts:
        raise FormulaError(f"nothing follows this {parts[-1].text}", text, parts[-1].start)


def check_operator(piece: Piece, expects_operand: bool, text: str) -> None:
    """Raise for an operator that formulas do not have, or that has nothing on its left."""
    if piece.text in BARS:
        message = "a bar belongs inside the parentheses of a random-effects term, as in (1 | g)"
        raise FormulaError(message, text, piece.start, piece.stop)
    if piece.text not in ALLOWED:
        message = f"{piece.text!r} means nothing between terms; put an expression into I(...)"
        if piece.text == "%in%":
            message = "'%in%' is not known; write a:b for its term, or b/a for b and a within it"
        raise FormulaError(message, text, piece.start, piece.stop)
    if expects_operand and piece.text not in "+-":
        raise FormulaError(
            f"there is nothing before this {piece.text}", text, piece.start, piece.stop
        )


def check_operand(piece: Piece, text: str) -> None:
    """Raise for an invalid operand."""
    if piece.text == "[":
        raise FormulaError("square brackets mean nothing between terms", text, piece.start)
    if piece.text == ".":
        message = "'.' only means something in update(); name the columns"
        raise FormulaError(message, text, piece.start)
    if piece.kind is Kind.VALUE and piece.text[0] in "'\"":
        message = "a text is no term; write a column's name in backquotes"
        raise FormulaError(message, text, piece.start, piece.stop)


def empty_message(before: Piece | None) -> str:
    """State what is missing before a closing parenthesis."""
    if before is None or before.kind is Kind.OPEN:
        return "these parentheses are empty"
    return f"nothing follows this {before.text}"


def before_start(before: Piece | None, piece: Piece) -> int:
    """Place of the piece before, or of this one."""
    return piece.start if before is None else before.start


def missing_operator(before: Piece | None, piece: Piece) -> str:
    """State that two operands stand side by side."""
    assert before is not None
    message = f"an operator is missing between {before.text!r} and {piece.text!r}"
    if piece.kind is Kind.OPEN and before.kind is Kind.NAME:
        message += f"; if {before.text} is a function, leave no blank before the parenthesis"
    if piece.kind is Kind.NAME and before.kind is Kind.NAME:
        message += f"; a name with a blank stands between backticks: `{before.text} {piece.text}`"
    return message
