"""New data for a bootstrap: from the model, from its residuals, or from its groups."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ..._options import check_option
from ..._typing import Array
from ...design.design import Design, RandomTerm, only_plain
from ...errors import UnsupportedError
from ...models.lmm import LmmEstimate
from ...models.roots import units_of
from ..prediction.predict import fixed_part, random_part

__all__ = ["KINDS", "Draw", "drawer"]


#: Returns a design with the same columns and new responses, or with new rows.
Draw = Callable[[np.random.Generator], Design]


def drawer(design: Design, estimate: LmmEstimate, kind: str) -> Draw:
    """Return the function that draws one data set."""
    kind = check_option("kind", kind, KINDS)
    if kind != "parametric":
        only_plain(design, f"a {kind} bootstrap", "use kind='parametric'")
    return KINDS[kind](design, estimate)


def _parametric(design: Design, estimate: LmmEstimate) -> Draw:
    """Draw random effects and errors, normal with the estimated variances."""
    base, spread = fixed_part(design, estimate), _error_scale(design)
    factors = [estimate.sigma * block.T for block in estimate.lambda_]

    def draw(rng: np.random.Generator) -> Design:
        modes = tuple(
            term.draw(rng) @ factor for term, factor in zip(design.random, factors, strict=True)
        )
        noise = estimate.sigma * spread * rng.standard_normal(design.n_obs)
        return replace(design, y=base + random_part(design, modes) + noise)

    return draw


def _residual(design: Design, estimate: LmmEstimate) -> Draw:
    """Resampled conditional modes and residuals, given the estimated variances.

    Carpenter, Goldstein and Rasbash (2003), J. R. Stat. Soc. C 52, 431-443: both are shrunken, so
    they are centred and rescaled first.
    """
    base, spread = fixed_part(design, estimate), _error_scale(design)
    pools = [
        _rescaled(modes, cov) for modes, cov in zip(estimate.modes, estimate.sigmas, strict=True)
    ]
    errors = (design.y - base - random_part(design, estimate.modes)) / spread
    pool = _rescaled(errors[:, None], np.array([[estimate.sigma**2]]))[:, 0]

    def draw(rng: np.random.Generator) -> Design:
        modes = tuple(rows[rng.integers(len(rows), size=len(rows))] for rows in pools)
        noise = spread * pool[rng.integers(len(pool), size=len(pool))]
        return replace(design, y=base + random_part(design, modes) + noise)

    return draw


def _cases(design: Design, estimate: LmmEstimate) -> Draw:
    """Whole groups of the coarsest factor, with replacement; a group drawn twice is two groups."""
    top = _coarsest(design, "cases")
    order = np.argsort(top.codes, kind="stable")
    starts = np.concatenate([[0], np.cumsum(np.bincount(top.codes, minlength=top.n_levels))])

    def draw(rng: np.random.Generator) -> Design:
        chosen = rng.integers(top.n_levels, size=top.n_levels)
        parts = [order[starts[c] : starts[c + 1]] for c in chosen]
        copy = np.repeat(np.arange(top.n_levels), [len(part) for part in parts])
        return _take(design, np.concatenate(parts), copy)

    return draw


def _wild(design: Design, estimate: LmmEstimate) -> Draw:
    """Residuals of the fixed part, of each group together, times +1 or -1.

    Modugno and Giannerini (2015), Comput. Stat. Data Anal. 88, 115-124, with residuals over the
    square root of one minus their leverage.
    """
    top = _coarsest(design, "wild")
    base = fixed_part(design, estimate)
    root = 1.0 / _error_scale(design)
    Q = np.linalg.qr(np.asarray(design.X[:, estimate.kept] * np.reshape(root, (-1, 1))))[0]
    leverage = np.einsum("ij,ij->i", Q, Q)
    residual = (design.y - base) / np.sqrt(np.maximum(1.0 - leverage, 1e-8))

    def draw(rng: np.random.Generator) -> Design:
        sign = 2.0 * rng.integers(2, size=top.n_levels) - 1.0
        return replace(design, y=base + residual * sign[top.codes])

    return draw


KINDS: dict[str, Callable[[Design, LmmEstimate], Draw]] = {
    "parametric": _parametric,
    "residual": _residual,
    "cases": _cases,
    "wild": _wild,
}


def _error_scale(design: Design) -> Array:
    """Return each error's standard deviation relative to sigma; shape (1,) without weights."""
    return np.ones(1) if design.weights is None else 1.0 / np.sqrt(design.weights)


def _rescaled(rows: Array, cov: Array) -> Array:
    """Rows centred and turned so that their covariance is ``cov``."""
    unit = units_of(cov)
    centred = (rows - rows.mean(axis=0)) / unit
    values, vectors = np.linalg.eigh(centred.T @ centred / len(rows))
    usable = values > 1e-10 * max(float(values.max()), 1e-300)
    inverse = np.where(usable, 1.0 / np.sqrt(np.where(usable, values, 1.0)), 0.0)
    whiten = (vectors * inverse) @ vectors.T
    size, axes = np.linalg.eigh(cov / np.outer(unit, unit))
    return np.asarray(centred @ whiten @ (axes * np.sqrt(np.maximum(size, 0.0))) @ axes.T * unit)


def _coarsest(design: Design, kind: str) -> RandomTerm:
    """Find the grouping factor in which all others are nested."""
    top = min(design.random, key=lambda term: term.n_levels)
    for term in design.random:
        pairs = np.unique(term.codes.astype(np.int64) * top.n_levels + top.codes)
        if len(pairs) > term.n_levels:
            raise UnsupportedError(
                f"a {kind} bootstrap draws independent groups, and {term.group} is crossed with "
                f"{top.group}; use kind='parametric' or 'residual'."
            )
    return top


def _take(design: Design, rows: NDArray[np.intp], copy: NDArray[np.intp]) -> Design:
    """Take some rows; levels are told apart by the copy of the group they are in."""
    random = []
    for term in design.random:
        key = copy * np.int64(term.n_levels) + term.codes[rows]
        found, codes = np.unique(key, return_inverse=True)
        random.append(replace(term, codes=codes.astype(np.int32), levels=pd.RangeIndex(len(found))))
    drawn = design.take(rows, tuple(random))
    return replace(drawn, rows=None, n_data=len(rows), index=None)
