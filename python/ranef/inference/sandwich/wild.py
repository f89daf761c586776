"""The wild cluster bootstrap of a single coefficient."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product

import numpy as np

from ..._counted import counted
from ..._html import Preformatted
from ..._options import check_option
from ..._typing import Array
from ...errors import ModelError
from ...words.answers import Spoken
from ..coverage import check_level
from .sandwich import ScoreModel

__all__ = ["WEIGHTS", "WildBootstrap", "wild_bootstrap"]


#: Auxiliary distributions: mean 0, variance 1, each value as likely as the others.
WEIGHTS = {
    "rademacher": np.array([-1.0, 1.0]),
    "webb": np.array([-1.0, -1.0, -1.0, 1.0, 1.0, 1.0]) * np.sqrt([1.5, 1.0, 0.5, 0.5, 1.0, 1.5]),
}

#: Numbers held at once for the draws.
CHUNK = 8_000_000


@dataclass(frozen=True)
class Clusters:
    """Sums of one contrast by cluster, in the basis of the fit.

    Attributes
    ----------
    scores : ndarray of shape (G, r)
        B_g'W e_g at the unrestricted estimate.
    grams : ndarray of shape (G, r, r)
        B_g'W B_g.
    direction : ndarray of shape (r,)
        root' c: the contrast's direction.
    estimate : float
        c'beta.
    """

    scores: Array
    grams: Array
    direction: Array
    estimate: float


@dataclass(frozen=True, repr=False)
class WildBootstrap(Spoken, Preformatted):
    """Result of a wild cluster bootstrap.

    Attributes
    ----------
    estimate, statistic : float
        The contrast, and its cluster-robust t statistic.
    pvalue : float
        Share of draws with a statistic at least as far from zero; of random draws with the data
        counted among them, so that it is never zero.
    lower, upper : float
        Confidence interval by inversion of the test.
    draws : int
        Number of draws; all sign patterns when there are few clusters.
    enumerated : bool
        Whether all patterns were used.
    level : float
        Coverage of the interval.
    n_clusters : int
        Number of clusters.
    weights : str
        The auxiliary distribution.
    """

    estimate: float
    statistic: float
    pvalue: float
    lower: float
    upper: float
    draws: int
    enumerated: bool
    level: float
    n_clusters: int
    weights: str

    def __repr__(self) -> str:
        how = f"all {self.draws} patterns" if self.enumerated else f"{counted(self.draws, 'draw')}"
        return (
            f"Wild cluster bootstrap: {counted(self.n_clusters, 'cluster')}, {how}, {self.weights} "
            f"weights\nestimate {self.estimate:.5g}, t = {self.statistic:.3f}, p = "
            f"{self.pvalue:.4f}, {100.0 * self.level:g}% interval {self.lower:.5g} to "
            f"{self.upper:.5g}"
        )


def wild_bootstrap(
    model: ScoreModel,
    contrast: Array,
    estimate: float,
    *,
    null: float = 0.0,
    draws: int = 9999,
    weights: str = "webb",
    level: float = 0.95,
    seed: int | None = None,
) -> WildBootstrap:
    """Test a contrast by the wild cluster bootstrap with the hypothesis imposed.

    Parameters
    ----------
    model : ScoreModel
        The fit.
    contrast : ndarray of shape (r,)
        The contrast c.
    estimate : float
        c'beta.
    null : float
        Its value under the hypothesis.
    draws : int
        Number of draws.
    weights : {"webb", "rademacher"}
        Auxiliary distribution: Webb's six points, or random signs, all of whose patterns are used
        when they are not more than ``draws``.
    level : float
        Coverage of the interval.
    seed : int, optional
        Seed of the draws.

    Returns
    -------
    WildBootstrap

    Notes
    -----
    Only cluster sums enter: the bootstrap scores are linear in the auxiliary variables, and the
    statistic is that of CR0 [1]_ [2]_. A factor such as CR1's would cancel.

    References
    ----------
    .. [1] Cameron, Gelbach and Miller (2008), Rev. Econ. Stat. 90, 414-427.
    .. [2] Roodman, MacKinnon, Nielsen and Webb (2019), Stata J. 19, 4-60.
    """
    weights = check_option("weights", weights, WEIGHTS)
    check_level(level)
    if draws < 99:
        raise ValueError(
            f"{counted(draws, 'draw is', 'draws are')} too few for a p-value; ask for 999 or more"
        )
    G = model.n_clusters
    if G < 2:
        raise ModelError("the bootstrap redraws clusters, and there is only one")
    blocks, total, enumerated = auxiliary(G, draws, weights, seed)
    clusters = cluster_sums(model, contrast, estimate)
    drawn, extra = _draw(clusters, blocks, total), int(not enumerated)
    share = _pvalue(clusters, drawn, null, extra)
    lower, upper = _interval(clusters, drawn, 1.0 - level, extra)
    statistic = _statistic(clusters, null)
    return WildBootstrap(
        estimate, statistic, share, lower, upper, total, enumerated, level, G, weights
    )


def auxiliary(
    G: int, draws: int, weights: str, seed: int | None
) -> tuple[Iterator[Array], int, bool]:
    """Draw the auxiliary variables in blocks of some draws, (G, draws) in all.

    Returns
    -------
    blocks : iterator of ndarray of shape (G, some)
        The draws; all patterns of signs if they are few.
    total : int
        Number of draws.
    enumerated : bool
        Whether these are all patterns.
    """
    if weights == "rademacher" and draws >= 2.0**G:
        patterns = np.array(list(product((-1.0, 1.0), repeat=G))).T
        return iter([patterns]), patterns.shape[1], True
    rng = np.random.default_rng(seed)
    if G * draws <= CHUNK:
        return iter([rng.choice(WEIGHTS[weights], size=(G, draws))]), draws, False
    step = max(1, CHUNK // G)
    sizes = (min(step, draws - first) for first in range(0, draws, step))
    return (rng.choice(WEIGHTS[weights], size=(G, size)) for size in sizes), draws, False


def cluster_sums(model: ScoreModel, contrast: Array, estimate: float) -> Clusters:
    """Collect what the bootstrap needs of each cluster: without adjustment, cross starts with S."""
    r = model.root.shape[1]
    pieces = list(model.chunks("CR0"))
    scores = np.concatenate([piece.scores for piece in pieces])
    grams = np.concatenate([piece.cross[:, :r] for piece in pieces])
    return Clusters(scores, grams, model.root.T @ contrast, estimate)


def _statistic(clusters: Clusters, null: float) -> float:
    """Return the t statistic with the CR0 standard error."""
    se = float(np.linalg.norm(clusters.scores @ clusters.direction))
    return (clusters.estimate - null) / se


@dataclass(frozen=True)
class Draws:
    """Bootstrap statistics as functions of delta = c'beta - null.

    A draw's numerator is n0 + delta n1 and its squared standard error a + 2 delta b + delta^2 c, so
    that all hypotheses share one pass over the clusters; arrays of shape (draws,).
    """

    n0: Array
    n1: Array
    a: Array
    b: Array
    c: Array

    def statistics(self, delta: float) -> Array:
        """Return the t statistic of every draw."""
        with np.errstate(divide="ignore", invalid="ignore"):
            square = self.a + 2.0 * delta * self.b + delta * delta * self.c
            return np.asarray((self.n0 + delta * self.n1) / np.sqrt(np.maximum(square, 0.0)))


def _draw(clusters: Clusters, blocks: Iterator[Array], total: int) -> Draws:
    """Go through the draws.

    Under the hypothesis beta moves by -root d delta / d'd, so that the restricted scores are
    s_g + S_g d delta / d'd, d being the direction and S_g the cross products.
    """
    d = clusters.direction
    Sd = clusters.grams @ d
    parts = [clusters.scores, Sd / (d @ d)]  # the constant and the factor of delta
    out = np.empty((5, total))
    first = 0
    for v in blocks:
        moved = [part.T @ v for part in parts]  # (r, draws): root^-1 (beta* - restricted beta)
        left = [(part @ d)[:, None] * v - Sd @ m for part, m in zip(parts, moved, strict=True)]
        at = slice(first, first + v.shape[1])
        first += v.shape[1]
        out[0, at], out[1, at] = d @ moved[0], d @ moved[1]
        for k, (p, q) in enumerate([(0, 0), (0, 1), (1, 1)], 2):
            out[k, at] = np.einsum("gb,gb->b", left[p], left[q])
    return Draws(*out)


def _pvalue(clusters: Clusters, draws: Draws, null: float, extra: int) -> float:
    """Share of draws whose statistic is at least as far from zero as the one observed.

    ``extra`` counts the data themselves among random draws, so that p is never zero.
    """
    found = np.abs(draws.statistics(clusters.estimate - null))
    observed = abs(_statistic(clusters, null))
    usable = found[np.isfinite(found)]
    beyond = int(np.sum(usable >= observed * (1.0 - 1e-9)))
    return (beyond + extra) / (len(usable) + extra)


def _interval(clusters: Clusters, draws: Draws, alpha: float, extra: int) -> tuple[float, float]:
    """Find where the p-value falls to alpha on either side of the estimate."""
    se = float(np.linalg.norm(clusters.scores @ clusters.direction))
    return (
        _crossing(clusters, draws, alpha, -se, extra),
        _crossing(clusters, draws, alpha, se, extra),
    )


def _crossing(clusters: Clusters, draws: Draws, alpha: float, step: float, extra: int) -> float:
    """Walk away from the estimate until the p-value is below alpha, then bisect."""
    inside, outside = clusters.estimate, clusters.estimate + 2.0 * step
    for _ in range(40):
        if _pvalue(clusters, draws, outside, extra) < alpha:
            break
        inside, outside = outside, clusters.estimate + 2.0 * (outside - clusters.estimate)
    else:
        return float(np.sign(step) * np.inf)
    for _ in range(30):
        middle = 0.5 * (inside + outside)
        if _pvalue(clusters, draws, middle, extra) < alpha:
            outside = middle
        else:
            inside = middle
        if abs(outside - inside) < 1e-4 * abs(step):
            break
    return 0.5 * (inside + outside)
