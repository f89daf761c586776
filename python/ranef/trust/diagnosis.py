"""Findings about a formula, a design, a fit."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from .. import _core
from .. import design as designs
from ..chunks.summed import SummedDesign
from ..design.design import INTERCEPT, Design
from ..design.frame import open_frame
from ..errors import FitError, ModelError, RanefError
from ..fitted.glmm.model import GeneralizedLinearMixedModel
from ..fitted.kinds import check_mixed
from ..fitted.lmm.call import Call
from ..fitted.lmm.model import LinearMixedModel
from ..fitted.mixed.parts import MixedParts
from ..fitted.parts import Base
from ..formula import like, parse
from ..inference.diagnosis.diagnosis import check_design, check_identified
from ..inference.diagnosis.finding import Finding
from ..inference.diagnosis.fit import check_fit
from ..inference.diagnosis.formulas import spelled
from ..inference.diagnosis.generalised import check_generalised_fit, check_generalised_labels
from ..inference.diagnosis.labels import Reused, check_labels, may_hold
from ..inference.diagnosis.rows import check_rows
from ..inference.diagnosis.terms import check_levels
from ..inference.priors.parts import with_weak
from ..models import lmm
from ..report.findings import Diagnosis
from ..report.verdict import alias_notes
from .residuals import Looked, check_fitted, check_predictors

__all__ = ["FEW", "after", "after_generalised", "aliased", "as_update", "before", "kept", "outside"]


#: What is checked before and after a fit.
DESIGN = "rows, groups and labels, columns that span each other"
FIT = "convergence, zero variances, correlations of one"
#: What helps a generalised model with few levels, whose tests have no degrees of freedom.
FEW = "Read its interval by model.conf_int('profile'), and keep slopes few."


def diagnosis_of(model: Any, data: Any = None, *, seed: int = 1, simulations: int = 0) -> Diagnosis:
    """Collect the findings about a model, or about a formula and its data."""
    looked = Looked()
    if isinstance(model, str):
        if data is None:
            raise TypeError("diagnose of a formula needs the data: diagnose(formula, data)")
        design = designs.build(parse(model), data)
        found = [*before(design, data), *check_predictors(design, model, data, looked, linear=True)]
        looked.at.insert(0, DESIGN)
        looked.not_at.append("the fit and its residuals")
        return made(found, looked)
    if not isinstance(model, Base):
        check_mixed(model, "diagnose", generalised=True)
    found = []
    data = model.parts.data if data is None else data
    if isinstance(model, GeneralizedLinearMixedModel):
        found += [as_update(finding) for finding in after_generalised(model, data)]
        looked.at += [DESIGN, FIT, "dispersion"]
    elif isinstance(model, LinearMixedModel):
        found += [kept(finding, model.call) for finding in after(model, data, seed)]
        looked.at += [DESIGN, FIT]
    elif isinstance(model.parts, MixedParts):
        found += [
            replace(finding, fix="")
            for finding in check_identified(model.parts.design, model.parts.spanned)
        ]
        looked.at.append("whether variances are identified")
        looked.not_at.append("rows and groups")
    else:
        looked.not_at.append("rows and groups")
    if not isinstance(model.parts.design, SummedDesign):
        linear = isinstance(model, LinearMixedModel)
        parts = model.parts
        found += check_predictors(parts.design, parts.formula, data, looked, linear=linear)
    if not {"not-converged", "separated"} & {finding.code for finding in found}:
        found += check_fitted(model, looked, simulations, seed)
    else:
        looked.not_at.append("residuals (the fit comes first)")
    return made(found, looked)


def made(found: Sequence[Finding], looked: Looked) -> Diagnosis:
    """Leave out repetitions and what another finding explains."""
    reused = {finding.about for finding in found if finding.code == "labels-reused"}
    reused |= {finding.about for finding in found if finding.code == "not-identified"}
    told = [f for f in found if not (f.code == "few-levels" and f.about in reused)]
    return Diagnosis(dict.fromkeys(told), tuple(looked.at), tuple(looked.not_at))


def kept(finding: Finding, call: Call) -> Finding:
    """Write a fix as an update of the model if its call says more than formula and data."""
    if 'prior="weak"' in finding.fix and call.prior is not None:
        weak = with_weak(call.prior)
        if weak is None:
            advice = "Its variance has a prior already; read it with its bootstrap interval."
            return replace(finding, advice=advice, fix="")
        return replace(finding, fix=f"model.update(prior={weak[1]})")
    more = (call.weights, call.offset, call.contrasts, call.prior)
    if call.reml and all(argument is None for argument in more):
        return finding
    return as_update(finding)


def as_update(finding: Finding) -> Finding:
    """Write a fix as an update of the model."""
    return replace(
        finding, fix=re.sub(r'^ranef\.lmer\((".*"), data', r"model.update(\1", finding.fix)
    )


def after_generalised(model: GeneralizedLinearMixedModel, data: Any) -> Iterator[Finding]:
    """Collect findings about rows, formula and fit; no fix drops all random effects."""
    design, estimate, core = model.parts.design, model.parts.estimate, model.parts.core
    one_a_row = {
        term.group
        for term in design.random
        if term.n_cols == 1 and term.n_levels == design.n_obs and term.columns == (INTERCEPT,)
    }
    labels = list(check_generalised_labels(design.without_smooths(), model.call.spec.transform))
    found: list[Finding] = [
        *aliased(design, core),
        *check_rows(design.without_smooths(), data),
        *check_design(design.without_smooths()),
        *(reused.finding for reused in labels),
        *check_generalised_fit(
            design, core, estimate, model.df_resid, [reused.inner for reused in labels]
        ),
    ]
    for finding in found:
        if finding.code == "effects-as-many-as-rows" and finding.about in one_a_row:
            continue
        linear = finding.fix.startswith("ranef.feols")
        few = finding.code == "few-levels"
        yield replace(
            finding, fix="" if linear else finding.fix, advice=FEW if few else finding.advice
        )


def before(design: Design, data: Any) -> Iterator[Finding]:
    """Collect findings before a fit."""
    yield from check_rows(design.without_smooths(), data)
    yield from check_design(design.without_smooths())
    if reason := lmm.constant_within(design):
        yield Finding("not-estimable", "error", reason, "Model it at the level that it belongs to.")
        return
    try:
        lmm.check(design)
        core = lmm.kernel(design)
    except (ModelError, FitError) as error:
        if all(term.n_levels * term.n_cols < design.n_obs for term in design.random):
            yield Finding("not-estimable", "error", str(error), "Change formula or response.")
        return
    yield from aliased(design, core)
    labels = list(check_labels(design.without_smooths(), reml=True))
    labels += list(outside(design.without_smooths(), data, True, {found.inner for found in labels}))
    yield from (found.finding for found in labels)


def after(model: LinearMixedModel, data: Any, seed: int) -> Iterator[Finding]:
    """Collect findings about a linear fit and its data."""
    design, estimate = model.parts.design, model.parts.estimate
    yield from aliased(design, model.parts.core)
    if isinstance(design, SummedDesign):
        yield from check_levels(design)
        yield from check_fit(design, model.parts.core, estimate, model.parts.optimum(), [], seed)
        return
    yield from check_rows(design.without_smooths(), data)
    yield from check_design(design.without_smooths())
    labels = list(check_labels(design.without_smooths(), estimate.reml))
    labels += list(
        outside(design.without_smooths(), data, estimate.reml, {found.inner for found in labels})
    )
    yield from (found.finding for found in labels)
    reused = [found.inner for found in labels]
    yield from check_fit(design, model.parts.core, estimate, model.parts.optimum(), reused, seed)


def outside(design: Design, data: Any, reml: bool, known: set[str]) -> Iterator[Reused]:
    """Find labels reused within a column of the data that the model leaves out."""
    if data is None:
        return
    frame, formula = open_frame(data), design.encoder.formula
    used = {name for bar in formula.random for name in bar.factors}
    rows = np.arange(design.n_data) if design.rows is None else design.rows
    for column in frame.names:
        if column in used or column == design.response or not column.isidentifier():
            continue
        if not may_hold(design, frame.series(column).iloc[rows]):
            continue
        try:
            larger = designs.build(
                parse(like(f"{spelled(formula)} + (1 | {column})", formula)), data
            )
        except RanefError:
            continue
        if larger.n_obs != design.n_obs:
            continue
        larger = replace(larger, weights=design.weights, offset=design.offset)
        for found in check_labels(larger, reml, among=column):
            if found.inner not in known:
                known.add(found.inner)
                evidence = f"{column} does not group the rows here. {found.finding.evidence}"
                yield replace(found, finding=replace(found.finding, evidence=evidence))


def aliased(design: Design, core: _core.Lmm | _core.Glmm) -> Iterator[Finding]:
    """Return the columns of the fixed part that others span."""
    for note in alias_notes(design, core.aliased, core.alias, core.kept):
        yield Finding(
            "aliased",
            "warning",
            note,
            "Take it out of the formula, or one of the columns that span it; predictions do not "
            "change.",
        )
