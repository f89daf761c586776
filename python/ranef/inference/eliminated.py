"""Blocks of the inverse of the mixed model equations, one large term eliminated by hand."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from .._typing import Array

__all__ = ["Eliminated", "eliminated"]

Rows = NDArray[np.intp]

#: Columns that may be left after elimination, and numbers of the table between the two sets.
MOST_LEFT, LARGEST_TABLE = 5_000, 50_000_000


@dataclass(frozen=True)
class Eliminated:
    """The inverse of M = [D, B; B', C], D block-diagonal by the levels of one term.

    With T = D^-1 B and S = (C - B'T)^-1 it is [D^-1 + T S T', -T S; -S T', S], of which any block
    can be read off without another solution.

    Attributes
    ----------
    inside : ndarray of shape (size,), bool
        Whether a column belongs to the term.
    place : ndarray of shape (size,)
        Its place among those of its kind.
    D : ndarray of shape (levels, s, s)
        D^-1.
    T : sparse array of shape (levels * s, left)
        D^-1 B.
    TS : ndarray of shape (levels * s, left)
        T S.
    S : ndarray of shape (left, left)
        The inverse of what is left.
    """

    inside: NDArray[np.bool_]
    place: Rows
    D: Array
    T: sparse.csr_array
    TS: Array
    S: Array

    def __call__(self, rows: Rows, columns: Rows) -> Array:
        """Return the block of some rows and columns."""
        out = np.empty((len(rows), len(columns)))
        r, c = self.inside[rows], self.inside[columns]
        rp, cp = self.place[rows], self.place[columns]
        out[np.ix_(~r, ~c)] = self.S[np.ix_(rp[~r], cp[~c])]
        out[np.ix_(r, ~c)] = -self.TS[np.ix_(rp[r], cp[~c])]
        out[np.ix_(~r, c)] = -self.TS[np.ix_(cp[c], rp[~r])].T
        if r.any() and c.any():
            s = self.D.shape[1]
            own = np.asarray(self.T[cp[c]] @ self.TS[rp[r]].T).T
            same = (rp[r] // s)[:, None] == (cp[c] // s)[None, :]
            mine = self.D[rp[r][:, None] // s, rp[r][:, None] % s, cp[c][None, :] % s]
            out[np.ix_(r, c)] = own + np.where(same, mine, 0.0)
        return out

    def quadratic(self, at: NDArray[np.int64], values: Array) -> Array:
        """Return a'M^-1 a of sparse rows a, shape (n,).

        Parameters
        ----------
        at, values : ndarray of shape (n, k)
            Columns of each row, those of the term in one level, and their values.
        """
        s = self.D.shape[1]
        within = self.D.copy()
        for j in range(s):
            for i in range(s):
                own = self.T[i::s].multiply(self.TS[j::s]).sum(axis=1)
                within[:, j, i] += np.asarray(own).ravel()
        total = np.zeros(len(at))
        k = at.shape[1]
        for a in range(k):
            for b in range(a + 1):
                p, q = self.place[at[:, a]], self.place[at[:, b]]
                ia, ib = self.inside[at[0, a]], self.inside[at[0, b]]
                if ia and ib:
                    entry = within[p // s, p % s, q % s]
                elif ia or ib:
                    entry = -self.TS[(p, q) if ia else (q, p)]
                else:
                    entry = self.S[p, q]
                total += (2.0 if b < a else 1.0) * values[:, a] * values[:, b] * entry
        return total


def eliminated(M: sparse.csc_array, start: int, levels: int, s: int) -> Eliminated | None:
    """Eliminate the columns of one term; None where too many are left.

    Parameters
    ----------
    M : sparse array of shape (size, size)
        The equations, positive definite.
    start, levels, s : int
        First column of the term, its levels and columns a level; levels do not meet.
    """
    size, own = M.shape[0], levels * s
    left = size - own
    if left > MOST_LEFT or own * left > LARGEST_TABLE:
        return None
    inside = np.zeros(size, dtype=bool)
    inside[start : start + own] = True
    place = np.empty(size, dtype=np.intp)
    place[inside], place[~inside] = np.arange(own), np.arange(left)
    rows = sparse.csr_array(M)[start : start + own]
    mine = sparse.coo_array(rows[:, start : start + own])
    own_blocks = np.zeros((levels, s, s))
    i, j = mine.coords
    own_blocks[i // s, i % s, j % s] = mine.data
    D = np.asarray(np.linalg.inv(own_blocks), dtype=float)
    rest = np.flatnonzero(~inside)
    B = sparse.csr_array(rows[:, rest])
    blocks = sparse.bsr_array((D, np.arange(levels), np.arange(levels + 1)), shape=(own, own))
    T = sparse.csr_array(blocks @ B)
    C = sparse.csr_array(M)[rest][:, rest]
    S = np.linalg.inv((C - B.T @ T).toarray())
    S = 0.5 * (S + S.T)
    return Eliminated(inside, place, D, T, np.asarray(T @ S), S)
