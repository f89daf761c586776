"""Influence of each group on the fixed effects: deletion in closed form, and by refits."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import sparse
from scipy.sparse.linalg import splu

from .. import _core
from .._typing import Array
from ..design.design import Design, only_plain
from ..errors import FitError, ModelError
from ..models import lmm
from ..models.lmm import LmmEstimate
from ..parallel.progress import tracked
from .eliminated import Eliminated, eliminated
from .optimum.em import lower_factor

__all__ = ["Deletion", "closed_form", "leverage", "refits"]

Rows = NDArray[np.intp]

#: Share of the factor that is filled in, above which the inverse is computed as a whole, and the
#: largest inverse to hold (800 MB).
FILLED, LARGEST_INVERSE = 0.05, 10_000
#: Columns of a row up to which leverages are summed pair by pair.
WIDEST = 30


@dataclass(frozen=True)
class Deletion:
    """The fit without each group.

    Attributes
    ----------
    beta : ndarray of shape (groups, n_kept)
        Fixed effects without the group; NaN where the rest cannot be fitted.
    covariance : ndarray of shape (groups, n_kept, n_kept)
        Their covariance.
    """

    beta: Array
    covariance: Array


def leverage(design: Design, estimate: LmmEstimate, core: _core.Lmm) -> Array:
    """Return the derivative of each fitted value by its own response, shape (n,)."""
    only_plain(design, "influence", "refit without the rows in question by update(data=...)")
    if len(design.random) > 1 and _width(design, estimate) <= WIDEST:
        A, _ = _rows(design, estimate)
        M = sparse.csc_array(A.T @ A + _ridge(design, estimate, 0.0))
        if found := _largest_out(design, M):
            return found.quadratic(*_columns(design, estimate))
    X = np.asfortranarray(design.X[:, estimate.kept])
    terms = [(term.codes, design.z(term)) for term in design.random]
    spread = core.prediction_variances(list(estimate.lambda_standard), X, terms)
    return np.asarray(spread if design.weights is None else design.weights * spread)


def closed_form(
    design: Design,
    estimate: LmmEstimate,
    codes: Rows,
    n_groups: int,
    precision: Array | float = 0.0,
    *,
    progress: bool = False,
) -> Deletion:
    """Delete each group at the covariance parameters of the whole fit.

    Parameters
    ----------
    design, estimate
        The fit.
    codes : ndarray of shape (n,)
        The group of each row.
    n_groups : int
        Number of groups.
    precision : ndarray of shape (n_kept,)
        Of a prior of the fixed effects, relative to 1 / sigma^2; 0 without one.
    progress : bool
        Whether to show a bar.

    Notes
    -----
    With A = sqrt(W) [Z Lambda, X], M = A'A + diag(I, P), P the precision of a prior, and e the
    residuals of the whole fit, the solution without the rows A_g is
    u - M^-1 A_g'(I - A_g M^-1 A_g')^-1 e_g. A_g = Q R has few columns that are not zero, so that
    the matrix to solve has no more rows than those, however large the group; M is factored once.
    """
    only_plain(design, "influence", "refit without the rows in question by update(data=...)")
    A, e = _rows(design, estimate)
    q = A.shape[1] - len(estimate.kept)
    M = sparse.csc_array(A.T @ A + _ridge(design, estimate, precision))
    inverse = _by_component(M, q) or _largest_out(design, M) or _inverse(M)
    fixed = np.arange(q, A.shape[1])
    whole = inverse(np.arange(A.shape[1]), fixed)
    beta = np.full((n_groups, len(fixed)), np.nan)
    covariance = np.full((n_groups, len(fixed), len(fixed)), np.nan)
    each = tracked(_members(codes, n_groups), n_groups, "groups", shown=progress)
    for g, rows in each:
        part: Any = A[rows]
        columns: NDArray[np.intp] = np.unique(part.indices).astype(np.intp)
        Q, R = np.linalg.qr(part[:, columns].toarray())
        inner = columns[columns < q]
        needed = np.r_[columns, fixed]
        spread = np.hstack([inverse(needed, inner), whole[needed][:, columns[columns >= q] - q]])
        gap = np.eye(len(R)) - R @ spread[: len(columns)] @ R.T
        if np.linalg.eigvalsh(0.5 * (gap + gap.T))[0] < 1e-10:
            continue  # some coefficient rests on this group alone
        to_fixed = spread[len(columns) :] @ R.T
        beta[g] = estimate.beta[estimate.kept] - to_fixed @ np.linalg.solve(gap, Q.T @ e[rows])
        extra = to_fixed @ np.linalg.solve(gap, to_fixed.T)
        covariance[g] = estimate.sigma**2 * (whole[fixed] + extra)
    return Deletion(beta, covariance)


def _ridge(design: Design, estimate: LmmEstimate, precision: Array | float) -> sparse.dia_array:
    """Precision of spherical random effects, and of fixed effects where they have a prior."""
    q = sum(term.n_levels * term.n_cols for term in design.random)
    prior = np.broadcast_to(precision, len(estimate.kept))
    return sparse.diags_array(np.r_[np.ones(q), prior])


def _width(design: Design, estimate: LmmEstimate) -> int:
    """Columns of [Z, X] in which a row may differ from zero."""
    return sum(term.n_cols for term in design.random) + len(estimate.kept)


def _largest_out(design: Design, M: sparse.csc_array) -> Eliminated | None:
    """Eliminate the term with most random effects, where there are several."""
    if len(design.random) < 2:
        return None
    sizes = [term.n_levels * term.n_cols for term in design.random]
    t = int(np.argmax(sizes))
    term = design.random[t]
    return eliminated(M, sum(sizes[:t]), term.n_levels, term.n_cols)


def _columns(design: Design, estimate: LmmEstimate) -> tuple[NDArray[np.int64], Array]:
    """Columns and values of the weighted rows [Z Lambda, X], shape (n, k) each."""
    n, kept = design.n_obs, estimate.kept
    root = np.ones(n) if design.weights is None else np.sqrt(design.weights)
    at, values, start = [], [], 0
    for term, factor in zip(design.random, estimate.lambda_, strict=True):
        s = term.n_cols
        at.append(start + term.codes[:, None].astype(np.int64) * s + np.arange(s))
        values.append(design.z(term) @ factor)
        start += term.n_levels * s
    at.append(np.broadcast_to(start + np.arange(len(kept)), (n, len(kept))))
    values.append(design.X[:, kept])
    return np.hstack(at), root[:, None] * np.hstack(values)


def _rows(design: Design, estimate: LmmEstimate) -> tuple[sparse.csr_array, Array]:
    """Weighted rows [Z Lambda, X], shape (n, q + n_kept), and weighted residuals."""
    n = design.n_obs
    root = np.ones(n) if design.weights is None else np.sqrt(design.weights)
    blocks = []
    residual = design.y.copy() if design.offset is None else design.y - design.offset
    for term, factor, modes in zip(design.random, estimate.lambda_, estimate.modes, strict=True):
        z = design.z(term)
        residual -= np.einsum("ij,ij->i", z, modes[term.codes])
        s = term.n_cols
        at = (term.codes[:, None].astype(np.int64) * s + np.arange(s)).ravel()
        values = (root[:, None] * (z @ factor)).ravel()
        shape = (n, term.n_levels * s)
        blocks.append(sparse.csr_array((values, at, np.arange(0, n * s + 1, s)), shape=shape))
    X = design.X[:, estimate.kept]
    residual -= X @ estimate.beta[estimate.kept]
    A = sparse.csr_array(sparse.hstack([*blocks, sparse.csr_array(root[:, None] * X)]))
    return A, root * residual


def _by_component(M: sparse.csc_array, q: int) -> Callable[[Rows, Rows], Array] | None:
    """Return the same function as `_inverse` where the random effects fall into small components.

    Columns of A^-1, A the random effects' part of M, that belong to different components do not
    meet: one right side holds a column of each, so that as many solutions do as the largest
    component has columns. With W = A^-1 B and S = C - B'W, M^-1 is A^-1 + W S^-1 W', -W S^-1 and
    S^-1.
    """
    A, B = sparse.csc_array(M[:q, :q]), M[:q, q:].toarray()
    from scipy.sparse import csgraph

    count, component = csgraph.connected_components(A, directed=False)
    order = np.argsort(component, kind="stable")
    sizes = np.bincount(component, minlength=count)
    slot = np.empty(q, dtype=np.intp)
    slot[order] = np.arange(q) - np.repeat(np.cumsum(sizes) - sizes, sizes)
    if sizes.max() * q > LARGEST_INVERSE**2 // 2 or count == 1:
        return None
    factor = splu(A)
    unit = np.zeros((q, int(sizes.max())))
    unit[np.arange(q), slot] = 1.0
    columns_of, W = factor.solve(unit), factor.solve(B)
    S = np.linalg.inv(M[q:, q:].toarray() - B.T @ W)
    # Rows of the two sides of W S^-1 W', fixed effects below.
    left = np.vstack([W, -np.eye(len(S))])

    def block(rows: Rows, columns: Rows) -> Array:
        out = left[rows] @ S @ left[columns].T
        r, c = np.flatnonzero(rows < q), np.flatnonzero(columns < q)
        if not len(r) or not len(c):
            return np.asarray(out)
        own = columns_of[np.ix_(rows[r], slot[columns[c]])]
        same = component[rows[r]][:, None] == component[columns[c]]
        out[np.ix_(r, c)] += np.where(same, own, 0.0)
        return np.asarray(out)

    return block


def _inverse(M: sparse.csc_array) -> Callable[[Rows, Rows], Array]:
    """Return a function for blocks of M^-1 by rows and columns; M (q + p, q + p) factored once.

    Where crossed factors fill the factor in, solving for every group costs more than the whole
    inverse, which is then computed once while it fits into memory.
    """
    size = M.shape[0]
    factor = splu(M)
    if size <= LARGEST_INVERSE and factor.L.nnz > FILLED * size**2:
        whole = np.linalg.inv(M.toarray())
        return lambda rows, columns: np.asarray(whole[np.ix_(rows, columns)])

    def solved(rows: Rows, columns: Rows) -> Array:
        unit = np.zeros((size, len(columns)))
        unit[columns, np.arange(len(columns))] = 1.0
        return np.asarray(factor.solve(unit)[rows])

    return solved


def _members(codes: Rows, n_groups: int) -> Iterator[tuple[int, Rows]]:
    """Return each group and its rows."""
    order = np.argsort(codes, kind="stable")
    counts = np.bincount(codes, minlength=n_groups)
    yield from enumerate(np.split(order, np.cumsum(counts)[:-1]))


def refits(
    design: Design,
    estimate: LmmEstimate,
    codes: Rows,
    n_groups: int,
    fit: Callable[[Design, _core.Lmm, tuple[Array, ...]], LmmEstimate],
    *,
    progress: bool = False,
) -> Deletion:
    """Delete each group and fit the rest again, from the whole fit's covariance parameters.

    Parameters
    ----------
    design, estimate
        The fit.
    codes : ndarray of shape (n,)
        The group of each row.
    n_groups : int
        Number of groups.
    fit : callable
        Fits a design with its kernel, from factors in the standardised basis, as the whole was
        fitted.
    progress : bool
        Whether to show a bar.
    """
    only_plain(design, "influence", "refit without the rows in question by update(data=...)")
    kept = estimate.kept
    beta = np.full((n_groups, len(kept)), np.nan)
    covariance = np.full((n_groups, len(kept), len(kept)), np.nan)
    for g in tracked(range(n_groups), n_groups, "fits", shown=progress):
        rest = design.take(np.flatnonzero(codes != g))
        try:
            core = lmm.kernel(rest)
            start = tuple(
                _standard(core.term_basis(t), block) for t, block in enumerate(estimate.lambda_)
            )
            found = fit(rest, core, start)
        except (ModelError, FitError):
            continue
        if np.array_equal(found.kept, kept):
            beta[g], covariance[g] = found.beta[kept], found.cov_beta
    return Deletion(beta, covariance)


def _standard(basis: Array, block: Array) -> Array:
    """Return a user's factor in the standardised basis, off the boundary."""
    factor = np.linalg.solve(basis, block)
    return lower_factor(np.hstack([factor, 0.02 * np.eye(len(block))]))
