"""Work through the usual order of remedies for a fit in trouble."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from ..compare.models import check_mixed
from ..errors import RanefError, RanefWarning
from ..fitted.lmm.model import LinearMixedModel
from ..report.findings import Diagnosis
from ..report.prescription import Prescription
from ..trust.remedies import LAST_RESORT, Remedy, remedies
from .diagnose import diagnose

__all__ = ["doctor"]

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
)
#: Changes one after another, and fits in all, before it gives up.
DEPTH, FITS = 3, 40

COLUMNS = ["llf", "gain", "coefficients_se", "errors_ratio", "singular", "converged", "helps"]


@dataclass(frozen=True)
class _State:
    """A changed model, how it was made, and how much was changed."""

    model: LinearMixedModel
    names: tuple[str, ...] = ()
    code: str = ""
    size: int = 0


def doctor(model: LinearMixedModel, data: Any = None) -> Prescription:
    """Work through the usual remedies and return the smallest change that helps.

    In this order: look at the data (labels used again), simplify the fixed part, change units, few
    levels to fixed effects, drop columns, correlations and variances that are not there, restart,
    other optimisers, another estimator. A change helps when its fit converges, is not singular and
    has none of the model's troubles; where one change is not enough, up to three are made one
    after another.

    Parameters
    ----------
    model : LinearMixedModel
        A fitted model.
    data : DataFrame, optional
        Its data, where it was unpickled and no longer knows them.

    Returns
    -------
    Prescription
        ``table`` with what each change does to likelihood, coefficients and standard errors, the
        changed ``model`` and its ``code``.

    Notes
    -----
    The smallest change is the one that leaves most of the model as it is: a restart leaves all of
    it; then come nested labels, columns that others span, variances of zero, correlations, factors
    of few levels, a prior on the covariances, and last least squares without groups.

    Examples
    --------
    >>> import ranef
    >>> sleep = ranef.datasets.load("sleepstudy")
    >>> ranef.doctor(ranef.lmer("Reaction ~ Days + (Days | Subject)", sleep))
    Nothing to do: the model has converged and is not singular.
    """
    check_mixed(model, "doctor")
    if data is not None:
        model = type(model)(model._design, model._estimate, model.call, core=model._core, data=data)
    found = diagnose(model)
    troubles = tuple(code for code in TROUBLES if code in found.codes)
    rows: list[list[object]] = []
    names: list[str] = []
    helpers: list[tuple[int, str, Any]] = []
    for names_, remedy, changed, helps in _tried(model, found) if troubles else ():
        names.append(", then ".join(names_))
        rows.append([*_effects(model, changed), helps, remedy.code])
        if helps:
            helpers.append((remedy.size, remedy.code, changed))
    table = pd.DataFrame(rows, index=pd.Index(names, dtype=object), columns=[*COLUMNS, "code"])
    _, code, best = min(helpers, key=lambda h: h[0], default=(0, "", model))
    return Prescription(found, troubles, table, best, code)


def _tried(
    model: LinearMixedModel, found: Diagnosis
) -> Iterator[tuple[tuple[str, ...], Remedy, Any, bool]]:
    """Make changes, and changes of what they lead to, until something helps.

    A last resort does not end the search, for two small changes are better.
    """
    states = [(_State(model), found)]
    seen: set[str] = set()
    for _ in range(DEPTH):
        following = []
        helped = False
        for state, findings in states:
            for remedy in remedies(model, state.model, findings, state.size):
                if remedy.code in seen or len(seen) >= FITS:
                    continue
                seen.add(remedy.code)
                changed = _made(remedy)
                if changed is None:
                    continue
                names = (*state.names, remedy.name)
                after = _diagnosed(changed)
                helps = not (set(TROUBLES) & set(after.codes)) and _is_sound(changed)
                yield names, remedy, changed, helps
                helped = helped or (helps and remedy.size < LAST_RESORT)
                if helps and remedy.size == 0:
                    return
                if not helps and isinstance(changed, LinearMixedModel) and not remedy.is_last:
                    following.append((_State(changed, names, remedy.code, remedy.size), after))
        if helped:
            return
        states = following


def _made(remedy: Remedy) -> Any:
    """Make a change; None where it gives no model."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", RanefWarning)
            return remedy.make()
    except RanefError:
        return None


def _diagnosed(changed: Any) -> Diagnosis:
    return diagnose(changed) if isinstance(changed, LinearMixedModel) else Diagnosis(())


def _is_sound(changed: Any) -> bool:
    """Whether a mixed model has converged inside its bounds; least squares always has."""
    if not isinstance(changed, LinearMixedModel):
        return True
    return changed._estimate.converged and not changed.is_singular


def _effects(model: LinearMixedModel, changed: Any) -> list[object]:
    """Say what a change does to criterion, coefficients and standard errors."""
    mixed = isinstance(changed, LinearMixedModel)
    both = model.params.dropna().index.intersection(changed.params.dropna().index)
    moved = ((changed.params - model.params)[both] / model.bse[both]).abs()
    ratio = (changed.bse / model.bse)[both]
    # Restricted likelihoods are comparable where the fixed parts have the same columns.
    columns = list(model.params.dropna().index) == list(changed.params.dropna().index)
    comparable = (changed.reml if mixed else False) == model.reml and (columns or not model.reml)
    return [
        changed.llf,
        changed.llf - model.llf if comparable else np.nan,
        float(moved.max()),
        float(ratio.max()),
        changed.is_singular if mixed else False,
        changed._estimate.converged if mixed else True,
    ]
