"""The sum of many independent successes, and its derivatives, by its characteristic function."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from .._typing import Array

__all__ = ["SumOfMany"]

#: Size of the characteristic function, by its logarithm, below which nothing is added.
NOTHING = -42.0


@dataclass(frozen=True)
class SumOfMany:
    """The probability that independent successes add up to their expected number.

    Attributes
    ----------
    p : ndarray of shape (m,)
        Probability of each; they add up to ``total``.
    total : int
        The number asked for.

    Notes
    -----
    The characteristic function of the sum at the frequencies 2 pi t / N, N > m, determines its
    distribution exactly. The probability of the expected number is about 1 / sqrt(2 pi V), V the
    variance, so nothing cancels; and the function falls like exp(-V w^2 / 2) in the frequency w, so
    that of 2,000 rows about a hundred frequencies are left, where a recursion over the rows needs
    2,000 steps of a thousand sums each [1]_.

    References
    ----------
    .. [1] Hong (2013), Comput. Stat. Data Anal. 59, 41-51.
    """

    p: Array
    total: int

    @cached_property
    def frequencies(self) -> tuple[Array, Array]:
        """Points z - 1 on the circle, shape (t,), and the weights of their terms."""
        N = len(self.p) + 1
        N += 1 - N % 2
        angle = 2.0 * np.pi * np.arange((N + 1) // 2) / N
        pq = self.p * (1.0 - self.p)
        # |1 - p + p z|^2 = 1 - 4 p q sin^2(angle / 2), at most exp of what is taken off
        kept = -2.0 * pq.sum() * np.sin(angle / 2.0) ** 2 > NOTHING
        angle = angle[kept]
        half = np.sin(angle / 2.0)
        z_less_one = -2.0 * half**2 + 1j * np.sin(angle)
        weight = np.where(angle == 0.0, 1.0, 2.0) / N * np.exp(-1j * angle * self.total)
        return z_less_one, weight

    @cached_property
    def factors(self) -> Array:
        """Characteristic function of each row, shape (t, m)."""
        return 1.0 + np.multiply.outer(self.frequencies[0], self.p)

    @cached_property
    def terms(self) -> Array:
        """Terms of the probability, shape (t,)."""
        return np.asarray(self.frequencies[1] * self.factors.prod(axis=1))

    @property
    def value(self) -> float:
        """The probability."""
        return float(self.terms.real.sum())

    def derivatives(self, X: Array) -> tuple[Array, Array]:
        """Return first and second derivatives of its logarithm by the coefficients of X, (m, p)."""
        r = np.multiply.outer(self.frequencies[0], self.p * (1.0 - self.p)) / self.factors
        first = r @ X
        bent = r * (1.0 - 2.0 * self.p) - r * r
        pairs = (X[:, :, None] * X[:, None, :]).reshape(len(X), -1)
        second = (bent @ pairs).reshape(len(r), X.shape[1], X.shape[1])
        second += first[:, :, None] * first[:, None, :]
        slope = (self.terms @ first).real / self.value
        whole = np.einsum("t,tpq->pq", self.terms, second).real / self.value
        return slope, whole - np.outer(slope, slope)

    def shares(self) -> Array:
        """Return the probability of each success given the total, shape (m,)."""
        z = self.frequencies[0] + 1.0
        return np.asarray(((self.terms * z) @ (self.p / self.factors)).real / self.value)
