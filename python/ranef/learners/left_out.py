"""Conditional modes of a row's group from other rows, without fitting again."""

from __future__ import annotations

import numpy as np

from .._typing import Array, Positions
from ..design.design import Design, only_plain
from ..errors import UnsupportedError
from ..inference.prediction.predict import fitted
from ..models.lmm import LmmEstimate, evaluate, kernel

__all__ = ["MOST_EFFECTS", "modes_without_part", "modes_without_row"]

#: Random and fixed effects together up to which several terms are inverted at once.
MOST_EFFECTS = 4000


def modes_without_part(design: Design, estimate: LmmEstimate, term: int, part: Positions) -> Array:
    """Compute each row's conditional modes of one term from the rows of all other parts.

    Parameters
    ----------
    design, estimate, term
        As in `modes_without_row`.
    part : ndarray of shape (n,), int
        The part of each row, from 0.

    Returns
    -------
    ndarray of shape (n, s)
        Zero for a level whose rows are all in the part.
    """
    only_plain(design, "an embedding without parts of the rows", "use cross_fit=False")
    for one in design.random:
        if one.is_structured or one.smooth is not None:
            raise UnsupportedError(
                f'parts of the rows cannot be left out with {one.written}; use folds="rows" or '
                "cross_fit=False"
            )
    own = design.random[term]
    out = np.zeros((design.n_obs, own.n_cols))
    for k in range(int(part.max()) + 1):
        inside, outside = np.flatnonzero(part != k), np.flatnonzero(part == k)
        rest = design.take(inside)
        found = evaluate(rest, kernel(rest), estimate.lambda_, reml=estimate.reml)
        modes = np.zeros((own.n_levels, own.n_cols))
        modes[np.unique(own.codes[inside])] = found.modes[term]
        out[outside] = modes[own.codes[outside]]
    return out


def modes_without_row(design: Design, estimate: LmmEstimate, term: int) -> Array:
    """Compute each row's conditional modes of one term from all rows but that one.

    Parameters
    ----------
    design : Design
        The rows of the fit.
    estimate : LmmEstimate
        Its estimate; covariance parameters are taken as they are.
    term : int
        Position of the term.

    Returns
    -------
    ndarray of shape (n, s)
        Exactly what the mixed model equations without the row would give, fixed effects included.

    Raises
    ------
    UnsupportedError
        If there are several terms with too many levels, or rows with several levels.

    Notes
    -----
    With w the row of (Z Lambda, X), C the matrix of the mixed model equations, e the residual and
    h = w' C^-1 w, the solution without the row is the solution minus C^-1 w e / (1 - h). With one
    term C^-1 w takes one small system a level.

    References
    ----------
    Henderson (1984), Applications of Linear Models in Animal Breeding, chapter 5.
    """
    only_plain(design, "an embedding without each row in turn", "use cross_fit=False")
    root = np.ones(design.n_obs) if design.weights is None else np.sqrt(design.weights)
    X = design.X[:, estimate.kept] * root[:, None]
    scale = np.linalg.norm(X, axis=0)
    X = X / np.where(scale > 0.0, scale, 1.0)
    error = root * (design.y - fitted(design, estimate))
    spherical = [
        design.z(one) @ block * root[:, None]
        for one, block in zip(design.random, estimate.lambda_, strict=True)
    ]
    change = one_term if len(design.random) == 1 else several_terms
    u, h = change(design, spherical, X, term)
    own = design.random[term]
    factor = error / np.maximum(1.0 - h, 1e-12)
    moved: Array = (
        estimate.modes[term][own.codes] - (u * factor[:, None]) @ estimate.lambda_[term].T
    )
    return moved


def one_term(design: Design, spherical: list[Array], X: Array, term: int) -> tuple[Array, Array]:
    """Solve for the row's own level, and for h, with one term: (n, s), (n,)."""
    z, one = spherical[term], design.random[term]
    codes, levels, s, p = one.codes, one.n_levels, z.shape[1], X.shape[1]
    A = np.tile(np.eye(s), (levels, 1, 1))
    B = np.empty((levels, s, p))
    for i in range(s):
        for j in range(s):
            A[:, i, j] += np.bincount(codes, z[:, i] * z[:, j], levels)
        for j in range(p):
            B[:, i, j] = np.bincount(codes, z[:, i] * X[:, j], levels)
    inner = np.linalg.solve(A, B)  # A^-1 B, (levels, s, p)
    S = np.linalg.inv(X.T @ X - np.einsum("lsp,lsq->pq", B, inner))
    a = np.linalg.solve(A[codes], z[:, :, None])[:, :, 0]
    t = (X - np.einsum("nsp,ns->np", B[codes], a)) @ S
    u = a - np.einsum("nsp,np->ns", inner[codes], t)
    return u, np.einsum("ns,ns->n", z, u) + np.einsum("np,np->n", X, t)


def several_terms(
    design: Design, spherical: list[Array], X: Array, term: int
) -> tuple[Array, Array]:
    """Solve for the row's own level, and for h, by the inverse of all equations."""
    import scipy.sparse as sp

    n = design.n_obs
    sizes = [one.n_levels * one.n_cols for one in design.random]
    if sum(sizes) + X.shape[1] > MOST_EFFECTS:
        raise UnsupportedError(
            f"leaving each row out takes the inverse of {sum(sizes) + X.shape[1]:,} equations, "
            f"more than {MOST_EFFECTS:,}, where there are several random-effects terms; keep the "
            "term of the group alone, or use cross_fit=False for rows that a learner is not "
            "fitted to"
        )
    blocks, places = [], []
    start = 0
    for one, z, size in zip(design.random, spherical, sizes, strict=True):
        columns = start + one.codes[:, None] * one.n_cols + np.arange(one.n_cols)
        places.append(columns)
        rows = np.repeat(np.arange(n), one.n_cols)
        inside = (columns - start).ravel()
        blocks.append(sp.csr_matrix((z.ravel(), (rows, inside)), shape=(n, size)))
        start += size
    W = sp.hstack([*blocks, sp.csr_matrix(X)]).tocsr()
    C = (W.T @ W).toarray()
    C[np.arange(start), np.arange(start)] += 1.0
    inverse = np.linalg.inv(C)
    u, h = np.empty(spherical[term].shape), np.empty(n)
    for low in range(0, n, 2000):
        some = slice(low, low + 2000)
        solved = W[some] @ inverse
        h[some] = np.asarray(W[some].multiply(solved).sum(axis=1)).ravel()
        u[some] = np.take_along_axis(solved, places[term][some], axis=1)
    return u, h
