"""Likelihood ratio tests of random-effects terms: a method of every generalised model."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from functools import singledispatch
from typing import Any

import pandas as pd

from ...families import Family
from ...inference.hypotheses.random import n_covariances, reductions
from ...models.glmm.plan import Plan, plan_of
from ...models.glmm.several import fit_parts
from ...models.glmm.thresholds import ordinal_plan
from ...parallel.progress import tracked
from ...report.tests import ranova_table
from ...report.whole_frame import WholeFrame
from ..glmm.parts import GlmmParts
from ..ordinal.parts import OrdinalParts
from ..parts import Base
from ..several.fit import starts
from ..several.parts import SeveralParts
from .likelihood import by_likelihood
from .parts import GeneralisedParts

__all__ = ["RandomTests"]

#: What is left out, the model without it, and by how many covariance parameters it is smaller.
Smaller = tuple[str, Plan, int]


class RandomTests(Base):
    """Likelihood ratio tests of random-effects terms."""

    parts: GeneralisedParts

    def ranova(self, *, progress: bool = True) -> pd.DataFrame:
        """Test each random-effects term by a likelihood ratio, against the term one step smaller.

        A term ``(x | g)`` is compared with ``(1 | g)``, ``(0 + f | g)`` of a factor with ``(1 |
        g)``, and ``(1 | g)`` with no term.

        Parameters
        ----------
        progress : bool
            Whether to show a progress bar when it takes longer than a second.

        Returns
        -------
        DataFrame
            Columns npar, llf, aic, chisq, df, pvalue; the whole model first.

        Notes
        -----
        Likelihoods are by the approximation of the fit, which is exact without random effects. A
        variance of zero lies on the boundary, so the p-values are too large: for one variance, by a
        factor of two.

        Examples
        --------
        >>> import ranef
        >>> cbpp = ranef.datasets.load("cbpp")
        >>> model = ranef.glmer(
        ...     "cbind(incidence, size - incidence) ~ period + (1 | herd)", cbpp, family="binomial"
        ... )
        >>> model.ranova()[["npar", "chisq", "df"]].round(2)
                    npar  chisq   df
        <none>         5    NaN  NaN
        (1 | herd)     4  14.01  1.0
        """
        parts = self.parts
        by_likelihood(parts, "ranova", structured=True)
        labels, npar, llf = ["<none>"], [parts.npar], [parts.llf]
        control = replace(parts.call.control, start=())
        listed = list(smaller(parts))
        for label, plan, fewer in tracked(listed, len(listed), "smaller models", shown=progress):
            nagq = parts.nagq if plan.terms else 1
            labels.append(label)
            npar.append(parts.npar - fewer)
            llf.append(-0.5 * fit_parts(plan, nagq=nagq, control=control).objective)
        return WholeFrame(ranova_table(labels, npar, llf))


@singledispatch
def smaller(parts: Any) -> Iterator[Smaller]:
    """List the models in which one random-effects term is one step smaller."""
    raise TypeError(type(parts).__name__)


@smaller.register
def _(parts: GlmmParts) -> Iterator[Smaller]:
    family = parts.call.spec.distribution
    yield from of_designs(family, parts.call.spec.link, (("location", parts.design),))


@smaller.register
def _(parts: SeveralParts) -> Iterator[Smaller]:
    yield from of_designs(parts.family, parts.call.link, parts.designs)


@smaller.register
def _(parts: OrdinalParts) -> Iterator[Smaller]:
    design, call = parts.design, parts.call
    for one in reductions(design):
        less = replace(design, random=one.random)
        plan = ordinal_plan(less, parts.nominal, parts.scale, call.link, call.thresholds)
        yield one.label, plan.plan, n_covariances(design.random) - n_covariances(one.random)


def of_designs(
    family: Family, link: str, designs: tuple[tuple[str, Any], ...]
) -> Iterator[Smaller]:
    """Reduce the terms of each part in turn."""
    start = starts(family, link, designs)
    for at, (part, design) in enumerate(designs):
        for one in reductions(design):
            less = (part, replace(design, random=one.random))
            plan = plan_of(family, link, (*designs[:at], less, *designs[at + 1 :]), start)
            prefix = "" if part == "location" else f"{part}: "
            fewer = n_covariances(design.random) - n_covariances(one.random)
            yield prefix + one.label, plan, fewer
