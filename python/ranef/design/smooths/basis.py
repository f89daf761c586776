"""The interface of every basis of a smooth."""

from __future__ import annotations

from typing import Protocol

from ..._typing import Array

__all__ = ["Basis", "Powers", "monomials"]

#: Exponents of one monomial, one for each variable.
Powers = tuple[int, ...]


class Basis(Protocol):
    """A penalised basis that has learned its knots; frozen.

    Attributes
    ----------
    penalty : ndarray of shape (k, k)
        S of the penalty b'S b on its coefficients.
    null : tuple of tuple of int
        Exponents of the monomials that span what is not penalised, the constant first.
    """

    @property
    def penalty(self) -> Array:
        """The penalty."""

    @property
    def null(self) -> tuple[Powers, ...]:
        """What is not penalised."""

    def __call__(self, x: Array) -> Array:
        """Evaluate the basis at x of shape (n, d); returns shape (n, k)."""


def monomials(degree: int, dimension: int) -> tuple[Powers, ...]:
    """Exponents of all monomials up to a total degree, lowest first."""
    out: list[Powers] = [()]
    for _ in range(dimension):
        out = [(*p, e) for p in out for e in range(degree + 1 - sum(p))]
    return tuple(sorted(out, key=lambda p: (sum(p), tuple(-e for e in p))))
