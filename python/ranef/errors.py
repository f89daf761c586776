"""Every exception and warning class of ranef."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

__all__ = [
    "ComparisonWarning",
    "ConvergenceWarning",
    "DataError",
    "DroppedRowsWarning",
    "FitError",
    "FormulaError",
    "ModelError",
    "NotPositiveDefiniteError",
    "RanefError",
    "RanefWarning",
    "RankWarning",
    "SingularFitWarning",
    "UnsupportedAttributeError",
    "UnsupportedError",
]


#: Most characters of a formula that a message shows.
WIDEST = 200


#: Most characters of a message; the middle of a longer one, mostly a list of names, is left out.
LONGEST = 1500


class RanefError(Exception):
    """Base of every error that ranef raises on purpose."""

    def __init__(self, *args: object):
        super().__init__(*(shortened(a, LONGEST) if isinstance(a, str) else a for a in args))


class FormulaError(RanefError, ValueError):
    """The text of a formula is wrong; the message shows the place with a caret.

    Parameters
    ----------
    message : str
        What is wrong and what to write instead.
    text : str
        The whole formula.
    start, stop : int
        The part of ``text`` that is at fault, as a slice.
    """

    def __init__(self, message: str, text: str = "", start: int = 0, stop: int | None = None):
        self.text = text
        self.start = start
        self.stop = start + 1 if stop is None else stop
        if text:
            line, at, width = _excerpt(text, self.start, self.stop)
            message = f"{message}\n\n    {line}\n    {' ' * at}{'^' * width}"
        super().__init__(message)

    def __reduce__(self) -> tuple[object, ...]:
        return (_rebuild_formula_error, (self.args, self.text, self.start, self.stop))


def shortened(text: str, most: int = 120) -> str:
    """Cut the middle out of a text that is too long for a message."""
    half = most // 2 - 2
    return text if len(text) <= most else f"{text[:half]} ... {text[-half:]}"


def listed(names: Sequence[str], between: str = " + ", most: int = 8) -> str:
    """List names; if many, only the first few and how many more there are."""
    if len(names) <= most:
        return between.join(names)
    kept = between.join(names[: most // 2])
    return f"{kept}{between}... ({len(names) - most // 2} more)"


def _excerpt(text: str, start: int, stop: int) -> tuple[str, int, int]:
    """Show the part of a text around a place, with the place and its width there."""
    width = max(1, stop - start)
    if len(text) <= WIDEST:
        return text, start, width
    first = max(0, min(start - WIDEST // 3, len(text) - WIDEST))
    line = text[first : first + WIDEST]
    before = "... " if first else ""
    after = " ..." if first + WIDEST < len(text) else ""
    at = start - first + len(before)
    return f"{before}{line}{after}", at, max(1, min(width, len(before) + len(line) - at))


def _rebuild_formula_error(args: tuple[str], text: str, start: int, stop: int) -> FormulaError:
    """Unpickle without drawing the caret a second time."""
    error = FormulaError(*args)
    error.text, error.start, error.stop = text, start, stop
    return error


class DataError(RanefError, ValueError):
    """Formula and data do not fit: unknown column, one level, no rows left.

    Parameters
    ----------
    message : str
        What is wrong, in which column, and what to do.
    column : str, optional
        The column at fault.
    allowed : sequence, optional
        The values that would have been accepted.
    """

    def __init__(
        self, message: str, column: str | None = None, allowed: tuple[object, ...] | None = None
    ):
        super().__init__(message)
        self.column = column
        self.allowed = allowed


class ModelError(RanefError, ValueError):
    """The model cannot be estimated from these data: as many levels as rows, p >= n."""


class UnsupportedError(RanefError, NotImplementedError):
    """The model does not support what was asked for."""


class UnsupportedAttributeError(UnsupportedError, AttributeError):
    """A model lacks what models of other kinds have; the message names what to use."""

    def __init__(self, message: str, *, name: str | None = None, obj: object = None):
        AttributeError.__init__(self, message, name=name, obj=obj)

    def __reduce__(self) -> tuple[object, ...]:
        return (type(self), self.args)


class NotPositiveDefiniteError(RanefError, np.linalg.LinAlgError):
    """A factorisation failed.

    Parameters
    ----------
    message : str
        What was factored.
    block, row : int, optional
        Where it failed.
    """

    def __init__(self, message: str, block: int | None = None, row: int | None = None):
        super().__init__(message)
        self.block = block
        self.row = row


class FitError(RanefError, ArithmeticError):
    """The minimiser could not start or broke down."""


class RanefWarning(UserWarning):
    """Base of every warning that ranef issues."""

    def __init__(self, *args: object):
        super().__init__(*(shortened(a, LONGEST) if isinstance(a, str) else a for a in args))


class ConvergenceWarning(RanefWarning):
    """The minimiser stopped at a point that is not an optimum."""


class SingularFitWarning(RanefWarning):
    """A covariance matrix of random effects is singular at the optimum."""


class RankWarning(RanefWarning):
    """Columns of the fixed-effects matrix are linear combinations of earlier ones."""


class DroppedRowsWarning(RanefWarning):
    """Rows were dropped from the fit because values are missing."""


class ComparisonWarning(RanefWarning):
    """A comparison of models does not mean what it seems to."""
