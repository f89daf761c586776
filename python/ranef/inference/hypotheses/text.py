"""Linear hypotheses written as text: ``"x = 0, 2 * z - w = 1"``."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from ..._typing import Array
from ...design.frame import did_you_mean

__all__ = ["parse_hypotheses"]


NUMBER = re.compile(r"(\d+\.?\d*|\.\d+)([eE][-+]?\d+)?")
WORD = re.compile(r"[^\s=,;+*/]+")
OPERATORS = "=+-*/(),;"


@dataclass(frozen=True)
class Token:
    """A piece of the text: kind "name", "number" or the operator itself."""

    kind: str
    text: str
    start: int


def parse_hypotheses(text: str, names: Sequence[str]) -> tuple[Array, Array, list[str]]:
    """Read linear hypotheses.

    Parameters
    ----------
    text : str
        Equations of linear expressions in the coefficients, separated by commas or semicolons; an
        expression without ``=`` is set to zero, and ``a = b = 0`` makes two equations.
    names : sequence of str
        Names of the coefficients; they may hold any characters, and stand in backquotes or not.

    Returns
    -------
    L : ndarray of shape (r, p)
        Coefficients of the hypotheses L beta = value.
    value : ndarray of shape (r,)
        Right sides.
    labels : list of str
        Each equation as written.

    Raises
    ------
    ValueError
        If a name is not among the coefficients, or an expression is not linear.
    """
    rows, labels = [], []
    for statement in split(tokens(text, names), ",;"):
        if not statement:
            raise ValueError(f"a hypothesis is missing between separators in {text!r}")
        sides = [Expression(side, names, text).read() for side in split(statement, "=")]
        if len(sides) == 1:
            sides.append(np.zeros(len(names) + 1))
        shown = text[statement[0].start : end_of(statement)]
        for left, right in pairwise(sides):
            rows.append(left - right)
            labels.append(shown)
    table = np.array(rows)
    if not table[:, :-1].any(axis=1).all():
        raise ValueError(f"no coefficient is left in a hypothesis of {text!r}")
    return table[:, :-1], -table[:, -1], labels


def end_of(statement: Sequence[Token]) -> int:
    """Position after the last token."""
    last = statement[-1]
    return last.start + len(last.text)


def tokens(text: str, names: Sequence[str]) -> list[Token]:
    """Cut the text into names, numbers and operators; known names first, longest first."""
    known = sorted(names, key=len, reverse=True)
    out: list[Token] = []
    at = 0
    while at < len(text):
        if text[at].isspace():
            at += 1
            continue
        token = next_token(text, at, known)
        out.append(token)
        at += len(token.text)
    return out


def next_token(text: str, at: int, known: Sequence[str]) -> Token:
    """Read the token that starts at a place."""
    if text[at] == "`" and "`" in text[at + 1 :]:
        quoted = text[at : text.index("`", at + 1) + 1]
        if quoted[1:-1] not in known:
            raise ValueError(unknown(quoted[1:-1], known))
        return Token("name", quoted, at)
    for name in known:
        if text.startswith(name, at) and not is_longer(text, at + len(name)):
            return Token("name", name, at)
    if number := NUMBER.match(text, at):
        return Token("number", number.group(), at)
    if text[at] in OPERATORS:
        if text.startswith("==", at):
            return Token("=", "==", at)
        return Token(text[at], text[at], at)
    word = WORD.match(text, at)
    raise ValueError(unknown(word.group().rstrip(")") if word else text[at], known))


def is_longer(text: str, end: int) -> bool:
    """Return whether a name goes on after its match."""
    return end < len(text) and (text[end].isalnum() or text[end] in "_:[(.`")


def unknown(word: str, known: Sequence[str]) -> str:
    """State that a word is no coefficient."""
    shown = ", ".join(sorted(known)[:12]) + (", ..." if len(known) > 12 else "")
    hint = did_you_mean(word, known)
    return f"{word!r} is no coefficient of the fixed part{hint} (there are {shown})"


def split(parts: Sequence[Token], separators: str) -> list[list[Token]]:
    """Split at separators."""
    out: list[list[Token]] = [[]]
    for token in parts:
        if token.kind in separators:
            out.append([])
        else:
            out[-1].append(token)
    return out


class Expression:
    """Reads a linear expression into its coefficients and, last, its constant."""

    def __init__(self, parts: Sequence[Token], names: Sequence[str], text: str):
        self.parts = list(parts)
        self.names = list(names)
        self.text = text
        self.at = 0

    def read(self) -> Array:
        """Read the whole."""
        value = self.sum()
        if self.at < len(self.parts):
            raise self.error(self.parts[self.at].text)
        return value

    def error(self, found: str) -> ValueError:
        """State where the text stops making sense."""
        return ValueError(f"cannot read {self.text!r} as linear hypotheses at {found!r}")

    def take(self, kinds: Sequence[str]) -> Token | None:
        """Take the next token if it is of one of these kinds."""
        if self.at < len(self.parts) and self.parts[self.at].kind in kinds:
            self.at += 1
            return self.parts[self.at - 1]
        return None

    def sum(self) -> Array:
        """Read terms between plus and minus signs."""
        value = self.product()
        while sign := self.take("+-"):
            other = self.product()
            value = value + other if sign.kind == "+" else value - other
        return value

    def product(self) -> Array:
        """Read factors between times and division signs; at most one holds coefficients."""
        value = self.factor()
        while sign := self.take("*/"):
            other = self.factor()
            if sign.kind == "*" and not value[:-1].any():
                value, other = other, value
            if other[:-1].any() or (sign.kind == "/" and other[-1] == 0):
                raise ValueError(f"a hypothesis must be linear in the coefficients: {self.text!r}")
            value = value * other[-1] if sign.kind == "*" else value / other[-1]
        return value

    def factor(self) -> Array:
        """Read a name, a number, or an expression in parentheses."""
        if sign := self.take("+-"):
            return self.factor() if sign.kind == "+" else -self.factor()
        if self.take("("):
            value = self.sum()
            if not self.take(")"):
                raise self.error("(")
            return value
        token = self.take(["name", "number"])
        if token is None:
            last = self.at >= len(self.parts)
            raise self.error("the end" if last else self.parts[self.at].text)
        value = np.zeros(len(self.names) + 1)
        if token.kind == "number":
            value[-1] = float(token.text)
        else:
            value[self.names.index(token.text.strip("`"))] = 1.0
        return value
