"""Evaluate checked expressions, value by value: only what the language names runs."""

from __future__ import annotations

import ast
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import pandas as pd

from .arithmetic import COMPARISONS, OPERATORS, UNARY, check_rows_agree, operate, plain
from .calls import call_builtin, call_contrasts, call_numpy, call_transform
from .compiled import Compiled, dotted_path
from .language import CONSTANTS
from .methods import attribute, call_method, item
from .transforms import BUILTINS, CONTEXT, MODULES

__all__ = ["States", "interpret"]

State = dict[str, dict[str, Any]]


class States(dict[str, dict[str, Any]]):
    """State of each part of an expression, made when first asked for."""

    def __missing__(self, key: str) -> dict[str, Any]:
        return self.setdefault(key, {})


def interpret(
    parts: Compiled,
    columns: Mapping[str, pd.Series[Any]],
    state: State,
    functions: Mapping[str, Callable[..., Any]],
) -> Any:
    """Compute an expression.

    Parameters
    ----------
    parts : Compiled
        The expression.
    columns : mapping of str to Series
        The columns it names, by alias.
    state : dict
        What its parts remember of the rows of the fit; filled by the first call.
    functions : mapping of str to callable
        The user's functions.

    Returns
    -------
    object
        Series, array or transform of one value a row, if the expression is a variable.
    """
    states = States(state)
    with np.errstate(all="ignore"):
        result = Interpreter(parts, columns, states, functions).value(parts.tree)
    state.update({key: known for key, known in states.items() if known})
    return result


class Interpreter:
    """One evaluation of an expression."""

    def __init__(
        self,
        parts: Compiled,
        columns: Mapping[str, pd.Series[Any]],
        states: States,
        functions: Mapping[str, Callable[..., Any]],
    ) -> None:
        self.parts = parts
        self.columns = columns
        self.states = states
        self.functions = functions
        self.n_rows = len(next(iter(columns.values()))) if columns else -1

    def value(self, node: ast.AST) -> Any:
        """Compute one part."""
        return getattr(self, f"of_{type(node).__name__}")(node)

    def of_Constant(self, node: ast.Constant) -> Any:
        """Return a number or text."""
        return node.value

    def of_Name(self, node: ast.Name) -> Any:
        """Look up a column or a constant."""
        if node.id in self.columns:
            return self.columns[node.id]
        name = self.parts.names.get(node.id, node.id)
        if name in self.functions:
            return self.functions[name]
        found = CONTEXT.get(name, BUILTINS.get(name))
        if found is None or name in MODULES:
            raise NameError(f"{name!r} is not a column")
        return found

    def of_BinOp(self, node: ast.BinOp) -> Any:
        """Apply operators from the left, without nesting for a long sum."""
        chain: list[ast.BinOp] = []
        first: ast.expr = node
        while isinstance(first, ast.BinOp):
            chain.append(first)
            first = first.left
        result = self.value(first)
        for step in reversed(chain):
            right = self.value(step.right)
            result = self.remembered(step, operate, OPERATORS[type(step.op)], result, right)
        return result

    def of_UnaryOp(self, node: ast.UnaryOp) -> Any:
        """Apply a sign, or ``~``."""
        return UNARY[type(node.op)](plain(self.value(node.operand)))

    def of_Compare(self, node: ast.Compare) -> Any:
        """Compare two values."""
        if len(node.ops) > 1:
            raise TypeError("write a < x < b as (a < x) & (x < b)")
        left, right = plain(self.value(node.left)), plain(self.value(node.comparators[0]))
        check_rows_agree(left, right)
        return COMPARISONS[type(node.ops[0])](left, right)

    def of_List(self, node: ast.List) -> list[Any]:
        """Compute a list."""
        return [self.value(item) for item in node.elts]

    def of_Tuple(self, node: ast.Tuple) -> tuple[Any, ...]:
        """Compute a tuple."""
        return tuple(self.value(item) for item in node.elts)

    def of_Set(self, node: ast.Set) -> list[Any]:
        """Compute a set, in the order written."""
        return list(dict.fromkeys(self.value(item) for item in node.elts))

    def of_Dict(self, node: ast.Dict) -> dict[Any, Any]:
        """Compute a mapping."""
        if None in node.keys:
            raise TypeError("** is not for formulas")
        keys = [self.value(key) for key in node.keys if key is not None]
        return dict(zip(keys, map(self.value, node.values), strict=True))

    def of_Slice(self, node: ast.Slice) -> slice:
        """Compute a slice."""
        ends = (node.lower, node.upper, node.step)
        return slice(*(None if end is None else self.value(end) for end in ends))

    def of_Subscript(self, node: ast.Subscript) -> Any:
        """Take an item."""
        return self.remembered(node, item, self.value(node.value), self.value(node.slice))

    def of_Attribute(self, node: ast.Attribute) -> Any:
        """Take an attribute of a column, or a constant of numpy's."""
        if isinstance(node.value, ast.Name) and node.value.id in MODULES:
            if node.value.id == "np" and node.attr in CONSTANTS:
                return CONSTANTS[node.attr]
            if node.value.id == "np":
                return getattr(np, node.attr)
            return getattr(MODULES["contr"], node.attr)
        return attribute(self.value(node.value), node.attr)

    def of_Call(self, node: ast.Call) -> Any:
        """Call a function or a method."""
        known = self.states.get(self.parts.keys[node], {})
        if "value" in known:
            return known["value"]
        args = [self.value(arg) for arg in node.args]
        named = {keyword.arg: self.value(keyword.value) for keyword in node.keywords}
        return self.kept(node, self.called(node, args, named))

    def called(self, node: ast.Call, args: list[Any], named: dict[str | None, Any]) -> Any:
        """Call what a node calls."""
        options = {str(name): value for name, value in named.items()}
        if isinstance(node.func, ast.Name):
            return self.function(node, node.func.id, args, options)
        assert isinstance(node.func, ast.Attribute)
        names = dotted_path(node.func, {}) or [""]
        if names[0] == "np":
            return call_numpy(".".join(names[1:]), args, options)
        if names[0] == "contr":
            return call_contrasts(names[1], args, options)
        own = set(map(id, self.functions.values()))
        return call_method(self.value(node.func.value), node.func.attr, args, options, own)

    def function(self, node: ast.Call, name: str, args: list[Any], options: dict[str, Any]) -> Any:
        """Call a function by its name."""
        if name in self.functions:
            return self.functions[name](*args, **options)
        if name in CONTEXT:
            return call_transform(name, args, options, self.states[self.parts.keys[node]])
        return call_builtin(name, args, options)

    def remembered(self, node: ast.AST, compute: Callable[..., Any], *values: Any) -> Any:
        """Compute a part, unless the fit has kept its value over all rows."""
        key = self.parts.keys.get(node)
        if key is None:
            return compute(*values)
        known = self.states.get(key, {})
        return known["value"] if "value" in known else self.kept(node, compute(*values))

    def kept(self, node: ast.AST, result: Any) -> Any:
        """Keep a value computed from all rows: one number or a few, which new rows then use."""
        if is_summary(result, self.n_rows) and self.has_columns(node):
            self.states[self.parts.keys[node]]["value"] = result
        return result

    def has_columns(self, node: ast.AST) -> bool:
        """Return whether a part is computed from columns."""
        names = (part for part in ast.walk(node) if isinstance(part, ast.Name))
        return any(name.id in self.columns for name in names)


def is_summary(result: Any, n_rows: int) -> bool:
    """Return whether a value is a number, or values other than one per row."""
    if isinstance(result, pd.Series | pd.Index | np.ndarray):
        return result.ndim == 0 or len(result) != n_rows
    return isinstance(result, int | float | np.generic | pd.Timestamp | pd.Timedelta | str)
