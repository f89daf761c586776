"""Backward elimination: random effects by likelihood ratios, then fixed effects by F tests."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np

from ..errors import RanefError, RanefWarning
from ..fitted.feols.call import FeolsCall
from ..fitted.feols.model import FixedEffectsModel
from ..fitted.feols.model import fit_model as fit_feols
from ..fitted.lmm.model import LinearMixedModel
from ..formula import like, parse
from ..inference.diagnosis.formulas import part_of, without
from ..inference.lrt.lrt import chi2_tail
from ..inference.subsets import droppable, spelled
from ..parallel.progress import Line
from .building import on_its_rows

__all__ = ["Step", "caic_steps", "conditional", "fixed_steps", "random_steps"]

T = TypeVar("T")


@dataclass(frozen=True)
class Step:
    """One term examined in one round.

    Attributes
    ----------
    part, term : str
        "random" or "fixed", and the term that would go.
    round : int
        When it went, from 1; 0 for what stayed.
    statistic, num_df, den_df, pvalue : float
        Chi-squared of a random effect, or the conditional AIC without it; F of a fixed one.
    """

    part: str
    term: str
    round: int
    statistic: float
    num_df: float
    den_df: float
    pvalue: float


def random_steps(
    model: LinearMixedModel, alpha: float, keep: set[str], line: Line
) -> tuple[LinearMixedModel | FixedEffectsModel, list[Step]]:
    """Remove random effects while the least certain one has p above alpha."""
    steps: list[Step] = []
    current: Any = model
    for number in range(1, 1000):
        found = list(_counted(_smaller(current, keep), line))
        if not found:
            break
        tests = [(label, other, *_ratio(current, other)) for label, other in found]
        label, other, chisq, df, p = max(tests, key=lambda test: test[4])
        gone = p > alpha
        if not gone:
            steps += [Step("random", t[0], 0, t[2], t[3], np.nan, t[4]) for t in tests]
            break
        steps.append(Step("random", label, number, chisq, df, np.nan, p))
        current = other
        if not isinstance(current, LinearMixedModel):
            break
    return current, steps


def caic_steps(
    model: LinearMixedModel, keep: set[str], line: Line
) -> tuple[LinearMixedModel | FixedEffectsModel, list[Step]]:
    """Remove random effects while the conditional AIC falls.

    References
    ----------
    .. [1] Greven and Kneib (2010), Biometrika 97, 773-789.
    """
    steps: list[Step] = []
    current: Any = model
    least = conditional(current)
    for number in range(1, 1000):
        smaller = _counted(_smaller(current, keep), line)
        found = [(label, other, conditional(other)) for label, other in smaller]
        if not found:
            break
        label, other, value = min(found, key=lambda one: one[2])
        if value > least:
            steps += [Step("random", one[0], 0, one[2], *[np.nan] * 3) for one in found]
            break
        steps.append(Step("random", label, number, value, np.nan, np.nan, np.nan))
        current, least = other, value
        if not isinstance(current, LinearMixedModel):
            break
    return current, steps


def conditional(model: Any) -> float:
    """Return the conditional AIC; without random effects it counts coefficients and sigma."""
    if isinstance(model, LinearMixedModel):
        return float(model.caic().caic)
    weights = model.parts.design.weights
    w = np.ones(model.nobs) if weights is None else weights
    squares = float((w * np.asarray(model.resid) ** 2).sum()) / model.sigma**2
    logs = model.nobs * np.log(2.0 * np.pi * model.sigma**2) - np.log(w).sum()
    return float(squares + logs + 2.0 * (len(model.parts.kept) + 1))


def _counted(items: Iterator[T], line: Line) -> Iterator[T]:
    """Yield the items, counting them."""
    for item in items:
        yield item
        line.update(1)


def _smaller(model: LinearMixedModel, keep: set[str]) -> Iterator[tuple[str, Any]]:
    """Return the models with one random-effects column, or term, fewer."""
    design = model.parts.design
    for term in design.random:
        parts = list(dict.fromkeys(part_of(name) for name in term.names))
        slopes = [part for part in parts if part != "Intercept"]
        for part in slopes or parts:
            names = [name for name in term.names if part_of(name) == part]
            whole = len(names) == term.n_cols
            label = f"({part if part != 'Intercept' else '1'} | {term.group})"
            text = without(design, term, names)
            if not text or label in keep:
                continue
            if whole and "|" not in text:
                yield label, _pooled(model, text)
            else:
                yield label, _again(model, text)


def _again(model: Any, text: str) -> Any:
    data, cut = on_its_rows(model)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RanefWarning)
        strict = {"strict": False} if isinstance(model, LinearMixedModel) else {}
        formula = like(text, parse(model.call.formula))
        return model.update(formula, data=data, **cut, **strict)


def _pooled(model: LinearMixedModel, text: str) -> FixedEffectsModel:
    data, cut = on_its_rows(model)
    call = FeolsCall(
        text,
        weights=cut.get("weights", model.call.weights),
        offset=cut.get("offset", model.call.offset),
        contrasts=model.call.contrasts,
    )
    return fit_feols(call, data)


def _ratio(large: LinearMixedModel, small: Any) -> tuple[float, float, float]:
    """Statistic, degrees of freedom and p-value of one step, by the criterion of the fit."""
    if isinstance(small, LinearMixedModel):
        chisq, df = 2.0 * (large.llf - small.llf), large.npar - small.npar
    else:
        zero = [np.zeros((t.n_cols, t.n_cols), order="F") for t in large.parts.design.random]
        without_any = large.parts.core.objective(zero, large.reml)
        chisq = without_any + 2.0 * large.llf
        df = large.npar - len(large.parts.kept) - 1
    chisq = max(0.0, float(chisq))
    return chisq, float(df), float(chi2_tail(chisq, df))


def fixed_steps(
    model: Any, alpha: float, keep: set[str], ddf: str | None, line: Line
) -> tuple[Any, list[Step]]:
    """Remove fixed terms while the least certain one that no other needs has p above alpha."""
    steps: list[Step] = []
    current = model
    for number in range(1, 1000):
        tests = list(_counted(_tests(current, keep, ddf), line))
        if not tests:
            break
        worst = max(tests, key=lambda step: step.pvalue)
        if worst.pvalue <= alpha:
            steps += tests
            break
        steps.append(Step("fixed", worst.term, number, *_numbers(worst)))
        formula = parse(current.call.formula)
        rest = [term for term in formula.terms if term.name != worst.term]
        try:
            current = _again(current, spelled(formula, rest))
        except RanefError:  # nothing is left to estimate
            break
    return current, steps


def _numbers(step: Step) -> tuple[float, float, float, float]:
    return step.statistic, step.num_df, step.den_df, step.pvalue


def _tests(model: Any, keep: set[str], ddf: str | None) -> Iterator[Step]:
    """Test each term that no other one needs."""
    names = list(model.params.index)
    columns = dict(model.parts.terms)
    for term in droppable(parse(model.call.formula).terms):
        places = [j for j in columns.get(term.name, ()) if np.isfinite(model.params.iloc[j])]
        if term.name in keep or not places:
            continue
        L = np.eye(len(names))[places]
        options = {"ddf": ddf} if ddf is not None and isinstance(model, LinearMixedModel) else {}
        found = model.test(L, **options)
        yield Step(
            "fixed",
            term.name,
            0,
            float(found.F),
            float(found.num_df),
            float(found.den_df),
            float(found.pvalue),
        )
