"""What the expressions of a formula may do: the language, the user's functions, any Python."""

from __future__ import annotations

import keyword
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

from ..errors import FormulaError

__all__ = ["SAFE", "Evaluation", "FormulaText", "evaluation_of", "like", "with_functions"]

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Evaluation:
    """What the expressions of a formula may do.

    Attributes
    ----------
    functions : tuple of (str, callable)
        The user's functions, by their names in the formula.
    trusted : bool
        Whether an expression may be arbitrary Python.
    """

    functions: tuple[tuple[str, Callable[..., Any]], ...] = ()
    trusted: bool = False

    @property
    def named(self) -> dict[str, Callable[..., Any]]:
        """The user's functions by name."""
        return dict(self.functions)


#: The language of formulas and nothing else.
SAFE = Evaluation()


class FormulaText(str):
    """The text of a formula together with how to evaluate it.

    It is plain text to everything but `parse`, so that a formula with functions takes the same
    road as one without. Text made from it by formatting is plain again, and therefore safe.
    """

    evaluation: Evaluation

    def __new__(cls, text: str, evaluation: Evaluation) -> FormulaText:
        """Make a text that remembers how to evaluate it."""
        made = super().__new__(cls, text)
        made.evaluation = evaluation
        return made

    def __str__(self) -> str:
        """Return the text itself: a call that takes ``str(formula)`` keeps what it remembers."""
        return self

    def __reduce__(self) -> tuple[type[FormulaText], tuple[str, Evaluation]]:
        return FormulaText, (self[:], self.evaluation)


def evaluation_of(formula: object) -> Evaluation:
    """Return how a formula, or its text, is to be evaluated."""
    found = getattr(formula, "evaluation", SAFE)
    return found if isinstance(found, Evaluation) else SAFE


def like(text: str, model: object) -> str:
    """Give a text the evaluation of the formula that it was made from."""
    found = evaluation_of(model)
    return text if found == SAFE else FormulaText(text, found)


def with_functions(
    formula: T, functions: Mapping[str, Callable[..., Any]] | None, trust_formula: bool
) -> T:
    """Attach functions of the user's, or the permission to run any Python, to a formula.

    Parameters
    ----------
    formula : str or Formula
        The formula as the user gave it.
    functions : mapping of str to callable, or None
        Functions that the formula may call, by name.
    trust_formula : bool
        Whether its expressions may be any Python.

    Returns
    -------
    str or Formula
        The same formula, which remembers both.

    Raises
    ------
    TypeError
        If ``functions`` is not a mapping of names to functions, or ``trust_formula`` no bool.
    """
    if not isinstance(trust_formula, bool):
        raise TypeError(f"trust_formula must be True or False, not {trust_formula!r}")
    if not functions and not trust_formula:
        return formula
    evaluation = Evaluation(tuple(checked(functions or {}).items()), trust_formula)
    if isinstance(formula, str):
        return FormulaText(formula, evaluation)  # type: ignore[return-value]
    attach = getattr(formula, "evaluated", None)
    if attach is None:
        raise TypeError(f"a formula is a text, not {type(formula).__name__}")
    attached: T = attach(evaluation)
    return attached


def checked(functions: Mapping[str, Callable[..., Any]]) -> dict[str, Callable[..., Any]]:
    """Check that functions have names that a formula can call."""
    if not isinstance(functions, Mapping):
        raise TypeError('functions must be a mapping of names to functions, such as {"f": f}')
    for name, function in functions.items():
        if not isinstance(name, str) or not name.isidentifier() or keyword.iskeyword(name):
            raise FormulaError(f"functions: {name!r} cannot be the name of a function")
        if name.startswith("_") or name in ("offset", "I", "s", "te", "ti", "t2"):
            raise FormulaError(f"functions: {name!r} has a meaning of its own in formulas")
        if not callable(function):
            raise TypeError(f"functions: {name!r} is a {type(function).__name__}, not a function")
    return dict(functions)
