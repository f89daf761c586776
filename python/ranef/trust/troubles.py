"""Trials of remedies."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..errors import RanefError, RanefWarning
from ..fitted.glmm.model import GeneralizedLinearMixedModel
from ..fitted.kinds import Model
from ..fitted.lmm.model import LinearMixedModel
from ..report.findings import Diagnosis
from .diagnosis import diagnosis_of
from .remedies import LAST_RESORT, Remedy, remedies

__all__ = ["COLUMNS", "TROUBLES", "State", "diagnosed", "effects", "is_sound", "made", "tried"]


#: Findings that a change of the model can mend and that call for one.
TROUBLES = (
    "not-converged",
    "labels-reused",
    "same-groups",
    "aliased",
    "random-aliased",
    "zero-variance",
    "correlation-one",
    "flat-ridge",
    "overdispersed",
    "no-excess",
)

#: Most models from which changes continue.
MIXED = (LinearMixedModel, GeneralizedLinearMixedModel)


#: Most successive changes, and most fits in all, before giving up.
DEPTH, FITS = 3, 40

COLUMNS = ["llf", "gain", "coefficients_se", "errors_ratio", "singular", "converged", "helps"]


@dataclass(frozen=True)
class State:
    """A changed model, how it was made, and how much it was changed."""

    model: Model
    names: tuple[str, ...] = ()
    code: str = ""
    size: int = 0


def tried(model: Model, found: Diagnosis) -> Iterator[tuple[tuple[str, ...], Remedy, Any, bool]]:
    """Make changes, and changes of what they lead to, until something helps.

    A last resort does not end the search, since two small changes are better.
    """
    states = [(State(model), found)]
    seen: set[str] = set()
    for _ in range(DEPTH):
        following = []
        helped = False
        for state, findings in states:
            for remedy in remedies(model, state.model, findings, state.size):
                if remedy.code in seen or len(seen) >= FITS:
                    continue
                seen.add(remedy.code)
                changed = made(remedy)
                if changed is None:
                    continue
                names = (*state.names, remedy.name)
                after = diagnosed(changed)
                helps = not (set(TROUBLES) & set(after.codes)) and is_sound(changed)
                yield names, remedy, changed, helps
                helped = helped or (helps and remedy.size < LAST_RESORT)
                if helps and remedy.size == 0:
                    return
                if not helps and isinstance(changed, MIXED) and not remedy.is_last:
                    following.append((State(changed, names, remedy.code, remedy.size), after))
        if helped:
            return
        states = following


def made(remedy: Remedy) -> Any:
    """Make a change; None if it yields no model."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", RanefWarning)
            return remedy.make()
    except RanefError:
        return None


def diagnosed(changed: Any) -> Diagnosis:
    """Return the findings about a changed model."""
    return diagnosis_of(changed) if isinstance(changed, MIXED) else Diagnosis(())


def is_sound(changed: Any) -> bool:
    """Whether a mixed model has converged inside its bounds; least squares always has."""
    if not isinstance(changed, MIXED):
        return True
    return changed.parts.estimate.converged and not changed.is_singular


def effects(model: Model, changed: Any) -> list[object]:
    """State what a change does to criterion, coefficients and standard errors."""
    mixed = isinstance(changed, MIXED)
    both = model.params.dropna().index.intersection(changed.params.dropna().index)
    moved = ((changed.params - model.params)[both] / model.bse[both]).abs()
    ratio = (changed.bse / model.bse)[both]
    # Restricted likelihoods are comparable where the fixed parts have the same columns.
    columns = list(model.params.dropna().index) == list(changed.params.dropna().index)
    before = restricted(model)
    comparable = (restricted(changed) if mixed else False) == before and (columns or not before)
    return [
        changed.llf,
        changed.llf - model.llf if comparable else np.nan,
        float(moved.max()),
        float(ratio.max()),
        changed.is_singular if mixed else False,
        changed.parts.estimate.converged if mixed else True,
    ]


def restricted(model: Model) -> bool:
    """Whether the restricted likelihood was maximised."""
    return model.call.reml if isinstance(model, LinearMixedModel) else model.call.spec.reml
