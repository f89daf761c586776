"""The changes that findings about a model call for, in the usual order."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any, TypeGuard

from ..fitted.feols.call import FeolsCall
from ..fitted.feols.model import fit_model as fit_feols
from ..fitted.kinds import Model
from ..fitted.lmm.model import LinearMixedModel
from ..inference.diagnosis.fit import least_varying
from ..inference.priors.parts import with_weak
from ..report.findings import Diagnosis
from .generalised import by_every_optimizer, gone_on
from .searches import every_optimizer, searched_again

__all__ = ["LAST_RESORT", "Remedy", "remedies"]

#: The family, and the formula, in the call of a finding's fix.
FAMILY = re.compile(r'model\.update\(family="(\w+)"\)')
CALL = re.compile(r'(?:ranef\.(lmer|feols)|model\.update)\("(.*?)"')

#: Findings whose fix is a smaller or different model: the change's name and size.
FIXES = (
    ("labels-reused", "nest the labels", 1),
    ("intercept-far-from-data", "centre within the data", 3),
    ("slope-units", "change the units", 3),
    ("few-levels", "few levels to fixed effects", 8),
    ("same-groups", "drop one of two equal groupings", 2),
    ("random-aliased", "drop the aliased column", 2),
    ("overdispersed", "a family that varies more", 20),
    ("no-excess", "a family without the parameter", 2),
    ("slope-constant-within", "drop the slope", 5),
    ("zero-variance", "drop the zero variance", 4),
    ("correlation-one", "drop the correlation", 5),
)
#: Changes of at least this size are a last resort: another estimator, or no groups.
LAST_RESORT = 30
POOLED = 50


@dataclass(frozen=True)
class Remedy:
    """One change: its name, the total change so far, the code, and how to make it.

    Attributes
    ----------
    name, code : str
        What it is called, and the line that makes it from the first model.
    size : int
        How much of the first model has changed.
    make : callable
        Fits it.
    is_last : bool
        Whether it should be the last change.
    """

    name: str
    size: int
    code: str
    make: Callable[[], Any]
    is_last: bool = False


def remedies(first: Model, model: Model, found: Diagnosis, size: int) -> Iterator[Remedy]:
    """Return the changes of ``model`` that its findings call for.

    Parameters
    ----------
    first : LinearMixedModel or GeneralizedLinearMixedModel
        The model that code starts from.
    model : LinearMixedModel or GeneralizedLinearMixedModel
        What earlier changes made of it.
    found : Diagnosis
        Findings about ``model``.
    size : int
        How much was changed so far.
    """
    if "aliased" in found.codes and (text := _without_aliased(model)):
        yield _refit(first, model, "simplify the fixed part", size + 1, formula=text)
    for code, name, step in FIXES:
        for finding in found:
            if finding.code == code and finding.fix:
                yield from _from_fix(first, model, name, finding.fix, size + step)
    if {"correlation-one", "zero-variance"} & set(found.codes):
        for text in least_varying(model.parts.design, model.parts.core, model.parts.estimate):
            yield _refit(first, model, "drop the column that varies least", size + 6, formula=text)
    if model is first:
        yield from _searches(model, found)
        yield from _estimators(model, found)


def _from_fix(first: Model, model: Model, name: str, fix: str, size: int) -> Iterator[Remedy]:
    """Read the call of a finding's fix."""
    if units := re.fullmatch(r'model\.in_units\((\w+)="(.*)"\)', fix):
        new, text = units.groups()
        # The same model, so nothing new follows from it.
        if model is first:
            yield Remedy(name, size, fix, lambda: first.in_units(**{new: text}), True)
    elif family := FAMILY.fullmatch(fix):
        yield _refit(first, model, name, size, family=family[1])
    elif (call := CALL.match(fix)) and "prior=" not in fix:
        if call[1] == "feols":
            yield _pooled(first, name, call[2], size + POOLED)
        else:
            yield _refit(first, model, name, size, formula=call[2])


def _refit(
    first: Model, model: Model, name: str, size: int, *, formula: str = "", family: str = ""
) -> Remedy:
    """Change the formula or the family of a model; the code starts from the first one."""
    family = family or family_of(model)
    changes = {"family": family} if family != family_of(first) else {}
    if not formula and model is not first:
        formula = model.call.formula
    written = [f'"{formula}"'] if formula else []
    written += [f'{key}="{value}"' for key, value in changes.items()]
    code = f"model.update({', '.join(written)})"
    return Remedy(name, size, code, lambda: first.update(formula or None, strict=False, **changes))


def family_of(model: Model) -> str:
    """Return the family of the responses; empty for a linear model."""
    return "" if isinstance(model, LinearMixedModel) else model.call.spec.family


def _pooled(first: Model, name: str, formula: str, size: int) -> Remedy:
    """Least squares, with the same weights and rows."""
    weights = first.call.weights
    given = f", weights={weights!r}" if isinstance(weights, str) else ""

    def make() -> Any:
        call = FeolsCall(formula, weights=weights, offset=first.call.offset)
        return fit_feols(call, first.parts.training_data())

    return Remedy(f"{name}: no groups", size, f'ranef.feols("{formula}", data{given})', make, True)


def _searches(model: Model, found: Diagnosis) -> Iterator[Remedy]:
    """Search again, from other places and by other optimisers."""
    if "not-converged" not in found.codes:
        return

    def again() -> Any:
        return (searched_again(model) if is_linear(model) else gone_on(model, 1)).model

    def others() -> Any:
        return (
            every_optimizer(model)
            if is_linear(model)
            else by_every_optimizer(model, None, progress=False)
        ).best

    yield Remedy("restart", 0, "ranef.converge(model).model", again, True)
    yield Remedy("other optimisers", 0, "ranef.all_fit(model).best", others, True)


def is_linear(model: Model) -> TypeGuard[LinearMixedModel]:
    """Return whether a model was fitted by lmer."""
    return isinstance(model, LinearMixedModel)


def _estimators(model: Model, found: Diagnosis) -> Iterator[Remedy]:
    """Estimate the covariances otherwise: by the restricted likelihood, or with a prior."""
    if not {"zero-variance", "correlation-one", "flat-ridge"} & set(found.codes):
        return
    changes: list[tuple[str, dict[str, Any]]] = []
    if isinstance(model, LinearMixedModel) and not model.reml:
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


def _without_aliased(model: Model) -> str:
    """Write the update that takes out the terms all of whose columns are aliased."""
    kept = set(model.parts.estimate.kept.tolist())
    gone = [
        name
        for name, columns in model.parts.design.fixed_terms
        if columns and not kept & set(columns)
    ]
    return ". ~ ." + "".join(f" - {name}" for name in gone) if gone else ""
