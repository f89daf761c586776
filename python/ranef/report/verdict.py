"""What the numbers of a fit say, in the analyst's words."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from .. import _core
from .._counted import counted
from .._html import Preformatted
from .._typing import Array
from ..design.design import NO_TRIALS, Design
from ..design.width import numbers_as_text
from ..errors import DroppedRowsWarning, RanefWarning, RankWarning
from ..inference.structures import structure_limits
from ..models.spanned import Spanned
from ..words.answers import Spoken

if TYPE_CHECKING:
    from ..inference.optimum.optimum import Optimum
    from ..models.glmm.estimate import GlmmEstimate, PartsEstimate
    from ..models.lmm import Approximation, LmmEstimate

__all__ = [
    "Convergence",
    "alias_notes",
    "convergence",
    "data_warnings",
    "not_identified",
    "not_reached",
    "not_there_yet",
    "restart_advice",
    "singular_notes",
]


@dataclass(frozen=True, repr=False)
class Convergence(Spoken, Preformatted):
    """Whether the search stopped at an optimum, with the evidence.

    Attributes
    ----------
    converged : bool
        Whether all conditions of an optimum hold.
    verdict : str
        The same in a sentence.
    status : str
        Why the search stopped.
    gradient : ndarray of shape (m,)
        Exact gradient of -2 log-likelihood by the elements of lambda in the standardised basis.
    curvature : float
        Smallest eigenvalue of the exact Hessian over directions that are free to move: null
        directions of a singular covariance are left out. NaN when no direction is free.
    decrement : float
        Decrease of -2 log-likelihood that the quadratic model still predicts.
    cone : float
        Smallest slope into the covariance cone at singular directions; zero or more proves the
        boundary.
    n_null : int
        Directions left out of gradient and curvature since the covariance is singular there.
    n_objective, n_gradient : int
        Evaluations.
    path : ndarray of shape (steps, 3)
        Objective (standardised basis), predicted decrease and trust radius at each step.
    advice : tuple of str
        What to do, if anything.
    method : str
        How the likelihood was computed: "exact", or "iterative" with what it is made of.
    llf_error : float
        Monte Carlo standard deviation of an iterative log-likelihood; 0 for an exact one.
    theta_error : float
        Largest Monte Carlo standard deviation of a covariance parameter, as a share of its
        standard error; 0 for an exact fit.
    """

    converged: bool
    verdict: str
    status: str
    gradient: Array
    curvature: float
    decrement: float
    cone: float
    n_null: int
    n_objective: int
    n_gradient: int
    path: Array
    advice: tuple[str, ...]
    method: str = "exact"
    llf_error: float = 0.0
    theta_error: float = 0.0

    def __bool__(self) -> bool:
        return self.converged

    def __repr__(self) -> str:
        size = float(np.max(np.abs(self.gradient))) if self.gradient.size else 0.0
        left_out = f"  ({self.n_null} singular left out)" if self.n_null else ""
        curvature = "none is free" if np.isnan(self.curvature) else f"{self.curvature:.3g}"
        lines = [
            self.verdict,
            f"  stop of the search    {self.status}",
            f"  largest gradient      {size:.2e}  (standardised, exact)",
            f"  predicted decrease    {self.decrement:.2e}  of -2 log-likelihood",
            f"  smallest curvature    {curvature}{left_out}",
            f"  slope into the cone   {self.cone:.3g}",
            f"  evaluations           {self.n_objective} objectives, {self.n_gradient} gradients",
        ]
        if self.method != "exact":
            lines.append(f"  method                {self.method}")
            lines.append(f"  error of llf          {self.llf_error:.2g}  (one standard deviation)")
        return "\n".join(lines + [f"  - {text}" for text in self.advice])


def restart_advice(has_prior: bool) -> str:
    """Advise what to do where a linear model has not converged.

    Parameters
    ----------
    has_prior : bool
        Whether a penalised likelihood was maximised, which other optimisers are not offered for.
    """
    others = "" if has_prior else "ranef.all_fit(model) compares other optimisers; "
    return (
        f"ranef.converge(model) restarts the search; {others}"
        'ranef.help("convergence") says what the numbers mean.'
    )


def convergence(
    estimate: LmmEstimate | GlmmEstimate | PartsEstimate,
    optimum: Optimum,
    notes: Iterable[str],
    remedy: str,
) -> Convergence:
    """Put the conditions of an optimum into words.

    Parameters
    ----------
    estimate : LmmEstimate
        The fit.
    optimum : Optimum
        What its derivatives say.
    notes : iterable of str
        Warnings of the fit that belong to the advice.
    remedy : str
        What to do where an optimum does not hold.
    """
    advice = list(notes)
    if not optimum.holds:
        advice.append(remedy)
    return Convergence(
        converged=optimum.holds,
        verdict=_verdict(estimate, optimum),
        status=estimate.status,
        gradient=optimum.gradient,
        curvature=optimum.curvature,
        decrement=optimum.decrement,
        cone=optimum.cone,
        n_null=optimum.n_null,
        n_objective=estimate.n_objective,
        n_gradient=estimate.n_gradient,
        path=estimate.path,
        advice=tuple(advice),
        **_accuracy(estimate),
    )


def not_identified(report: Convergence, design: Design, spanned: Sequence[Spanned]) -> Convergence:
    """State which variances of a report the data do not identify, if any."""
    if not spanned:
        return report
    terms = "; ".join(one.short(design) for one in spanned)
    verdict = f"Not identified: {terms}. The rest: {report.verdict}"
    return replace(report, converged=False, verdict=verdict)


def _accuracy(estimate: LmmEstimate | GlmmEstimate | PartsEstimate) -> dict[str, Any]:
    """State what an iterative fit knows about its error."""
    found = getattr(estimate, "approximation", None)
    if found is None:
        return {}
    return {
        "method": str(found),
        "llf_error": found.llf_error,
        "theta_error": found.theta_error,
    }


def not_reached(found: Approximation, exact_bytes: float, exact_flops: float) -> str:
    """State where an iterative fit falls short of the accuracy it promises."""
    return (
        f"the iterative log-likelihood has a Monte Carlo error of {found.llf_error:.2g} (0.0225 "
        f"or less is sought) and the covariance parameters one of {100 * found.theta_error:.2g} % "
        f"of their standard errors (1 % is sought), with {found.sample.n_probes} probes; solves "
        f"left a relative residual of {found.residual:.1g}. Differences of log-likelihoods below "
        f"{4 * found.llf_error:.2g} mean nothing. An exact fit (method='exact') would need "
        f"{exact_bytes / 1e9:.1f} GB and {exact_flops:.1g} operations a step."
    )


def _verdict(estimate: LmmEstimate | GlmmEstimate | PartsEstimate, optimum: Optimum) -> str:
    """State in a sentence which condition decides."""
    if optimum.is_saddle:
        return "Not converged: -2 log-likelihood bends down along a direction of the covariance."
    if not optimum.cone_holds:
        return "Not converged: a variance is zero and -2 log-likelihood falls away from there."
    if not optimum.holds:
        return (
            f"Not converged: -2 log-likelihood can still fall by about {optimum.decrement:.2g} "
            "by the exact gradient and curvature."
        )
    if estimate.is_singular:
        return (
            "Converged to a singular fit: the boundary is the optimum, not a failure of the search."
        )
    return "Converged."


def not_there_yet(design: Design, estimate: LmmEstimate) -> str:
    """State what is wrong with the point where a search stopped."""
    from ..models.lmm import DECREMENT

    if estimate.cone <= -DECREMENT * design.n_obs:
        return "a variance is zero and -2 log-likelihood falls away from there"
    if estimate.decrement < DECREMENT:
        return "-2 log-likelihood bends down along a direction of the covariance"
    return f"-2 log-likelihood can still fall by about {estimate.decrement:.2g}"


def data_warnings(
    design: Design, core: Callable[[], _core.Lmm | _core.Glmm], kept: NDArray[np.intp]
) -> Iterator[RanefWarning]:
    """Warn of rows that are left out and of columns that others span.

    The kernel is needed if columns are aliased.
    """
    if design.dropped:
        gaps = any(not name.endswith(NO_TRIALS) for name in design.dropped)
        assumed = " Likelihood inference then assumes that they are missing at random."
        yield DroppedRowsWarning(f"{design.lost}.{assumed if gaps else ''}")
    yield from (RanefWarning(note) for note in numbers_as_text(design))
    if not all(term.is_plain for term in design.random):
        from ..design.known.members import uneven_weights

        yield from (RanefWarning(note) for note in uneven_weights(design.random))
    if len(kept) < len(design.fixed):
        known = core()
        notes = alias_notes(design, known.aliased, known.alias, kept)
        yield RankWarning("the fixed-effects matrix has less than full rank: " + " ".join(notes))


def by_notes(design: Design) -> Iterator[str]:
    """State which smooths differ between the levels of a factor without a main effect."""
    known = {frozenset(f.expr for f in term.factors) for term in design.encoder.formula.terms}
    for smooth in dict.fromkeys(one.smooth for one in design.encoder.smooths):
        by = smooth.by
        if by is None or not design.encoder.factors[by.expr].is_categorical:
            continue
        if frozenset([by.expr]) not in known:
            yield (
                f"{smooth.text} has a curve for each level of {by.expr}, each of which sums to "
                f"zero, and the levels have no means of their own; add {by.expr} to the formula"
            )


def singular_notes(
    design: Design,
    core: _core.Lmm | _core.Glmm,
    estimate: LmmEstimate | GlmmEstimate,
    left_out: Sequence[int] = (),
) -> list[str]:
    """State which term is singular, along which direction, and the smallest change that helps.

    Terms in ``left_out`` are reported elsewhere.
    """
    from ..models.lmm import SINGULAR, zero_columns

    notes = []
    for t, term in enumerate(design.random):
        if t in left_out or term.smooth is not None:
            continue
        if term.is_structured:
            notes += structure_limits(term, estimate.lambda_standard[t], estimate.lambda_[t])
            continue
        for block in term.blocks:
            index = np.ix_(block, block)
            sds = np.linalg.svd(estimate.lambda_standard[t][index], compute_uv=False)
            if sds.min() >= SINGULAR:
                continue
            names = [term.names[i] for i in block]
            factor = estimate.lambda_[t][index]
            zero = zero_columns(core.term_basis(t)[index], factor, names)
            null = int((sds < SINGULAR).sum())
            notes.append(_singular_text(term.group, names, zero, factor @ factor.T, null))
    return notes


def _singular_text(group: str, names: list[str], zero: list[str], cov: Array, null: int) -> str:
    """One sentence about one singular block."""
    term, size = f"({' + '.join(names)} | {group})", len(names)
    if null == size:
        return (
            f"the variance of {term} is estimated as zero: the data show no variation between "
            "levels beyond chance. Dropping the term gives the same fit."
        )
    if zero:
        return (
            f"in {term} the variance of {', '.join(zero)} is estimated as zero; taking "
            f"{'it' if len(zero) == 1 else 'them'} out of the term gives the same fit."
        )
    if size == 2:
        sign = "+1" if cov[0, 1] > 0 else "-1"
        return (
            f"in {term} the correlation of {names[0]} and {names[1]} is estimated as {sign}: the "
            "data support one direction of variation, not two. "
            f"({' + '.join('1' if n == 'Intercept' else n for n in names)} || {group}) leaves the "
            "correlation out."
        )
    return (
        f"the covariance of {term} has {counted(size, 'column')} and supports {size - null} "
        f"direction{'s' if size - null != 1 else ''} of variation; take out the column with the "
        "smallest variance, or use || to leave the correlations out."
    )


def alias_notes(
    design: Design, aliased: Sequence[int], alias: Array, kept: Sequence[int] | NDArray[np.intp]
) -> list[str]:
    """Name each aliased column and the columns that span it."""
    notes = []
    for j, column in enumerate(aliased):
        weights = np.atleast_2d(alias)[:, j] if alias.size else np.array([])
        scale = np.abs(weights).max() if weights.size else 0.0
        spanning = [
            design.fixed_names[kept[int(i)]] for i in np.flatnonzero(np.abs(weights) > 1e-6 * scale)
        ]
        name = design.fixed_names[column]
        reason = f"a combination of {', '.join(spanning)}" if spanning else "zero in every row"
        notes.append(f"{name} is {reason}; its coefficient is NaN.")
    return notes
