"""Joint covariance of fixed effects and chosen random ones, the others integrated out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from ..._typing import Array, Positions
from ...chunks.products import products_of
from ...chunks.summed import SummedDesign
from ...design.design import Design, RandomTerm

__all__ = ["Joint", "joint_of"]


@dataclass(frozen=True)
class Joint:
    """Fixed effects and the spherical random effects of some terms, u with b = Lambda u.

    Attributes
    ----------
    terms : tuple of int
        Positions of the chosen terms in ``Design.random``.
    starts : tuple of int
        Where the effects of each begin; fixed effects come first.
    covariance : ndarray of shape (d, d)
        Their covariance given the data, the covariance parameters known, relative to sigma^2.
    information : ndarray of shape (d, d)
        C'V^-1 C with V that of the terms not chosen, relative to sigma^2.
    gram : ndarray of shape (d, d)
        C'W C.
    coefficients : ndarray of shape (d,)
        Fixed effects, and spherical random ones in the units of the response.
    others : ndarray of shape (q, d) or None
        Covariance of the effects of the other terms with these.

    Notes
    -----
    With C = [X, Z Lambda], W the weights and P the indicator of random effects, the covariance is
    that part of (C'WC + P)^-1 [1]_. A standard deviation of zero does no harm: the effect has its
    prior variance, and no weight.

    References
    ----------
    .. [1] Wood (2017), Generalized Additive Models, 2nd ed., sections 6.10 and 6.12.
    """

    p: int
    terms: tuple[int, ...]
    starts: tuple[int, ...]
    covariance: Array
    information: Array
    gram: Array
    coefficients: Array
    others: Array | None

    @cached_property
    def penalised(self) -> Array:
        """1 for random effects, 0 for fixed ones."""
        return (np.arange(len(self.covariance)) >= self.p).astype(float)

    def places(self, term: int, size: int) -> Positions:
        """Places of a term's effects."""
        start = self.starts[self.terms.index(term)]
        return np.arange(start, start + size)

    def edf(self) -> Array:
        """Effective degrees of freedom of each effect, (d,)."""
        return np.asarray(1.0 - self.penalised * np.diag(self.covariance))

    def reference_df(self) -> Array:
        """Share of each effect in tr(2 F - F F), (d,) [Wood 2017, section 6.12.2]."""
        V = self.covariance
        squares = (V**2) @ self.penalised
        if self.others is not None:
            squares = squares + (self.others**2).sum(axis=0)
        # diag(F F) = 1 - 2 V_ii + sum_j V_ij^2 over random effects j
        return np.asarray(1.0 - self.penalised * squares)


def joint_of(
    design: Design,
    kept: Positions,
    beta: Array,
    modes: Sequence[Array],
    factors: Sequence[Array],
    weights: Array | None,
    chosen: Sequence[int],
) -> Joint:
    """Work out a joint covariance.

    Parameters
    ----------
    design : Design
        The rows.
    kept, beta, modes, factors
        Columns of X that are not aliased, their coefficients, modes and relative factors.
    weights : ndarray of shape (n,) or None
        W.
    chosen : sequence of int
        Terms whose effects are wanted one by one; their number should be moderate.
    """
    values = [beta[kept]]
    starts, start = [], len(kept)
    for t in chosen:
        term = design.random[t]
        starts.append(start)
        values.append(_spherical(modes[t], factors[t]).ravel())
        start += term.n_levels * term.n_cols
    rest = [t for t in range(len(design.random)) if t not in chosen]
    if isinstance(design, SummedDesign):
        found = _of_sums(design, kept, factors, chosen, rest)
    else:
        found = _of_rows(design, kept, factors, weights, chosen, rest)
    gram, cross, others = found
    information, solved = gram, None
    if rest:
        solved = _solver(others)(cross)
        information = gram - cross.T @ solved
    penalised = np.arange(start) >= len(kept)
    covariance = _inverse(information + np.diag(penalised.astype(float)))
    return Joint(
        len(kept),
        tuple(chosen),
        tuple(starts),
        covariance,
        information,
        gram,
        np.concatenate(values),
        None if solved is None else -solved @ covariance,
    )


#: C'WC; and of the terms not chosen Z'WC (q, d) and Z'WZ, sparse.
Sums = tuple[Array, Array, Any]


def _of_rows(
    design: Design,
    kept: Positions,
    factors: Sequence[Array],
    weights: Array | None,
    chosen: Sequence[int],
    rest: Sequence[int],
) -> Sums:
    """Add up the products of the rows."""
    columns = [design.X[:, kept]]
    for t in chosen:
        term = design.random[t]
        columns.append(_spread(term, design.z(term) @ factors[t]))
    C = np.hstack(columns)
    W = np.ones(design.n_obs) if weights is None else weights
    gram = C.T @ (W[:, None] * C)
    if not rest:
        return gram, np.empty((0, len(gram))), None
    from scipy import sparse

    Z = _sparse(design, rest, factors)
    return gram, np.asarray(Z.T @ (W[:, None] * C)), Z.T @ sparse.diags(W) @ Z


def _of_sums(
    design: SummedDesign,
    kept: Positions,
    factors: Sequence[Array],
    chosen: Sequence[int],
    rest: Sequence[int],
) -> Sums:
    """Put together products that were added up."""
    found = products_of(design, factors)
    sizes = [len(rows) for rows in found.ZX]
    places = np.split(np.arange(sum(sizes)), np.cumsum(sizes)[:-1])
    at = np.concatenate([np.empty(0, dtype=np.intp), *(places[t] for t in chosen)])
    CX = np.vstack([found.XX[kept], *(found.ZX[t] for t in chosen)])[:, kept]
    ZZ = found.ZZ[:, at].toarray()
    gram = np.hstack([CX, np.vstack([CX[len(kept) :].T, ZZ[at]])])
    if not rest:
        return gram, np.empty((0, len(gram))), None
    others = np.concatenate([places[t] for t in rest])
    ZX = np.vstack([found.ZX[t] for t in rest])[:, kept]
    return gram, np.hstack([ZX, ZZ[others]]), found.ZZ[others][:, others]


def _inverse(A: Array) -> Array:
    """Invert a positive definite matrix, scaled first."""
    scale = 1.0 / np.sqrt(np.diag(A))
    inverse = np.linalg.inv(A * scale[:, None] * scale)
    return np.asarray(0.5 * (inverse + inverse.T) * scale[:, None] * scale)


def _spherical(b: Array, factor: Array) -> Array:
    """Solve b = factor u; zero where the factor is."""
    if np.count_nonzero(factor - np.diag(np.diag(factor))) == 0:
        sd = np.diag(factor)
        return np.divide(b, sd, out=np.zeros_like(b), where=sd > 0.0)
    return np.asarray(b @ np.linalg.pinv(factor).T)


def _spread(term: RandomTerm, z: Array) -> Array:
    """Lay the columns of each level side by side, (n, levels * s)."""
    if term.n_levels == 1:
        return z
    out = np.zeros((len(z), term.n_levels, term.n_cols))
    out[np.arange(len(z)), term.codes] = z
    return out.reshape(len(z), -1)


def _sparse(design: Design, terms: Sequence[int], factors: Sequence[Array]) -> Any:
    """Columns of some terms times their factors, sparse, (n, q)."""
    from scipy import sparse

    blocks = []
    for t in terms:
        term = design.random[t]
        z = design.z(term) @ factors[t]
        n, s = z.shape
        rows = np.repeat(np.arange(n), s)
        places = (term.codes[:, None].astype(np.int64) * s + np.arange(s)).ravel()
        shape = (n, term.n_levels * s)
        blocks.append(sparse.csr_matrix((z.ravel(), (rows, places)), shape=shape))
    return sparse.hstack(blocks, format="csr")


def _solver(products: Any) -> Any:
    """Return a function that solves with Z'W Z + I."""
    from scipy import sparse
    from scipy.sparse.linalg import splu

    A = (products + sparse.identity(products.shape[0])).tocsc()
    return splu(A, options={"SymmetricMode": True}, diag_pivot_thresh=0.0).solve
