"""Findings about covariance structures at a limit of their parameters."""

from __future__ import annotations

from collections.abc import Iterator

from ..._typing import Array
from ...design.design import RandomTerm
from ..structures import structure_limits
from .finding import Finding

__all__ = ["check_limits"]


def check_limits(term: RandomTerm, state: Array, factor: Array) -> Iterator[Finding]:
    """Report structures of a term at a limit; see `structure_limits`."""
    for text in structure_limits(term, state, factor):
        yield Finding(
            "zero-variance" if "estimated as zero" in text else "correlation-one",
            "warning",
            text,
            "A limit shows that the data support less than the structure, not that it is wrong.",
        )
