"""Formulaic's operators between terms, with a bound on the number of terms they make."""

from __future__ import annotations

import ast
from collections.abc import Callable
from math import comb
from typing import Any

from formulaic.parser import DefaultOperatorResolver
from formulaic.parser.types import Operator, OrderedSet

__all__ = ["MOST_TERMS", "Bounded"]

#: How many terms a formula may have.
MOST_TERMS = 10_000

Terms = Any


class Bounded(DefaultOperatorResolver):  # type: ignore[misc]
    """The usual operators; those that multiply terms count them first."""

    @property
    def operators(self) -> list[Operator]:
        """Operators, bounded."""
        return [bounded(operator) for operator in super().operators]


def bounded(operator: Operator) -> Operator:
    """Bound an operator that makes many terms out of few."""
    if operator.arity != 2 or operator.symbol not in ("**", "^", "*", ":", "/", "+"):
        return operator
    chosen: Callable[[Terms, Terms], Terms] = {"**": power, "^": power, "+": union}.get(
        operator.symbol, limited(operator.to_terms)
    )
    return Operator(
        operator.symbol,
        arity=2,
        precedence=operator.precedence,
        associativity=operator.associativity,
        to_terms=chosen,
    )


def limited(multiply: Callable[[Terms, Terms], Terms]) -> Callable[[Terms, Terms], Terms]:
    """Count the terms of a product before it is made."""

    def product(left: Terms, right: Terms) -> Terms:
        refuse_many(len(left) * len(right) + len(left) + len(right))
        return multiply(left, right)

    return product


def refuse_many(count: int) -> None:
    """Raise if there are more terms than a formula may have."""
    if count > MOST_TERMS:
        shown = f"{count:,}" if count < 10**12 else f"about {float(min(count, 10**300)):.0e}"
        raise ValueError(
            f"these operators multiply out to {shown} terms, and a formula may have "
            f"{MOST_TERMS:,}; use a lower power, or name the interactions that matter"
        )


def union(left: Terms, right: Terms) -> Terms:
    """Join terms in the order they come; ``left``, to which nothing else refers, grows in place."""
    if not (isinstance(left, OrderedSet) and isinstance(right, OrderedSet)):
        return left | right
    left.values.update(right.values)
    refuse_many(len(left))
    return left


def power(terms: Terms, exponent: Terms) -> Terms:
    """Multiply terms out to all interactions of up to ``exponent`` of them."""
    order = whole_number(exponent)
    n = len(terms)
    refuse_many(sum(comb(n, k) for k in range(1, min(order, n) + 1)))
    out = OrderedSet(terms)
    for _ in range(order - 1):
        more = OrderedSet(known * term for known in out for term in terms)
        if len(more) == len(out):
            return more
        out = more
    return out


def whole_number(exponent: Terms) -> int:
    """Read the number after ``**``."""
    factor: Any
    (factor,) = next(iter(exponent)).factors if len(exponent) == 1 else (None,)
    try:
        order = ast.literal_eval(factor.expr)
    except (AttributeError, ValueError, SyntaxError):
        order = None
    if not isinstance(order, int) or isinstance(order, bool) or order < 1:
        raise ValueError("a power between terms is a positive integer, as in (a + b)**2")
    return order
