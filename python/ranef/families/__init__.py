"""Distributions of a response given its linear predictors, and links: one object per family."""

from .family import Family, Params
from .links import Link
from .registry import find, is_normal, known, lookup, registered
from .shape import Shape
from .support import Support

__all__ = [
    "Family",
    "Link",
    "Params",
    "Shape",
    "Support",
    "find",
    "is_normal",
    "known",
    "lookup",
    "registered",
]
