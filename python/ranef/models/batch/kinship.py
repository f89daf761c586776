"""Many responses on one design whose levels have a known covariance, by one eigendecomposition."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import scipy
from numpy.typing import NDArray

from ..._typing import Array
from ...design.design import Design
from ...errors import UnsupportedError
from .kinship_search import CONVERGED, Search, joined

__all__ = ["ROTATED", "Kinship", "KinshipRows", "check_kinship", "is_kinship"]

#: Levels with rows above which the eigendecomposition takes hours.
MOST_LEVELS = 20_000
#: Responses that are rotated together: with fewer the rotation waits for memory, at 5,000 levels
#: two and a half times as long for a dozen as for 256.
ROTATED = 256
#: Responses that are searched together, whose arrays stay in the processor's cache.
SEARCHED = 32
#: A column of which others leave less than this share is a combination of them.
SPANNED = 1e-9
#: Outcomes as the kernel counts them.
EXPLAINED, TOO_FEW, NOT_FINITE = 4, 6, 8


@dataclass(frozen=True)
class KinshipRows:
    """What the kernel returns for a block of fits; see ``_core.BatchRows``."""

    outcome: NDArray[np.int32]
    n_objective: NDArray[np.int32]
    n_gradient: NDArray[np.int32]
    n_obs: NDArray[np.int32]
    objective: Array
    sigma: Array
    smallest_sd: Array
    decrement: Array
    cone: Array
    beta: Array
    cov_root: Array
    factors: Array
    df: Array


def is_kinship(design: Design) -> bool:
    """Whether levels have a known covariance."""
    return any(term.known is not None for term in design.random)


def check_kinship(design: Design) -> None:
    """Refuse what one eigendecomposition cannot handle.

    Raises
    ------
    UnsupportedError
        If there are other random effects, or too many levels.
    """
    term = design.random[0]
    if len(design.random) > 1 or term.n_cols > 1 or len(term.memberships) > 1:
        raise UnsupportedError(
            "fit_many(covariance=) is for one random-effects term of one column, (1 | "
            f"{term.group}), of which a row has one level; fit other models one response at a time "
            "by ranef.lmer(covariance=)"
        )
    found = len(np.unique(term.codes))
    if found > MOST_LEVELS:
        raise UnsupportedError(
            f"{found:,} levels of {term.group} have rows, and the eigendecomposition of their "
            f"covariance would take hours ({MOST_LEVELS:,} at most); fit one response at a time by "
            "ranef.lmer(covariance=), which keeps a sparse inverse"
        )


class Kinship:
    """Responses on one design, y = X beta + Z u + e with u ~ N(0, sigma^2 t A) and A known.

    Parameters
    ----------
    design : Design
        The rows; its response is not used.

    Notes
    -----
    With W the weights, C = Z'WZ and C^1/2 A C^1/2 = V diag(l) V', the columns of
    U = W^1/2 Z C^-1/2 V are orthonormal, and Var(W^1/2 y) is sigma^2 (t l_i + 1) along them and
    sigma^2 elsewhere. Rotated once, a response costs sums over the levels at each t [1]_, [2]_.

    References
    ----------
    .. [1] Kang, Zaitlen, Wade, Kirby, Heckerman, Daly and Eskin (2008), Genetics 178, 1709-1723.
    .. [2] Lippert, Listgarten, Liu, Kadie, Davidson and Heckerman (2011), Nat. Methods 8, 833-835.
    """

    def __init__(self, design: Design):
        check_kinship(design)
        term, n = design.random[0], design.n_obs
        known = term.known
        assert known is not None
        w = np.ones(n) if design.weights is None else np.asarray(design.weights)
        self.w, self.n, self.size = w, n, known.size
        observed, self.codes = np.unique(term.codes, return_inverse=True)
        self.counts = np.bincount(self.codes, weights=w)
        root = np.sqrt(self.counts)
        A = _covariance_of(known, observed)
        values, vectors = scipy.linalg.eigh(
            root[:, None] * A * root, overwrite_a=True, check_finite=False
        )
        self.values = np.maximum(values, 0.0)
        self.turn = np.asfortranarray(vectors / root[:, None])  # Z'W y to U'W^1/2 y
        self.p = len(design.fixed)
        self.kept, Q, self.R = _orthonormal(design, w)
        self.X, inner = self._rotated(Q)
        self.inner = inner.T @ inner
        self.rest = Q - self._means(Q)
        self.Q = Q
        self.log_weights = float(np.log(w).sum())

    def _means(self, B: Array) -> Array:
        """Weighted means of the levels, by rows."""
        return np.asarray((self._sums(B) / self.counts[:, None])[self.codes])

    def _sums(self, B: Array) -> Array:
        """Z'W B, (levels, columns)."""
        from scipy.sparse import csr_array

        Z = csr_array((self.w, self.codes, np.arange(self.n + 1)), shape=(self.n, len(self.counts)))
        return np.asarray(Z.T @ B)

    def _rotated(self, B: Array) -> tuple[Array, Array]:
        """U'W^1/2 B, and W^1/2 times what the levels' means leave."""
        inner = np.sqrt(self.w)[:, None] * (B - self._means(B))
        return self.turn.T @ self._sums(B), inner

    def fit(self, Y: Array, *, reml: bool) -> KinshipRows:
        """Fit the columns of Y (n, m)."""
        parts = [
            self._block(np.asfortranarray(Y[:, start : start + ROTATED]), reml)
            for start in range(0, Y.shape[1], ROTATED)
        ]
        whole = {
            name: np.concatenate([getattr(part, name) for part in parts], axis=-1)
            for name in KinshipRows.__dataclass_fields__
        }
        return KinshipRows(**whole)

    # ------------------------------------------------------------------ a block

    def _block(self, Y: Array, reml: bool) -> KinshipRows:
        n, m, p = self.n, Y.shape[1], len(self.kept)
        outcome = np.full(m, CONVERGED, dtype=np.int32)
        with np.errstate(over="ignore", invalid="ignore"):
            total = np.einsum("ij,ij->j", Y, Y)
        outcome[~(np.isfinite(total) & ((total > 0.0) | (Y == 0.0).all(axis=0)))] = NOT_FINITE
        good = outcome == CONVERGED
        y = np.where(good, Y, 0.0)
        # What the fixed effects explain without random effects is subtracted first.
        first = self.Q.T @ (self.w[:, None] * y)
        y = y - self.Q @ first
        norm = np.sqrt(np.einsum("ij,i,ij->j", y, self.w, y))
        length = np.sqrt(np.maximum(np.sum(first**2, axis=0) + norm**2, 0.0))
        outcome[good & (norm <= 1e-10 * length)] = EXPLAINED
        if n <= p:
            outcome[good] = TOO_FEW
        good = outcome == CONVERGED
        scale = np.where(good, norm / np.sqrt(n), 1.0)
        y = y / scale
        rotated, inner = self._rotated(y)
        inner_Xy = (np.sqrt(self.w)[:, None] * self.rest).T @ inner
        inner_yy = np.einsum("ij,ij->j", inner, inner)
        searches = [
            Search(
                self.values,
                self.X,
                rotated[:, start : start + SEARCHED],
                self.inner,
                inner_Xy[:, start : start + SEARCHED],
                inner_yy[start : start + SEARCHED],
                n,
                reml,
            )
            for start in range(0, m, SEARCHED)
        ]
        ratio, ended, at = joined([search.best() for search in searches])
        outcome[good & (ended != CONVERGED)] = ended[good & (ended != CONVERGED)]
        good = outcome == CONVERGED
        nu = n - p if reml else n
        sigma = np.sqrt(np.maximum(at.r2, 0.0) / nu)
        log_R = 2.0 * float(np.log(np.abs(np.diag(self.R))).sum()) if reml else 0.0
        objective = at.value - self.log_weights + log_R + 2.0 * nu * np.log(scale)
        inverse = np.linalg.inv(self.R)
        beta = np.full((self.p, m), np.nan)
        beta[self.kept] = inverse @ (first + scale * at.beta)
        root = np.full((self.p, self.p, m), np.nan)
        factor = np.linalg.cholesky(at.A)  # A = L L', its inverse L^-T L^-1
        half = inverse @ np.transpose(np.linalg.inv(factor), (0, 2, 1))
        root[self.kept] = 0.0
        root[np.ix_(self.kept, self.kept)] = np.moveaxis(half, 0, 2)
        cone = np.where(ratio > 0.0, 0.0, at.slope)
        bad = ~good
        numbers = {
            "objective": objective,
            "sigma": sigma * scale,
            "smallest_sd": np.sqrt(ratio * self.size),
            "decrement": np.zeros(m),
            "cone": np.minimum(cone, 0.0) + 0.0,
            "beta": beta,
            "cov_root": root.reshape(self.p * self.p, m, order="F"),
            "factors": np.sqrt(ratio)[None],
        }
        for values in numbers.values():
            values[..., bad] = np.nan
        count = np.full(m, max(search.evaluations for search in searches), dtype=np.int32)
        return KinshipRows(
            outcome=outcome,
            n_objective=count,
            n_gradient=count,
            n_obs=np.full(m, n, dtype=np.int32),
            df=np.zeros((0, m)),
            **numbers,
        )


def _covariance_of(known: Any, levels: NDArray[Any]) -> Array:
    """Elements of A between some levels."""
    size = len(known)
    if size <= 2 * len(levels) or size <= 5000:
        S = np.asarray(known.factor.spread(np.eye(size)))[levels]
        return np.asarray(S @ S.T)
    from scipy.sparse.linalg import splu

    solver = splu(known.precision.tocsc())
    out = np.empty((len(levels), len(levels)))
    for start in range(0, len(levels), 256):
        part = levels[start : start + 256]
        unit = np.zeros((size, len(part)))
        unit[part, np.arange(len(part))] = 1.0
        out[:, start : start + len(part)] = solver.solve(unit)[levels]
    return 0.5 * (out + out.T)


def _orthonormal(design: Design, w: Array) -> tuple[list[int], Array, Array]:
    """Columns of X that are not combinations of earlier ones, with X = Q R and Q'WQ = I."""
    X, root = design.X, np.sqrt(w)
    kept: list[int] = []
    basis = np.empty((len(w), 0))
    for j in range(X.shape[1]):
        column = root * X[:, j]
        left = column - basis @ (basis.T @ column)
        left -= basis @ (basis.T @ left)
        size = float(np.linalg.norm(left))
        if size > SPANNED * float(np.linalg.norm(column)):
            kept.append(j)
            basis = np.column_stack([basis, left / size])
    R = basis.T @ (root[:, None] * X[:, kept])
    return kept, basis / root[:, None], np.triu(R)
