"""The bootstrap likelihood ratio of a mixture against one class less."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial
from html import escape
from typing import Any

import numpy as np

from ... import _core
from ..._counted import counted
from ..._html import Preformatted
from ..._typing import Array
from ...errors import ModelError
from ...families.family import Family
from ...families.links import mean_of
from ...models.mixture.fit import QUICK, MixtureEstimate, fit_mixture
from ...models.mixture.rows import MixtureRows
from ...models.roots import root_of
from ...parallel.progress import tracked
from ...parallel.seeds import root_seed
from ...report.summary import pvalue_text
from .call import MixtureCall, whole
from .fit import MixtureData, estimated, shape_of

__all__ = ["ClassTest", "bootstrap_test"]


@dataclass(frozen=True, repr=False)
class ClassTest(Preformatted):
    """A test of k classes against one fewer.

    Attributes
    ----------
    classes : int
        Classes of the larger model.
    statistic : float
        Twice the difference in log-likelihood.
    pvalue : float
        (1 + simulated statistics as large) / (1 + number of simulated).
    simulated : ndarray of shape (n,)
        Statistics of data from the smaller model.
    failed : int
        Data sets for which a fit lost all classes; dropped.
    seed : int
        Reproduces the data sets.
    """

    classes: int
    statistic: float
    pvalue: float
    simulated: Array
    failed: int
    seed: int

    def _repr_html_(self) -> str:
        return f"<p>{escape(repr(self))}</p>"

    def __repr__(self) -> str:
        p = pvalue_text(self.pvalue)
        failed = f", {self.failed} failed" if self.failed else ""
        return (
            f"{counted(self.classes, 'class', 'classes')} against {self.classes - 1}: likelihood "
            f"ratio {self.statistic:.3f}, p {p if p.startswith('<') else f'= {p}'} "
            f"({len(self.simulated)} simulated{failed}, seed {self.seed})"
        )


def bootstrap_test(
    call: MixtureCall,
    data: MixtureData,
    estimate: MixtureEstimate,
    n: int,
    starts: int,
    seed: int | None,
    workers: int,
    progress: bool,
) -> ClassTest:
    """Simulate from the model with one class less, and fit both to each set."""
    if call.classes < 2:
        raise ValueError("there is no model with fewer than one class; fit classes=2 and test that")
    n, starts = whole("n", n), whole("starts", starts)
    root = root_seed(seed)
    small_call = replace(call, classes=call.classes - 1)
    small = estimated(small_call, data.rows, workers)
    team = _core.Team(workers)
    found = []
    for child in tracked(root.spawn(n), n, "data sets", shown=progress):
        rng = np.random.default_rng(child)
        rows = replace(data.rows, y=drawn(data.rows, small, call.distribution, rng))
        found.append(ratio(rows, small_call, call, small.at, starts, rng, team))
    team.close()
    simulated = np.array([value for value in found if np.isfinite(value)])
    if len(simulated) == 0:
        raise ModelError("no simulated data set could be fitted with these classes; take fewer")
    statistic = 2.0 * (estimate.llf - small.llf)
    above = int(np.sum(simulated >= statistic - 1e-9))
    entropy: Any = root.entropy
    return ClassTest(
        call.classes,
        statistic,
        (1 + above) / (1 + len(simulated)),
        simulated,
        n - len(simulated),
        entropy,
    )


def ratio(
    rows: MixtureRows,
    small: MixtureCall,
    large: MixtureCall,
    near: Array,
    starts: int,
    rng: np.random.Generator,
    team: _core.Team,
) -> float:
    """Twice the difference of two fits to simulated rows; NaN where one kept no classes."""
    try:
        search = partial(fit_mixture, rows, starts=starts, rng=rng, team=team, effort=QUICK)
        low, high = search(shape_of(small), near=near), search(shape_of(large))
    except ModelError:
        return float("nan")
    return max(2.0 * (high.llf - low.llf), 0.0)


def drawn(
    rows: MixtureRows, estimate: MixtureEstimate, family: Family, rng: np.random.Generator
) -> Array:
    """Draw a response for every row: a class for each unit, its random effects, errors."""
    units, r = rows.n_units, estimate.psi.shape[1]
    k = rng.choice(len(estimate.shares), size=units, p=estimate.shares / estimate.shares.sum())
    beta = estimate.beta[k]
    if r:
        roots = np.array([root_of(psi) for psi in estimate.psi])
        beta[:, :r] += np.einsum("uij,uj->ui", roots[k], rng.standard_normal((units, r)))
    eta = np.sum(rows.X * beta[rows.unit], axis=1)
    if len(estimate.sigma):
        return np.asarray(eta + estimate.sigma[k][rows.unit] * rng.standard_normal(len(eta)))
    return np.asarray(family.draw(rng, mean_of(family.link.name, eta), {}), float)
