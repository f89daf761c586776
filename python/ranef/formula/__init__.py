"""Formula text to terms: fixed part by formulaic's grammar, random-effects terms by our own."""

from __future__ import annotations

from ..words.answers import called_elsewhere
from .evaluation import SAFE, Evaluation, FormulaText, evaluation_of, like, with_functions
from .parse import parse, place_of
from .terms import Bar, Factor, FactorKind, Formula, Smooth, Term
from .tokens import aliased, unquoted
from .update import update

__all__ = [
    "SAFE",
    "Bar",
    "Evaluation",
    "Factor",
    "FactorKind",
    "Formula",
    "FormulaText",
    "Smooth",
    "Term",
    "aliased",
    "evaluation_of",
    "like",
    "parse",
    "place_of",
    "unquoted",
    "update",
    "with_functions",
]

called_elsewhere(__name__)
