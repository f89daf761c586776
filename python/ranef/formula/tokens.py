"""Formula text to tokens, with the place of each, on formulaic's tokenizer."""

from __future__ import annotations

import ast
import keyword
import re
from dataclasses import dataclass
from enum import Enum
from functools import lru_cache

from formulaic.errors import FormulaicError
from formulaic.parser.algos.tokenize import tokenize
from formulaic.parser.types import Token

from ..errors import FormulaError, shortened
from .foreign import bar_inside, foreign_syntax
from .shapes import is_structured_bar
from .spelling import DEEPEST, parsed_expression, spelled

__all__ = [
    "Kind",
    "Piece",
    "aliased",
    "check_brackets",
    "normal_expression",
    "pieces",
    "unquoted",
]

#: Words with blanks between them: possibly one column's name.
TWO_WORDS = re.compile(r"[^\W\d]\w*(?: +\w+)+")


class Kind(Enum):
    """What a piece of a formula is."""

    NAME = "name"
    PYTHON = "python"
    VALUE = "value"
    OPERATOR = "operator"
    OPEN = "("
    CLOSE = ")"
    STRUCTURE = "structure"


@dataclass(frozen=True, slots=True)
class Piece:
    """A token and its place, ``text[start:stop]`` of the formula."""

    kind: Kind
    text: str
    start: int
    stop: int

    @property
    def is_operand(self) -> bool:
        """Whether the piece stands for values."""
        return self.kind in OPERANDS


OPERANDS = frozenset({Kind.NAME, Kind.PYTHON, Kind.VALUE})
#: How long a formula may be.
LONGEST = 500_000

CLOSERS = {"(": ")", "[": "]", "{": "}"}
QUOTES = "'\"`"
DOUBLE = ("**", "||")
KINDS = {Token.Kind.NAME: Kind.NAME, Token.Kind.VALUE: Kind.VALUE}

#: Words that Python reserves but that may well be columns, such as ``yield`` or ``class``.
RESERVED = frozenset(keyword.kwlist) - frozenset(
    ["False", "None", "True", "and", "else", "for", "if", "in", "is", "lambda", "not", "or"]
)
QUOTED_OR_WORD = re.compile(
    r"""("(?:\\.|[^"\\])*"|'(?:\\.|[^'\\])*')|`([^`]*)`|(?<![\w.])([^\W\d]\w*)"""
)


def pieces(text: str) -> list[Piece]:
    """Cut a formula into pieces, after checking that brackets and quotes balance."""
    check_brackets(text)
    check_percent(text)
    try:
        tokens = list(tokenize(text))
    except FormulaicError as error:
        raise FormulaError(plain_message(error), text, 0, len(text)) from None
    out: list[Piece] = []
    for token in tokens:
        out += split_token(token, text)
    return out


def split_token(token: Token, text: str) -> list[Piece]:
    """Turn one of formulaic's tokens into pieces; a run of operators becomes one each."""
    start, last = token.source_loc
    assert start is not None
    assert last is not None
    if token.kind is Token.Kind.CONTEXT:
        kind = Kind.OPEN if token.token in "([" else Kind.CLOSE
        return [Piece(kind, token.token, start, start + 1)]
    if token.kind is Token.Kind.OPERATOR:
        if text[start] == "%":
            return [Piece(Kind.OPERATOR, f"%{token.token}%", start, last + 2)]
        return split_operators(text, start, last + 1)
    assert token.kind is not None
    stop = last + 1 + (text[start] in "`{")
    if token.kind is not Token.Kind.PYTHON:
        return [Piece(KINDS[token.kind], token.token, start, stop)]
    if is_structured_bar(text[start:stop]):
        return [Piece(Kind.STRUCTURE, text[start:stop], start, stop)]
    expr = normal_expression(token.token, text, start, stop)
    kind = Kind.NAME if expr.isidentifier() else Kind.PYTHON
    return [Piece(kind, expr, start, stop)]


def split_operators(text: str, start: int, stop: int) -> list[Piece]:
    """Split a run of operator characters, in which formulaic ignores blanks."""
    out = []
    i = start
    while i < stop:
        width = 2 if text[i : i + 2] in DOUBLE else 1
        if not text[i].isspace():
            out.append(Piece(Kind.OPERATOR, text[i : i + width], i, i + width))
        i += width
    return out


def check_brackets(text: str) -> None:
    """Raise at the first bracket or quote without its partner."""
    if len(text) > LONGEST:
        raise FormulaError(f"the formula has {len(text):,} characters, and {LONGEST:,} are allowed")
    stack: list[tuple[str, int]] = []
    quote, opened, skip = "", 0, False
    for i, char in enumerate(text):
        if quote:
            if skip or char == "\\":
                skip = not skip and quote != "`"
            elif char == quote:
                quote = ""
        elif char in QUOTES:
            quote, opened = char, i
        elif char in CLOSERS:
            stack.append((char, i))
            if len(stack) > DEEPEST:
                message = f"brackets nest more than {DEEPEST} deep; compute the column in the data"
                raise FormulaError(message, text, i)
        elif char in ")]}":
            if not stack or CLOSERS[stack[-1][0]] != char:
                raise FormulaError(f"this {char!r} closes nothing", text, i)
            stack.pop()
    if quote:
        raise FormulaError(f"this {quote} is never closed", text, opened)
    if stack:
        raise FormulaError(f"this {stack[-1][0]!r} is never closed", text, stack[-1][1])


def check_percent(text: str) -> None:
    """Raise for a percent sign between terms, other than in R's ``%in%``."""
    depth, quote = 0, ""
    for i, char in enumerate(text if "%" in text else ""):
        if quote:
            quote = "" if char == quote else quote
        elif char in QUOTES:
            quote = char
        elif char == "%" and depth == 0 and "%in%" not in text[max(i - 3, 0) : i + 4]:
            message = "the remainder of a division is an expression: write I(x % 2) or np.mod(x, 2)"
            raise FormulaError(message, text, i, i + 1 + (text[i + 1 : i + 2] == "%"))
        depth += (char in CLOSERS) - (char in ")]}")


def unquoted(text: str) -> str:
    """Take the backticks off an expression that is a single name between them."""
    name = text.strip()
    inside = name[1:-1]
    return inside if name == f"`{inside}`" and "`" not in inside else text


def aliased(expr: str) -> tuple[str, dict[str, str]]:
    """Replace names that Python cannot read by aliases.

    Returns
    -------
    expr : str
        The expression with an alias for each backquoted or reserved name.
    names : dict of str to str
        Alias to name.
    """
    names: dict[str, str] = {}
    known: dict[str, str] = {}

    def alias(match: re.Match[str]) -> str:
        literal, ticked, word = match.groups()
        if literal is not None or (word is not None and word not in RESERVED):
            return match.group(0)
        name = str(word if ticked is None else ticked)
        if name not in known:
            known[name] = f"QUOTED_{len(names)}_"
            names[known[name]] = name
        return known[name]

    return QUOTED_OR_WORD.sub(alias, expr), names


def normal_expression(expr: str, text: str = "", start: int = 0, stop: int | None = None) -> str:
    """Spell a Python expression so that equal expressions share one spelling."""
    readable, names = aliased(expr)
    try:
        tree = parsed_expression(readable.strip())
    except (SyntaxError, ValueError) as error:
        reason = error.msg if isinstance(error, SyntaxError) else str(error)
        reason = foreign_syntax(expr) or reason
        if TWO_WORDS.fullmatch(expr.strip()):
            reason = f"a name with a blank stands between backticks, `{expr.strip()}`"
        message = f"cannot read {shortened(expr)!r} as a Python expression: {reason}"
        raise FormulaError(message, text, start, stop) from None
    if any(isinstance(node, ast.BitXor) for node in ast.walk(tree)):
        message = "inside an expression a power is written **, as in I(x**2), not ^"
        raise FormulaError(message, text, start, stop)
    if bar_inside(tree):
        raise FormulaError(bar_inside(tree), text, start, stop)
    return restored(spelled(tree), names)


@lru_cache(maxsize=64)
def alias_pattern(count: int) -> re.Pattern[str]:
    """Match any of the first ``count`` aliases."""
    return re.compile("|".join(rf"\bQUOTED_{i}_(?!\w)" for i in range(count)))


def restored(expr: str, names: dict[str, str]) -> str:
    """Put names back where ``aliased`` put aliases, in backquotes."""
    if not names:
        return expr
    return alias_pattern(len(names)).sub(lambda match: f"`{names[match.group(0)]}`", expr)


def plain_message(error: Exception) -> str:
    """Return the first line of a message of formulaic's, without colours."""
    return re.sub(r"\x1b\[[0-9;]*m", "", str(error)).partition("\n")[0]
