"""The linear mixed model: a design in, arrays out."""

from __future__ import annotations

from collections.abc import Container
from dataclasses import dataclass
from numbers import Integral, Real

import numpy as np
from numpy.typing import NDArray

from .. import _core
from .._counted import counted
from .._typing import Array
from ..chunks.summed import SummedDesign
from ..design.design import Design, RandomTerm
from ..design.method import Sample
from ..design.structures.structure import Structure
from ..errors import ModelError
from .general import general_terms

__all__ = [
    "Approximation",
    "Control",
    "LmmEstimate",
    "check",
    "constant_within",
    "evaluate",
    "fit",
    "fits",
    "is_correlated",
    "kernel",
    "method_of",
    "off_boundary",
    "too_many_effects",
    "zero_columns",
]


#: A direction of a term whose relative standard deviation is smaller is called singular.
SINGULAR = 1e-4
#: Decrease of -2 log-likelihood still predicted at the stop, above which a fit has not converged.
DECREMENT = 1e-5
#: Operations of one pass over the levels above which a structure of places is refused.
MOST_WORK = 2e9
#: The kernel's status when nothing is left for a residual error.
PERFECT_FIT = 3
#: Relative standard deviation beyond which an interrupted search may be heading for no
#: residual error.
HUGE = 1e3
#: Why there may be none, if no single factor shows it.
WITHIN = "within each level of a grouping factor the response does not vary beyond its predictors."


@dataclass(frozen=True)
class Control:
    """Settings of the search.

    Attributes
    ----------
    max_steps : int
        Most Newton steps.
    tolerance : float
        The search stops when its model predicts a smaller decrease of -2 log-likelihood.
    start : tuple of ndarray of shape (s, s), optional
        Relative covariance factors in the standardised basis, in the order of ``Design.random``:
        ``lambda_standard`` of an earlier estimate of the same design.
    seed : int
        Seed of the random vectors of ``method="iterative"``: the same seed gives the same bits.
    """

    max_steps: int = 200
    tolerance: float = 1e-9
    start: tuple[Array, ...] = ()
    seed: int = 0

    def __post_init__(self) -> None:
        if isinstance(self.max_steps, bool) or not isinstance(self.max_steps, Integral):
            raise TypeError(f"Control: max_steps is a number of steps, not {self.max_steps!r}")
        if not isinstance(self.tolerance, Real) or not self.tolerance > 0.0:
            raise ValueError(f"Control: tolerance is a positive number, not {self.tolerance!r}")
        if not isinstance(self.start, list | tuple) or any(np.ndim(b) != 2 for b in self.start):
            raise TypeError(
                "Control: start is a tuple of matrices, one for each random-effects term, as in "
                f"model.parts.estimate.lambda_standard; it is {self.start!r}"
            )
        if isinstance(self.seed, bool) or not isinstance(self.seed, Integral):
            raise TypeError(f"Control: seed is a whole number, not {self.seed!r}")
        if not 0 <= self.seed < 2**64:
            raise ValueError(f"Control: seed is at least 0 and below 2**64, not {self.seed!r}")

    @classmethod
    def of(cls, control: Control | None) -> Control:
        """Check the settings; the defaults for None."""
        if control is None:
            return USUAL
        if not isinstance(control, cls):
            raise TypeError(f"control takes ranef.Control(max_steps=..., ...), not {control!r}")
        return control


#: The default settings of a search.
USUAL = Control()


@dataclass(frozen=True)
class Approximation:
    """What an iterative fit reports about its accuracy.

    Attributes
    ----------
    llf_error : float
        Monte Carlo standard deviation of the log-likelihood.
    theta_error : float
        Largest Monte Carlo standard deviation of a covariance parameter, as a share of its
        standard error.
    residual : float
        Largest relative residual of a linear solve.
    reached : bool
        Whether -2 log-likelihood is known to within 0.1 and every covariance parameter to within
        1 % of its standard error.
    n_deflated : int
        Vectors that were deflated.
    degree : int
        Degree of the polynomial of what they leave.
    sample : Sample
        What reproduces it.
    """

    llf_error: float
    theta_error: float
    residual: float
    reached: bool
    n_deflated: int
    degree: int
    sample: Sample

    def __str__(self) -> str:
        exact = ", exact second moment" if self.sample.exact_second else ""
        return (
            f"iterative: {self.n_deflated} deflated vector{'s' if self.n_deflated > 1 else ''}"
            f"{exact}, {self.sample.n_probes} probes of degree {self.degree}"
        )


@dataclass(frozen=True)
class LmmEstimate:
    """What the kernel found; arrays in the order of the design.

    Attributes
    ----------
    reml : bool
        Whether the restricted likelihood was maximised.
    objective : float
        -2 log-likelihood, restricted when ``reml``.
    beta : ndarray of shape (p,)
        Fixed effects; NaN for aliased columns.
    kept : ndarray of int
        Positions in ``Design.fixed`` of the columns that are not aliased.
    cov_root : ndarray of shape (n_kept, n_kept)
        R with cov(beta) = sigma^2 R R'.
    sigma : float
        Residual standard deviation.
    lambda_ : tuple of ndarray of shape (s, s)
        Relative covariance factors, lower triangular, as the formula scales its columns.
    lambda_standard : tuple of ndarray of shape (s, s) or (m, 1)
        The same in the standardised basis; of a term whose covariance has a structure its m
        parameters as a column.
    modes : tuple of ndarray of shape (l, s)
        Conditional modes of the random effects.
    pwrss, logdet_L, logdet_RX : float
        Penalised weighted residual sum of squares; log|H|; log|X'H^-1 X|.
    converged : bool
        Whether the exact gradient and the conditions at the boundary say that this is an optimum.
    is_singular : bool
        Whether a covariance matrix is singular, judged in the standardised basis.
    status : str
        "converged", "step limit" or "stalled".
    decrement : float
        Decrease of the objective that the last quadratic model still predicted.
    cone : float
        Smallest slope of the objective into the cone from a singular direction; below zero
        it fails.
    smallest_sd : float
        Smallest relative standard deviation of any principal axis, standardised basis.
    n_objective, n_gradient : int
        Evaluations.
    path : ndarray of shape (steps, 3)
        Objective (standardised basis), predicted decrease and trust radius of each step.
    approximation : Approximation or None
        Of an iterative fit; None where the likelihood is exact.
    """

    reml: bool
    objective: float
    beta: Array
    kept: NDArray[np.intp]
    cov_root: Array
    sigma: float
    lambda_: tuple[Array, ...]
    lambda_standard: tuple[Array, ...]
    modes: tuple[Array, ...]
    pwrss: float
    logdet_L: float
    logdet_RX: float
    converged: bool
    is_singular: bool
    status: str
    decrement: float
    cone: float
    smallest_sd: float
    n_objective: int
    n_gradient: int
    path: Array
    approximation: Approximation | None = None

    @property
    def sigmas(self) -> tuple[Array, ...]:
        """Covariance matrices of the random effects, shape (s, s) each."""
        return tuple(self.sigma**2 * (block @ block.T) for block in self.lambda_)

    @property
    def cov_beta(self) -> Array:
        """Covariance of the kept fixed effects, shape (n_kept, n_kept)."""
        return self.sigma**2 * (self.cov_root @ self.cov_root.T)


def check(
    design: Design, *, knows_sigma: bool = False, known: Container[str] = frozenset()
) -> None:
    """Refuse a model that cannot be estimated from these rows, with the counts.

    Parameters
    ----------
    design : Design
        The model.
    knows_sigma : bool
        Whether the residual standard deviation is known, so that random effects as many as rows
        can be told from it.
    known : container of str
        Grouping factors of terms whose own standard deviation is known.

    Raises
    ------
    ModelError
        When a term has as many random effects as there are rows, or X as many columns.
    """
    n = design.n_obs
    if not design.random:
        raise ModelError(
            "the formula has no random-effects term such as (1 | group); a mixed model needs one. "
            "Without one, fit by ranef.feols()."
        )
    if len(design.fixed) >= n:
        raise ModelError(
            f"there are {counted(len(design.fixed), 'fixed effect')} and {counted(n, 'row')}; the "
            "model needs more rows than coefficients. Take predictors out of the fixed part."
        )
    if not design.fixed:
        raise ModelError(
            "the fixed part of the formula is empty; give it at least an intercept, as in y ~ 1 "
            "+ (1 | g)."
        )
    check_places(design)
    for term in design.random:
        q = term.n_levels * term.n_cols
        if knows_sigma or term.group in known:
            continue
        if has_too_many_effects(term, n):
            each = f" x {counted(term.n_cols, 'column')}" if term.n_cols > 1 else ""
            raise ModelError(
                f"{term.written} has {counted(term.n_levels, 'level')}{each}: "
                f"{counted(q, 'random effect')} for {counted(n, 'row')}, so they cannot be "
                "separated from the residual error. " + _fewer_effects(term, n)
            )


def too_many_effects(design: Design) -> bool:
    """Return whether a term has too many effects to be separated from the residual error."""
    return any(has_too_many_effects(term, design.n_obs) for term in design.random)


def has_too_many_effects(term: RandomTerm, n: int) -> bool:
    """Return whether a term has as many effects as rows, and nothing separates the two."""
    q = term.n_levels * term.n_cols
    return q >= n and not (term.tells_levels_apart or is_correlated(term))


def is_correlated(term: RandomTerm) -> bool:
    """Return whether correlations of a structure separate its effects from the residual error."""
    return term.is_structured and any(
        structure is not None and not _is_even(structure) for structure in term.structures
    )


def _is_even(structure: Structure) -> bool:
    """Return whether all correlations are equal, so that part of the variance is residual."""
    if structure.kind in ("variances", "precisions"):
        return False
    few = structure.kind == "ar1" and len(structure.names) < 3
    alike = structure.homogeneous and structure.kind in ("cs", "toep")
    return structure.kind == "identity" or few or alike


def check_places(design: Design) -> None:
    """Refuse a structure of so many places by so many levels that a fit takes hours.

    Raises
    ------
    ModelError
        With the number of places, and what to do.
    """
    for term in design.random:
        for columns, structure in zip(term.blocks, term.block_structures, strict=True):
            k = len(columns)
            if structure is not None and structure.columns and term.n_levels * k**3 > MOST_WORK:
                raise ModelError(
                    f"{structure.kind}() of {term.group} has {k:,} distinct places for each of "
                    f"{term.n_levels:,} levels, whose matrices of {k:,} x {k:,} take hours. Round "
                    f"{' and '.join(structure.columns)} in the data to fewer values."
                )


def _fewer_effects(term: RandomTerm, n: int) -> str:
    """Advise what to do about a term with as many random effects as rows."""
    if term.is_structured:
        return (
            "A part of its variance that is the same in each row is the residual's: let "
            "ranef.gls(corr=...) have the structure as the covariance of the residuals, or give "
            "the residual standard deviation: prior={'residual': ranef.Point(sigma)}."
        )
    if term.n_cols > 1 and term.n_levels < n:
        return f"Take columns out of the left side of the bar, or keep (1 | {term.group}) alone."
    return (
        "Group by something that several rows share; or, where the residual standard deviation is "
        "known, as in a meta-analysis, give it: prior={'residual': ranef.Point(sigma)}."
    )


def kernel(design: Design, y: Array | None = None) -> _core.Lmm:
    """Build the cross products and the plan of the factor, on the design's response or on ``y``."""
    method = method_of(design)
    core = (
        design.kernel(method) if isinstance(design, SummedDesign) else _of_rows(design, y, method)
    )
    sample = design.method.sample
    if core.is_iterative and sample is not None and fits(sample, design):
        core.resume(
            sample.n_probes, sample.exact_second, sample.deflated_at, sample.low, sample.high
        )
    return core


def method_of(design: Design) -> str:
    """Name the method that a kernel uses: for a smaller model than requested, what suits it."""
    method = design.method
    if method.name == "exact" or len(design.random) < 2:
        return "exact"
    if not all(term.is_plain and not term.is_structured for term in design.random):
        return "exact"
    if any(term.n_cols > 1 for term in design.random):
        return "exact"
    if method.sample is None:
        return method.name
    return "iterative" if fits(method.sample, design) else "auto"


def fits(sample: Sample, design: Design) -> bool:
    """Return whether an approximation is one of a design with these levels."""
    return sample.n_levels == tuple(term.n_levels for term in design.random)


def _of_rows(design: Design, y: Array | None, method: str) -> _core.Lmm:
    response = design.y if y is None else y
    if design.offset is not None:
        response = response - design.offset
    if not all(term.is_plain for term in design.random):
        return _core.Lmm.general(
            np.ascontiguousarray(response, dtype=np.float64),
            *general_terms(design),
            design.weights,
        )
    terms = [
        (
            term.codes,
            term.n_levels,
            list(term.columns),
            [b for b, block in enumerate(term.blocks) for _ in block],
        )
        for term in design.random
    ]
    return _core.Lmm(
        np.ascontiguousarray(response, dtype=np.float64),
        list(design.columns),
        list(design.fixed),
        terms,
        design.weights,
        method,
        design.method.seed,
        design.method.threads,
        structures=[term.cores for term in design.random],
    )


def fit(design: Design, core: _core.Lmm, *, reml: bool, control: Control) -> LmmEstimate:
    """Minimise the profiled deviance or REML criterion over the covariance parameters.

    Raises
    ------
    ModelError
        When nothing is left for a residual error.
    FitError
        When the objective is not finite at any start.

    References
    ----------
    Bates, Maechler, Bolker and Walker (2015), J. Stat. Softw. 67(1), sections 2 and 3.
    """
    found = core.fit(
        reml,
        max_steps=control.max_steps,
        tolerance=control.tolerance,
        start=list(control.start),
    )
    if _is_perfect(design, core, found, reml):
        raise ModelError(
            "the random effects reproduce the response exactly or to within rounding, so the "
            "residual variance is zero and no mixed model exists: "
            + (constant_within(design) or WITHIN)
        )
    return _frozen(design, core, found, reml=reml)


def constant_within(design: Design) -> str:
    """State within which grouping factor the response does not vary; empty if it does."""
    plain = [] if isinstance(design, SummedDesign) else [t for t in design.random if t.is_plain]
    for term in plain:
        counts = np.bincount(term.codes)
        means = np.bincount(term.codes, weights=design.y) / counts
        if np.abs(design.y - means[term.codes]).max() <= 1e-9 * np.abs(design.y).max():
            return (
                f"{design.response} is the same in all rows of a level of {term.group}. It is a "
                f"property of {term.group}: keep one row a level, or leave {term.group} out."
            )
    return ""


def _is_perfect(design: Design, core: _core.Lmm, found: _core.Estimate, reml: bool) -> bool:
    """Return whether nothing is left for a residual error, up to rounding."""
    if found.status in (0, PERFECT_FIT):
        return found.status == PERFECT_FIT
    return bool(constant_within(design)) or _has_no_end(core, found, reml)


def _has_no_end(core: _core.Lmm, found: _core.Estimate, reml: bool) -> bool:
    """Return whether a search broke off while heading for a residual variance of zero.

    There the relative covariance is huge already, and ten times as much still fits better.
    """
    if any(block.shape[0] != block.shape[1] for block in found.lambda_standard):
        return False
    largest = max(float(np.linalg.norm(block, 2)) for block in found.lambda_standard)
    if largest < HUGE:
        return False
    further = [np.asfortranarray(10.0 * block) for block in found.lambda_standard]
    here = core.objective_standard(list(found.lambda_standard), reml)
    return bool(core.objective_standard(further, reml) < here - 1.0)


def zero_columns(basis: Array, factor: Array, names: list[str]) -> list[str]:
    """Name the columns of a block whose variance is zero, whatever their units.

    Parameters
    ----------
    basis : ndarray of shape (s, s)
        Rows of the block in the basis that maps standardised factors to the user's.
    factor : ndarray of shape (s, s)
        Relative covariance factor as the formula scales its columns.
    names : list of str
        Names of the columns.
    """
    relative = np.linalg.norm(factor, axis=1) / np.linalg.norm(basis, axis=1)
    return [name for name, sd in zip(names, relative, strict=True) if sd < SINGULAR]


def off_boundary(lambda_standard: tuple[Array, ...]) -> tuple[Array, ...]:
    """Move covariance factors inside the cone, so that a search can start there."""
    return tuple(_raised(block) for block in lambda_standard)


def _raised(block: Array) -> Array:
    if block.shape[0] != block.shape[1]:  # parameters of a structure
        return np.asfortranarray(block)
    values = np.linalg.svd(block, compute_uv=False)
    if values.min() > 0.02:
        return np.asfortranarray(block)
    raised = block @ block.T + 0.02**2 * np.eye(len(block))
    return np.asfortranarray(np.linalg.cholesky(raised))


def evaluate(
    design: Design, core: _core.Lmm, lambda_: tuple[Array, ...], *, reml: bool
) -> LmmEstimate:
    """Compute the estimate that belongs to given relative covariance factors, without a search."""
    return _frozen(design, core, core.evaluate(list(lambda_), reml), reml=reml)


def _frozen(design: Design, core: _core.Lmm, found: _core.Estimate, *, reml: bool) -> LmmEstimate:
    """Copy the kernel's result into the design's order."""
    kept = np.asarray(core.kept, dtype=np.intp)
    beta = np.full(len(design.fixed), np.nan)
    beta[kept] = found.beta
    status = ("converged", "step limit", "stalled")[found.status]
    return LmmEstimate(
        reml=reml,
        objective=found.objective,
        beta=beta,
        kept=kept,
        cov_root=found.cov_beta_root,
        sigma=found.sigma,
        lambda_=tuple(found.lambda_),
        lambda_standard=tuple(found.lambda_standard),
        modes=tuple(np.ascontiguousarray(b.T) for b in found.modes),
        pwrss=found.pwrss,
        logdet_L=found.logdet_L,
        logdet_RX=found.logdet_RX,
        converged=found.decrement < DECREMENT and found.cone > -DECREMENT * design.n_obs,
        is_singular=found.smallest_sd < SINGULAR,
        status=status,
        decrement=found.decrement,
        cone=found.cone,
        smallest_sd=found.smallest_sd,
        n_objective=found.n_objective,
        n_gradient=found.n_gradient,
        path=found.path,
        approximation=_approximation(design, core, found),
    )


def _approximation(design: Design, core: _core.Lmm, found: _core.Estimate) -> Approximation | None:
    """Copy an iterative kernel's report on its accuracy."""
    if not core.is_iterative:
        return None
    of = found.approximation
    return Approximation(
        llf_error=0.5 * of.value_sd,
        theta_error=of.theta_sd,
        residual=of.residual,
        reached=of.is_reached,
        n_deflated=of.n_deflated,
        degree=of.degree,
        sample=Sample(
            tuple(term.n_levels for term in design.random),
            of.n_probes,
            of.exact_second,
            tuple(of.deflated_at),
            of.low,
            of.high,
        ),
    )
