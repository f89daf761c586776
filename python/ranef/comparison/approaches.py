"""Several answers to one question about grouped data, side by side."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from html import escape
from typing import Any

import numpy as np
import pandas as pd

from .._caller import warn_caller
from ..design import INTERCEPT, build
from ..design.grouped import group_term
from ..errors import DroppedRowsWarning, RanefError, RanefWarning
from ..fitted.feols.model import FixedEffectsModel
from ..fitted.gee.call import GEECall
from ..fitted.gee.model import GEEModel
from ..fitted.gee.model import fit_model as fit_gee
from ..fitted.lmlist import GroupFits
from ..fitted.panel.split import with_intercept_of
from ..fitted.panel.within_between import WithinBetweenModel
from ..formula import Formula, like
from ..models import lmm
from ..models.ols import fit_ols
from ..report.coefficients import coefficient_table, interval_table
from ..report.plots.tables import coefficient_axes
from ..words.answers import Spoken

__all__ = [
    "ANSWERS",
    "Approaches",
    "apart",
    "average_table",
    "check_identities",
    "exchangeable",
    "growing_theta",
    "independence",
    "intercept_term",
    "marginal_text",
    "mixed_text",
    "only_intercept",
    "rows_of",
    "side_by_side",
    "within_is_fixed",
]


#: Approach: what its coefficient answers, and what it cannot.
ANSWERS = {
    "OLS": (
        "difference of means along x over all rows",
        "its standard error treats rows of a group as independent",
    ),
    "per-group fits": (
        "mean of the groups' own slopes",
        "nothing about columns constant within groups; small groups count as much as large ones",
    ),
    "OLS, cluster-robust": (
        "the same mean difference, with an honest standard error",
        "how groups differ; mixes effects within and between groups",
    ),
    "fixed effects": (
        "difference along x within a group",
        "anything constant within groups, or new groups",
    ),
    "between-within": (
        "both: within a group, and between group means",
        "slopes of single groups unless they are random",
    ),
    "GEE": (
        "mean difference in the population, groups weighted by their information",
        "how groups differ; needs rows missing completely at random",
    ),
    "mixed model": (
        "difference along x for a typical group, and how groups vary",
        "a causal effect if group means of x go with the group's effect",
    ),
}


@dataclass(frozen=True, repr=False, eq=False)
class Approaches(Spoken):
    """Approaches to one question, side by side.

    Attributes
    ----------
    table : DataFrame
        A row for each approach and coefficient: estimate, se, df, t, pvalue.
    answers : DataFrame
        A row for each approach: what it answers, and what it cannot.
    identities : DataFrame
        A row for each identity between approaches: the largest difference on these data, relative
        to standard errors, and whether it holds.
    skipped : dict of str to str
        Approaches that could not be used on these data, and why.
    models : dict
        The fitted models by approach.
    warnings : tuple of RanefWarning
        Warnings of the mixed model, such as dropped rows.
    """

    table: pd.DataFrame
    answers: pd.DataFrame
    identities: pd.DataFrame
    skipped: dict[str, str]
    models: dict[str, Any]
    warnings: tuple[RanefWarning, ...] = ()

    def plot(
        self, names: Sequence[str] | None = None, level: float = 0.95, *, ax: Any = None
    ) -> Any:
        """Draw the coefficients of all approaches side by side, with intervals.

        Parameters
        ----------
        names : sequence of str, optional
            Coefficients to draw; all but the intercept by default.
        level : float
            Coverage of the intervals.
        ax : matplotlib Axes, optional
            Where to draw; a new figure by default.

        Returns
        -------
        matplotlib Axes
        """
        tables = {}
        for name in dict.fromkeys(self.table.index.get_level_values(0)):
            rows = self.table.loc[[name]].droplevel(0)
            columns = rows["estimate"], rows["se"], rows["df"]
            limits = interval_table(list(rows.index), *columns, level)
            tables[str(name)] = limits.assign(estimate=rows["estimate"])
        title = f"Approaches to grouped data, {level:.0%} intervals"
        return coefficient_axes(tables, names, ax, title)

    def _notes(self) -> list[str]:
        """State what was left out: approaches, and what the mixed model warned of."""
        left = [f"{name}: left out, {why}" for name, why in self.skipped.items()]
        return left + [str(warning) for warning in self.warnings]

    def __repr__(self) -> str:
        table = self.table.to_string(float_format=lambda x: f"{x:.4g}", na_rep="")
        lines = ["Approaches to grouped data", "", table, "", "What the coefficient of x is"]
        for name, row in self.answers.iterrows():
            lines += [f"  {name}: {row['answers']}", f"      not: {row['cannot tell']}"]
        lines += ["", "Identities on these data, differences in standard errors"]
        for name, row in self.identities.iterrows():
            holds = "holds" if row["holds"] else "DOES NOT HOLD"
            lines.append(f"  {name}: {holds} ({row['difference']:.1e})")
        lines += ["", *(f"- {note}" for note in self._notes())]
        return "\n".join(lines).rstrip()

    def _repr_html_(self) -> str:
        told = "".join(f"<li>{escape(note)}</li>" for note in self._notes())
        return (
            "<h3>Approaches to grouped data</h3>"
            + self.table.to_html(float_format=lambda x: f"{x:.4g}", na_rep="")
            + "<h4>What the coefficient of x is</h4>"
            + self.answers.to_html()
            + "<h4>Identities on these data, differences in standard errors</h4>"
            + self.identities.to_html(float_format=lambda x: f"{x:.1e}")
            + (f"<ul>{told}</ul>" if told else "")
        )


def side_by_side(
    runs: dict[str, Callable[[], Any]],
    answers: dict[str, tuple[str, str]],
    tables_of: Callable[[dict[str, Any]], dict[str, pd.DataFrame]],
    identities_of: Callable[[dict[str, Any]], pd.DataFrame],
) -> Approaches:
    """Carry approaches out and lay them side by side; those that cannot be used are left out.

    Parameters
    ----------
    runs : dict of str to callable
        What fits each approach. The mixed model, and least squares, must not fail.
    answers : dict of str to (str, str)
        What each row of the table answers, and what it cannot.
    tables_of, identities_of : callable
        The coefficient tables, and the identities, of the fitted models.
    """
    models, skipped = {}, {}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RanefWarning)
        for name, run in runs.items():
            try:
                models[name] = run()
            except (RanefError, ValueError) as error:
                if name in ("OLS", "mixed model"):
                    raise
                skipped[name] = str(error)
    told = models["mixed model"].warnings
    for warning in told:
        if isinstance(warning, DroppedRowsWarning):
            warn_caller(warning)
    tables = tables_of(models)
    listed = pd.DataFrame(
        [answers[name] for name in tables],
        index=pd.Index(tables),
        columns=["answers", "cannot tell"],
    )
    return Approaches(pd.concat(tables), listed, identities_of(models), skipped, models, told)


def marginal_text(formula: Formula) -> str:
    """Spell the formula without its random-effects terms."""
    return formula.without_random().text


def mixed_text(formula: Formula) -> str:
    """Spell the formula with its random-effects terms."""
    text = " + ".join([marginal_text(formula), *(bar.source() for bar in formula.random)])
    return like(text, formula)


def rows_of(models: dict[str, Any], groups: str) -> dict[str, pd.DataFrame]:
    """Return the coefficient table of every approach, in the order of `ANSWERS`."""
    ols: FixedEffectsModel = models["OLS"]
    tables = {
        "OLS": FixedEffectsModel(
            replace(ols.parts, call=replace(ols.call, vcov="iid"))
        ).coef_table(),
        "OLS, cluster-robust": ols.robust("CR2", cluster=groups).coef_table(),
        "mixed model": models["mixed model"].coef_table(),
    }
    if "per-group fits" in models:
        tables["per-group fits"] = average_table(models["per-group fits"])
    if "fixed effects" in models:
        tables["fixed effects"] = models["fixed effects"].robust("CR2", cluster=groups).coef_table()
    if "between-within" in models:
        tables["between-within"] = models["between-within"].coef_table()
    if "GEE" in models:
        tables["GEE"] = models["GEE"].robust("CR2").coef_table()
    return {name: tables[name] for name in ANSWERS if name in tables}


def average_table(fits: GroupFits) -> pd.DataFrame:
    """Lay out the average of per-group coefficients with t tests over groups."""
    average = fits.average()
    return coefficient_table(
        fits.names, average["estimate"], average["se"], average["groups"] - 1.0
    )


def check_identities(
    models: dict[str, Any], formula: Formula, data: Any, groups: str, contrasts: Any
) -> pd.DataFrame:
    """Check on these data what theory says must agree."""
    found: dict[str, Callable[[], float]] = {
        "GEE with independence is OLS with CR0": lambda: independence(models, data, groups)
    }
    if "fixed effects" in models:
        found["fixed effects are the mixed model as theta grows"] = lambda: growing_theta(
            models["fixed effects"], formula, data, groups, contrasts
        )
    if "fixed effects" in models and "between-within" in models:
        found["within coefficients are fixed effects"] = lambda: within_is_fixed(models)
    found["generalised least squares is the random intercept"] = lambda: exchangeable(
        formula, data, groups, contrasts
    )
    gaps = {name: check() for name, check in found.items()}
    return pd.DataFrame(
        {"difference": gaps, "holds": {name: bool(gap < 1e-5) for name, gap in gaps.items()}}
    )


def independence(models: dict[str, Any], data: Any, groups: str) -> float:
    """Compare GEE under independence with OLS and CR0: coefficients and covariance."""
    ols: FixedEffectsModel = models["OLS"]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RanefWarning)
        other: GEEModel = fit_gee(
            GEECall(ols.call.formula, groups, corr="independence", contrasts=ols.call.contrasts),
            data,
        )
    return max(
        apart(other.params, ols.params, ols.bse),
        float(np.abs(other.bse / ols.bse - 1.0).max()),
    )


def apart(a: pd.Series[Any], b: pd.Series[Any], se: pd.Series[Any]) -> float:
    """Return the largest difference of two sets of coefficients in standard errors."""
    return float((np.abs(a - b) / se).max())


def growing_theta(
    fixed: FixedEffectsModel, formula: Formula, data: Any, groups: str, contrasts: Any
) -> float:
    """Compare fixed effects with a random-intercept model of very large theta."""
    design = build(only_intercept(formula, groups), data, contrasts=contrasts)
    estimate = lmm.evaluate(design, lmm.kernel(design), (np.array([[1e4]]),), reml=True)
    params = pd.Series(estimate.beta, index=pd.Index(design.fixed_names))
    own = fixed.params.dropna()
    return apart(params[own.index], own, fixed.bse[own.index])


def only_intercept(formula: Formula, groups: str) -> Formula:
    """Replace the random-effects terms by the groups' intercept."""
    return with_intercept_of(replace(formula, random=()), groups)


def within_is_fixed(models: dict[str, Any]) -> float:
    """Compare the coefficients within of a random-intercept model with fixed effects."""
    model: WithinBetweenModel = models["between-within"]
    fixed: FixedEffectsModel = models["fixed effects"]
    design = model.parts.split.design
    if any(term.n_cols > 1 for term in design.random) or len(design.random) > 1:
        design = replace(design, random=(intercept_term(model),))
    estimate = lmm.fit(design, lmm.kernel(design), reml=True, control=lmm.Control())
    params = pd.Series(estimate.beta, index=pd.Index(design.fixed_names))
    own = fixed.params.dropna()
    params.index = params.index.str.removesuffix(" within")
    shared = [name for name in own.index if name in params.index]
    return apart(params[shared], own[shared], fixed.bse[shared])


def intercept_term(model: WithinBetweenModel) -> Any:
    """Return the groups' term with an intercept only."""
    term = group_term(model.parts.split.design, model.groups)
    return replace(term, columns=(INTERCEPT,), names=("Intercept",), blocks=((0,),))


def exchangeable(formula: Formula, data: Any, groups: str, contrasts: Any) -> float:
    """Compare the random-intercept model with least squares on quasi-demeaned rows.

    With theta the relative standard deviation of the intercept, taking 1 - (1 + n theta^2)^-1/2 of
    the group's mean from each row leaves uncorrelated rows of equal variance.
    """
    design = build(only_intercept(formula, groups), data, contrasts=contrasts)
    model = lmm.fit(design, lmm.kernel(design), reml=True, control=lmm.Control())
    term = group_term(design, groups)
    counts = np.bincount(term.codes)
    share = 1.0 - 1.0 / np.sqrt(1.0 + counts * float(model.lambda_[0][0, 0]) ** 2)
    offset = 0.0 if design.offset is None else design.offset
    both = np.column_stack([design.y - offset, design.X])
    sums = np.stack([np.bincount(term.codes, column) for column in both.T], axis=1)
    freed = both - (share[:, None] * sums / counts[:, None])[term.codes]
    gls = fit_ols(freed[:, 0], np.asfortranarray(freed[:, 1:]))
    kept = ~np.isnan(model.beta)
    se = np.sqrt(np.diag(model.cov_beta))
    return float(np.max(np.abs(gls.beta[kept] - model.beta[kept]) / se))
