"""What to write in place of other software's formula syntax."""

from __future__ import annotations

import ast
import re

from ..words.foreign import FORMULA
from .shapes import called_elsewhere

__all__ = ["bar_inside", "foreign_function", "foreign_syntax"]

#: R's signs inside an expression, as a pattern, with what Python has for them.
SIGNS = (
    (r"%%", "R's %% is % here, as in I(x % 2)"),
    (r"%/%", "R's %/% is // here, as in I(x // 2)"),
    (r"%\w*%", "R's operators between percent signs are not known here"),
    (r"<-", "write == to compare; nothing can be assigned in a formula"),
    (r"&&", "R's && is & here, as in I((x > 1) & (z > 2))"),
    (r"\|\|", "R's || is | here, as in I((x > 1) | (z > 2))"),
    (r"!(?!=)", "R's ! is ~ here, as in I(~(x > 1))"),
)


#: Left sides of a bar that are conditions, between which it means "or".
CONDITIONS = (ast.Compare, ast.UnaryOp, ast.Call, ast.Attribute, ast.Subscript)


def bar_inside(tree: ast.expr) -> str:
    """State what a bar inside a call such as ``bs(1 | g)`` should be; empty without one."""
    if not isinstance(tree, ast.Call) or not isinstance(tree.func, ast.Name):
        return ""
    name = tree.func.id
    if name in ("I", "C") or not any(is_bar(arg) for arg in tree.args):
        return ""
    if elsewhere := called_elsewhere(name):
        return elsewhere
    return f"there is a bar inside {name}(...); is a + missing before the parenthesis?"


def is_bar(node: ast.expr) -> bool:
    """Tell a bar between terms and a group from an "or" between conditions."""
    if not isinstance(node, ast.BinOp) or not isinstance(node.op, ast.BitOr):
        return False
    left = node.left
    while isinstance(left, ast.BinOp) and isinstance(left.op, ast.BitOr | ast.BitAnd):
        left = left.left
    return not isinstance(left, CONDITIONS)


def foreign_function(name: str) -> str:
    """State the formula's counterpart of an R function; empty if none is known."""
    known = FORMULA.get(name)
    return f"{name}() is not a function that formulas know; write {known}" if known else ""


def foreign_syntax(expr: str) -> str:
    """State Python's counterpart of an R spelling; empty if none is found."""
    for name in re.findall(r"([A-Za-z][\w.]*)\s*\(", expr):
        if "." in name and name in FORMULA:
            return foreign_function(name)
    plain = re.sub(r"""("[^"]*"|'[^']*'|`[^`]*`)""", "", expr)
    return next((hint for sign, hint in SIGNS if re.search(sign, plain)), "")
