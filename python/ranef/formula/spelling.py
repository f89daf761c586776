"""Spell equal Python expressions in the same way, however long they are."""

from __future__ import annotations

import ast

__all__ = ["DEEPEST", "depth", "parsed_expression", "spelled"]

#: How deep calls and brackets may nest in an expression.
DEEPEST = 50

#: Number of operands from which a sum or product is spelled operand by operand.
LONG = 20

ALIKE: tuple[tuple[type[ast.operator], ...], ...] = (
    (ast.Add, ast.Sub),
    (ast.Mult, ast.Div, ast.FloorDiv, ast.Mod, ast.MatMult),
    (ast.BitOr,),
    (ast.BitAnd,),
)


def parsed_expression(text: str) -> ast.expr:
    """Parse an expression; raise `SyntaxError` or `ValueError` if invalid or nested too deeply."""
    try:
        tree = ast.parse(text, mode="eval").body
    except (RecursionError, MemoryError):
        raise ValueError("it is too long; compute the column in the data first") from None
    if depth(tree) > DEEPEST:
        raise ValueError(f"it nests more than {DEEPEST} deep; compute the column in the data first")
    return tree


def chain(node: ast.expr) -> tuple[list[ast.expr], list[ast.operator]]:
    """Take a sum, or a product, apart into its operands and the operators between them."""
    operands, operators = [], []
    kinds = kinds_of(node)
    while isinstance(node, ast.BinOp) and type(node.op) in kinds:
        operands.append(node.right)
        operators.append(node.op)
        node = node.left
    return [node, *reversed(operands)], operators[::-1]


def kinds_of(node: ast.expr) -> tuple[type[ast.operator], ...]:
    """Operators with the precedence of an expression's own; none if it is not an operation."""
    if not isinstance(node, ast.BinOp):
        return ()
    return next((kinds for kinds in ALIKE if type(node.op) in kinds), ())


def depth(tree: ast.expr) -> int:
    """Count how deep an expression nests; a sum is as deep as its deepest operand."""
    deepest = 0
    stack: list[tuple[ast.AST, int]] = [(tree, 1)]
    while stack:
        node, level = stack.pop()
        deepest = max(deepest, level)
        inside = chain(node)[0] if isinstance(node, ast.BinOp) and kinds_of(node) else None
        children = ast.iter_child_nodes(node) if inside is None else inside
        stack += [(child, level + 1) for child in children]
    return deepest


def spelled(tree: ast.expr) -> str:
    """Spell an expression nested no deeper than `DEEPEST`."""
    texts: list[str] = []
    shortened = Shorten(texts).visit(tree)
    out = ast.unparse(shortened)
    for i in range(len(texts) - 1, -1, -1):
        name = place_of(i)
        bare = out == name or f"({name})" in out
        out = out.replace(name, texts[i] if bare else f"({texts[i]})")
    return out.replace("\n", " ")


def place_of(i: int) -> str:
    """Name the placeholder of a long sum; no column can have such a name."""
    return f"\0{i}\0"


class Shorten(ast.NodeTransformer):
    """Replace each long sum by a name, and keep its text."""

    def __init__(self, texts: list[str]) -> None:
        self.texts = texts

    def visit_BinOp(self, node: ast.BinOp) -> ast.AST:
        """Spell a long chain separately, in parentheses."""
        operands, operators = chain(node)
        if len(operands) < LONG:
            return self.generic_visit(node)
        text = ast.unparse(self.visit(operands[0]))
        for operator, operand in zip(operators, operands[1:], strict=True):
            right = ast.BinOp(ast.Name("LEFT_", ast.Load()), operator, self.visit(operand))
            text += ast.unparse(right).removeprefix("LEFT_")
        self.texts.append(text)
        return ast.Name(place_of(len(self.texts) - 1), ast.Load())
