"""How the arrays of a batch are laid out in tables, one row per fit or one row per test."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd
import scipy

from .._typing import Array
from ..design.design import Design, RandomTerm
from ..inference.hypotheses.multiple import benjamini_hochberg, squeeze_variances, storey
from ..inference.structures import natural_names
from ..models.batch.estimate import STATUSES, BatchEstimate
from ..report.coefficients import t_pvalue

__all__ = ["Labels", "WaldTests", "by_column", "fits_frame", "joint_frame", "named_spread"]


@dataclass(frozen=True)
class Labels:
    """Names for the arrays of a batch.

    Attributes
    ----------
    key : tuple of str
        Columns of the tables that say which fit a row belongs to.
    fits : Index of length m
        The fits.
    terms : tuple of str, length p
        Coefficients.
    """

    key: tuple[str, ...]
    fits: pd.Index[Any]
    terms: tuple[str, ...]

    def columns(self, repeats: int = 1) -> dict[str, Any]:
        """State which fit each row belongs to, with ``repeats`` rows per fit."""
        at = np.repeat(np.arange(len(self.fits)), repeats)
        if isinstance(self.fits, pd.MultiIndex):
            return {k: self.fits.get_level_values(i)[at] for i, k in enumerate(self.key)}
        return {self.key[0]: self.fits[at]}


@dataclass(frozen=True)
class WaldTests:
    """The t tests of a batch: coefficients, then hypotheses of one row.

    Attributes
    ----------
    labels : Labels
        The fits.
    names : list of str, length h
        The tests.
    estimate, variance, df : ndarray of shape (m, h)
        What is tested, its variance, and degrees of freedom.
    """

    labels: Labels
    names: Sequence[str]
    estimate: Array
    variance: Array
    df: Array

    def frame(self, *, adjusted: bool = True) -> pd.DataFrame:
        """Lay out a row for each fit and test, with p-values adjusted over the fits or without."""
        se = np.sqrt(self.variance)
        with np.errstate(divide="ignore", invalid="ignore"):
            t = self.estimate / se
        p = t_pvalue(t, self.df)
        columns = {
            **self.labels.columns(len(self.names)),
            "term": np.tile(np.array(self.names, dtype=object), len(t)),
            "estimate": self.estimate.ravel(),
            "se": se.ravel(),
            "df": np.where(np.isnan(t), np.nan, self.df).ravel(),
            "t": t.ravel(),
            "pvalue": p.ravel(),
        }
        if adjusted:
            columns["p_bh"] = by_column(benjamini_hochberg, p).ravel()
            columns["q_storey"] = by_column(storey, p).ravel()
        return pd.DataFrame(columns)

    def moderated(self, sigma: Array, residual_df: Array) -> pd.DataFrame:
        """Lay out the tests with residual variances shrunk to a common value."""
        squeezed = squeeze_variances(sigma**2, residual_df)
        ratio = squeezed.variance / sigma**2
        df = self.df + squeezed.prior_df
        variance = self.variance * ratio[:, None]
        table = replace(self, variance=variance, df=df).frame()
        table.attrs.update(prior_variance=squeezed.prior_variance, prior_df=squeezed.prior_df)
        return table


def joint_frame(
    labels: Labels, names: Sequence[str], num_df: Array, F: Array, den_df: Array, *, adjusted: bool
) -> pd.DataFrame:
    """Lay out F tests, a row for each fit and hypothesis; F and den_df of shape (m, j)."""
    finite = np.where(np.isinf(den_df), 1.0, den_df)
    p = np.where(
        np.isinf(den_df),
        scipy.special.chdtrc(num_df, F * num_df),
        scipy.special.fdtrc(num_df, finite, F),
    )
    columns = {
        **labels.columns(len(names)),
        "test": np.tile(np.array(names, dtype=object), len(F)),
        "F": F.ravel(),
        "num_df": np.tile(num_df, len(F)),
        "den_df": den_df.ravel(),
        "pvalue": p.ravel(),
    }
    if adjusted:
        columns["p_bh"] = by_column(benjamini_hochberg, p).ravel()
    return pd.DataFrame(columns)


def fits_frame(labels: Labels, estimate: BatchEstimate, design: Design) -> pd.DataFrame:
    """Lay out a row for each fit."""
    return pd.DataFrame(
        {
            **labels.columns(),
            "nobs": estimate.n_obs,
            **scale_of(estimate),
            "llf": -0.5 * estimate.objective,
            **spread(estimate, design),
            "singular": estimate.is_singular,
            "status": np.array(STATUSES)[estimate.outcome],
            "n_eval": estimate.n_objective,
        }
    )


def scale_of(estimate: BatchEstimate) -> dict[str, Array]:
    """Name the residual standard deviation of each fit, or its dispersion."""
    spec = estimate.settings.spec
    if spec is None:
        return {"sigma": estimate.sigma}
    return {"dispersion": estimate.dispersion} if spec.has_dispersion else {}


def spread(estimate: BatchEstimate, design: Design) -> dict[str, Array]:
    """Name standard deviations and correlations of the random effects of each fit."""
    out: dict[str, Array] = {}
    at = 0
    for term in design.random:
        if term.is_structured:
            found, at = structured_spread(term, estimate, at)
        else:
            cov, at = relative_covariance(estimate.factors, at, term.n_cols)
            found = named_spread(term, cov, estimate.sigma)
        out.update(found)
    return out


def relative_covariance(factors: Array, at: int, k: int) -> tuple[Array, int]:
    """Multiply lower triangles from column ``at`` into covariances (m, k, k); also next column."""
    factor = np.zeros((len(factors), k, k))
    for j in range(k):
        factor[:, j:, j] = factors[:, at : at + k - j]
        at += k - j
    return factor @ factor.transpose(0, 2, 1), at


def structured_spread(
    term: RandomTerm, estimate: BatchEstimate, at: int
) -> tuple[dict[str, Array], int]:
    """Name the parameters of a term with structures, block by block; also the next column."""
    out: dict[str, Array] = {}
    sigma = estimate.sigma
    parts = zip(term.blocks, term.block_structures, natural_names(term), strict=True)
    for block, structure, names in parts:
        if structure is None:
            cov, at = relative_covariance(estimate.factors, at, len(block))
            part = replace(
                term,
                columns=tuple(term.columns[j] for j in block),
                names=tuple(term.names[j] for j in block),
                blocks=(tuple(range(len(block))),),
                structures=(),
            )
            out.update(named_spread(part, cov, sigma))
            continue
        unit = sigma**-2 if structure.kind == "precisions" else sigma
        for j, name in enumerate(names):
            values = estimate.factors[:, at + j]
            out[name] = unit * values if j < structure.n_sds else values
        at += len(names)
    return out, at


def named_spread(term: RandomTerm, cov: Array, sigma: Array) -> dict[str, Array]:
    """Name standard deviations and correlations, given covariances (m, k, k) over sigma^2."""
    out: dict[str, Array] = {}
    sd = np.sqrt(np.einsum("mii->mi", cov))
    for j, name in enumerate(term.names):
        out[f"sd_{name}|{term.group}"] = sigma * sd[:, j]
    for block in term.blocks:
        for a, j in enumerate(block):
            for i in block[a + 1 :]:
                label = f"cor_{term.names[j]}.{term.names[i]}|{term.group}"
                with np.errstate(divide="ignore", invalid="ignore"):
                    out[label] = cov[:, i, j] / (sd[:, i] * sd[:, j])
    return out


def by_column(adjust: Callable[[Array], Array], p: Array) -> Array:
    """Adjust the p-values of each column over the rows."""
    return np.column_stack([adjust(column) for column in p.T]) if p.shape[1] else p
