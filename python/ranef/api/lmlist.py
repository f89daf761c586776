"""Least squares in each group on its own, and what a mixed model makes of it."""

from __future__ import annotations

from dataclasses import dataclass
from html import escape
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ranef.design.grouped import build_grouped, group_term
from ranef.errors import ModelError
from ranef.formula import Formula, parse
from ranef.models.ols import OlsEstimate, fit_ols

from .feols import check_formula
from .lmer import lmer
from .mixed_model import LinearMixedModel

__all__ = ["GroupFits", "lmlist"]

Array = NDArray[np.float64]


def lmlist(
    formula: str,
    data: Any,
    groups: str,
    *,
    weights: Any = None,
    contrasts: Any = None,
    missing: str = "drop",
) -> GroupFits:
    """Fit least squares in each group separately.

    Parameters
    ----------
    formula : str
        A formula without random-effects terms.
    data : DataFrame
        pandas, polars or Arrow table, or a mapping of columns.
    groups : str
        The grouping column.
    weights : str or array_like, optional
        Precision weights.
    contrasts : mapping, optional
        Coding of categorical columns, by name.
    missing : {"drop", "raise"}
        What to do with rows that have missing values.

    Returns
    -------
    GroupFits

    Examples
    --------
    >>> import ranef
    >>> sleep = ranef.datasets.load("sleepstudy")
    >>> fits = ranef.lmlist("Reaction ~ Days", sleep, "Subject")
    >>> fits.coef().mean().round(3).to_dict()
    {'Intercept': 251.405, 'Days': 10.467}
    """
    parsed = check_formula(parse(formula), "lmlist")
    design = build_grouped(
        parsed, data, [groups], weights=weights, contrasts=contrasts, missing=missing
    )
    term = group_term(design, groups)
    X, y, w = design.X, design.y, design.weights
    if design.offset is not None:
        y = y - design.offset
    order = np.argsort(term.codes, kind="stable")
    parts = np.split(order, np.cumsum(np.bincount(term.codes))[:-1])
    fits = tuple(_fit(y[rows], X[rows], None if w is None else w[rows]) for rows in parts)
    if not any(fit.ols.df_resid > 0 for fit in fits):
        raise ModelError(
            f"no group of {groups!r} has more rows than the formula's {X.shape[1]} coefficients"
        )
    return GroupFits(groups, term.levels, design.fixed_names, fits, parsed, data)


def _fit(y: Array, X: Array, weights: Array | None) -> GroupFit:
    """Fit one group."""
    return GroupFit(fit_ols(y, np.asfortranarray(X), weights), estimable(X))


def estimable(X: Array) -> NDArray[np.bool_]:
    """Tell which coefficients these rows determine: those on which no null vector of X bears.

    A column that is dropped as aliased leaves the others with another meaning, so it is not enough
    that a coefficient was kept.
    """
    length = np.linalg.norm(X, axis=0)
    scaled = X / np.where(length > 0.0, length, 1.0)
    _, s, Vt = np.linalg.svd(scaled, full_matrices=True)
    rank = int(np.sum(s > 1e-7 * max(1.0, s.max(initial=0.0))))
    return np.asarray(np.abs(Vt[rank:]).max(axis=0, initial=0.0) < 1e-6)


@dataclass(frozen=True)
class GroupFit:
    """One group's fit, and which of its coefficients mean what their names say."""

    ols: OlsEstimate
    estimable: NDArray[np.bool_]

    def beta(self) -> Array:
        """Coefficients, NaN where the group cannot tell one."""
        return np.where(self.estimable, self.ols.beta, np.nan)


@dataclass(frozen=True, repr=False, eq=False)
class GroupFits:
    """Separate least squares fits of all groups.

    Attributes
    ----------
    groups : str
        The grouping column.
    levels : Index
        Its levels.
    names : tuple of str
        Names of the coefficients.
    """

    groups: str
    levels: pd.Index[Any]
    names: tuple[str, ...]
    _fits: tuple[GroupFit, ...]
    _formula: Formula
    _data: Any

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_data": None}

    def coef(self) -> pd.DataFrame:
        """Give the coefficients, levels by terms; NaN where a group cannot tell one."""
        return pd.DataFrame(
            [fit.beta() for fit in self._fits], index=self.levels, columns=list(self.names)
        )

    @property
    def sigma(self) -> float:
        """Residual standard deviation, pooled over groups."""
        return float(np.sqrt(sum(fit.ols.ssr for fit in self._fits) / self.df_resid))

    @property
    def df_resid(self) -> int:
        """Residual degrees of freedom of all groups together."""
        return sum(fit.ols.df_resid for fit in self._fits)

    def bse(self) -> pd.DataFrame:
        """Give standard errors with the pooled variance, levels by terms."""
        out = np.full((len(self._fits), len(self.names)), np.nan)
        for i, fit in enumerate(self._fits):
            out[i, fit.ols.kept] = self.sigma * np.sqrt(np.diag(fit.ols.cov_unscaled))
            out[i, ~fit.estimable] = np.nan
        return pd.DataFrame(out, index=self.levels, columns=list(self.names))

    def average(self) -> pd.DataFrame:
        """Average the coefficients over groups.

        Returns
        -------
        DataFrame
            Columns estimate, se (from their spread), groups (that can tell the coefficient).
        """
        coef = self.coef()
        count = coef.notna().sum()
        return pd.DataFrame(
            {"estimate": coef.mean(), "se": coef.std(ddof=1) / np.sqrt(count), "groups": count}
        )

    def shrinkage(self, model: LinearMixedModel | None = None) -> pd.DataFrame:
        """Compare each group's own coefficients with those of a mixed model.

        Parameters
        ----------
        model : LinearMixedModel, optional
            The mixed model; by default all coefficients of the formula vary over the groups.

        Returns
        -------
        DataFrame
            A row for each level and coefficient that varies: separate (this group alone), partial
            (the mixed model), pooled (the mixed model's average), weight (partial - pooled) /
            (separate - pooled): the group's own share. A weight outside 0 to 1 means that the model
            learned from the group's other coefficients.
        """
        if model is None:
            if self._data is None:
                raise ModelError("fits that were pickled have no data; give the mixed model")
            left, right = self._formula.response, self._formula.fixed
            model = lmer(f"{left} ~ {right} + ({right} | {self.groups})", self._data)
        effects = model.ranef()[self.groups]
        own, partial = self.coef(), model.coef()[self.groups]
        rows = []
        for term in [name for name in self.names if name in effects.columns]:
            pooled = float(model.params[term])
            separate, part = own[term], partial[term].reindex(own.index)
            rows.append(
                pd.DataFrame(
                    {
                        "level": own.index,
                        "term": term,
                        "separate": separate.to_numpy(),
                        "partial": part.to_numpy(),
                        "pooled": pooled,
                        "weight": ((part - pooled) / (separate - pooled)).to_numpy(),
                    }
                )
            )
        return pd.concat(rows, ignore_index=True)

    def _title(self) -> str:
        """Say what was fitted, and where it could not be."""
        few = sum(not fit.estimable.all() for fit in self._fits)
        told = f"; {few} cannot tell every coefficient" if few else ""
        return f"Least squares in each of {len(self._fits)} groups of {self.groups}{told}"

    def __repr__(self) -> str:
        table = self.average().to_string(float_format=lambda x: f"{x:.5g}")
        return f"{self._title()}\n\n{table}"

    def _repr_html_(self) -> str:
        return f"<h3>{escape(self._title())}</h3>{self.average().to_html()}"
