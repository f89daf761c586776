"""The conditional Akaike criterion of Greven and Kneib."""

from __future__ import annotations

from dataclasses import dataclass, replace
from html import escape

import numpy as np
from numpy.typing import NDArray

from .. import _core
from .._typing import Array
from ..design.design import Design, RandomTerm, only_plain
from ..models import lmm
from ..models.lmm import SINGULAR, LmmEstimate
from .prediction.predict import fitted
from .structures import free_only

__all__ = ["ConditionalAic", "conditional_aic"]


NOTE = (
    "It judges predictions for the levels in the data, not for new ones, and compares models of "
    "the same rows and response; to choose fixed effects for new levels use the AIC of ML fits."
)


@dataclass(frozen=True)
class ConditionalAic:
    """The conditional Akaike criterion.

    Attributes
    ----------
    caic : float
        -2 cll + 2 df.
    df : float
        Effective degrees of freedom: how far the fitted values follow the responses, including the
        estimation of the covariance parameters, plus one for sigma.
    df_exact : float
        The same with the exact derivative; see Notes.
    cll : float
        Log-likelihood of the responses given the predicted random effects, at the fit's sigma.
    dropped : tuple of (str, str)
        (column, group) of random effects that add no variance to the columns before them: a
        variance of zero, or a correlation of one. They were dropped first, as in cAIC4.
    note : str
        What it means, and its limits.

    Notes
    -----
    ``df`` is the trace of the derivative of the fitted values by the responses, plus one, in the
    analytic form of the cAIC4 package, which published values use: in the derivative
    of the covariance parameters it takes half of the term that comes from estimating sigma.
    ``df_exact`` takes all of it and equals the result of refits to perturbed responses of the model
    without what was ``dropped``. They differ by some hundredths. For terms of three or more
    correlated columns cAIC4 1.0 itself gives another number, as it takes the elements of a
    factor and of its transpose to be stored in one order (18.996 for 18.911 in score ~ Machine + (0
    + Machine | Worker) on Machines).
    """

    caic: float
    df: float
    df_exact: float
    cll: float
    dropped: tuple[tuple[str, str], ...] = ()
    note: str = NOTE

    def _repr_html_(self) -> str:
        return "".join(f"<p>{escape(line)}</p>" for line in repr(self).splitlines())

    def __repr__(self) -> str:
        head = f"conditional AIC {self.caic:.3f}  (log-likelihood {self.cll:.3f}, {self.df:.3f} df)"
        if not self.dropped:
            return f"{head}\n{self.note}"
        gone = ", ".join(f"{column} | {group}" for column, group in self.dropped)
        return (
            f"{head}\nSingular fit: of the model refitted without {gone}, which adds no variance "
            f"of its own."
            f"\n{self.note}"
        )


def conditional_aic(design: Design, estimate: LmmEstimate, core: _core.Lmm) -> ConditionalAic:
    """Compute the conditional AIC; a singular fit is first reduced to its non-singular columns.

    References
    ----------
    Greven and Kneib (2010), Biometrika 97, 773-789; Saefken, Ruegamer, Kneib and Greven (2021), J.
    Stat. Softw. 99(8), on the reduction of singular fits.
    """
    free_only(design, "the conditional AIC", "use model.aic")
    only_plain(design, "the conditional AIC", "use model.aic")
    dropped: list[tuple[str, str]] = []
    while found := _null_columns(design, estimate):
        dropped += [(design.random[t].names[j], design.random[t].group) for t, j in found]
        design = _without(design, found)
        if not design.random:
            cll, df = _least_squares(design, estimate.kept, reml=estimate.reml)
            return ConditionalAic(2.0 * df - 2.0 * cll, df, df, cll, tuple(dropped))
        core = lmm.kernel(design)
        estimate = lmm.fit(design, core, reml=estimate.reml, control=lmm.Control())
    residual = design.y - fitted(design, estimate)
    cll = _log_likelihood(design, residual, estimate.sigma)
    hat = _hat_trace(estimate, core) + 1.0
    across, along = _estimation_traces(design, estimate, core, residual)
    df = hat + across - 0.5 * along
    return ConditionalAic(2.0 * df - 2.0 * cll, df, hat + across - along, cll, tuple(dropped))


def _null_columns(design: Design, estimate: LmmEstimate) -> list[tuple[int, int]]:
    """(term, column) that add no variance to the columns before them."""
    found = []
    for t, (term, block) in enumerate(zip(design.random, estimate.lambda_, strict=True)):
        z = design.z(term)
        size = np.sqrt(np.einsum("ij,ij->j", z, z) / len(z))
        found += [(t, j) for j in range(term.n_cols) if abs(block[j, j]) * size[j] < SINGULAR]
    return found


def _without(design: Design, columns: list[tuple[int, int]]) -> Design:
    """Take some columns out of the random-effects terms."""
    random = []
    for t, term in enumerate(design.random):
        keep = [j for j in range(term.n_cols) if (t, j) not in columns]
        if keep:
            random.append(_restricted(term, keep))
    return replace(design, random=tuple(random))


def _restricted(term: RandomTerm, keep: list[int]) -> RandomTerm:
    """Keep some columns of a term."""
    blocks = (tuple(keep.index(j) for j in block if j in keep) for block in term.blocks)
    return replace(
        term,
        columns=tuple(term.columns[j] for j in keep),
        names=tuple(term.names[j] for j in keep),
        blocks=tuple(block for block in blocks if block),
    )


def _log_likelihood(design: Design, residual: Array, sigma: float) -> float:
    """Compute the normal log-likelihood of residuals with variances sigma^2 / w."""
    w = np.ones(1) if design.weights is None else design.weights
    scaled = float(np.sum(w * residual**2)) / sigma**2
    logs = float(np.sum(np.log(w)))
    return 0.5 * (logs - scaled - float(design.n_obs * np.log(2.0 * np.pi * sigma**2)))


def _least_squares(design: Design, kept: NDArray[np.intp], *, reml: bool) -> tuple[float, float]:
    """Log-likelihood and degrees of freedom when no random effect is left."""
    root = np.ones(design.n_obs) if design.weights is None else np.sqrt(design.weights)
    y = design.y if design.offset is None else design.y - design.offset
    X = design.X[:, kept]
    beta = np.linalg.lstsq(root[:, None] * X, root * y, rcond=None)[0]
    residual = y - X @ beta
    nu = design.n_obs - (len(kept) if reml else 0)
    sigma = float(np.sqrt(np.sum((root * residual) ** 2) / nu))
    return _log_likelihood(design, residual, sigma), len(kept) + 1.0


def _hat_trace(estimate: LmmEstimate, core: _core.Lmm) -> float:
    """Trace of the matrix that takes y to the fitted values at the estimated covariance.

    It is n - tr(P), and <Sigma_t, tr(P V_a)> summed over terms is tr(P (H - I)) = n - p - tr(P).
    """
    at = core.curvature(list(estimate.lambda_standard), True)
    total = float(len(estimate.kept))
    for block, S, Q in zip(estimate.lambda_standard, at.score, at.misfit, strict=True):
        total += float(np.sum((block @ block.T) * (S + Q)))
    return total


def _estimation_traces(
    design: Design, estimate: LmmEstimate, core: _core.Lmm, residual: Array
) -> tuple[float, float]:
    """Trace d fitted / d theta times d theta / d y: what the estimation of theta adds.

    Given as what comes from theta at a fixed sigma, and what the estimation of sigma takes off.

    Notes
    -----
    d fitted / d theta_j = P V_j P y = a_j, and by implicit differentiation of the criterion, B its
    Hessian, d theta / d y = 2 nu B^-1 [a / r^2 - (y'P V P y) P y / r^4].
    """
    w = np.ones(1) if design.weights is None else design.weights
    quadratic, moves = [], []
    for change, at in _moves(design, estimate, core, w * residual):
        quadratic.append(at)
        moves.append(change)
    a = np.array(moves)
    B = core.curvature(list(estimate.lambda_standard), estimate.reml, order=4).hessian
    nu = design.n_obs - (len(estimate.kept) if estimate.reml else 0)
    r2 = estimate.pwrss
    across = (w * a) @ a.T / r2
    along = np.outer((w * a) @ residual, quadratic) / r2**2
    inverse = 2.0 * nu * np.linalg.inv(B)
    return float(np.sum(inverse * across)), float(np.sum(inverse * along))


def _moves(
    design: Design, estimate: LmmEstimate, core: _core.Lmm, weighted: Array
) -> list[tuple[Array, float]]:
    """P V_a P y by rows, weights taken out, and y'P V_a P y, for each element of lambda."""
    plain = replace(design, offset=None)
    out = []
    for t, i, j in core.parameters:
        term, T = design.random[t], core.term_basis(t)
        g = _group_sums(design, term, weighted)
        by = np.zeros((term.n_cols, term.n_cols))
        by[i] = estimate.lambda_standard[t][:, j]
        effects = g @ (T @ (by + by.T) @ T.T)
        z = design.z(term)
        direction = np.einsum("ij,ij->i", z, effects[term.codes])
        pseudo = replace(plain, y=direction)
        at = lmm.evaluate(pseudo, lmm.kernel(pseudo), estimate.lambda_, reml=estimate.reml)
        out.append((direction - fitted(pseudo, at), float(np.sum(g * effects))))
    return out


def _group_sums(design: Design, term: RandomTerm, values: Array) -> Array:
    """Z'values by level and column, shape (l, s)."""
    z = design.z(term)
    sums = [np.bincount(term.codes, z[:, j] * values, term.n_levels) for j in range(term.n_cols)]
    return np.column_stack(sums)
