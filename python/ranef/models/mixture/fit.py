"""The search for classes from many starts, and what it found."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from ... import _core
from ..._counted import counted
from ..._typing import Array
from ...errors import ModelError
from ...parallel.progress import bar
from .boundary import at_boundary
from .rows import MixtureRows, Standard
from .starts import first_classes

__all__ = [
    "QUICK",
    "Effort",
    "MixtureEstimate",
    "MixtureShape",
    "fit_mixture",
    "kernel_of",
    "log_density",
]

#: Outcomes of a start, in the order of the core; the last is determined here.
STATUSES = ("converged", "stopped", "empty", "collapsed", "broken", "single")
#: Log-likelihoods that differ by less are one optimum.
SAME = 1e-3
#: Share of the residual variance of single units below which a class has collapsed.
SMALLEST = 1e-6
#: Starts between two moves of the bar.
BLOCK = 8
#: Fewest units in a class with its own variances.
FEWEST = 1.5


@dataclass(frozen=True)
class Effort:
    """How far a search goes.

    Attributes
    ----------
    steps : int
        Evaluations of the EM map from a start.
    more : int
        The same when an unfinished best start is resumed.
    tolerance : float
        Gain of a step that ends a search, relative to the log-likelihood.
    """

    steps: int = 3_000
    more: int = 60_000
    tolerance: float = 1e-11


#: For many fits of which only the likelihood is needed.
QUICK = Effort(500, 2_000, 1e-8)


@dataclass(frozen=True)
class MixtureShape:
    """What is estimated.

    Attributes
    ----------
    classes, n_random : int
        Number of classes; number of factors, coming first, that vary within them.
    equal : bool
        Whether variances are the same in all classes.
    poisson : bool
        Whether responses are counts; normal otherwise.
    """

    classes: int
    n_random: int
    equal: bool
    poisson: bool

    def npar(self, p: int) -> int:
        """Count the parameters with p coefficients a class."""
        means = self.classes - 1 + self.classes * p
        if self.poisson:
            return means
        variances = 1 + self.n_random * (self.n_random + 1) // 2
        return means + variances * (1 if self.equal else self.classes)


@dataclass(frozen=True)
class MixtureEstimate:
    """The best optimum of a mixture, the largest class first.

    Attributes
    ----------
    llf : float
        Log-likelihood.
    at : ndarray of shape (size,)
        Parameters as the core has them, for standardised rows.
    shares : ndarray of shape (K,)
        Probabilities of the classes.
    beta : ndarray of shape (K, p)
        Coefficients of the powers of time.
    sigma : ndarray of shape (K,)
        Residual standard deviations; empty for counts.
    psi : ndarray of shape (K, r, r)
        Covariances of random effects.
    posterior : ndarray of shape (units, K)
        Probability of each class for each unit.
    converged : bool
        Whether the best start ended at an optimum.
    outcomes : dict of str to int
        Outcomes of the starts: "converged", "stopped", "empty", "collapsed", "broken", "single".
    reached : int
        Starts that ended at the best optimum.
    optima : ndarray
        Distinct log-likelihoods that starts ended at, best first.
    """

    llf: float
    at: Array
    shares: Array
    beta: Array
    sigma: Array
    psi: Array
    posterior: Array
    converged: bool
    outcomes: dict[str, int]
    reached: int
    optima: Array


def kernel_of(
    rows: MixtureRows, standard: Standard, shape: MixtureShape, effort: Effort = Effort()
) -> _core.Mixture:
    """Build the compiled object."""
    smallest = SMALLEST * standard.within if np.isfinite(standard.within) else SMALLEST
    settings = _core.MixtureSettings(effort.steps, effort.tolerance, smallest)
    return _core.Mixture(
        standard.Q,
        standard.z,
        rows.start.tolist(),
        shape.classes,
        shape.n_random,
        shape.equal,
        shape.poisson,
        settings,
    )


def fit_mixture(
    rows: MixtureRows,
    shape: MixtureShape,
    *,
    starts: int,
    rng: np.random.Generator,
    team: _core.Team,
    near: Array | None = None,
    effort: Effort = Effort(),
    progress: bool = False,
) -> MixtureEstimate:
    """Search from many starts and keep the best optimum that is one.

    Parameters
    ----------
    rows : MixtureRows
        Rows by unit.
    shape : MixtureShape
        What is estimated.
    starts : int
        Number of starts.
    rng : Generator
        Draws them.
    team : Team
        Threads.
    near : ndarray of shape (size,), optional
        Parameters that one more start begins from.
    effort : Effort
        How far each search goes.
    progress : bool
        Whether to show a bar.

    Raises
    ------
    ModelError
        If no start kept all its classes.
    """
    standard = Standard.of(rows, normal=not shape.poisson)
    if not shape.poisson and standard.within <= 1e-20:
        raise ModelError(
            "every group lies on a curve of its own without error, so no residual variance can be "
            "estimated; take a simpler shape"
        )
    core = kernel_of(rows, standard, shape, effort)
    labels = first_classes(rows, standard, shape.classes, starts if shape.classes > 1 else 1, rng)
    runs = []
    with bar(labels.shape[1], "starts", shown=progress) as advance:
        for first in range(0, labels.shape[1], BLOCK):
            block = labels[:, first : first + BLOCK]
            runs.append(core.fit(block, team))
            advance(block.shape[1])
    if near is not None:
        runs.append(core.refine(np.asfortranarray(near[:, None]), team))
    llf = np.concatenate([run.llf for run in runs])
    at = np.concatenate([run.at for run in runs], axis=1)
    status = judged(np.concatenate([run.status for run in runs]), at, rows.n_units, shape)
    usable = (status <= 1) & np.isfinite(llf)
    if not usable.any():
        raise ModelError(lost_text(shape, outcomes_of(status)))
    llf = np.where(usable, llf, -np.inf)
    best = int(np.argmax(llf))
    if shape.n_random and effort.more > effort.steps:
        sizes = (shape.classes, standard.Q.shape[1], shape.n_random)
        at[:, best], llf[best] = at_boundary(
            core, at[:, best], float(llf[best]), sizes, team, equal=shape.equal
        )
    if status[best] == STATUSES.index("stopped"):
        longer = replace(effort, steps=effort.more)
        again = kernel_of(rows, standard, shape, longer).refine(
            np.asfortranarray(at[:, [best]]), team
        )
        if again.status[0] <= 1:
            llf[best], at[:, best], status[best] = again.llf[0], again.at[:, 0], again.status[0]
    found = np.sort(llf[usable])[::-1] - len(rows.y) * np.log(standard.scale)
    optima = found[np.concatenate([[True], np.diff(found) < -SAME])]
    estimate = estimate_at(rows, standard, shape, core, at[:, best], float(llf[best]))
    return replace(
        estimate,
        converged=bool(status[best] == 0),
        outcomes=outcomes_of(status),
        reached=int(np.sum(llf > llf[best] - SAME)),
        optima=optima,
    )


def judged(
    status: NDArray[np.int32], at: Array, units: int, shape: MixtureShape
) -> NDArray[np.int32]:
    """Note starts that ended with a class of a single unit, whose variance means nothing."""
    if shape.poisson or shape.equal or shape.classes == 1:
        return status
    smallest = units * np.exp(at[: shape.classes].min(axis=0))
    return np.where((status <= 1) & (smallest < FEWEST), STATUSES.index("single"), status)


def outcomes_of(status: NDArray[np.int32]) -> dict[str, int]:
    """Count starts by outcome."""
    return {name: int(np.sum(status == i)) for i, name in enumerate(STATUSES)}


def lost_text(shape: MixtureShape, outcomes: dict[str, int]) -> str:
    """Explain why there is no estimate."""
    reasons = {
        "empty": "lost a class",
        "collapsed": "ran to a residual variance of zero",
        "single": "ended with a class of one group",
        "broken": "met numbers that are not finite",
    }
    told = ", ".join(f"{outcomes[key]} {text}" for key, text in reasons.items() if outcomes[key])
    cure = "fewer classes" if shape.poisson or shape.equal else "fewer classes or variances='equal'"
    total = sum(outcomes.values())
    classes = counted(shape.classes, "class", "classes")
    return f"no start of {total} kept {classes}: {told}; take {cure}"


def estimate_at(
    rows: MixtureRows,
    standard: Standard,
    shape: MixtureShape,
    core: _core.Mixture,
    at: Array,
    llf: float,
) -> MixtureEstimate:
    """Map parameters of the core back, the largest class first."""
    K, p, r = shape.classes, standard.Q.shape[1], shape.n_random
    order = np.argsort(-at[:K], kind="stable")
    pieces = [at[:K], at[K : K + K * p].reshape(K, p)]
    rest = at[K + K * p :]
    variances, roots = rest[:K], rest[K:].reshape(K, -1)
    if not shape.poisson:
        pieces += [variances, roots]
    pieces = [piece[order] for piece in pieces]
    at = np.concatenate([piece.ravel() for piece in pieces])
    logs = core.density(at) + pieces[0]
    posterior = np.exp(logs - logs.max(axis=1, keepdims=True))
    posterior /= posterior.sum(axis=1, keepdims=True)
    sigma, psi = np.empty(0), np.zeros((K, 0, 0))
    if not shape.poisson:
        sigma = np.exp(0.5 * pieces[2]) * standard.scale
        lower = np.zeros((K, r, r))
        lower[:, *np.tril_indices(r)] = pieces[3]
        psi = standard.psi(lower) if r else psi
    return MixtureEstimate(
        llf=llf - len(rows.y) * float(np.log(standard.scale)),
        at=at,
        shares=np.exp(pieces[0]),
        beta=standard.beta(pieces[1]),
        sigma=sigma,
        psi=psi,
        posterior=posterior,
        converged=True,
        outcomes={},
        reached=0,
        optima=np.empty(0),
    )


def log_density(core: _core.Mixture, at: Array, classes: int) -> float:
    """Log-likelihood of standardised rows at parameters of the core."""
    logs = core.density(at) + at[:classes] - np.log(np.sum(np.exp(at[:classes])))
    most = logs.max(axis=1)
    return float(np.sum(most + np.log(np.sum(np.exp(logs - most[:, None]), axis=1))))
