"""What to write instead of other software's functions."""

from __future__ import annotations

import numpy as np

from ..errors import shortened
from ..formula.foreign import foreign_function
from .frame import did_you_mean
from .language import NUMPY, ROW_METHODS, STR_METHODS, WHOLE_METHODS
from .transforms import BUILTINS, CONTEXT

__all__ = ["unknown_function", "unknown_method", "unknown_numpy"]

OWN = 'write a function and give it as functions={"f": f}'


def unknown_function(name: str, expr: str) -> str:
    """State that a function is unknown, and what may be meant."""
    if foreign_function(name):
        return foreign_function(name)
    hint = did_you_mean(name, [*CONTEXT, *BUILTINS])
    if name in NUMPY:
        hint = f"; numpy's is available as np.{name}"
    elif "|" in expr:
        hint = "; is a + missing before the parenthesis?"
    elif not hint:
        hint = f"; {OWN}, or compute the column in the data"
    return f"{name}() in {shortened(expr)!r} is not a function that formulas know{hint}"


def unknown_numpy(name: str) -> str:
    """State that a numpy function is not in the language."""
    hint = did_you_mean(name, NUMPY) if not hasattr(np, name) else ""
    return f"np.{name} is not part of the language of formulas{hint or f'; {OWN}'}"


def unknown_method(name: str) -> str:
    """State that a method is not in the language."""
    hint = did_you_mean(name, [*ROW_METHODS, *WHOLE_METHODS, *STR_METHODS])
    return f".{name} is not part of the language of formulas{hint or f'; {OWN}'}"
