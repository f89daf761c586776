"""Checks of a response against the range of its family."""

from __future__ import annotations

import numpy as np

from .._counted import counted
from ..design import Design
from ..errors import DataError
from .family import Family

__all__ = ["check_response", "check_whole"]


def check_response(design: Design, family: Family, *, zero: bool = False) -> None:
    """Refuse responses that do not vary, or are outside the range of the family.

    Parameters
    ----------
    design : Design
        The rows.
    family : Family
        Whose range it is.
    zero : bool
        Whether zeros have a part of their own.

    Raises
    ------
    DataError
        With the number of rows at fault and what to give instead.
    """
    support = family.support
    inside = support.contains(design.y)
    if zero:
        inside |= design.y == 0.0
    if bad := int(len(inside) - np.count_nonzero(inside)):
        advice = f"; {support.advice}" if support.advice else ""
        raise DataError(
            f"{family.named} response is {support.words}; {design.response!r} is not in "
            f"{_rows(bad)}{advice}",
            design.response,
        )
    first = float(design.y[0])
    if np.all(design.y == first) and (first in support.edges or design.offset is None):
        raise DataError(
            f"{design.response!r} is {first:g} in every row that is used, so there is nothing to "
            "explain",
            design.response,
        )


def check_whole(design: Design, family: Family) -> None:
    """Refuse counts that are not whole, and shares of trials that are not.

    Raises
    ------
    DataError
        With the number of rows at fault and what to give instead.
    """
    if not family.support.discrete:
        return
    counts = design.y
    if family.has_trials:
        trials = np.ones(design.n_obs) if design.weights is None else design.weights
        if bad := int(np.count_nonzero(trials != np.round(trials))):
            raise DataError(
                f"the weights of {family.named} response are its trials, and {bad} of them are "
                "not whole numbers",
                "weights",
            )
        counts = design.y * trials
    if bad := int(np.sum(np.abs(counts - np.round(counts)) > 1e-6 * np.maximum(1.0, counts))):
        raise DataError(
            f"{family.named} response is made of {family.support.counts}; "
            f"{design.response!r} is not in {_rows(bad)}; {family.support.hint}",
            design.response,
        )


def _rows(n: int) -> str:
    return "1 row" if n == 1 else f"{counted(n, 'row')}"
