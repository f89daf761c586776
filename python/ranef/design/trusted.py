"""Expressions of a formula that is trusted: any Python, compiled once."""

from __future__ import annotations

import ast
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from types import CodeType
from typing import Any

import numpy as np
import pandas as pd

from ..formula import aliased
from .interpreter import States
from .language import MISSING_AWARE
from .transforms import BUILTINS, CONTEXT, MODULES, is_stateful

__all__ = ["Trusted", "run", "trusted"]

#: Functions and methods that use all rows. A single number that one returned on the rows of the fit
#: is used for new rows too.
WHOLE_COLUMN = frozenset(
    [
        *["mean", "nanmean", "average", "median", "nanmedian", "mode", "sum", "nansum", "prod"],
        *["std", "nanstd", "var", "nanvar", "sem", "ptp", "count", "nunique", "len"],
        *["min", "nanmin", "amin", "max", "nanmax", "amax"],
        *["quantile", "nanquantile", "percentile", "nanpercentile", "rank", "argsort"],
        *["cumsum", "cumprod", "cummax", "cummin", "diff", "shift", "pct_change"],
        *["transform", "rolling", "expanding", "ewm"],
    ]
)


@dataclass(frozen=True)
class Trusted:
    """An expression ready to evaluate.

    Attributes
    ----------
    code : code
        The expression, names replaced by aliases, stateful calls given their state.
    names : dict of str to str
        Alias to column, constant or class.
    calls : tuple of str
        Functions called by name.
    dotted : tuple of str
        Chains such as ``a.b``, which may be meant as names.
    strict : frozenset of str
        Columns whose missing values make the expression missing.
    """

    code: CodeType
    names: dict[str, str]
    calls: tuple[str, ...]
    dotted: tuple[str, ...]
    strict: frozenset[str]


class Preparation(ast.NodeTransformer):
    """Rename functions and modules to avoid columns' names; pass states to calls with memory."""

    def __init__(self) -> None:
        self.calls: list[str] = []
        self.dotted: list[str] = []
        self.attributes: set[str] = set()

    def visit_Call(self, node: ast.Call) -> ast.AST:
        """Rename the function and give it its state."""
        key = ast.Constant(ast.unparse(node))
        state = ast.Subscript(ast.Name("STATES_", ast.Load()), key, ast.Load())
        name = node.func.attr if isinstance(node.func, ast.Attribute) else ""
        if isinstance(node.func, ast.Name):
            name = node.func.id
            self.calls.append(name)
            node.func = ast.Name(f"CALLED_{name}_", ast.Load())
            if is_stateful(name):
                node.keywords.append(ast.keyword("_state", state))
        self.generic_visit(node)
        if name not in WHOLE_COLUMN:
            return node
        return ast.Call(ast.Name("REMEMBERED_", ast.Load()), [delayed(node), state], [])

    def visit_Attribute(self, node: ast.Attribute) -> ast.AST:
        """Rename a module; remember chains of names."""
        self.attributes.add(node.attr)
        if isinstance(node.value, ast.Name) and node.value.id in MODULES:
            node.value = ast.Name(f"CALLED_{node.value.id}_", ast.Load())
            return node
        self.dotted.append(ast.unparse(node))
        return self.generic_visit(node)


def delayed(node: ast.expr) -> ast.Lambda:
    """Put an expression into a function without arguments."""
    return ast.Lambda(ast.arguments([], [], None, [], [], None, []), node)


@lru_cache(maxsize=1024)
def trusted(expr: str) -> Trusted:
    """Compile an expression in its normal spelling."""
    readable, names = aliased(expr)
    tree = ast.parse(readable, mode="eval")
    preparation = Preparation()
    tree = ast.fix_missing_locations(preparation.visit(tree))
    loaded = {n.id for n in ast.walk(tree) if isinstance(n, ast.Name)}
    bound = {
        n.id for n in ast.walk(tree) if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Store)
    }
    bound |= {n.arg for n in ast.walk(tree) if isinstance(n, ast.arg)}
    ours = {n for n in loaded if n.startswith("CALLED_")} | {"STATES_", "REMEMBERED_"}
    free = loaded - bound - ours
    aware = bool(MISSING_AWARE & (preparation.attributes | set(preparation.calls)))
    meaning = {alias: names.get(alias, alias) for alias in sorted(free)}
    return Trusted(
        compile(tree, "<formula>", "eval"),
        meaning,
        tuple(preparation.calls),
        tuple(preparation.dotted),
        frozenset() if aware else frozenset(meaning.values()),
    )


def run(
    parts: Trusted,
    columns: Mapping[str, pd.Series[Any]],
    state: dict[str, dict[str, Any]],
    functions: Mapping[str, Callable[..., Any]],
) -> Any:
    """Run a trusted expression on columns by alias."""
    states = States(state)
    known = {**BUILTINS, **CONTEXT, **functions}
    scope: dict[str, Any] = {"STATES_": states, "REMEMBERED_": remembered}
    scope |= {f"CALLED_{name}_": known.get(name) for name in parts.calls}
    scope |= {f"CALLED_{name}_": module for name, module in MODULES.items()}
    for alias, name in parts.names.items():
        scope[alias] = columns[alias] if alias in columns else known.get(name)
    with np.errstate(all="ignore"):
        result = eval(parts.code, scope)
    state.update(states)
    return result


def remembered(compute: Callable[[], Any], state: dict[str, Any]) -> Any:
    """Return a number computed from all rows of the fit; anything else is recomputed."""
    if "value" in state:
        return state["value"]
    result = compute()
    if np.ndim(result) == 0:
        state["value"] = result
    return result
