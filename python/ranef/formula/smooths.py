"""Smooth terms: the arguments of ``s()``, ``te()``, ``ti()`` and ``t2()``."""

from __future__ import annotations

import ast
from collections.abc import Sequence
from itertools import pairwise
from typing import Any

from .._counted import counted
from .._options import nearest
from ..errors import FormulaError
from .terms import Factor, FactorKind, Smooth
from .tokens import Kind, Piece, aliased, normal_expression, restored

__all__ = ["BASES", "SMOOTHS", "is_smooth", "parse_smooth"]

#: Functions that make a smooth.
SMOOTHS = ("s", "te", "ti", "t2")
#: Bases, and those that a tensor product can be made of.
BASES = {
    "tp": "thin plate regression spline",
    "cr": "cubic regression spline",
    "ps": "P-spline",
    "cc": "cyclic cubic regression spline",
    "re": "random effect",
    "fs": "a smooth for each level of a factor",
}
MARGINS = ("tp", "cr", "ps", "cc")
ARGUMENTS = ("by", "bs", "k", "m", "knots")


def is_smooth(piece: Piece) -> bool:
    """Return whether a piece of a formula is a call of a function that makes a smooth."""
    return piece.kind is Kind.PYTHON and piece.text.partition("(")[0] in SMOOTHS


def parse_smooth(piece: Piece, text: str) -> Smooth:
    """Read a call such as ``s(x, k=10, bs="cr")``.

    Raises
    ------
    FormulaError
        With the argument at fault and what it may be.
    """

    def wrong(message: str) -> FormulaError:
        return FormulaError(f"{kind}(): {message}", text, piece.start, piece.stop)

    readable, names = aliased(piece.text)
    call = ast.parse(readable, mode="eval").body
    kind = piece.text.partition("(")[0]
    if not isinstance(call, ast.Call) or not isinstance(call.func, ast.Name):
        raise FormulaError(
            "a smooth can only be added: write ... + s(x)", text, piece.start, piece.stop
        )

    def factor(node: ast.expr) -> Factor:
        if isinstance(node, ast.Constant):
            raise wrong(f"{node.value!r} is not a column; options are named, as in k=10")
        expr = normal_expression(restored(ast.unparse(node), names))
        ticked = expr.startswith("`") and expr.find("`", 1) == len(expr) - 1
        is_name = ticked or expr.isidentifier()
        return Factor(
            expr[1:-1] if ticked else expr, FactorKind.NAME if is_name else FactorKind.PYTHON
        )

    given: dict[str, ast.expr] = {}
    for option in call.keywords:
        if option.arg not in ARGUMENTS:
            raise wrong(
                f"there is no option {option.arg!r}{nearest(option.arg, ARGUMENTS)}; options are "
                f"{', '.join(ARGUMENTS)}"
            )
        given[option.arg] = option.value
    if not call.args:
        raise wrong(f"name the column that it is a smooth of, as in {kind}(x)")
    variables = tuple(factor(node) for node in call.args)
    if len(set(variables)) < len(variables):
        raise wrong("a column is named twice")
    by = factor(given["by"]) if "by" in given else None
    values = {name: _literal(node, name, wrong) for name, node in given.items() if name != "by"}
    n_margins = 1 if kind == "s" else len(variables)
    if kind in ("te", "t2") and n_margins < 2:
        raise wrong(f"a tensor product needs two columns; write s({variables[0].expr})")
    bs = _each(values.get("bs", "tp" if kind == "s" else "cr"), n_margins, "bs", str, wrong)
    allowed = tuple(BASES) if kind == "s" else MARGINS
    for name in bs:
        if name not in allowed:
            raise wrong(
                f"bs={name!r} is not one of {', '.join(map(repr, allowed))}"
                + nearest(name, allowed)
            )
    if kind == "s" and len(variables) > 1 and bs[0] in ("cr", "ps", "cc"):
        raise wrong(
            f"bs={bs[0]!r} is a basis of one column; of several there are tp, te() and t2()"
        )
    if bs[0] == "fs" and len(variables) != 2:
        raise wrong('bs="fs" takes a number and a factor, as in s(x, g, bs="fs")')
    if bs[0] in ("re", "fs") and by is not None:
        raise wrong(f"bs={bs[0]!r} takes no by=; name the column among the variables")
    k = _each(values.get("k"), n_margins, "k", int, wrong)
    for size in k:
        if size is not None and size < 3:
            raise wrong(f"k={size} is too small; a basis has 3 functions or more")
    return Smooth(
        kind,
        variables,
        by,
        bs,
        k,
        _orders(values.get("m"), n_margins, wrong),
        _knots(values.get("knots"), n_margins, wrong),
        piece.text,
        piece.start,
        piece.stop,
    )


def _literal(node: ast.expr, name: str, wrong: Any) -> Any:
    """Read the value of an option."""
    try:
        return ast.literal_eval(node)
    except ValueError:
        shown = ast.unparse(node)
        raise wrong(
            f"{name}={shown} is not a value; numbers, texts in quotes and tuples (6, 6) are"
        ) from None


def _each(value: Any, count: int, name: str, kind: type, wrong: Any) -> tuple[Any, ...]:
    """Return an option's value for each margin."""
    values = value if isinstance(value, tuple | list) else (value,) * count
    good = all(v is None or (isinstance(v, kind) and not isinstance(v, bool)) for v in values)
    if len(values) != count or not good:
        what = "a text" if kind is str else "a whole number"
        many = f", or a tuple of {count}" if count > 1 else ""
        raise wrong(f"{name} is {what}{many}, not {value!r}")
    return tuple(values)


def _orders(value: Any, count: int, wrong: Any) -> tuple[tuple[int, ...], ...]:
    """Read the orders of penalties."""
    if value is None:
        return ((),) * count
    if count == 1 or not isinstance(value, tuple | list):
        values: Sequence[Any] = [value] * count
    else:
        values = value
        if len(values) != count:
            raise wrong(
                f"m is one order, or one for each of {counted(count, 'column')}, not {value!r}"
            )
    out = []
    for one in values:
        order = tuple(one) if isinstance(one, tuple | list) else (one,)
        whole = all(isinstance(o, int) and not isinstance(o, bool) and o >= 0 for o in order)
        if not whole or not 1 <= len(order) <= 2:
            raise wrong(f"m is an order such as 2, or two such as (2, 2), not {value!r}")
        out.append(order)
    return tuple(out)


def _knots(value: Any, count: int, wrong: Any) -> tuple[float, ...]:
    """Read knots."""
    if value is None:
        return ()
    if count > 1:
        raise wrong("knots are those of one column; a tensor product has its own")
    numbers = isinstance(value, tuple | list) and all(
        isinstance(v, int | float) and not isinstance(v, bool) for v in value
    )
    if not numbers or len(value) < 2 or any(b <= a for a, b in pairwise(value)):
        raise wrong(f"knots are ascending numbers, two ends at least, not {value!r}")
    return tuple(map(float, value))
