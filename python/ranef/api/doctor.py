"""Work through the usual order of remedies for a fit in trouble."""

from __future__ import annotations

import re
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import pandas as pd

from ..errors import RanefError, RanefWarning
from ..report.findings import Diagnosis
from ..report.prescription import Prescription
from .all_fit import converge
from .diagnose import diagnose
from .mixed_model import LinearMixedModel

__all__ = ["doctor"]

#: Findings that a change of the model can mend: the name of the change and how much it changes.
REMEDIES = {
    "labels-reused": ("nest the labels", 1),
    "aliased": ("simplify the fixed part", 2),
    "intercept-far-from-data": ("count from inside the data", 3),
    "few-levels": ("few levels to fixed effects", 6),
    "slope-constant-within": ("drop the slope", 4),
    "correlation-one": ("drop the correlation", 4),
    "zero-variance": ("drop the zero variance", 5),
}
TROUBLES = ("not-converged", "labels-reused", "aliased", "zero-variance", "correlation-one")


@dataclass(frozen=True)
class _Remedy:
    """One change: its name, how much it changes, the code, and how to make it."""

    name: str
    size: int
    code: str
    make: Callable[[], LinearMixedModel]


def doctor(model: LinearMixedModel) -> Prescription:
    """Work through the usual remedies and return the smallest change that helps.

    In this order: look at the data (labels used again), simplify the fixed part, count predictors
    from inside the data, few levels to fixed effects, drop correlations and variances that are not
    there, restart and other optimisers. A change helps when its fit converges and has none of the
    model's troubles.

    Parameters
    ----------
    model : LinearMixedModel
        A fitted model that knows its data.

    Returns
    -------
    Prescription
        ``table`` with what each change does to likelihood, coefficients and standard errors, the
        changed ``model`` and its ``code``.

    Examples
    --------
    >>> import ranef
    >>> sleep = ranef.datasets.load("sleepstudy")
    >>> ranef.doctor(ranef.lmer("Reaction ~ Days + (Days | Subject)", sleep))
    Nothing to do: the model has converged and is not singular.
    """
    found = diagnose(model)
    troubles = tuple(code for code in TROUBLES if code in found.codes)
    rows, helpers = {}, []
    for remedy in _remedies(model, found) if troubles else ():
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", RanefWarning)
                changed = remedy.make()
        except RanefError:
            continue
        helps = _helps(changed, troubles)
        rows[remedy.name] = [*_effects(model, changed), helps, remedy.code]
        if helps:
            helpers.append((remedy.size, remedy.code, changed))
    columns = ["llf", "gain", "coefficients_se", "errors_ratio", "singular", "converged"]
    table = pd.DataFrame.from_dict(rows, orient="index", columns=[*columns, "helps", "code"])
    _, code, best = min(helpers, key=lambda h: h[0], default=(0, "", model))
    return Prescription(troubles, table, best, code)


def _remedies(model: LinearMixedModel, found: Diagnosis) -> Iterator[_Remedy]:
    """Give the changes that the findings call for, in the usual order."""
    for code, (name, size) in REMEDIES.items():
        for finding in found:
            if finding.code != code:
                continue
            if text := re.fullmatch(r'ranef\.lmer\("(.*)", data\)', finding.fix):
                yield _Remedy(name, size, finding.fix, _updated(model, text[1]))
            elif units := re.fullmatch(r'model\.in_units\((\w+)="(.*)"\)', finding.fix):
                new, recoding = units[1], units[2]
                yield _Remedy(name, size, finding.fix, _in_units(model, new, recoding))
    if "aliased" in found.codes and (change := _without_aliased(model)):
        code = f'model.update("{change}")'
        yield _Remedy(REMEDIES["aliased"][0], 2, code, _updated(model, change))
    if "not-converged" in found.codes:
        yield _Remedy("restart", 0, "ranef.converge(model).model", lambda: converge(model).model)


def _updated(model: LinearMixedModel, formula: str) -> Callable[[], LinearMixedModel]:
    return lambda: model.update(formula, strict=False)


def _in_units(model: LinearMixedModel, new: str, text: str) -> Callable[[], LinearMixedModel]:
    return lambda: model.in_units(**{new: text})


def _without_aliased(model: LinearMixedModel) -> str:
    """Write the update that takes out the terms all of whose columns are aliased."""
    kept = set(model._estimate.kept.tolist())
    gone = [
        name for name, columns in model._design.fixed_terms if columns and not kept & set(columns)
    ]
    return ". ~ ." + "".join(f" - {name}" for name in gone) if gone else ""


def _helps(changed: LinearMixedModel, troubles: tuple[str, ...]) -> bool:
    """Tell whether a change leaves none of the troubles."""
    if not changed._estimate.converged or changed.is_singular:
        return False
    return not set(troubles) & set(diagnose(changed).codes)


def _effects(model: LinearMixedModel, changed: LinearMixedModel) -> list[object]:
    """Say what a change does to criterion, coefficients and standard errors."""
    both = model.params.dropna().index.intersection(changed.params.dropna().index)
    moved = ((changed.params - model.params)[both] / model.bse[both]).abs()
    ratio = (changed.bse / model.bse)[both]
    return [
        changed.llf,
        changed.llf - model.llf,
        float(moved.max()),
        float(ratio.max()),
        changed.is_singular,
        changed._estimate.converged,
    ]
