"""The changes that findings about a model call for, in the usual order."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any

from ..fitted.feols.call import FeolsCall
from ..fitted.feols.model import fit_model as fit_feols
from ..fitted.lmm.model import LinearMixedModel
from ..inference.diagnosis.fit import least_varying
from ..inference.priors.parts import with_weak
from ..report.findings import Diagnosis
from .searches import every_optimizer, searched_again

__all__ = ["LAST_RESORT", "Remedy", "remedies"]

#: The formula in the call of a finding's fix.
CALL = re.compile(r'(?:ranef\.(lmer|feols)|model\.update)\("(.*?)"')

#: Findings whose fix is a smaller or other model: the name of the change and how much it changes.
FIXES = (
    ("labels-reused", "nest the labels", 1),
    ("intercept-far-from-data", "count from inside the data", 3),
    ("slope-units", "change the units", 3),
    ("few-levels", "few levels to fixed effects", 8),
    ("same-groups", "drop one of two equal groupings", 2),
    ("random-aliased", "drop the aliased column", 2),
    ("slope-constant-within", "drop the slope", 5),
    ("zero-variance", "drop the zero variance", 4),
    ("correlation-one", "drop the correlation", 5),
)
#: Changes of at least this size are the last resort: another estimator, or no groups at all.
LAST_RESORT = 30
POOLED = 50


@dataclass(frozen=True)
class Remedy:
    """One change: its name, how much is changed by now, the code, and how to make it.

    Attributes
    ----------
    name, code : str
        What it is called, and the line that makes it from the first model.
    size : int
        How much of the first model is changed.
    make : callable
        Fits it.
    is_last : bool
        Whether nothing else should follow it.
    """

    name: str
    size: int
    code: str
    make: Callable[[], Any]
    is_last: bool = False


def remedies(
    first: LinearMixedModel, model: LinearMixedModel, found: Diagnosis, size: int
) -> Iterator[Remedy]:
    """Return the changes of ``model`` that its findings call for.

    Parameters
    ----------
    first : LinearMixedModel
        The model that code starts from.
    model : LinearMixedModel
        What earlier changes made of it.
    found : Diagnosis
        Findings about ``model``.
    size : int
        How much was changed so far.
    """
    if "aliased" in found.codes and (text := _without_aliased(model)):
        yield _refit(first, "simplify the fixed part", text, size + 1)
    for code, name, step in FIXES:
        for finding in found:
            if finding.code == code and finding.fix:
                yield from _from_fix(first, model, name, finding.fix, size + step)
    if {"correlation-one", "zero-variance"} & set(found.codes):
        for text in least_varying(model.parts.design, model.parts.core, model.parts.estimate):
            yield _refit(first, "drop the column that varies least", text, size + 6)
    if model is first:
        yield from _searches(model, found)
        yield from _estimators(model, found)


def _from_fix(
    first: LinearMixedModel, model: LinearMixedModel, name: str, fix: str, size: int
) -> Iterator[Remedy]:
    """Read the call of a finding's fix."""
    if units := re.fullmatch(r'model\.in_units\((\w+)="(.*)"\)', fix):
        new, text = units.groups()
        # The same model, so nothing that follows from it is new.
        if model is first:
            yield Remedy(name, size, fix, lambda: first.in_units(**{new: text}), True)
    elif (call := CALL.match(fix)) and "prior=" not in fix:
        if call[1] == "feols":
            yield _pooled(first, name, call[2], size + POOLED)
        else:
            yield _refit(first, name, call[2], size)


def _refit(first: LinearMixedModel, name: str, formula: str, size: int) -> Remedy:
    code = f'model.update("{formula}")'
    return Remedy(name, size, code, lambda: first.update(formula, strict=False))


def _pooled(first: LinearMixedModel, name: str, formula: str, size: int) -> Remedy:
    """Least squares, with the same weights and rows."""
    weights = first.call.weights
    given = f", weights={weights!r}" if isinstance(weights, str) else ""

    def make() -> Any:
        call = FeolsCall(formula, weights=weights, offset=first.call.offset)
        return fit_feols(call, first.parts.training_data())

    return Remedy(f"{name}: no groups", size, f'ranef.feols("{formula}", data{given})', make, True)


def _searches(model: LinearMixedModel, found: Diagnosis) -> Iterator[Remedy]:
    """Search again, from other places and by other optimisers."""
    if "not-converged" in found.codes:
        yield Remedy(
            "restart", 0, "ranef.converge(model).model", lambda: searched_again(model).model, True
        )
        yield Remedy(
            "other optimisers",
            0,
            "ranef.all_fit(model).best",
            lambda: every_optimizer(model).best,
            True,
        )


def _estimators(model: LinearMixedModel, found: Diagnosis) -> Iterator[Remedy]:
    """Estimate the covariances otherwise: by the restricted likelihood, or with a prior."""
    if not {"zero-variance", "correlation-one", "flat-ridge"} & set(found.codes):
        return
    changes: list[tuple[str, dict[str, Any]]] = []
    if not model.reml:
        changes.append(("reml=True", {"reml": True}))
    if weak := with_weak(model.call.prior):
        changes.append((f"prior={weak[1]}", {"prior": weak[0]}))
    for text, change in changes:
        yield Remedy(
            f"another estimator: {text}",
            LAST_RESORT + ("prior" in change),
            f"model.update({text})",
            partial(model.update, strict=False, **change),
            True,
        )


def _without_aliased(model: LinearMixedModel) -> str:
    """Write the update that takes out the terms all of whose columns are aliased."""
    kept = set(model.parts.estimate.kept.tolist())
    gone = [
        name
        for name, columns in model.parts.design.fixed_terms
        if columns and not kept & set(columns)
    ]
    return ". ~ ." + "".join(f" - {name}" for name in gone) if gone else ""
