"""From a call and data to rows by unit, and to the estimate of a mixture."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd

from ... import _core
from ..._counted import counted
from ..._typing import Array
from ...design.structured import StructuredDesign, build_structured
from ...errors import ConvergenceWarning, DataError, ModelError, RanefWarning
from ...families.response import check_response, check_whole
from ...formula import parse
from ...formula.terms import quoted
from ...models.mixture.fit import MixtureEstimate, MixtureShape, fit_mixture, kernel_of, log_density
from ...models.mixture.rows import MixtureRows, Standard
from ..warned import dropped_rows
from .call import MixtureCall

__all__ = [
    "MixtureData",
    "check_enough",
    "estimated",
    "findings",
    "read",
    "shape_of",
    "standard_errors",
]

#: A log-rate below which a class of counts has practically no events.
NO_EVENTS = -12.0
#: Step of a second difference, in units of the standardised parameters.
STEP = 2e-3


@dataclass(frozen=True, eq=False)
class MixtureData:
    """Rows by unit, in the order in which units appear.

    Attributes
    ----------
    structured : StructuredDesign
        The rows as they came.
    order : ndarray of shape (n,)
        Row of ``structured`` at each place.
    labels : Index
        Labels of the units.
    """

    structured: StructuredDesign
    order: Any
    labels: pd.Index[Any]
    n_shape: int

    @cached_property
    def rows(self) -> MixtureRows:
        """Powers of time, responses, and where units begin."""
        cluster = self.structured.cluster[self.order]
        first = np.flatnonzero(np.diff(cluster, prepend=-1) != 0)
        return MixtureRows(
            X=np.vander(self.time, self.n_shape, increasing=True),
            y=self.structured.design.y[self.order],
            start=np.append(first, len(cluster)),
        )

    @property
    def time(self) -> Array:
        """Time of each row."""
        assert self.structured.time is not None
        return np.asarray(self.structured.time[self.order], float)


def read(call: MixtureCall, data: Any) -> MixtureData:
    """Read outcome, times and groups.

    Raises
    ------
    DataError
        If time is not numeric, a time occurs twice in a group, or a response is not of the family.
    """
    rows = build_structured(
        parse(f"{call.outcome} ~ 1 + {quoted(call.time)}"),
        data,
        groups=call.groups,
        time=call.time,
        variance=None,
        missing=call.missing,
    )
    assert rows.time is not None
    assert rows.time_levels is not None
    if rows.time_levels.dtype.kind not in "iuf":
        raise DataError(
            f"time is numeric in a growth mixture, and {call.time!r} is not; number the occasions "
            "0, 1, 2, ...",
            call.time,
        )
    order = np.lexsort((rows.time, rows.cluster))
    again = (np.diff(rows.cluster[order]) == 0) & (np.diff(rows.time[order]) == 0.0)
    if again.any():
        at = order[np.flatnonzero(again)[0]]
        raise DataError(
            f"group {rows.levels[rows.cluster[at]]!r} has {call.time!r} = {rows.time[at]:g} more "
            "than once; a growth mixture has one row an occasion",
            call.time,
        )
    check_response(rows.design, call.distribution)
    check_whole(rows.design, call.distribution)
    appearance = pd.unique(rows.cluster)
    place = np.empty(len(rows.levels), np.intp)
    place[appearance] = np.arange(len(appearance))
    order = np.lexsort((rows.time, place[rows.cluster]))
    return MixtureData(rows, order, rows.levels[appearance], call.n_shape)


def check_enough(call: MixtureCall, data: MixtureData) -> None:
    """Refuse more classes than groups, and curves that the occasions do not tell apart."""
    units, times = len(data.labels), len(np.unique(data.time))
    if call.classes >= units:
        raise ModelError(
            f"{counted(call.classes, 'class needs', 'classes need')} more than "
            f"{counted(call.classes, 'group')}, and there are {units}"
        )
    if times < call.n_shape:
        raise ModelError(
            f"a {call.shape} curve needs {counted(call.n_shape, 'different time')}, and there are "
            f"{times}; take a simpler shape"
        )
    if call.n_random and times <= call.n_random:
        raise ModelError(
            f"{call.n_random} varying factors and a residual cannot be told apart on {times} "
            "occasions; take a simpler random part"
        )


def shape_of(call: MixtureCall) -> MixtureShape:
    """Translate a call for the search."""
    return MixtureShape(
        call.classes,
        call.n_random,
        call.variances == "equal",
        not call.distribution.has_dispersion,
    )


def estimated(
    call: MixtureCall, rows: MixtureRows, workers: int, *, progress: bool = False
) -> MixtureEstimate:
    """Search as a call says."""
    rng = np.random.default_rng(call.seed)
    return fit_mixture(
        rows,
        shape_of(call),
        starts=call.starts,
        rng=rng,
        team=_core.Team(workers),
        progress=progress,
    )


def findings(
    call: MixtureCall, data: MixtureData, estimate: MixtureEstimate
) -> Iterable[RanefWarning]:
    """Everything worth a warning."""
    yield from dropped_rows(data.structured.design)
    if not estimate.converged:
        yield ConvergenceWarning(
            "the search stopped where the likelihood can still rise; take fewer classes, or a "
            "simpler random part"
        )
    if call.classes > 1 and call.starts >= 5 and estimate.reached == 1:
        yield ConvergenceWarning(
            f"only one of {counted(sum(estimate.outcomes.values()), 'start')} reached the best "
            f"optimum, so there may be a better one; raise starts= above {call.starts}, or take "
            "fewer classes"
        )
    if not call.distribution.has_dispersion:
        rates = data.rows.X @ estimate.beta.T
        for k in np.flatnonzero(rates.max(axis=0) < NO_EVENTS):
            yield RanefWarning(
                f"class {k + 1} has no events: its log-rate runs to minus infinity, and its "
                "coefficients mean nothing"
            )


def standard_errors(rows: MixtureRows, estimate: MixtureEstimate, shape: MixtureShape) -> Array:
    """Compute standard errors of coefficients from the observed information, (K, p).

    Second differences of the log-likelihood in all parameters; NaN where they say that it is not a
    maximum, such as at the end of a variance's range.
    """
    standard = Standard.of(rows, normal=not shape.poisson)
    core = kernel_of(rows, standard, shape)
    K, p = shape.classes, standard.Q.shape[1]
    spread = directions(estimate.at, shape, p)
    H = curvature(lambda step: log_density(core, estimate.at + spread @ step, K), spread.shape[1])
    try:
        np.linalg.cholesky(-H)
    except np.linalg.LinAlgError:
        return np.full((K, p), np.nan)
    cov = spread @ np.linalg.inv(-H) @ spread.T
    back = np.linalg.inv(standard.R) * standard.scale
    out = np.empty((K, p))
    for k in range(K):
        place = slice(K + k * p, K + (k + 1) * p)
        out[k] = np.sqrt(np.diag(back @ cov[place, place] @ back.T))
    return out


def directions(at: Array, shape: MixtureShape, p: int) -> Array:
    """Columns along which parameters move: shares sum to one, equal variances move together."""
    K, size = shape.classes, len(at)
    coefficients = np.eye(size)[:, K : K + K * p]
    shares = np.eye(size)[:, 1:K]
    rest = np.eye(size)[:, K + K * p :]
    if shape.poisson:
        return np.hstack([shares, coefficients])
    if shape.equal:
        variances = rest[:, :K].sum(axis=1, keepdims=True)
        roots = rest[:, K:].reshape(size, K, -1).sum(axis=1)
        rest = np.hstack([variances, roots])
    return np.hstack([shares, coefficients, rest])


def curvature(function: Any, size: int) -> Array:
    """Second derivatives at zero, by central differences."""
    eye, middle = STEP * np.eye(size), function(np.zeros(size))
    H = np.empty((size, size))
    ahead = [function(step) for step in eye]
    behind = [function(-step) for step in eye]
    for i in range(size):
        H[i, i] = ahead[i] - 2.0 * middle + behind[i]
        for j in range(i):
            both = function(eye[i] + eye[j]) + function(-eye[i] - eye[j])
            both += 2.0 * middle - ahead[i] - behind[i] - ahead[j] - behind[j]
            H[i, j] = H[j, i] = 0.5 * both
    return H / STEP**2
