"""Structured covariances within groups on arrays: order of the rows, standardisation, fit."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ... import _core
from ..._counted import counted
from ..._typing import Array
from ...design.design import Design, RandomTerm
from ...design.structured import StructuredDesign
from ...errors import FitError, ModelError
from ..lmm import DECREMENT, SINGULAR, Control
from ..ols import OlsEstimate, fit_ols
from .layout import Layout, lay_out
from .start import starts

__all__ = [
    "CORRELATIONS",
    "GlsEstimate",
    "GlsModel",
    "alias",
    "fit_gls",
    "gls_model",
    "marginal_residuals",
    "patterns",
]


#: Correlations of the rows of a group.
CORRELATIONS = ("independence", "exchangeable", "ar1", "car1", "toeplitz", "unstructured")
#: Most numbers kept for the factors of all patterns (8 bytes each, three times).
MOST = 2.0e8
#: Correlations so near to the ends of their range, and variances so small beside the largest,
#: stand at a boundary.
BOUNDARY = 1e-6


@dataclass(frozen=True)
class GlsModel:
    """A structured model in its standardised basis.

    Attributes
    ----------
    core : Structured
        The kernel.
    corr : str
        The correlation of the rows of a group.
    layout : Layout
        Order of the rows.
    ols : OlsEstimate
        The least squares fit, whose residuals are the kernel's response.
    scale : float
        Their unit.
    root : ndarray of shape (r, r)
        Kept coefficients are those of least squares plus ``scale * root`` times the kernel's.
    bases : tuple of ndarray of shape (s, s)
        Columns of each random-effects term times its basis are standardised.
    D_mean, D_scale : ndarray of shape (d,)
        Location and scale taken from the columns of the log standard deviation.
    """

    core: _core.Structured
    corr: str
    layout: Layout
    ols: OlsEstimate
    scale: float
    root: Array
    bases: tuple[Array, ...]
    D_mean: Array
    D_scale: Array


@dataclass(frozen=True)
class GlsEstimate:
    """What the kernel found; arrays in the order of the design.

    Attributes
    ----------
    reml : bool
        Whether the restricted likelihood was maximised.
    objective : float
        -2 log-likelihood, restricted when ``reml``.
    beta : ndarray of shape (p,)
        Coefficients; NaN for aliased columns.
    kept : ndarray of int
        Positions of the columns that are not aliased.
    cov_root : ndarray of shape (r, r)
        R with cov(beta) = unit^2 R R'.
    unit : float
        Residual standard deviation where the log standard deviation's columns are at ``centre``,
        and root of what the kernel's covariances are to be multiplied by.
    centre : ndarray of shape (d,)
        Means of the log standard deviation's columns.
    delta : ndarray of shape (d,)
        Coefficients of the log standard deviation.
    correlation : ndarray
        Parameters of the correlation: rho, phi for one unit of time, by lag, or the matrix below
        its diagonal, column by column.
    lambda_, lambda_standard : tuple of ndarray of shape (s, s)
        Covariance factors of the random effects relative to ``unit``, in the user's columns and
        in the standardised basis.
    modes : tuple of ndarray of shape (l, s)
        Conditional modes of the random effects.
    psi : ndarray of shape (m,)
        The kernel's parameters.
    hessian : ndarray of shape (m, m)
        Of the objective by psi, by central differences of exact gradients.
    gradient : ndarray of shape (m,)
        Exact gradient.
    converged, is_singular, at_bound : bool
        Whether this is an optimum; whether a covariance of random effects is singular; whether the
        correlation or a variance stands at the end of its range.
    status : str
        "converged", "step limit" or "stalled".
    decrement, lowest : float
        Decrease that the quadratic model predicts; smallest eigenvalue of the Hessian in units of
        the largest.
    n_objective, n_gradient : int
        Evaluations.
    """

    reml: bool
    objective: float
    beta: Array
    kept: NDArray[np.intp]
    cov_root: Array
    unit: float
    centre: Array
    delta: Array
    correlation: Array
    lambda_: tuple[Array, ...]
    lambda_standard: tuple[Array, ...]
    modes: tuple[Array, ...]
    psi: Array
    hessian: Array
    gradient: Array
    converged: bool
    is_singular: bool
    at_bound: bool
    status: str
    decrement: float
    lowest: float
    n_objective: int
    n_gradient: int

    @property
    def sigma(self) -> float:
        """Residual standard deviation where the log standard deviation's columns are zero.

        Zero or infinite where they are so far from zero that it is not representable.
        """
        return float(self.residual_sd(np.zeros((1, len(self.centre))))[0])

    def residual_sd(self, D: Array) -> Array:
        """Residual standard deviations of rows with these columns, (n, d) -> (n,)."""
        with np.errstate(over="ignore", under="ignore"):
            return np.asarray(self.unit * np.exp((D - self.centre) @ self.delta))

    @property
    def sigmas(self) -> tuple[Array, ...]:
        """Covariance matrices of the random effects, shape (s, s) each."""
        return tuple(self.unit**2 * (block @ block.T) for block in self.lambda_)

    @property
    def cov_beta(self) -> Array:
        """Covariance of the kept coefficients, shape (r, r)."""
        return self.unit**2 * (self.cov_root @ self.cov_root.T)


def gls_model(rows: StructuredDesign, corr: str) -> GlsModel:
    """Standardise rows and build the kernel.

    Raises
    ------
    ModelError
        When least squares fit perfectly, columns of a random-effects term depend on each other, or
        the factors would not fit into memory.
    """
    design = rows.design
    layout = lay_out(rows, corr)
    order, n = layout.order, design.n_obs
    needed = float(np.sum(np.diff(layout.start).astype(float) ** 2))
    if needed > MOST:
        raise ModelError(
            f"the covariances of groups of up to {int(np.diff(layout.start).max())} rows contain "
            f"{needed:.2g} numbers, too many to factor densely; use smaller groups, or ranef.lmer "
            "with equal, independent residuals"
        )
    ols = fit_ols(design.y, design.X, None, design.offset)
    if not ols.kept.any():
        raise ModelError("no coefficient can be estimated: every column is zero")
    if n <= int(ols.kept.sum()):
        raise ModelError(
            f"there are {counted(int(ols.kept.sum()), 'coefficient')} and {counted(n, 'row')}; the "
            "model needs more rows than coefficients"
        )
    scale = float(np.sqrt(ols.ssr / n))
    if scale <= 1e-12 * float(np.abs(design.y).max()):
        raise ModelError("the columns reproduce the response exactly, so no variance is left")
    bases = tuple(_basis(design, term) for term in design.random)
    terms = [
        (
            np.ascontiguousarray(term.codes[order]),
            np.asfortranarray((design.z(term) @ basis)[order]),
            [b for b, block in enumerate(term.blocks) for _ in block],
        )
        for term, basis in zip(design.random, bases, strict=True)
    ]
    D_mean, D_scale = rows.D.mean(axis=0), rows.D.std(axis=0)
    log_scale = np.zeros(n) if design.weights is None else -0.5 * np.log(design.weights[order])
    core = _core.Structured(
        ols.resid[order] / scale,
        np.asfortranarray(ols.basis.columns[order] * np.sqrt(n)),
        layout.start,
        layout.cluster,
        layout.place,
        layout.n_places,
        layout.largest,
        corr,
        log_scale,
        np.asfortranarray(((rows.D - D_mean) / np.where(D_scale > 0.0, D_scale, 1.0))[order]),
        terms,
    )
    root = ols.basis.root * np.sqrt(n)
    return GlsModel(core, corr, layout, ols, scale, root, bases, D_mean, D_scale)


def _basis(design: Design, term: RandomTerm) -> Array:
    """Basis in which the columns of each block have z'z / n = I, shape (s, s)."""
    z = design.z(term)
    out = np.zeros((term.n_cols, term.n_cols))
    for block in term.blocks:
        part = z[:, list(block)]
        size = np.sqrt(np.mean(part**2, axis=0))
        R = np.linalg.qr(part / np.where(size > 0.0, size, 1.0), mode="r") / np.sqrt(len(z))
        small = np.abs(np.diag(R)) < 1e-9
        if small.any():
            name = term.names[block[int(np.flatnonzero(small)[0])]]
            raise ModelError(
                f"{name} of the random-effects term of {term.group!r} is zero, or a combination of "
                "the columns before it; leave it out"
            )
        R *= np.sign(np.diag(R))[:, None]
        out[np.ix_(block, block)] = np.linalg.inv(R) / size[:, None]
    return out


def fit_gls(
    rows: StructuredDesign,
    model: GlsModel,
    *,
    reml: bool,
    control: Control,
    held: Sequence[int] = (),
    near: Array | None = None,
) -> GlsEstimate:
    """Maximise the likelihood, restricted or not, over the covariance parameters.

    Parameters
    ----------
    rows, model
        The design and its kernel.
    reml : bool
        Whether the likelihood is the restricted one.
    control : Control
        Settings of the search.
    held : sequence of int
        Terms on whose covariance the likelihood does not depend: it is put to zero.
    near : ndarray of shape (m,), optional
        The kernel's parameters of a fit to a like response, from where alone the search starts.

    Raises
    ------
    ModelError
        When nothing is left for a residual error.
    FitError
        When the objective is not finite at any start.

    Notes
    -----
    Newton's method on -2 log-likelihood with sigma and the coefficients profiled out, exact
    gradients, Hessians by differences of these, in parameters without bounds.
    """
    resid = model.ols.resid / model.scale
    found = model.core.fit(
        starts(rows, model.core, resid, model.layout, model.corr) if near is None else [near],
        reml,
        max_steps=control.max_steps,
        tolerance=control.tolerance,
    )
    if found.point.objective >= 1e300:
        raise FitError("no start gave a positive definite covariance; rescale the columns")
    if found.status == 3:
        raise ModelError(
            "random effects and correlation reproduce the response exactly, so the residual "
            "variance is zero and no model exists; take terms out"
        )
    psi, point = found.psi, found.point
    if held:
        psi = psi.copy()
        psi[[a for a, element in enumerate(model.core.elements) if element[0] in held]] = 0.0
        point = model.core.evaluate(psi, reml)
    return _frozen(rows, model, found, psi, point, reml=reml)


def _frozen(
    rows: StructuredDesign,
    model: GlsModel,
    found: _core.StructuredFit,
    psi: Array,
    point: _core.StructuredPoint,
    *,
    reml: bool,
) -> GlsEstimate:
    """Map a point near what the kernel found back from the standardised basis."""
    design, core = rows.design, model.core
    kept = np.flatnonzero(model.ols.kept)
    n, r, d = design.n_obs, len(kept), rows.D.shape[1]
    nu = n - r if reml else n
    objective = point.objective + 2.0 * nu * float(np.log(model.scale))
    if reml:
        objective -= 2.0 * float(np.linalg.slogdet(model.root)[1])
    n_lambda = len(core.elements)
    safe = np.where(model.D_scale > 0.0, model.D_scale, 1.0)
    delta = psi[n_lambda : n_lambda + d] / safe
    unit = model.scale * float(np.sqrt(point.rss / nu))
    standard = tuple(core.lambda_(t, psi) for t in range(len(design.random)))
    lambda_ = tuple(
        _lower(basis @ block) for basis, block in zip(model.bases, standard, strict=True)
    )
    beta = model.ols.beta.copy()
    beta[kept] += model.scale * (model.root @ point.beta)
    natural = core.natural_correlation(psi)
    at_bound = _at_bound(natural, delta, rows, model.corr)
    natural = per_unit(natural, model.layout.unit)
    singular = _is_singular(design, standard)
    flat = found.lowest / max(found.highest, 1.0) if len(psi) else 1.0
    return GlsEstimate(
        reml=reml,
        objective=objective,
        beta=beta,
        kept=kept,
        cov_root=model.root @ np.linalg.inv(point.root),
        unit=unit,
        centre=model.D_mean,
        delta=delta,
        correlation=natural,
        lambda_=lambda_,
        lambda_standard=standard,
        modes=tuple(_modes(rows, model, psi, beta)),
        psi=psi,
        hessian=found.hessian,
        gradient=found.gradient,
        converged=found.decrement < DECREMENT and flat > -1e-6,
        is_singular=singular,
        at_bound=at_bound,
        status=("converged", "step limit", "stalled")[found.status],
        decrement=found.decrement,
        lowest=flat,
        n_objective=found.n_objective,
        n_gradient=found.n_gradient,
    )


def per_unit(natural: Array, step: float) -> Array:
    """Return the correlation over one unit of time from that over a step of several.

    NaN where no number has it for a power: a negative one over an even number of units.
    """
    if step == 1.0:
        return natural
    root = np.abs(natural) ** (1.0 / step)
    signs = np.where(natural >= 0.0, 1.0, -1.0 if step % 2.0 == 1.0 else np.nan)
    return np.asarray(signs * root)


def _lower(B: Array) -> Array:
    """Lower triangular L, diagonal >= 0, with L L' = B B'."""
    R = np.asarray(np.linalg.qr(B.T, mode="r"))
    signed: Array = R * np.where(np.diag(R) < 0.0, -1.0, 1.0)[:, None]
    return signed.T


def _is_singular(design: Design, standard: tuple[Array, ...]) -> bool:
    """Whether the covariance of a block is singular, in the standardised basis."""
    return any(
        np.linalg.svd(factor[np.ix_(block, block)], compute_uv=False).min() < SINGULAR
        for term, factor in zip(design.random, standard, strict=True)
        for block in term.blocks
    )


def _at_bound(natural: Array, delta: Array, rows: StructuredDesign, corr: str) -> bool:
    """Whether a correlation is at the end of its range, or a residual variance all but zero."""
    sds = rows.D @ delta
    spread = float(sds.max() - sds.min()) if len(delta) else 0.0
    extreme = bool(len(natural)) and float(np.abs(natural).max()) > 1.0 - BOUNDARY
    if corr == "car1":
        extreme = extreme or float(natural[0]) < BOUNDARY
    return extreme or spread > -np.log(BOUNDARY)


def patterns(model: GlsModel, psi: Array) -> Iterator[tuple[NDArray[np.int_], Array, Array]]:
    """Return sorted rows of each pattern, (units, rows), with V and S C S at ``psi``."""
    which, start = np.asarray(model.core.pattern_of_unit), model.layout.start
    order = np.argsort(which, kind="stable")
    for units in np.split(order, np.flatnonzero(np.diff(which[order])) + 1):
        size = int(start[units[0] + 1] - start[units[0]])
        rows = start[units].astype(np.int_)[:, None] + np.arange(size)
        V, SCS = model.core.covariances(int(which[units[0]]), psi)
        yield rows, V, SCS


def _modes(rows: StructuredDesign, model: GlsModel, psi: Array, beta: Array) -> list[Array]:
    """Conditional modes lambda lambda' Z'V^-1 (y - X beta) of each term, shape (l, s)."""
    design, order = rows.design, model.layout.order
    out = [np.zeros((term.n_levels, term.n_cols)) for term in design.random]
    if not out:
        return out
    resid = marginal_residuals(design, beta)[order]
    z = [
        design.z(term)[order] @ basis
        for term, basis in zip(design.random, model.bases, strict=True)
    ]
    codes = [term.codes[order] for term in design.random]
    for where, V, _ in patterns(model, psi):
        solved = np.linalg.solve(V, resid[where].T).T
        for t, block in enumerate(out):
            np.add.at(block, codes[t][where], z[t][where] * solved[..., None])
    for t, basis in enumerate(model.bases):
        factor = model.core.lambda_(t, psi)
        out[t] = out[t] @ (factor @ factor.T) @ basis.T
    return out


def marginal_residuals(design: Design, beta: Array) -> Array:
    """Response minus offset and X beta, shape (n,)."""
    kept = ~np.isnan(beta)
    fixed = design.X[:, kept] @ beta[kept]
    return design.y - fixed - (0.0 if design.offset is None else design.offset)


def alias(design: Design, kept: NDArray[np.intp]) -> tuple[list[int], Array]:
    """Return aliased columns of X, each as a combination of the kept, shape (n_kept, n_aliased)."""
    aliased = [j for j in range(len(design.fixed)) if j not in set(kept.tolist())]
    if not aliased:
        return [], np.zeros((len(kept), 0))
    size = np.linalg.norm(design.X, axis=0)
    size[size == 0.0] = 1.0
    X = design.X / size
    found = np.linalg.lstsq(X[:, kept], X[:, aliased], rcond=None)[0]
    found[np.abs(found) < 1e-10] = 0.0
    return aliased, np.asarray(found * size[aliased] / size[kept][:, None])
