"""Variance that a mixed model accounts for: its parts, and proportions of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
import scipy
from numpy.typing import NDArray

from ..._typing import Array
from ...design.design import Design, only_plain
from ...errors import UnsupportedError
from ...models.glmm.estimate import GlmmEstimate
from ...models.lmm import LmmEstimate
from ..prediction.predict import fitted, fixed_part

__all__ = [
    "Part",
    "Variances",
    "mean_scale",
    "ordered",
    "part",
    "partial_r2",
    "standardised_scale",
    "term_matrices",
    "variance",
    "variances",
    "variances_of",
    "with_limits",
    "without_rows",
    "xu",
]


@dataclass(frozen=True)
class Variances:
    """What the variance of the responses is made of, averaged over the rows of the data.

    Attributes
    ----------
    fixed : float
        Variance of X beta over rows, n - 1 in the denominator.
    mean, slopes : ndarray of shape (terms,)
        Mean over rows of z'Sigma z, term by term, in two parts: at the mean of z, and what the
        variation of z adds.
    residual : float
        sigma^2.
    groups : tuple of str
        Grouping factor of each term.
    """

    fixed: float
    mean: Array
    slopes: Array
    residual: float
    groups: tuple[str, ...]

    @property
    def random(self) -> float:
        """Mean variance of the random effects over rows."""
        return float(self.mean.sum() + self.slopes.sum())

    @property
    def total(self) -> float:
        """Sum of all parts."""
        return self.fixed + self.random + self.residual


def variances(
    design: Design, estimate: LmmEstimate | GlmmEstimate, counts: Array | None = None
) -> Variances:
    """Compute the parts of the variance, rows counted as often as ``counts`` say.

    References
    ----------
    Nakagawa and Schielzeth (2013), Methods Ecol. Evol. 4, 133-142; Johnson (2014), ibid. 5,
    944-946, for random slopes; Rights and Sterba (2019), Psychol. Methods 24, 309-338, for the
    split of a term.
    """
    linear = fixed_part(design, estimate)
    if design.offset is not None:
        linear = linear - design.offset
    return variances_of(design, linear, estimate.sigmas, estimate.sigma**2, counts)


def variances_of(
    design: Design,
    linear: Array,
    sigmas: Sequence[Array],
    residual: float,
    counts: Array | None = None,
) -> Variances:
    """Compute the parts of the variance of a linear predictor whose fixed part is known."""
    mean, slopes = [], []
    for term, cov in zip(design.random, sigmas, strict=True):
        if term.is_curve:
            continue
        z = design.z(term)
        centre = np.average(z, axis=0, weights=counts)
        sizes = np.ones(len(z)) if term.is_plain else term.sizes
        size = float(np.average(sizes, weights=counts))
        share = sizes / len(z) if counts is None else sizes * counts / counts.sum()
        spread = z.T @ (share[:, None] * z) - size * np.outer(centre, centre)
        mean.append(size * float(centre @ cov @ centre))
        slopes.append(float(np.sum(cov * spread)))
    return Variances(
        variance(linear, counts),
        np.array(mean),
        np.array(slopes),
        residual,
        tuple(term.group for term in design.random if not term.is_curve),
    )


def without_rows(design: Design, found: Variances) -> tuple[Design, Variances]:
    """Move effects of single rows from the random to the residual variance."""
    by_row = np.array([term.n_levels == design.n_obs for term in design.random], dtype=bool)
    kept = tuple(term for term in design.random if term.n_levels < design.n_obs)
    moved = float(found.mean[by_row].sum() + found.slopes[by_row].sum())
    parts = replace(
        found,
        groups=tuple(term.group for term in kept),
        mean=found.mean[~by_row],
        slopes=found.slopes[~by_row],
        residual=found.residual + moved,
    )
    return replace(design, random=kept), parts


def variance(values: Array, counts: Array | None) -> float:
    """Variance of values of which each counts several times; minus one in the denominator."""
    if counts is None:
        return float(np.var(values, ddof=1))
    total = float(counts.sum())
    apart = values - np.average(values, weights=counts)
    one_less = 1.0 - 1.0 / max(total, len(values))  # weights below one are not frequencies
    return float(counts @ apart**2) / total / one_less


@dataclass(frozen=True)
class Part:
    """A semi-partial R² with limits.

    Attributes
    ----------
    term : str
        The term of the formula, "Model" for all.
    r2, lower, upper : float
        The proportion and its interval.
    F, num_df, den_df : float
        The statistic it rests on.
    """

    term: str
    r2: float
    lower: float
    upper: float
    F: float
    num_df: float
    den_df: float


def xu(design: Design, estimate: LmmEstimate) -> float:
    """One minus the variance of the residuals over that of the responses (Xu, 2003)."""
    return float(1.0 - np.var(design.y - fitted(design, estimate)) / np.var(design.y))


def part(term: str, F: float, num_df: float, den_df: float, level: float) -> Part:
    """Turn an F statistic into a proportion, limits by the non-central beta distribution."""
    ratio = num_df * F / den_df
    tail = 0.5 * (1.0 - level)
    limits = _noncentral_beta(np.array([tail, 1.0 - tail]), num_df, den_df, num_df * F)
    lower, upper = limits.tolist()
    return Part(term, ratio / (1.0 + ratio), lower, upper, F, num_df, den_df)


def _noncentral_beta(p: Array, num_df: float, den_df: float, shift: float) -> Array:
    """Quantiles of B = aF / (1 + aF), F non-central, a = num_df / den_df."""
    ratio = scipy.stats.ncf.ppf(p, num_df, den_df, shift) * num_df / den_df
    return np.asarray(ratio / (1.0 + ratio))


def term_matrices(design: Design, kept: NDArray[np.intp]) -> dict[str, Array]:
    """Pick the coefficients of the model without its intercept, and of each term."""
    place = {int(column): i for i, column in enumerate(kept)}
    out: dict[str, list[int]] = {"Model": []}
    for name, columns in design.fixed_terms:
        chosen = [place[c] for c in columns if c in place and design.fixed[c] >= 0]
        if chosen:
            out[name] = chosen
            out["Model"] += chosen
    eye = np.eye(len(kept))
    return {name: eye[chosen] for name, chosen in out.items() if chosen}


def mean_scale(design: Design, parts: Variances) -> tuple[float, float]:
    """Mean variance of the responses over rows given X, and its degrees of freedom, n - 1."""
    inverse = 1.0 if design.weights is None else float(np.mean(1.0 / design.weights))
    return parts.random + parts.residual * inverse, design.n_obs - 1.0


def standardised_scale(design: Design, estimate: LmmEstimate) -> tuple[float, float]:
    """Mean over levels of |V_l|^(1/n_l), the standardised generalised variance, and its df.

    Notes
    -----
    |V_l| = sigma^(2 n_l) |I + lambda'Z_l'W Z_l lambda| / prod w. With h = n / l rows a level the
    degrees of freedom are n - (h - 1) - h (h + 1) / 2, the free elements of a covariance of h rows.
    """
    only_plain(design, "R² by the generalised variance", "use method='nsj' or 'kr'")
    if len(design.random) > 1:
        groups = ", ".join(term.group for term in design.random)
        raise UnsupportedError(
            f"R² by the generalised variance needs independent clusters, which {groups} do not "
            f"form "
            "together; use method='nsj' or 'kr'."
        )
    term, factor = design.random[0], estimate.lambda_[0]
    n, s = design.n_obs, term.n_cols
    w = np.ones(n) if design.weights is None else design.weights
    z = design.z(term) @ factor
    gram = np.empty((term.n_levels, s, s))
    for i in range(s):
        for j in range(s):
            gram[:, i, j] = np.bincount(term.codes, w * z[:, i] * z[:, j], term.n_levels)
    logs = np.linalg.slogdet(np.eye(s) + gram)[1] - np.bincount(term.codes, np.log(w))
    size = np.bincount(term.codes)
    h = n / term.n_levels
    scale = estimate.sigma**2 * float(np.mean(np.exp(logs / size)))
    return scale, n - (h - 1.0) - h * (h + 1.0) / 2.0


def partial_r2(
    design: Design, estimate: LmmEstimate, scale: float, den_df: float, level: float
) -> list[Part]:
    """Return each term's semi-partial R² when one number stands for the covariance.

    References
    ----------
    Jaeger, Edwards, Das and Sen (2017), J. Appl. Stat. 44, 1086-1105.
    """
    X = design.X[:, estimate.kept]
    inverse = np.linalg.inv(X.T @ X)
    beta = estimate.beta[estimate.kept]
    parts = []
    for name, C in term_matrices(design, estimate.kept).items():
        effect = C @ beta
        squares = float(effect @ np.linalg.solve(C @ inverse @ C.T, effect))
        parts.append(part(name, squares / (len(C) * scale), float(len(C)), den_df, level))
    return ordered(parts)


def with_limits(shares: Mapping[str, float], interval: pd.DataFrame | None) -> str:
    """Write proportions that are known, each with its interval if there is one."""
    words = []
    for name, value in shares.items():
        if np.isnan(value):
            continue
        text = f"{name} {value:.4f}"
        if interval is not None:
            low, high = interval.loc[name, ["lower", "upper"]]
            text += f" ({low:.4f} to {high:.4f})"
        words.append(text)
    return ", ".join(words)


def ordered(parts: Sequence[Part]) -> list[Part]:
    """Put the model first, then the terms by size."""
    return [parts[0], *sorted(parts[1:], key=lambda p: -p.r2)] if parts else []
