"""Several groups per row: ``mm(t1, t2, weights=(w1, w2))`` behind a bar."""

from __future__ import annotations

import ast
from collections.abc import Sequence
from dataclasses import dataclass

from .._counted import counted
from ..errors import FormulaError
from .spelling import parsed_expression
from .terms import Members
from .tokens import Kind, Piece, aliased

__all__ = ["is_members", "parse_members"]

HOW = "write mm(t1, t2) or mm(t1, t2, weights=(w1, w2)), with names of columns"


def is_members(parts: Sequence[Piece]) -> bool:
    """Return whether a grouping expression is a call of ``mm``."""
    return len(parts) == 1 and parts[0].kind is Kind.PYTHON and parts[0].text.startswith("mm(")


@dataclass(frozen=True)
class Place:
    """Where an expression stands in a formula."""

    text: str
    start: int
    stop: int

    def error(self, message: str) -> FormulaError:
        """Make an error about it."""
        return FormulaError(message, self.text, self.start, self.stop)


def parse_members(piece: Piece, text: str) -> Members:
    """Read ``mm(...)``.

    Raises
    ------
    FormulaError
        Unless it has two or more distinct columns, and as many columns of weights.
    """
    place = Place(text, piece.start, piece.stop)
    readable, names = aliased(piece.text)
    call = parsed_expression(readable)
    if not isinstance(call, ast.Call):
        raise place.error(f"a grouping factor is mm(...) alone; {HOW}")
    columns = [_name(node, names, place) for node in call.args]
    if len(columns) < 2:
        raise place.error(
            f"mm() joins two columns or more; {HOW}, or (1 | {columns[0]}) for one"
            if columns
            else f"mm() is empty; {HOW}"
        )
    for column in columns:
        if columns.count(column) > 1:
            raise place.error(f"mm() has {column!r} twice; each member is a column of its own")
    for keyword in call.keywords:
        if keyword.arg != "weights":
            raise place.error(f"mm() has no argument {keyword.arg!r}, only weights; {HOW}")
    if not call.keywords:
        return Members(tuple(columns))
    listed = call.keywords[0].value
    nodes = listed.elts if isinstance(listed, ast.Tuple | ast.List) else [listed]
    weights = [_name(node, names, place) for node in nodes]
    if len(weights) != len(columns):
        raise place.error(
            f"mm() has {counted(len(columns), 'member')} and {counted(len(weights), 'weight')}; "
            "give one column of weights for each member, in their order"
        )
    return Members(tuple(columns), tuple(weights))


def _name(node: ast.expr, names: dict[str, str], place: Place) -> str:
    if not isinstance(node, ast.Name):
        raise place.error(f"mm() takes names of columns, not {ast.unparse(node)!r}; {HOW}")
    return names.get(node.id, node.id)
