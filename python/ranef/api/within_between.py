"""Mixed models that tell effects within groups from effects between them."""

from __future__ import annotations

import warnings
from collections.abc import Collection
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from ..design import INTERCEPT, Design, RandomTerm, build
from ..design.grouped import group_term
from ..errors import DataError, ModelError
from ..fitted.lmm.fit import Call
from ..fitted.lmm.model import LinearMixedModel
from ..fitted.robust import RobustResult
from ..formula import Bar, Formula, Term, parse
from ..inference.sandwich.tests import wald_f
from ..models import lmm
from ..models.within import is_constant_within
from ..report.regression import CoefficientTests
from ..report.summary import Summary
from .lmer import Control

__all__ = ["WithinBetweenModel", "with_intercept_of", "within_between"]

Array = NDArray[np.float64]


def within_between(
    formula: str,
    data: Any,
    groups: str,
    *,
    form: str = "hybrid",
    reml: bool = True,
    weights: Any = None,
    contrasts: Any = None,
    missing: str = "drop",
) -> WithinBetweenModel:
    """Fit a mixed model in which each column has an effect within groups and one between them.

    Parameters
    ----------
    formula : str
        A formula; a random intercept of the groups is added if it has no random-effects term.
    data : DataFrame
        pandas, polars or Arrow table, or a mapping of columns.
    groups : str
        The grouping column.
    form : {"hybrid", "mundlak"}
        "hybrid": deviations from group means and group means. "mundlak": the columns themselves and
        group means, whose coefficients are then the differences between the two effects.
    reml : bool
        Whether to maximise the restricted likelihood.
    weights : str or array_like, optional
        Precision weights.
    contrasts : mapping, optional
        Coding of categorical columns, by name.
    missing : {"drop", "raise"}
        What to do with rows that have missing values.

    Returns
    -------
    WithinBetweenModel

    Notes
    -----
    Columns that are constant within groups have one coefficient, between; columns whose group means
    are all equal have one within. The coefficients within are those of fixed-effects least squares
    when the only random effect is the groups' intercept.

    References
    ----------
    .. [1] Mundlak (1978), Econometrica 46, 69-85.
    .. [2] Bell and Jones (2015), Polit. Sci. Res. Methods 3, 133-153.

    Examples
    --------
    >>> import ranef
    >>> cake = ranef.datasets.load("cake")
    >>> model = ranef.within_between("angle ~ temp", cake, "replicate")
    >>> list(model.params.index)
    ['Intercept', 'temp within']
    """
    if form not in ("hybrid", "mundlak"):
        raise ValueError(f"form is hybrid or mundlak, not {form!r}")
    parsed = with_intercept_of(parse(formula), groups)
    raw = build(parsed, data, weights=weights, contrasts=contrasts, missing=missing)
    split = split_columns(raw, group_term(raw, groups), form)
    lmm.check(split.design)
    core = lmm.kernel(split.design)
    estimate = lmm.fit(split.design, core, reml=reml, control=Control())
    call = Call(parsed.text, reml, weights, None, contrasts, missing)
    model = LinearMixedModel(split.design, estimate, call, core=core, data=data)
    for warning in model.warnings:
        warnings.warn(warning, stacklevel=2)
    return WithinBetweenModel(model, split, groups, form)


def with_intercept_of(formula: Formula, groups: str) -> Formula:
    """Add the groups' random intercept to a formula without random-effects terms."""
    if not formula.random:
        bar = Bar("1", (Term(),), groups, tuple(groups.split(":")), False)
        return replace(formula, random=(bar,), text=f"{formula.text} + (1 | {groups})")
    if groups not in [bar.group for bar in formula.random]:
        raise ModelError(
            f"{groups!r} is no grouping factor of the formula; add (1 | {groups}) or name one of "
            f"{', '.join(bar.group for bar in formula.random)}"
        )
    return formula


@dataclass(frozen=True)
class Split:
    """A design whose columns are split, and where the parts are.

    Attributes
    ----------
    design : Design
        The new design.
    pairs : tuple of (str, int, int)
        Column, position of its part within, position of its part between.
    """

    design: Design
    pairs: tuple[tuple[str, int, int], ...]


def split_columns(design: Design, term: RandomTerm, form: str) -> Split:
    """Split every column that varies within and between groups."""
    columns = list(design.columns)
    fixed: list[int] = []
    names: list[str] = []
    means: list[tuple[str, int, Array]] = []
    for j, reference in enumerate(design.fixed):
        name = design.fixed_names[j]
        if reference == INTERCEPT or is_constant_within(columns[reference], term.codes):
            fixed.append(reference)
            names.append(name)
            continue
        x = columns[reference]
        mean = group_means(x, term, design.weights)
        if np.ptp(mean) > 1e-9 * np.abs(x).max():
            means.append((name, len(fixed), mean))
        within = x - mean if form == "hybrid" else x
        columns.append(np.ascontiguousarray(within))
        fixed.append(len(columns) - 1)
        names.append(f"{name} within" if form == "hybrid" else name)
    if not any(reference != INTERCEPT for reference in fixed):
        raise DataError("the formula has no column to split", None)
    pairs = []
    for name, place, mean in means:
        pairs.append((name, place, len(fixed)))
        columns.append(mean)
        fixed.append(len(columns) - 1)
        names.append(f"{name} between" if form == "hybrid" else f"{name} mean")
    terms = tuple((name, (j,)) for j, name in enumerate(names))
    new = replace(
        design,
        columns=tuple(columns),
        fixed=tuple(fixed),
        fixed_names=tuple(names),
        fixed_terms=terms,
    )
    return Split(new, tuple(pairs))


def group_means(x: Array, term: RandomTerm, weights: Array | None) -> Array:
    """Give each row the (weighted) mean of its group, shape (n,)."""
    w = np.ones(len(x)) if weights is None else weights
    size = term.n_levels
    mean = np.bincount(term.codes, w * x, size) / np.bincount(term.codes, w, size)
    return np.asarray(mean[term.codes])


class WithinBetweenModel(CoefficientTests):
    """A mixed model with effects within and between groups.

    Made by :func:`ranef.within_between`.

    Attributes
    ----------
    model : LinearMixedModel
        The mixed model itself, with variances, random effects and criteria.
    groups : str
        The grouping column.
    form : str
        "hybrid" or "mundlak".
    """

    def __init__(self, model: LinearMixedModel, split: Split, groups: str, form: str):
        self.model = model
        self.groups = groups
        self.form = form
        self._split = split
        self._names = split.design.fixed_names
        self._beta = model.params.to_numpy()
        self._cov = model.cov_params().to_numpy()

    def _df(self) -> ArrayLike:
        return self.model.coef_table()["df"].to_numpy()[self._kept()]

    @property
    def nobs(self) -> int:
        """Rows that were used."""
        return self.model.nobs

    def _table_response(self) -> str:
        return self.model._table_response()

    def _table_rows(self) -> dict[str, Any]:
        return self.model._table_rows()

    @property
    def _table_hidden(self) -> Collection[str]:  # type: ignore[override]
        return self.model._table_hidden

    def robust(self, kind: str = "CR2", cluster: Any = None) -> RobustResult:
        """Give tests with a cluster-robust covariance; see `LinearMixedModel.robust`."""
        return self.model.robust(kind, cluster=self.groups if cluster is None else cluster)

    def contextual(self) -> pd.DataFrame:
        """Give the differences between effects between and within groups.

        Returns
        -------
        DataFrame
            Columns estimate, se; a row a column of the formula that has both effects.
        """
        C, names = self._differences()
        estimate = C @ self._beta[self._kept()]
        se = np.sqrt(np.einsum("ij,jk,ik->i", C, self._cov, C))
        return pd.DataFrame({"estimate": estimate, "se": se}, index=pd.Index(names))

    def _differences(self) -> tuple[Array, list[str]]:
        """Contrasts between minus within, over the kept coefficients."""
        kept = self._kept()
        rows, names = [], []
        for name, within, between in self._split.pairs:
            if not (kept[within] and kept[between]):
                continue
            row = np.zeros(len(self._beta))
            row[between] = 1.0
            if self.form == "hybrid":
                row[within] = -1.0
            rows.append(row[kept])
            names.append(name)
        if not rows:
            raise ModelError(
                f"no column varies both within and between {self.groups!r}, so there is nothing to "
                "compare"
            )
        return np.array(rows), names

    def hausman(self, kind: str | None = None) -> pd.DataFrame:
        """Test that effects within and between groups are equal: Hausman's test as a Wald test.

        Parameters
        ----------
        kind : str, optional
            A correction such as "CR2" for a cluster-robust test; by default model-based.

        Returns
        -------
        DataFrame
            One row: num_df, den_df, F, pvalue. F times num_df is chi-squared if den_df is infinite.
        """
        C, _ = self._differences()
        if kind is None:
            value = C @ self._beta[self._kept()]
            return pd.DataFrame(wald_f(C, value, self._cov, np.inf).columns())
        full = np.zeros((len(C), len(self._beta)))
        full[:, self._kept()] = C
        return self.robust(kind).wald_test(full)

    def summary(self) -> Summary:
        """Summarise the fit; prints as text, shows as HTML in a notebook."""
        text = self.model.summary()
        return replace(text, coefficients=self.coef_table())

    def __repr__(self) -> str:
        return str(self.summary())

    def _repr_html_(self) -> str:
        return self.summary()._repr_html_()
