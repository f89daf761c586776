"""Predictions of a mixed model, with intervals that include the variance of new levels."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, TypeAlias

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ... import _core
from ..._typing import Array, Random
from ...chunks.summed import NO_ROWS, SummedDesign
from ...design.design import Design, RandomTerm
from ...design.encode import NewRows, encode
from ...errors import UnsupportedError
from ...models.glmm.estimate import GlmmEstimate
from ...models.gls.model import GlsEstimate
from ...models.lmm import LmmEstimate
from ..coverage import t_quantile
from .estimable import without_estimate
from .general import general_variances, new_level_size
from .places import at_places, left_over
from .table import labelled, laid_out

__all__ = [
    "chosen_groups",
    "complete_rows",
    "error_variances",
    "fitted",
    "fixed_part",
    "linear_predictor",
    "population_variance",
    "predict",
    "random_draws",
    "random_part",
    "random_variance",
    "simulate",
    "varying",
]

Estimate: TypeAlias = LmmEstimate | GlmmEstimate | GlsEstimate


def fixed_part(design: Design, estimate: Estimate) -> Array:
    """Compute X beta + offset, and the curves of smooths, on the rows of the design, shape (n,)."""
    total = np.zeros(design.n_obs) if design.offset is None else design.offset.copy()
    for j in estimate.kept:
        reference, beta = design.fixed[j], estimate.beta[j]
        total += beta if reference < 0 else beta * design.columns[reference]
    for term, b in zip(design.random, estimate.modes, strict=True):
        if term.is_curve:
            total += _of_term(design, term, b)
    return total


def random_part(design: Design, modes: tuple[Array, ...]) -> Array:
    """Compute Z b on the rows of the design for modes of shape (l, s) each, shape (n,).

    Curves, which are no effects of groups, belong to `fixed_part`.
    """
    total = np.zeros(design.n_obs)
    for term, b in zip(design.random, modes, strict=True):
        if not term.is_curve:
            total += _of_term(design, term, b)
    return total


def _of_term(design: Design, term: RandomTerm, b: Array) -> Array:
    """Compute what one term adds to each row, shape (n,)."""
    total = np.zeros(design.n_obs)
    for j, reference in enumerate(term.columns):
        effect = term.effect(b[:, j])
        total += effect if reference < 0 else effect * design.columns[reference]
    return total


def fitted(design: Design, estimate: Estimate) -> Array:
    """Compute X beta + Z b + offset, shape (n,)."""
    return fixed_part(design, estimate) + random_part(design, estimate.modes)


def linear_predictor(
    design: Design, estimate: Estimate, rows: NewRows, groups: Iterable[str]
) -> Array:
    """Compute X beta + Z b + offset on new rows with the random effects of some groups.

    Parameters
    ----------
    design : Design
        The design of the fit.
    estimate : Estimate
        The fit.
    rows : NewRows
        From ``design.encode``.
    groups : iterable of str
        Grouping factors that take part; a level the fit has not seen has the effect zero.

    Returns
    -------
    ndarray of shape (m,)
        NaN in rows with missing values.
    """
    mean = rows.X[:, estimate.kept] @ estimate.beta[estimate.kept]
    if rows.offset is not None:
        mean = mean + rows.offset
    for term, new, b in zip(design.random, rows.terms, estimate.modes, strict=True):
        if new is None or term.group not in groups:
            continue
        mean += new.effect(b)
    mean[rows.missing] = np.nan
    return np.asarray(mean)


def predict(
    design: Design,
    estimate: LmmEstimate,
    core: _core.Lmm,
    newdata: object,
    *,
    random: Random,
    new_levels: str,
    interval: str | None,
    se: bool,
    level: float,
) -> pd.Series[Any] | pd.DataFrame:
    """Predict rows that need not have been fitted; see ``LinearMixedModel.predict``.

    Notes
    -----
    With s = D z, D = Lambda Omega^-1 Lambda' the conditional covariance of the random effects, the
    error of x'beta + z'b has variance sigma^2 (z's + (x - X'Z s)'(X'H^-1 X)^-1 (x - X'Z s)); a
    level that
    the fit has not seen adds z' Sigma z.
    """
    groups = chosen_groups(design, random)
    own = varying(design, groups)
    # A prediction interval of the population is for an observation of levels not known.
    needs_all = interval == "prediction"
    rows = encode(
        design,
        newdata,
        random=True if needs_all and own else groups,
        new_levels="raise" if new_levels == "raise" else "population",
    )
    summed = isinstance(design, SummedDesign)
    aliasing = (core.aliased, np.atleast_2d(core.alias)) if summed else None
    rows = without_estimate(design, newdata, rows, estimate.kept, aliasing)
    rows = at_places(design, estimate, rows)
    mean = linear_predictor(design, estimate, rows, groups)
    if interval is None and not se:
        return labelled(mean, rows.index)
    variance = estimate.sigma**2 * error_variances(design, estimate, core, rows, groups)
    error = np.sqrt(variance) if se else None
    if interval is None:
        return laid_out(mean, error, None, rows.index)
    if interval == "prediction":
        variance = variance + estimate.sigma**2
        if not own:
            variance = variance + population_variance(design, estimate, newdata)
    half = float(t_quantile(level)) * np.sqrt(variance)
    return laid_out(mean, error, (mean - half, mean + half), rows.index)


def chosen_groups(design: Design, random: Random) -> list[str]:
    """Labels of the terms that take part: of grouping factors, and all curves."""
    known = [term.group for term in design.random if not term.is_curve]
    curves = [term.group for term in design.random if term.is_curve]
    if random is None:
        return curves
    if isinstance(random, str):
        if random == "all":
            return known + curves
        if random == "none":
            return curves
        random = [random] if random in known else _refuse(random, known)
    chosen = list(random)
    for group in chosen:
        if group not in known:
            _refuse(group, known)
    return chosen + curves


def varying(design: Design, groups: Iterable[str]) -> list[str]:
    """Those of some labels that belong to grouping factors, not to curves."""
    return [t.group for t in design.random if t.group in groups and not t.is_curve]


def _refuse(given: object, known: list[str]) -> list[str]:
    raise ValueError(
        f"random must be 'all', 'none' or a list of groups among {known}, not {given!r}"
    )


def error_variances(
    design: Design,
    estimate: LmmEstimate,
    core: _core.Lmm,
    rows: NewRows,
    groups: list[str],
) -> Array:
    """Variance of the error of the mean relative to sigma^2, NaN where a row is missing."""
    usable = ~rows.missing
    if not all(term.is_plain for term in design.random):
        return general_variances(design, estimate, core, rows, groups)
    out = np.full(len(usable), np.nan)
    X, terms = complete_rows(design, estimate, rows, groups)
    out[usable] = core.prediction_variances(list(estimate.lambda_standard), X, terms)
    return out + left_over(rows, groups) / estimate.sigma**2


def complete_rows(
    design: Design, estimate: Estimate, rows: NewRows, groups: Iterable[str]
) -> tuple[Array, list[tuple[NDArray[np.int32] | None, Array]]]:
    """Kept columns of X, and codes and columns of each term, of the rows without missing values.

    A term that takes no part has no codes.
    """
    usable = ~rows.missing
    terms: list[tuple[NDArray[np.int32] | None, Array]] = []
    for term, new in zip(design.random, rows.terms, strict=True):
        if new is None or term.group not in groups:
            terms.append((None, np.zeros((int(usable.sum()), term.n_cols))))
        else:
            terms.append(
                (np.ascontiguousarray(new.codes[usable]), np.asfortranarray(new.z[usable]))
            )
    return np.asfortranarray(rows.X[usable][:, estimate.kept]), terms


def population_variance(design: Design, estimate: Estimate, newdata: object) -> Array:
    """Variance z' Sigma z of new levels of every term, shape (m,)."""
    rows = at_places(design, estimate, encode(design, newdata, random=True, coded=False))
    total = left_over(rows)
    for term, new, cov in zip(design.random, rows.terms, estimate.sigmas, strict=True):
        if new is not None and not term.is_curve:
            total += new_level_size(term) * new.unseen * np.einsum("ij,jk,ik->i", new.z, cov, new.z)
    return total


def random_variance(design: Design, sigmas: tuple[Array, ...]) -> Array:
    """Variance z' Sigma z that the random effects give each row of the fit, shape (n,)."""
    total = np.zeros(design.n_obs)
    for term, cov in zip(design.random, sigmas, strict=True):
        if term.is_curve:
            continue
        z = design.z(term)
        total += np.einsum("ij,jk,ik->i", z, cov, z)
    return total


def simulate(design: Design, estimate: LmmEstimate, n: int, seed: object) -> Array:
    """Draw responses from the fitted model, new random effects each time, shape (n_obs, n)."""
    if isinstance(design, SummedDesign):
        raise UnsupportedError(NO_ROWS)
    rng = np.random.default_rng(seed)  # type: ignore[arg-type]
    base = fixed_part(design, estimate)
    out = np.empty((design.n_obs, n), order="F")
    scale = estimate.sigma if design.weights is None else estimate.sigma / np.sqrt(design.weights)
    for i in range(n):
        modes = random_draws(design, estimate.lambda_, estimate.sigma, rng)
        noise = scale * rng.standard_normal(design.n_obs)
        out[:, i] = base + random_part(design, modes) + noise
    return out


def random_draws(
    design: Design, factors: tuple[Array, ...], scale: float, rng: np.random.Generator
) -> tuple[Array, ...]:
    """Draw new random effects, shape (l, s) for each term, from factors relative to ``scale``."""
    return tuple(
        scale * term.draw(rng) @ block.T for term, block in zip(design.random, factors, strict=True)
    )
