"""What the residuals of a fit say against it, and what was checked."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from .._counted import counted
from ..chunks.summed import SummedDesign
from ..design.design import Design
from ..errors import RanefError, RanefWarning
from ..fitted.feols.model import FixedEffectsModel
from ..fitted.gee.model import GEEModel
from ..fitted.glmm.model import GeneralizedLinearMixedModel
from ..fitted.lmm.model import LinearMixedModel
from ..inference.diagnosis.finding import Finding
from ..inference.diagnosis.predictors import check_collinear, check_placeholders, check_response
from ..inference.diagnosis.residuals import Residuals, check_residuals
from ..report.augment import used_rows
from .fixes import Fixes

__all__ = ["Looked", "check_fitted", "check_predictors"]

#: Standard errors that a coefficient must move without a group to be a finding.
MOVED = 1.0
#: Number of levels of a grouping factor up to which each is left out in turn.
MOST_GROUPS = 5_000
#: Distance between offsets, on the scale of the logarithm, that no exposure has.
WIDE = 10.0


@dataclass
class Looked:
    """What was checked, and what was not and why."""

    at: list[str] = field(default_factory=list)
    not_at: list[str] = field(default_factory=list)


def check_predictors(
    design: Design, formula: str, data: Any, looked: Looked, *, linear: bool
) -> Iterator[Finding]:
    """Check predictors and, for a linear model, the kind of response."""
    yield from check_placeholders(used_rows(design, data), formula)
    yield from check_collinear(design)
    looked.at.append("collinear predictors")
    if linear:
        yield from check_response(design, formula)
        looked.at.append("kind of response")


def check_fitted(model: Any, looked: Looked, simulations: int, seed: Any) -> Iterator[Finding]:
    """Check residuals, influence and offset of a fit."""
    if isinstance(model, LinearMixedModel):
        yield from _influential(model, looked)
    if isinstance(model, GeneralizedLinearMixedModel):
        yield from _offset(model)
        looked.at.append("offset")
    yield from _residuals(model, looked, simulations, seed)


#: What the checks of residuals examine.
RESIDUALS = (
    "outliers, curves along numeric predictors, correlation in time, group means of predictors"
)


def _residuals(model: Any, looked: Looked, simulations: int, seed: Any) -> Iterator[Finding]:
    if isinstance(model.parts.design, SummedDesign):
        looked.not_at.append("residuals (the rows are gone)")
        return
    if not simulations:
        looked.not_at.append("residuals (simulations=0)")
        return
    design = model.parts.design
    refit = None if isinstance(model, LinearMixedModel) else model.model_kind != "generalised"
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", RanefWarning)
            found = model.simulated_residuals(simulations, seed=seed, refit=refit)
    except (RanefError, ValueError, np.linalg.LinAlgError) as error:
        looked.not_at.append(f"residuals ({error})")
        return
    one_variance = found.scale_is_free and model.model_kind != "ordinal"
    looked.at.append(RESIDUALS + (", residual variances" if one_variance else ""))
    effects = not isinstance(model, FixedEffectsModel | GEEModel)
    r = Residuals(
        design,
        found.z,
        found.simulated,
        found.fitted,
        found.fitted_drawn,
        one_variance,
        effects,
    )
    yield from check_residuals(r, Fixes(model), looked.not_at)
    looked.not_at.append("places in space, predictors not in the model")


def _influential(model: LinearMixedModel, looked: Looked) -> Iterator[Finding]:
    design = model.parts.design
    if isinstance(design, SummedDesign):
        return
    term = design.random[0]
    if term.n_levels > MOST_GROUPS or ":" in term.group or term.n_levels < 3:
        looked.not_at.append(f"influence of levels of {term.group}")
        return
    try:
        moved = model.influence(term.group).dfbetas.abs()
    except (RanefError, np.linalg.LinAlgError):
        looked.not_at.append(f"influence of levels of {term.group}")
        return
    looked.at.append(f"influence of levels of {term.group}")
    far = moved.max(axis=1).fillna(0.0)
    high = far[far > MOVED].sort_values(ascending=False, kind="stable")
    if not len(high):
        return
    which = moved.idxmax(axis=1)
    told = ", ".join(
        f"without {label}, {which.iloc[moved.index.get_loc(label)]} by {value:.2f}"
        for label, value in high.head(3).items()
    )
    yield Finding(
        "influential-group",
        "note",
        f"{len(high)} of {counted(term.n_levels, 'level')} of {term.group} move a coefficient by "
        f"more than its standard error: {told}.",
        "Report this with the result, and look at what is special about these levels.",
        f'model.influence("{term.group}", refit=True)',
    )


def _offset(model: GeneralizedLinearMixedModel) -> Iterator[Finding]:
    """Report an exposure given as an offset without taking its logarithm."""
    design, text = model.parts.design, model.call.formula
    link = model.parts.estimate.spec.transform
    of_ratios = link.low == 0.0 and link.high == np.inf
    if design.offset is None or not of_ratios or design.offset.min() <= 0.0:
        return
    if np.ptp(design.offset) < WIDE:
        return
    evidence = (
        f"the offset runs from {design.offset.min():.4g} to {design.offset.max():.4g} on the scale "
        "of the logarithm of the mean, as exposures do, not their logarithms."
    )
    offsets = design.encoder.formula.offsets
    fix = ""
    if len(offsets) == 1 and model.call.offset is None:
        old = offsets[0].expr
        logged = text.replace(f"offset({old})", f"offset(np.log({old}))")
        fix = f'model.update("{logged}")' if logged != text else ""
    elif not offsets and isinstance(model.call.offset, str):
        fix = f'model.update("{text} + offset(np.log({model.call.offset}))", offset=None)'
    yield Finding(
        "unlogged-offset",
        "error",
        evidence,
        "Give the logarithm of the exposure, so that the mean is proportional to it.",
        fix,
    )
