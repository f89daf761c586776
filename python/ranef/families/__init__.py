"""Distributions of a response given its mean, and links of the mean: one object a family."""

from .family import Family, Params, Support
from .links import Link
from .registry import find, known, lookup, registered

__all__ = ["Family", "Link", "Params", "Support", "find", "known", "lookup", "registered"]
