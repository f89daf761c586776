"""Cluster-robust inference for the fixed effects of a linear mixed model."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from scipy import linalg

from ... import _core
from ..._typing import Array, Codes
from ...design.design import Design, RandomTerm, only_plain
from ...errors import ModelError, UnsupportedError
from ...models import lmm
from ...models.ols import orthonormal_basis
from ...models.within import is_nested
from .sandwich import CHUNK, Pieces, undefined

__all__ = ["MixedScores", "RandomPart", "mixed_rows", "mixed_scores"]


@dataclass(frozen=True)
class RandomPart:
    """The random effects and the clusters, as the compiled core takes them.

    Attributes
    ----------
    weights : ndarray of shape (n,)
        Precision weights; empty for ones.
    codes : ndarray of shape (n, terms), int32, Fortran order
        Levels.
    sizes : ndarray of shape (terms,), int32
        Columns of each term.
    z : ndarray of shape (n, S), Fortran order
        Columns of all terms.
    sigma : ndarray of shape (S, S), Fortran order
        Relative covariances, block diagonal.
    order : ndarray of shape (n,), int32
        Rows by cluster.
    start : ndarray of shape (n_clusters + 1,), int32
        Where each cluster starts in ``order``.
    """

    weights: Array
    codes: Codes
    sizes: Codes
    z: Array
    sigma: Array
    order: Codes
    start: Codes


@dataclass(frozen=True)
class MixedScores:
    """Scores of a mixed model, with V_g = Z_g Sigma Z_g' + W_g^-1 in units of sigma^2.

    Attributes
    ----------
    columns : ndarray of shape (n, r), Fortran order
        Columns B of X in a basis with B'V^-1 B = I.
    resid : ndarray of shape (n,)
        y - X beta, the random effects not taken out.
    root : ndarray of shape (r, r)
        Map from the basis to the coefficients.
    codes : ndarray of shape (n,), int32
        Clusters.
    n_clusters : int
        Their number.
    random : RandomPart
        The random effects.
    """

    columns: Array
    resid: Array
    root: Array
    codes: Codes
    n_clusters: int
    random: RandomPart

    @property
    def n_obs(self) -> int:
        """Number of rows."""
        return len(self.resid)

    def scores(self, kind: str) -> Array:
        """Return the adjusted score of each cluster."""
        return np.concatenate([piece.scores for piece in self.chunks(kind)])

    def chunks(self, kind: str) -> Iterator[Pieces]:
        """Go through the clusters in chunks of limited memory."""
        r = self.columns.shape[1]
        step = max(1, CHUNK // max(1, r * r))
        for first in range(0, self.n_clusters, step):
            last = min(first + step, self.n_clusters)
            found = _core.marginal_pieces(
                *_arguments(self.columns, self.resid, self.random), kind, first, last
            )
            if not found.complete:
                raise undefined()
            shape = (last - first, r, r)
            own, cross = found.own.reshape(shape), found.cross.reshape(shape)
            yield Pieces(found.scores, own, cross, -np.eye(r))


def _arguments(
    columns: Array, resid: Array, random: RandomPart
) -> tuple[Array, Array, Array, Codes, Codes, Array, Array, Codes, Codes]:
    """Lay out the arguments of the core's functions."""
    return (
        columns, resid, random.weights, random.codes, random.sizes, random.z, random.sigma,
        random.order, random.start,
    )  # fmt: skip


def mixed_scores(
    design: Design,
    beta: Array,
    relative: Sequence[Array],
    codes: Codes,
    cluster: str = "cluster",
) -> MixedScores:
    """Set up cluster-robust inference for a linear mixed model.

    Parameters
    ----------
    design : Design
        The design of the fit.
    beta : ndarray of shape (p,)
        Fixed effects, NaN where aliased.
    relative : sequence of ndarray of shape (s, s)
        Covariance of each term of ``design.random`` divided by sigma^2.
    codes : ndarray of shape (n,), int32
        Clusters; every grouping factor must be nested in them.
    cluster : str
        Their name, for messages.

    Returns
    -------
    MixedScores
    """
    check_apart(design)
    for term in design.random:
        check_nested(term, codes, cluster)
    kept = ~np.isnan(beta)
    X = np.asfortranarray(design.X[:, kept])
    offset = 0.0 if design.offset is None else design.offset
    resid = design.y - offset - X @ beta[kept]
    random, start = _random_part(design, relative, codes), orthonormal_basis(X)
    gram = _core.marginal_gram(*_arguments(start.columns, resid, random))
    turn = np.linalg.inv(np.linalg.cholesky(gram)).T
    columns = np.asfortranarray((turn.T @ start.columns.T).T)
    return MixedScores(columns, resid, start.root @ turn, codes, len(random.start) - 1, random)


def mixed_rows(
    design: Design, beta: Array, lambda_: Sequence[Array], clusters: Mapping[str, Codes]
) -> tuple[Array, Array]:
    """Return what each row adds to the estimating equations of a linear mixed model.

    Parameters
    ----------
    design : Design
        The design of the fit.
    beta : ndarray of shape (p,)
        Fixed effects, NaN where aliased.
    lambda_ : sequence of ndarray of shape (s, s)
        Relative covariance factor of each term of ``design.random``.
    clusters : mapping of str to ndarray of shape (n,), int32
        Cluster variables; every grouping factor must be nested in one of them.

    Returns
    -------
    rows : ndarray of shape (n, r), Fortran order
        (V^-1 X root)_i e_i, V the covariance of the rows in units of sigma^2.
    root : ndarray of shape (r, r)
        ``root @ root.T`` is the inverse of X'V^-1 X.

    Notes
    -----
    V need not be block diagonal: V^-1 x is what the random effects alone, at their covariance,
    leave of x.
    """
    check_apart(design)
    for term in design.random:
        if not any(is_nested(term.codes, codes) for codes in clusters.values()):
            raise ModelError(
                f"levels of the grouping factor {term.group!r} span several clusters of each "
                f"of {', '.join(map(repr, clusters))}; rows that share a random effect are "
                f"dependent, so add {term.group!r} to the clusters"
            )
    kept = ~np.isnan(beta)
    X = np.asfortranarray(design.X[:, kept])
    resid = design.y - (0.0 if design.offset is None else design.offset) - X @ beta[kept]
    basis = orthonormal_basis(X)
    alone = replace(design, fixed=(), fixed_names=(), fixed_terms=(), offset=None)
    solved = np.column_stack([_solve_V(alone, lambda_, x) for x in basis.columns.T])
    turn = np.linalg.inv(np.linalg.cholesky(basis.columns.T @ solved)).T
    rows = np.asfortranarray((solved @ turn) * resid[:, None])
    return rows, basis.root @ turn


def _solve_V(design: Design, lambda_: Sequence[Array], x: Array) -> Array:
    """Solve V z = x, V in units of sigma^2, for a design without fixed effects."""
    found = lmm.evaluate(design, lmm.kernel(design, x), tuple(lambda_), reml=False)
    left = x.copy()
    for term, modes in zip(design.random, found.modes, strict=True):
        left -= np.einsum("ij,ij->i", design.z(term), modes[term.codes])
    return left if design.weights is None else design.weights * left


def _random_part(design: Design, relative: Sequence[Array], codes: Codes) -> RandomPart:
    """Lay out the random effects and sort the rows by cluster."""
    terms = design.random
    return RandomPart(
        weights=np.empty(0) if design.weights is None else design.weights,
        codes=np.asfortranarray(np.column_stack([term.codes for term in terms])),
        sizes=np.array([term.n_cols for term in terms], np.int32),
        z=np.asfortranarray(np.hstack([design.z(term) for term in terms])),
        sigma=np.asfortranarray(linalg.block_diag(*relative)),
        order=_core.order_by_cluster(codes, int(codes.max()) + 1),
        start=np.concatenate([[0], np.cumsum(np.bincount(codes))]).astype(np.int32),
    )


def check_apart(design: Design) -> None:
    """Refuse terms whose effects rows of different clusters share.

    Raises
    ------
    UnsupportedError
        For a known covariance, several members a row, and the curve of a smooth.
    """
    only_plain(design, "a robust covariance", "use model.cov_params()")
    for term in design.random:
        if term.is_curve:
            raise UnsupportedError(
                f"a robust covariance is not available with {term.written}, whose curve rows of "
                "all clusters share; model.bootstrap() resamples, and model.smooth() has intervals "
                "of the curve"
            )


def check_nested(term: RandomTerm, codes: Codes, cluster: str) -> None:
    """Refuse clusters that cut through the levels of a grouping factor."""
    if not is_nested(term.codes, codes):
        raise ModelError(
            f"levels of the grouping factor {term.group!r} span several clusters of "
            f"{cluster!r}; rows that share a random effect are dependent, so clusters must contain "
            f"whole levels. Cluster by {term.group!r} or by something above it."
        )
