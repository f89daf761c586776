"""The formula of a model tree: a model, its random effects, and dividing variables."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from ...design.frame import open_frame
from ...errors import FormulaError
from ...formula import FactorKind, Formula, parse
from ...formula.terms import quoted

__all__ = ["Written", "read_formula"]

SHAPE = 'write "y ~ x | (1 | g) | z1 + z2": a model, random effects, and variables that divide'


@dataclass(frozen=True)
class Written:
    """A formula in its three parts.

    Attributes
    ----------
    mixed : Formula
        The model of each leaf with the random effects.
    variables : tuple of str
        Columns that may divide the rows.
    """

    mixed: Formula
    variables: tuple[str, ...]


def read_formula(text: str, data: Any) -> Written:
    """Take a formula apart.

    Raises
    ------
    FormulaError
        If a bar is missing, or a dividing variable is not a column.
    """
    if not isinstance(text, str):
        raise TypeError(f"a formula is a text, not {type(text).__name__}")
    left, tilde, right = text.partition("~")
    parts = [part.strip() for part in split_at_bars(right)]
    if not tilde or len(parts) != 3 or not all(parts):
        count = len(parts) - 1
        raise FormulaError(
            f"the formula of a model tree has two bars outside parentheses, not {count}; {SHAPE}",
            text,
            0,
            len(text),
        )
    fixed, random, dividing = parts
    if "|" not in random:
        random = f"(1 | {random})"
    mixed = parse(f"{left.strip()} ~ {fixed} + {random}")
    mixed.refuse_smooths("the model of a leaf")
    if parse(f"{left.strip()} ~ {fixed}").random:
        raise FormulaError(f"random effects stand between the bars; {SHAPE}", text, 0, len(text))
    return Written(mixed, variables_of(dividing, mixed, left, text, data))


def split_at_bars(text: str) -> list[str]:
    """Divide a text at the bars outside parentheses and backquotes."""
    out, depth, is_quoted = [""], 0, False
    for char in text:
        is_quoted ^= char == "`"
        depth += 0 if is_quoted else (char in "([{") - (char in ")]}")
        if char == "|" and not depth and not is_quoted:
            out.append("")
        else:
            out[-1] += char
    return out


def variables_of(dividing: str, mixed: Formula, left: str, text: str, data: Any) -> tuple[str, ...]:
    """Name the columns that may divide the rows; a dot is every other column."""
    if dividing == ".":
        used = {mixed.left.expr, *(f.expr for term in mixed.terms for f in term.factors)}
        used |= {name for bar in mixed.random for name in bar.factors}
        names = [str(name) for name in open_frame(data).names if name not in used]
        if not names:
            raise FormulaError("the dot stands for no column; all are used", text, text.rindex("."))
        return tuple(names)
    found = parse(f"{left.strip()} ~ {dividing}")
    for term in found.terms:
        if len(term.factors) > 1 or any(f.kind is not FactorKind.NAME for f in term.factors):
            raise FormulaError(
                f"{term.source()!r} cannot divide the rows: columns do, joined by +; make it a "
                "column of the data first",
                text,
                0,
                len(text),
            )
    names = [term.factors[0].expr for term in found.terms if term.factors]
    if not names or found.random:
        raise FormulaError(f"no variable stands behind the second bar; {SHAPE}", text, 0, len(text))
    return tuple(names)


def as_written(names: tuple[str, ...]) -> str:
    """Join columns for a formula."""
    return " + ".join(quoted(name) for name in names)
