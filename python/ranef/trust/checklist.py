"""The usual issues, filled in for one model: what applies here, and what to call next."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from textwrap import fill

import numpy as np
import pandas as pd

from .._counted import counted
from .._html import Preformatted
from ..design.design import RandomTerm
from ..errors import RanefError
from ..fitted.glmm.model import GeneralizedLinearMixedModel
from ..fitted.kinds import Generalised, Model
from ..fitted.lmm.model import LinearMixedModel
from ..words.answers import Spoken
from .diagnosis import diagnosis_of

__all__ = ["Checklist", "Item", "checklist_of"]

#: Levels below which a variance between groups is hardly known.
FEW = 20
#: Rows within levels below which a level says little about its slope.
SMALL = 5
#: Number of rows beyond which everything is significant.
MANY = 100_000
#: Columns of the text.
WIDTH = 88


@dataclass(frozen=True)
class Item:
    """One topic.

    Attributes
    ----------
    topic : str
        The issue.
    answer : str
        What applies to this model.
    call : str
        What to call next; empty where there is nothing to do.
    """

    topic: str
    answer: str
    call: str = ""


@dataclass(frozen=True, repr=False)
class Checklist(Spoken, Preformatted):
    """The usual issues of mixed models, filled in for one model.

    Attributes
    ----------
    formula : str
        The model.
    items : tuple of Item
        Topics in the order of the page on issues in mixed models.
    """

    formula: str
    items: tuple[Item, ...]

    @property
    def table(self) -> pd.DataFrame:
        """One row per topic: topic, answer, call."""
        return pd.DataFrame([vars(item) for item in self.items])

    def __repr__(self) -> str:
        parts = [self.formula]
        for item in self.items:
            text = fill(item.answer, WIDTH, initial_indent="  ", subsequent_indent="  ")
            parts.append(f"{item.topic}\n{text}" + (f"\n  > {item.call}" if item.call else ""))
        return "\n\n".join(parts)


def checklist_of(model: Model | Generalised) -> Checklist:
    """Go through the topics of the page on issues in mixed models."""
    return Checklist(model.call.formula, tuple(_items(model)))


def _items(model: Model | Generalised) -> Iterator[Item]:
    """Answer each topic in its order."""
    yield _explained(model)
    factors, linear = _factors(model), isinstance(model, LinearMixedModel)
    if factors:
        yield from _groups(model, factors)
    yield from _rows(model)
    yield Item(
        "fixed or random",
        f"Random: {', '.join(factors)}. Predictors that go with the groups need their means."
        if factors
        else "No groups: the only random effects are curves.",
        f'ranef.within_between(formula, data, groups="{next(iter(factors))}")'
        if linear and factors
        else "",
    )
    lost = sum(model.parts.design.dropped.values())
    yield Item(
        "missing values",
        f"{lost} of {model.parts.design.n_data} rows {'was' if lost == 1 else 'were'} dropped."
        if lost
        else "No rows were dropped.",
        "ranef.missing_report(formula, data)" if lost else "",
    )
    many = model.nobs >= MANY
    yield Item(
        "big data",
        f"{model.nobs:,} rows: read intervals, not p-values."
        if many
        else f"No: {model.nobs:,} rows.",
        "model.conf_int()" if many else "",
    )
    yield Item(
        "prediction",
        "How well are new rows, and new groups, predicted? A fit does not say.",
        'ranef.cross_validate(model, "new_groups")',
    )
    yield Item(
        "model comparison",
        f"AIC {model.aic:.2f}, log-likelihood {model.llf:.3f}; on their own these say nothing.",
        "ranef.compare(model, other)",
    )
    report = model.convergence
    advice = "ranef.doctor(model)" if model.is_singular or not report.converged else ""
    yield Item("convergence", report.verdict, advice)
    yield _diagnosed(model)


def _diagnosed(model: Model | Generalised) -> Item:
    """Say what diagnose finds, or why it does not look."""
    try:
        found = diagnosis_of(model, None, seed=1).codes
    except RanefError as error:
        return Item("anything else", f"{error}.", "model.check()")
    return Item(
        "anything else",
        f"diagnose finds {', '.join(found)}." if found else "diagnose finds nothing.",
        "ranef.diagnose(model), model.check()",
    )


def _factors(model: Model | Generalised) -> dict[str, int]:
    """List grouping factors and their numbers of levels, of smooths where there are no others."""
    return model.ngroups or {_named(term): term.n_levels for term in model.parts.design.grouped}


def _named(term: RandomTerm) -> str:
    """Name the grouping factor of a term, which a smooth may be of."""
    return term.group if term.smooth is None else str(term.smooth.group)


def _groups(model: Model | Generalised, factors: dict[str, int]) -> Iterator[Item]:
    """Answer what is about the groups: other approaches, curves, few levels."""
    group, linear = next(iter(factors)), isinstance(model, LinearMixedModel)
    yield Item(
        "alternatives",
        "Not compared yet: fixed effects, cluster-robust and between-within estimates of the same "
        "coefficients.",
        _others(model, group),
    )
    if linear:
        yield Item(
            "growth curves",
            f"For repeated measures of {group}: the same model as a latent curve.",
            f'ranef.growth(outcome, data, time=..., groups="{group}")',
        )
    few = [f"{name} has {count}" for name, count in factors.items() if count < FEW]
    yield Item(
        "few clusters",
        f"{'; '.join(few)} levels: its variance is poorly known, tests need small-sample degrees "
        "of freedom."
        if few
        else f"No: {_counts(factors)}.",
        ('model.coef_table("kenward-roger"), ' * linear + "model.sample()") if few else "",
    )


def _others(model: Model | Generalised, group: str) -> str:
    """Write the call of other approaches."""
    if isinstance(model, LinearMixedModel):
        return f'ranef.approaches(formula, data, groups="{group}")'
    if not isinstance(model, GeneralizedLinearMixedModel):
        return 'model.robust("CR2")'
    return f'ranef.gee(formula, data, groups="{group}", family="{model.family}")'


def _explained(model: Model | Generalised) -> Item:
    """State R² and the intraclass correlation, or why there is none."""
    topic = "variance accounted for"
    try:
        shares, icc = model.r2(), model.icc()
    except RanefError as error:
        return Item(topic, str(error), "model.varcorr")
    text = (
        f"Fixed effects {shares.marginal:.2f}, with random effects {shares.conditional:.2f}; "
        f"intraclass correlation {icc.adjusted:.2f}."
    )
    return Item(topic, text, "model.variance_decomposition()")


def _counts(factors: dict[str, int]) -> str:
    """Write the number of levels of each factor."""
    return ", ".join(f"{name} has {count:,} levels" for name, count in factors.items())


def _rows(model: Model | Generalised) -> Iterator[Item]:
    """Describe the number of rows within levels, and their balance."""
    said, small = [], False
    for term in model.parts.design.grouped:
        shares = [codes if w is None else codes[w > 0.0] for codes, w in term.memberships]
        counts = np.bincount(np.concatenate(shares))
        sizes = counts[counts > 0]  # a pedigree has animals without rows
        if len(sizes):
            low, high = int(np.min(sizes)), int(np.max(sizes))
            small |= float(np.median(sizes)) < SMALL
            spread = f"{low} to {high} rows" if low < high else counted(low, "row")
            said.append(f"{spread} a level of {_named(term)}")
    text = "; ".join(said) or "the rows were not kept"
    text = text[0].upper() + text[1:]
    yield Item(
        "few rows within clusters",
        f"{text}: a level alone says little." if small else f"{text}.",
        f"model.plot.{_drawn(model)}()" if small else "",
    )


def _drawn(model: Model | Generalised) -> str:
    """Name the figure of the levels: shrinkage where each has least squares to compare."""
    return "shrinkage" if isinstance(model, LinearMixedModel) else "caterpillar"
