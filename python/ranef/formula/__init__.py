"""Formula text to terms: fixed part by formulaic's grammar, random-effects terms by our own."""

from __future__ import annotations

from .parse import parse
from .terms import Bar, Factor, FactorKind, Formula, Term
from .tokens import aliased
from .update import update

__all__ = ["Bar", "Factor", "FactorKind", "Formula", "Term", "aliased", "parse", "update"]
