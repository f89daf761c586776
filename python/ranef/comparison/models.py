"""What every comparison starts with: mixed models on the same data, by one estimator."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, TypeVar
from weakref import WeakKeyDictionary

from ..errors import ModelError
from ..fitted.feglm.model import GeneralizedFixedEffectsModel
from ..fitted.feols.model import FixedEffectsModel
from ..fitted.gee.model import GEEModel
from ..fitted.gls.model import GLSModel
from ..fitted.kinds import Model, check_mixed
from ..fitted.lmm.model import LinearMixedModel
from ..fitted.parts import Base
from ..inference.lrt.data import counted_difference, data_difference
from ..inference.lrt.fixed import contains
from ..inference.lrt.lrt import Parts, RatioTest, Relation
from ..words.answers import keyword_message

__all__ = [
    "boundary_notes",
    "by_likelihood",
    "check_comparable",
    "check_likelihood",
    "criteria_row",
    "difference_between",
    "estimator_name",
    "labels",
    "named_models",
    "same_fixed",
]

AnyModel = TypeVar("AnyModel", LinearMixedModel, Model)

#: Refits by the other estimator, made once for each model and forgotten with it.
_REFITS: WeakKeyDictionary[LinearMixedModel, LinearMixedModel] = WeakKeyDictionary()


def difference_between(first: Any, other: Any) -> str | None:
    """Describe how the data of two models differ; None when they agree."""
    designs = first.parts.design, other.parts.design
    if any(getattr(model.parts, "n_read", None) is not None for model in (first, other)):
        return counted_difference(*designs, first.nobs, other.nobs)
    return data_difference(*designs)


def check_comparable(
    models: Sequence[Any],
    caller: str,
    *,
    structured: bool = False,
    least_squares: bool = False,
    marginal: bool = False,
) -> None:
    """Raise unless there are two or more mixed models on the same rows, response and weights.

    ``structured`` admits models with structured residuals, ``least_squares`` those without random
    effects, ``marginal`` those of estimating equations.
    """
    admitted = (
        *((GLSModel,) if structured else ()),
        *((FixedEffectsModel,) if least_squares else ()),
        *((GEEModel,) if marginal else ()),
    )
    for place, model in enumerate(models, start=1):
        if not isinstance(model, admitted):
            check_mixed(model, caller, place)
    if len(models) < 2:
        raise ModelError(
            f"{caller} compares two or more models and was given {len(models)}; "
            f"write {caller}(small, large)"
            + (
                "; for tests of the terms of one model write model.anova()"
                if caller == "anova"
                else ""
            )
        )
    first = models[0]
    for place, model in enumerate(models[1:], start=2):
        difference = difference_between(first, model)
        if difference:
            raise ModelError(f"model {place}, {model.call.formula!r}, {difference}.")


def check_likelihood(models: Sequence[Model], caller: str) -> None:
    """Raise if a model was fitted with a prior, so that its likelihood is not maximal."""
    for model in models:
        if getattr(model.call, "prior", None) is not None:
            raise ModelError(
                f"{caller} rests on the largest likelihood, and {model.call.formula!r} was fitted "
                f"with the prior {model.call.prior!r}; use model.update(prior=None)"
            )


def by_likelihood(model: AnyModel, *, reml: bool = False) -> AnyModel:
    """Return the model by maximum likelihood, or by REML: itself, or a refit that is made once."""
    if not isinstance(model, LinearMixedModel | GLSModel) or model.reml == reml:
        return model
    other = _REFITS.get(model)
    if other is None:
        other = _REFITS[model] = model.update(reml=reml)
    return other


def named_models(
    models: Sequence[Any], named: Mapping[str, Any], caller: str
) -> tuple[tuple[Any, ...], list[str] | None]:
    """Read models, and the names that they were given, if any.

    Models come one by one, in a mapping of names to models, or as keyword arguments; not as a
    list, whose names nobody gave.
    """
    found: list[Any] = []
    names: list[str] = []
    for place, model in enumerate(models):
        if isinstance(model, Mapping):
            found += model.values()
            names += map(str, model)
        else:
            found.append(model)
            names.append("" if not named else f"model {place + 1}")
    for name, model in named.items():
        if not isinstance(model, Base):
            raise TypeError(keyword_message(caller, name, []))
        found.append(model)
        names.append(name)
    if not any(names):
        return tuple(found), None
    filled = [own or formula for own, formula in zip(names, labels(found), strict=True)]
    if len(set(filled)) < len(filled):
        raise ValueError(f"two models have the same name: {', '.join(filled)}")
    return tuple(found), filled


def labels(models: Sequence[Model]) -> list[str]:
    """Name models by their formulas and residuals, numbered where two are alike."""
    if not all(isinstance(model, Base) for model in models):
        return [f"model {place}" for place, _ in enumerate(models, start=1)]
    formulas = [" ".join(model.call.formula.split()) + _residuals(model) for model in models]
    counts = Counter(formulas)
    seen: Counter[str] = Counter()
    out = []
    for formula in formulas:
        seen[formula] += 1
        out.append(formula if counts[formula] == 1 else f"{formula} [{seen[formula]}]")
    return out


def _residuals(model: Any) -> str:
    """Name residuals that are not independent or not equal."""
    if isinstance(model, GEEModel):
        return f", {model.parts.spec.corr}"
    if isinstance(model, FixedEffectsModel | GeneralizedFixedEffectsModel) and model.call.absorb:
        return f" | {' + '.join(model.call.absorb)}"
    if not isinstance(model, GLSModel):
        return ""
    corr = "" if model.call.corr == "independence" else f", {model.call.corr}"
    return corr + ("" if model.call.variance is None else f", variance {model.call.variance}")


def estimator_name(model: Any) -> str:
    """Name what a model was fitted by."""
    if isinstance(model, GEEModel):
        return "GEE"
    return "REML" if getattr(model, "reml", False) else "ML"


def criteria_row(model: Model) -> dict[str, float]:
    """Criteria of one model in a table of comparisons."""
    return {
        "npar": model.npar,
        "aic": model.aic,
        "bic": model.bic,
        "llf": model.llf,
        "deviance": -2.0 * model.llf,
    }


def boundary_notes(
    relation: Relation, test: RatioTest, *, is_singular: bool, simulate: str = ""
) -> list[str]:
    """State what a test of the random part assumes.

    Parameters
    ----------
    relation, test
        How the models lie in each other, and the test.
    is_singular : bool
        Whether the smaller fit is.
    simulate : str
        What to do about several variances at once.
    """
    if relation.zeros == 0:
        return ["no variance is tested at zero, so the chi-squared p-value is valid"]
    if relation.zeros > 1:
        return [
            f"{relation.zeros} variances are tested at zero at once: pvalue is too large and no "
            f"simple mixture is right{simulate}"
        ]
    mixture = f"0.5 chi2({test.df - 1:.0f}) + 0.5 chi2({test.df:.0f})"
    notes = [f"a variance is tested at zero: pvalue_boundary is by {mixture}"]
    if is_singular:
        notes.append("the smaller fit is singular itself, so both p-values are rough")
    return notes


def same_fixed(spaces: Sequence[Parts]) -> bool:
    """Return whether all fixed parts span one space."""
    first = spaces[0].fixed
    return all(contains(first, s.fixed) and contains(s.fixed, first) for s in spaces[1:])
