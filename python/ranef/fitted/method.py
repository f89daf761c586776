"""How a call wants its model computed: by a factor or by iteration."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from .._options import check_option
from ..design.design import Design, only_plain
from ..design.method import Method
from ..errors import UnsupportedError

__all__ = ["by_method", "checked_method", "settled"]

METHODS = ("auto", "exact", "iterative")
#: What the core can count.
MOST_THREADS = 2**31 - 1


def checked_method(method: Any, threads: Any) -> str:
    """Check two arguments of a call; the method in its own spelling.

    Raises
    ------
    ValueError
        If there is no such method, or ``threads`` is not a number of threads.
    """
    known = isinstance(threads, int | np.integer) and not isinstance(threads, bool)
    if not (known and 1 <= threads <= MOST_THREADS):
        raise ValueError(f"threads must be a positive integer below 2**31, not {threads!r}")
    return check_option("method", method, METHODS)


def by_method(
    design: Design, method: str, threads: int, seed: int, *, has_prior: bool = False
) -> Design:
    """Note in a design how a call wants it computed.

    Raises
    ------
    UnsupportedError
        If iteration is asked for and cannot be done.
    """
    if method == "iterative":
        only_plain(design, "method='iterative'", "use method='exact'")
        _check_iterative(design, has_prior)
    return design.by(Method("exact" if has_prior else method, threads, seed))


def _check_iterative(design: Design, has_prior: bool) -> None:
    """Refuse iteration for a model that it does not fit."""
    if has_prior:
        raise UnsupportedError(
            "method='iterative' fits by likelihood alone; leave the prior out, or use "
            "method='exact'"
        )
    wide = [term for term in design.random if term.n_cols > 1]
    if wide:
        term = wide[0]
        group, slope = term.group, term.names[-1]
        raise UnsupportedError(
            f"method='iterative' takes random-effects terms of one column each, and "
            f"({' + '.join(term.names)} | {group}) has {term.n_cols}; use method='exact', or "
            f"keep (1 | {group}), or group {slope} by a copy of the column {group}, as "
            f"(1 | {group}) + (0 + {slope} | {group}2): the model without their correlation"
        )
    if len(design.random) < 2:
        raise UnsupportedError(
            "method='iterative' is for two or more grouping factors that are crossed, and there "
            "is one, which method='exact' fits in a time linear in its levels"
        )


def settled(design: Design, estimate: Any) -> Design:
    """Note in a design the approximation that its fit ended with, for kernels to come."""
    if estimate.approximation is None:
        return design
    return design.by(replace(design.method, sample=estimate.approximation.sample))
