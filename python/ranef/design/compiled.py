"""Expressions of formulas, parsed and checked once: names used, and that all are allowed."""

from __future__ import annotations

import ast
from dataclasses import dataclass
from functools import lru_cache

from ..errors import FormulaError, shortened
from ..formula import aliased
from ..formula.foreign import foreign_function
from . import language
from .hints import unknown_method, unknown_numpy
from .transforms import BUILTINS, CONTEXT, MODULES, is_stateful

__all__ = ["Compiled", "compiled", "dotted_path"]

#: Kinds of node that stand for themselves.
PLAIN = (ast.Name, ast.BinOp, ast.UnaryOp, ast.Compare, ast.Call, ast.Attribute, ast.Subscript)
LITERAL = (ast.Constant, ast.List, ast.Tuple, ast.Dict, ast.Set, ast.Slice)
SKIPPED = (ast.operator, ast.unaryop, ast.cmpop, ast.expr_context, ast.keyword)

METHODS = (
    language.ROW_METHODS
    | language.WHOLE_METHODS
    | language.GROUP_METHODS
    | language.WINDOW_METHODS
    | language.STR_METHODS
    | language.DT_METHODS
    | language.CAT_METHODS
)
PARTS = language.DT_PARTS | {"str", "dt", "cat", "codes", "iloc", "values", "week"}

REFUSED = {
    ast.Lambda: "a lambda",
    ast.ListComp: "a comprehension",
    ast.SetComp: "a comprehension",
    ast.DictComp: "a comprehension",
    ast.GeneratorExp: "a comprehension",
    ast.NamedExpr: "an assignment",
    ast.JoinedStr: "an f-string",
    ast.Starred: "a starred argument",
    ast.Await: "await",
    ast.Yield: "yield",
    ast.YieldFrom: "yield",
}
INSTEAD = {
    ast.IfExp: "if ... else looks at all rows at once; write np.where(condition, this, that)",
    ast.BoolOp: "'and' and 'or' look at all rows at once; write (x > 1) & (z > 2), or | for or",
    ast.Not: "'not' looks at all rows at once; write ~(x > 1)",
    ast.In: "'in' looks at all rows at once; write x.isin([1, 2])",
    ast.NotIn: "'not in' looks at all rows at once; write ~x.isin([1, 2])",
    ast.Is: "'is' says nothing about the rows; write ==, or x.isna() for missing values",
    ast.IsNot: "'is not' says nothing about the rows; write !=, or x.notna()",
    ast.LShift: "<< is not an operator of formulas; write x * 2",
    ast.RShift: ">> is not an operator of formulas; write x / 2",
}


@dataclass(frozen=True)
class Compiled:
    """An expression ready to evaluate.

    Attributes
    ----------
    tree : ast.expr
        The expression, names that Python cannot read replaced by aliases.
    keys : dict of node to str
        Spelling of each part that may remember something about the rows of the fit.
    names : dict of str to str
        Alias to column or constant.
    unknown : tuple of str
        Messages about attributes that the language does not have.
    calls : tuple of str
        Functions called by name that are not the language's own.
    dotted : tuple of str
        Chains such as ``a.b``, which may be meant as names.
    strict : frozenset of str
        Columns whose missing values make the expression missing.
    by_row : bool
        Whether the value in a row is sure to depend on that row only.
    bound : tuple of str
        Columns that ``cbind`` lays side by side, where the expression is nothing else.
    """

    tree: ast.expr
    keys: dict[ast.AST, str]
    names: dict[str, str]
    unknown: tuple[str, ...]
    calls: tuple[str, ...]
    dotted: tuple[str, ...]
    strict: frozenset[str]
    by_row: bool
    bound: tuple[str, ...] = ()


@lru_cache(maxsize=1024)
def compiled(expr: str, own: frozenset[str] = frozenset()) -> Compiled:
    """Read an expression in its normal spelling.

    Parameters
    ----------
    expr : str
        The expression.
    own : frozenset of str
        Names of the user's functions.

    Raises
    ------
    FormulaError
        If the expression says something that the language does not have.
    """
    readable, names = aliased(expr)
    tree = ast.parse(readable, mode="eval").body
    survey = Survey(expr, own, names, readable)
    survey.look(tree)
    tolerant = {names.get(alias, alias) for alias in survey.tolerant}
    free = {alias: names.get(alias, alias) for alias in sorted(survey.loaded)}
    return Compiled(
        tree,
        survey.keys,
        free,
        tuple(survey.unknown),
        tuple(survey.calls),
        tuple(survey.dotted),
        frozenset(free.values()) - tolerant,
        survey.by_row,
        () if "cbind" in own else side_by_side(tree, names),
    )


def side_by_side(tree: ast.expr, names: dict[str, str]) -> tuple[str, ...]:
    """Columns of a call of ``cbind`` with nothing but names; empty for anything else."""
    if not isinstance(tree, ast.Call) or not isinstance(tree.func, ast.Name) or tree.keywords:
        return ()
    found = [arg.id for arg in tree.args if isinstance(arg, ast.Name)]
    if tree.func.id != "cbind" or "cbind" in names or len(found) < len(tree.args):
        return ()
    return tuple(names.get(alias, alias) for alias in found)


class Survey:
    """One walk over an expression that checks it and records its contents."""

    def __init__(
        self, expr: str, own: frozenset[str], names: dict[str, str], readable: str
    ) -> None:
        self.source = readable.encode()
        self.expr = expr
        self.own = own
        self.names = names
        self.unknown: list[str] = []
        self.loaded: dict[str, None] = {}
        self.tolerant: set[str] = set()
        self.calls: list[str] = []
        self.dotted: list[str] = []
        self.keys: dict[ast.AST, str] = {}
        self.by_row = True

    def look(self, tree: ast.AST) -> None:
        """Visit every node; a long sum counts as no deeper than its operands."""
        stack: list[tuple[ast.AST, bool]] = [(tree, False)]
        while stack:
            node, aware = stack.pop()
            self.check(node)
            aware = aware or self.sees_missing(node)
            stack += [(child, aware) for child in self.children(node, aware)]

    def check(self, node: ast.AST) -> None:
        """Refuse a node that is not in the language."""
        for part in [node, *operators(node)]:
            if type(part) in INSTEAD:
                raise self.error(INSTEAD[type(part)])
        if isinstance(node, ast.Constant):
            self.check_constant(node)
        elif type(node) in REFUSED or not isinstance(node, PLAIN + LITERAL + SKIPPED):
            what = REFUSED.get(type(node), f"{type(node).__name__}")
            raise self.error(
                f"{what} is not part of the language of formulas; write a function and give it "
                'as functions={"f": f}'
            )
        elif isinstance(node, ast.Subscript):
            self.check_subscript(node)

    def check_constant(self, node: ast.Constant) -> None:
        """Refuse constants other than numbers and text."""
        if not isinstance(node.value, int | float | str | bool | None):
            raise self.error(f"{node.value!r} is neither a number nor text")

    def check_subscript(self, node: ast.Subscript) -> None:
        """Refuse None among indices, which adds a dimension."""
        for part in ast.walk(node.slice):
            if isinstance(part, ast.Constant) and part.value is None:
                raise self.error("an index is a number, a slice or a condition")
        self.by_row = False
        self.keys[node] = self.spelling(node)

    def spelling(self, node: ast.expr) -> str:
        """Return the text of a part; the whole is in its normal spelling, on one line."""
        return self.source[node.col_offset : node.end_col_offset].decode()

    def sees_missing(self, node: ast.AST) -> bool:
        """Return whether a call handles missing values in its arguments itself."""
        if not isinstance(node, ast.Call):
            return False
        name = getattr(node.func, "attr", None) or getattr(node.func, "id", "")
        return name in language.MISSING_AWARE

    def children(self, node: ast.AST, aware: bool) -> list[ast.AST]:
        """Parts of a node that are values; functions are recorded."""
        if isinstance(node, ast.Name):
            self.loaded[node.id] = None
            if aware:
                self.tolerant.add(node.id)
            return []
        if isinstance(node, ast.Call):
            inside = self.called(node)
            return [*inside, *node.args, *node.keywords]
        if isinstance(node, ast.Attribute):
            return self.attribute(node)
        if isinstance(node, ast.BinOp) and isinstance(node.op, ast.MatMult):
            self.by_row = False
            self.keys[node] = self.spelling(node)
        return list(ast.iter_child_nodes(node))

    def called(self, node: ast.Call) -> list[ast.AST]:
        """Record what a call calls; return the object of a method."""
        self.check_keywords(node)
        self.keys[node] = self.spelling(node)
        if isinstance(node.func, ast.Name):
            self.function(node.func.id)
            return []
        path = dotted_path(node.func, self.names)
        if path is not None and path[0] in MODULES:
            self.module_function(path)
            return []
        if not isinstance(node.func, ast.Attribute):
            raise self.error("only functions and methods can be called")
        if path is not None and foreign_function(".".join(path)):
            raise FormulaError(foreign_function(".".join(path)))
        if node.func.attr not in METHODS:
            if path is None or node.func.attr.startswith("_"):
                raise self.error(unknown_method(node.func.attr))
            self.unknown.append(str(self.error(unknown_method(node.func.attr))))
        if node.func.attr in language.WHOLE_METHODS | language.GROUP_METHODS - language.ROW_METHODS:
            self.by_row = False
        self.chained(node.func)
        return [node.func.value]

    def check_keywords(self, node: ast.Call) -> None:
        """Refuse arguments by name that may change a column or write something."""
        for keyword in node.keywords:
            if keyword.arg is None:
                raise self.error("a starred argument is not part of the language of formulas")
            if keyword.arg.startswith("_"):
                raise self.error(f"{keyword.arg!r} is not an argument for formulas")

    def function(self, name: str) -> None:
        """Record a function called by its name."""
        if name in self.own:
            self.by_row = False
            self.calls.append(name)
        elif name in CONTEXT or name in BUILTINS:
            if not is_stateful(name) and name in BUILTINS:
                self.by_row = self.by_row and name in ("abs", "round", "pow")
        else:
            self.calls.append(name)

    def module_function(self, path: list[str]) -> None:
        """Check that a numpy function, or contrasts, are in the language."""
        name = ".".join(path[1:])
        if path[0] == "contr":
            if name not in language.CONTRASTS:
                known = ", ".join(sorted(language.CONTRASTS))
                raise self.error(f"there are no contrasts contr.{name}; there are {known}")
            return
        if name not in language.NUMPY:
            raise self.error(unknown_numpy(name))
        if name in language.WHOLE_NUMPY:
            self.by_row = False

    def attribute(self, node: ast.Attribute) -> list[ast.AST]:
        """Check that an attribute is a value of the language."""
        path = dotted_path(node, self.names)
        if path is not None and path[0] in MODULES:
            allowed = language.CONSTANTS if path[0] == "np" else language.CONTRASTS
            if len(path) == 2 and (path[1] in allowed or path[1] in language.NUMPY):
                return []
            raise self.error(unknown_numpy(".".join(path[1:])))
        self.chained(node)
        if node.attr not in PARTS:
            if path is None or node.attr.startswith("_"):
                raise self.error(unknown_method(node.attr))
            self.unknown.append(str(self.error(unknown_method(node.attr))))
        if node.attr in ("codes", "iloc"):
            self.by_row = False
        return [node.value]

    def chained(self, node: ast.Attribute) -> None:
        """Record a chain of names, which may be meant as a column's name."""
        if dotted_path(node, self.names) is not None:
            self.dotted.append(ast.unparse(node))

    def error(self, message: str) -> FormulaError:
        """Make an error about this expression."""
        return FormulaError(f"{message} (in {shortened(self.expr)})")


def operators(node: ast.AST) -> list[ast.AST]:
    """Operators of a node."""
    if isinstance(node, ast.Compare):
        return list(node.ops)
    return [node.op] if isinstance(node, ast.BinOp | ast.UnaryOp) else []


def dotted_path(node: ast.AST, names: dict[str, str]) -> list[str] | None:
    """Take ``a.b.c`` apart; None for anything else."""
    path = []
    while isinstance(node, ast.Attribute):
        path.append(node.attr)
        node = node.value
    if not isinstance(node, ast.Name):
        return None
    return [names.get(node.id, node.id), *reversed(path)]
