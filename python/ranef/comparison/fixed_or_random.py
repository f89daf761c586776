"""The effects of a grouping factor as coefficients, and as draws from a distribution."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd
import scipy
from numpy.typing import NDArray

from .._counted import counted
from .._typing import Array
from ..design.design import Design
from ..errors import ModelError
from ..fitted.lmm.model import LinearMixedModel
from ..inference.crossval.crossval import leave_groups_out, leave_rows_out
from ..inference.hypotheses.satterthwaite import satterthwaite
from ..models import lmm
from ..report.numbers import in_one_scale
from ..report.summary import pvalue_text
from ..report.tabled import Tabled

__all__ = ["FixedOrRandom", "compared"]

#: A column that varies within groups by less than this share of its size does not vary there.
CONSTANT = 1e-9
#: What must remain of a row for the others to predict it.
PIVOT = 1e-9
#: Levels below which a variance between them is hardly known.
FEW = 6


@dataclass(frozen=True, repr=False)
class FixedOrRandom(Tabled):
    """One intercept per group, fixed and random; see :func:`ranef.fixed_or_random`.

    Attributes
    ----------
    table : DataFrame
        Rows "no groups", "fixed" and "random": edf, the effective number of coefficients; sigma;
        rmse_rows, the error of predictions of rows left out one by one; rmse_groups, of groups left
        out one by one, which fixed effects do not predict.
    notes : tuple of str
        What each of the two cannot answer, and what the data say about the choice.
    group : str
        The grouping factor.
    coefficients : DataFrame
        One row per coefficient: fixed, fixed_se, random, random_se. NaN where all groups are
        constant.
    effects : DataFrame
        One row per level: rows; fixed and fixed_se, its distance from the mean of all levels;
        random and random_se, the same as a random effect, including the uncertainty of the
        intercept; total, the random effect with what predictors explain that are constant within
        levels, as it is in the fixed one; weight, how much of the level's own mean is kept.
    contextual : Series
        Test that coefficients between groups are those within: F, num_df, den_df, pvalue, and
        columns, those tested. NaN where no mean of a predictor differs between groups.
    model : LinearMixedModel
        The fit with random effects.
    """

    group: str
    coefficients: pd.DataFrame
    effects: pd.DataFrame
    contextual: pd.Series[Any]
    model: LinearMixedModel

    @property
    def title(self) -> str:
        """The grouping factor."""
        return f"{self.group} ({len(self.effects):,} levels): fixed or random"

    def summary(self) -> FixedOrRandom:
        """Return the result itself, which prints as text and shows as HTML in a notebook."""
        return self

    def tidy(self) -> pd.DataFrame:
        """Return the coefficients of both fits as a tidy frame.

        Returns
        -------
        DataFrame
            Columns model, term, estimate, std.error.
        """
        parts = [
            pd.DataFrame(
                {
                    "model": name,
                    "term": self.coefficients.index,
                    "estimate": self.coefficients[name].to_numpy(),
                    "std.error": self.coefficients[f"{name}_se"].to_numpy(),
                }
            )
            for name in ("fixed", "random")
        ]
        return pd.concat(parts, ignore_index=True)

    def plot(self, *, ax: Any = None) -> Any:
        """Draw each level's random effect against its fixed one.

        Parameters
        ----------
        ax : matplotlib Axes, optional
            Where to draw; a new figure by default.

        Returns
        -------
        matplotlib Axes
            Nothing is shrunk on the line of equality; levels with few rows lie furthest from it.
        """
        from ..report.plots.fixed_or_random import both_axes

        return both_axes(self.effects, self.group, ax)

    def _coefficients(self) -> pd.DataFrame:
        """Write the coefficients as text, both fits with the same decimals."""
        out = pd.DataFrame(index=self.coefficients.index)
        errors = self.coefficients[["fixed_se", "random_se"]].min(axis=1)
        for name in self.coefficients.columns:
            column = self.coefficients[name]
            written = pd.Series(in_one_scale(column, errors), index=column.index)
            out[name] = written.where(column.notna(), "")
        return out

    def __repr__(self) -> str:
        coefficients = self._coefficients()
        head, _, tail = super().__repr__().partition("\n\n- ")
        return f"{head}\n\nCoefficients\n\n{coefficients.to_string()}" + (
            f"\n\n- {tail}" if tail else ""
        )

    def _repr_html_(self) -> str:
        shown = self._coefficients()
        head, mark, tail = super()._repr_html_().partition("<ul>")
        return f"{head}<h4>Coefficients</h4>{shown.to_html()}{mark}{tail}"


@dataclass(frozen=True)
class Within:
    """Least squares with a constant for each level.

    Attributes
    ----------
    beta, se : ndarray of shape (p,)
        Coefficients; NaN of columns that the constants span.
    effects, effects_se : ndarray of shape (L,)
        The constants as distances from their mean.
    sigma : float
        Residual standard deviation.
    left_out : ndarray of shape (n,)
        Predictions of rows by the others; NaN for the only row of a level.
    n_coefficients : int
        Columns that vary within levels.
    """

    beta: Array
    se: Array
    effects: Array
    effects_se: Array
    sigma: float
    left_out: Array
    n_coefficients: int


def compared(model: LinearMixedModel, group: str) -> FixedOrRandom:
    """Set the fit with random intercepts beside least squares with and without fixed ones."""
    design, estimate = model.parts.design, model.parts.estimate
    term = design.random[0]
    w = np.ones(design.n_obs) if design.weights is None else design.weights
    y = design.y if design.offset is None else design.y - design.offset
    X = design.X[:, estimate.kept]
    names = [design.fixed_names[j] for j in estimate.kept]
    within = fixed_effects(y, X, w, term.codes, term.n_levels, names)
    none = pooled(y, X, w, term.codes, term.n_levels)
    rows = leave_rows_out(design, estimate, model.parts.core).mean
    groups = leave_groups_out(design, estimate, model.parts.core, 0).mean
    if design.offset is not None:
        rows, groups = rows - design.offset, groups - design.offset
    errors_rows = np.column_stack([y - none[1], y - within.left_out, y - rows])
    errors_groups = np.column_stack([y - none[2], y - groups])
    cov = model.ranef("joint").cov[term.group][:, 0, 0]
    variance = float(estimate.sigmas[0][0, 0])
    counts = np.bincount(term.codes, weights=w, minlength=term.n_levels)
    effective = float(np.sum(1.0 - cov / variance)) if variance > 0.0 else 0.0
    by_rows, n_rows = _rmse(errors_rows)
    by_groups, _ = _rmse(errors_groups)
    table = pd.DataFrame(
        {
            "edf": [
                float(len(names)),
                float(within.n_coefficients + term.n_levels),
                len(names) + effective,
            ],
            "sigma": [none[0], within.sigma, estimate.sigma],
            "rmse_rows": by_rows,
            "rmse_groups": [by_groups[0], np.nan, by_groups[1]],
        },
        index=["no groups", "fixed", "random"],
    )
    coefficients = pd.DataFrame(
        {
            "fixed": within.beta,
            "fixed_se": within.se,
            "random": estimate.beta[estimate.kept],
            "random_se": np.sqrt(np.diag(estimate.cov_beta)),
        },
        index=pd.Index(names),
    )
    modes = estimate.modes[0][:, 0]
    effects = pd.DataFrame(
        {
            "rows": np.bincount(term.codes, minlength=term.n_levels),
            "fixed": within.effects,
            "fixed_se": within.effects_se,
            "random": modes,
            "random_se": np.sqrt(cov),
            "total": modes + _explained(X, within.beta, coefficients["random"], term.codes),
            "weight": variance / (variance + estimate.sigma**2 / counts),
        },
        index=pd.Index(term.levels, name=group),
    )
    contextual = contextual_test(design, within, estimate.kept, model.reml)
    notes = _notes(coefficients, effects, contextual, group, design.n_obs - n_rows, variance)
    return FixedOrRandom(table, notes, group, coefficients, effects, contextual, model)


def fixed_effects(
    y: Array, X: Array, w: Array, codes: NDArray[np.int32], L: int, names: Sequence[str]
) -> Within:
    """Least squares within groups, with the constants of the groups.

    Raises
    ------
    ModelError
        If nothing is left for a residual.
    """
    W = np.bincount(codes, weights=w, minlength=L)
    mean_X = np.column_stack([np.bincount(codes, weights=w * x, minlength=L) / W for x in X.T])
    mean_y = np.bincount(codes, weights=w * y, minlength=L) / W
    inner, root = X - mean_X[codes], np.sqrt(w)
    varies = np.abs(inner).max(axis=0) > CONSTANT * np.maximum(np.abs(X).max(axis=0), 1e-300)
    columns = np.flatnonzero(varies)
    scaled = root[:, None] * inner[:, columns]
    size = np.linalg.norm(scaled, axis=0)
    if len(columns):
        _, R, order = scipy.linalg.qr(scaled / size, mode="economic", pivoting=True)
        keep = order[: int(np.sum(np.abs(np.diag(R)) > CONSTANT**0.5))]
        columns, scaled = columns[np.sort(keep)], scaled[:, np.sort(keep)]
    p, n = len(columns), len(y)
    if n - L - p < 1:
        raise ModelError(
            f"with {L} constants and {counted(p, 'coefficient')} for {counted(n, 'row')} nothing "
            "is left for a residual variance, so fixed effects have no standard errors; use a "
            "random effect instead"
        )
    centred = root * (y - mean_y[codes])
    beta, C = np.zeros(0), np.zeros((0, 0))
    if p:
        R = np.linalg.qr(scaled, mode="r")
        inverse = np.linalg.inv(R)
        C = inverse @ inverse.T
        beta = C @ (scaled.T @ centred)
    error = (centred - scaled @ beta) / root
    sigma = float(np.sqrt(np.sum(w * error**2) / (n - L - p)))
    M = mean_X[:, columns]
    constants = mean_y - M @ beta
    apart = M - M.mean(axis=0)
    own = (1.0 / W) * (1.0 - 2.0 / L) + np.sum(1.0 / W) / L**2
    own = own + np.einsum("ij,jk,ik->i", apart, C, apart)
    lever = 1.0 / W[codes] + np.einsum("ij,jk,ik->i", inner[:, columns], C, inner[:, columns])
    left = 1.0 - w * lever
    with np.errstate(divide="ignore", invalid="ignore"):
        left_out = np.where(left > PIVOT, y - error / left, np.nan)
    full, se = np.full((2, len(names)), np.nan)
    full[columns], se[columns] = beta, sigma * np.sqrt(np.diag(C))
    effects = constants - constants.mean()
    return Within(full, se, effects, sigma * np.sqrt(np.maximum(own, 0.0)), sigma, left_out, p)


def pooled(
    y: Array, X: Array, w: Array, codes: NDArray[np.int32], L: int
) -> tuple[float, Array, Array]:
    """Least squares without groups: sigma, and predictions of left-out rows and groups."""
    root = np.sqrt(w)
    A, b = X.T @ (w[:, None] * X), X.T @ (w * y)
    inverse = np.linalg.inv(A)
    error = y - X @ (inverse @ b)
    sigma = float(np.linalg.norm(root * error) / np.sqrt(max(len(y) - X.shape[1], 1)))
    left = 1.0 - w * np.einsum("ij,jk,ik->i", X, inverse, X)
    with np.errstate(divide="ignore", invalid="ignore"):
        rows = np.where(left > PIVOT, y - error / left, np.nan)
    groups = np.full(len(y), np.nan)
    order = np.argsort(codes, kind="stable")
    ends = np.cumsum(np.bincount(codes, minlength=L))[:-1]
    for at in np.split(order, ends):
        own = X[at]
        rest = A - own.T @ (w[at, None] * own)
        if np.linalg.cond(rest) < 1e12:
            groups[at] = own @ np.linalg.solve(rest, b - own.T @ (w[at] * y[at]))
    return sigma, rows, groups


def contextual_test(
    design: Design, within: Within, kept: NDArray[np.intp], reml: bool
) -> pd.Series[Any]:
    """Test the coefficients of the group means of predictors that vary within groups.

    References
    ----------
    Mundlak (1978), Econometrica 46(1), 69-85.
    """
    none = {"F": np.nan, "num_df": 0, "den_df": np.nan, "pvalue": np.nan, "columns": ()}
    term = design.random[0]
    w = np.ones(design.n_obs) if design.weights is None else design.weights
    counts = np.bincount(term.codes, weights=w)
    varying = [int(j) for j, b in zip(kept, within.beta, strict=True) if np.isfinite(b)]
    means = []
    for j in varying:
        column = design.columns[design.fixed[j]]
        means.append((np.bincount(term.codes, weights=w * column) / counts)[term.codes])
    p, first = len(design.fixed), len(design.columns)
    wider = replace(
        design,
        columns=(*design.columns, *(np.ascontiguousarray(mean) for mean in means)),
        fixed=(*design.fixed, *range(first, first + len(means))),
        fixed_names=(*design.fixed_names, *(f"mean {design.fixed_names[j]}" for j in varying)),
    )
    if not means or len(wider.fixed) >= design.n_obs:
        return pd.Series(none, dtype=object)
    core = lmm.kernel(wider)
    found = lmm.fit(wider, core, reml=reml, control=lmm.Control())
    at = np.flatnonzero(found.kept >= p)
    if not len(at) or len(found.kept) >= term.n_levels + np.isfinite(within.beta).sum():
        return pd.Series(none, dtype=object)
    b, V = found.beta[found.kept[at]], found.cov_beta[np.ix_(at, at)]
    L = np.eye(len(found.kept))[at]
    scale, df = satterthwaite(core, found, design.n_obs).joint(L)
    F = scale * float(b @ np.linalg.solve(V, b)) / len(at)
    return pd.Series(
        {
            "F": F,
            "num_df": len(at),
            "den_df": df,
            "pvalue": float(scipy.stats.f.sf(F, len(at), df)),
            "columns": tuple(design.fixed_names[varying[int(found.kept[i]) - p]] for i in at),
        },
        dtype=object,
    )


def _explained(X: Array, within: Array, given: Any, codes: NDArray[np.int32]) -> Array:
    """Compute what columns that are constant within levels explain, from the mean of all."""
    columns, beta = np.flatnonzero(np.isnan(within)), np.asarray(given)
    first = np.unique(codes, return_index=True)[1]
    explained = X[np.ix_(first, columns)] @ beta[columns]
    return np.asarray(explained - explained.mean())


def _rmse(errors: Array) -> tuple[list[float], int]:
    """Root mean squares over the rows that all columns predict, and the number of these rows."""
    known = np.isfinite(errors).all(axis=1)
    if not known.any():
        return [np.nan] * errors.shape[1], 0
    return np.sqrt(np.mean(errors[known] ** 2, axis=0)).tolist(), int(known.sum())


def _notes(
    coefficients: pd.DataFrame,
    effects: pd.DataFrame,
    contextual: pd.Series[Any],
    group: str,
    unpredicted: int,
    variance: float,
) -> tuple[str, ...]:
    """State what each fit cannot tell."""
    notes = []
    lost = [name for name in coefficients.index if np.isnan(coefficients["fixed"][name])]
    lost = [name for name in lost if name != "Intercept"]
    fixed = f"fixed effects say nothing about a level of {group} that is not in the data"
    if lost:
        fixed += f", and nothing of {', '.join(lost)}, which the levels' constants span"
    notes.append(fixed)
    alone = int((effects["rows"] == 1).sum())
    if alone:
        notes.append(
            f"{alone} level{'s' * (alone != 1)} of {group} {'have' if alone != 1 else 'has'} one "
            "row, which its fixed effect reproduces"
        )
    if unpredicted:
        notes.append(f"rmse_rows is over the rows that all three predict, {unpredicted} left out")
    if np.isnan(float(contextual["F"])):
        notes.append(
            "random effects ask that they are unrelated to the predictors; here no mean of a "
            f"predictor differs between levels of {group} that could be tested"
        )
    else:
        names, p = ", ".join(contextual["columns"]), float(contextual["pvalue"])
        told = (
            "so the random fit's coefficient mixes two different ones; ranef.within_between keeps "
            "them apart"
            if p < 0.05
            else "so the data do not show a difference"
        )
        notes.append(
            "random effects ask that they are unrelated to the predictors: the test that "
            f"coefficients between levels are those within ({names}) has p {pvalue_text(p)}, "
            f"{told}"
        )
    if len(effects) < FEW:
        notes.append(
            f"a variance between {counted(len(effects), 'level')} is hardly known; fixed effects, "
            "a prior (prior='weak') or a known standard deviation (ranef.Point) do without it"
        )
    if variance == 0.0 or effects["weight"].max() < 1e-4:
        notes.append(
            "the variance between levels is estimated as zero: the random fit has no groups here"
        )
    return tuple(notes)
