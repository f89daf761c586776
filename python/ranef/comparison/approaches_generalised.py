"""Several answers to one question about grouped counts, shares or positive measurements."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd

from ..errors import RanefWarning
from ..families import find, known
from ..fitted.feglm.call import FeglmCall
from ..fitted.feglm.model import fit_model as fit_feglm
from ..fitted.gee.call import GEECall
from ..fitted.gee.model import GEEModel
from ..fitted.gee.model import fit_model as fit_gee
from ..fitted.glmm.call import GlmerCall
from ..fitted.glmm.fit import specification
from ..fitted.glmm.model import fit_model as fit_glmer
from ..fitted.panel.call import WithinBetweenCall
from ..fitted.panel.within_between import fit_model as fit_split
from ..formula import Formula
from ..inference.priors.priors import Point
from .approaches import apart, marginal_text, mixed_text, only_intercept

__all__ = ["GENERALISED", "fits_of", "identities_of", "tables_of"]

#: Approach: what its coefficient answers, and what it cannot.
GENERALISED = {
    "GLM": (
        "difference of the link of the mean along x, over all rows",
        "its standard error treats rows of a group as independent",
    ),
    "GLM, cluster-robust": (
        "the same difference, with an honest standard error",
        "how groups differ; mixes effects within and between groups",
    ),
    "fixed effects": (
        "difference along x within a group; of yes and no given the sums of the groups",
        "anything constant within groups, or new groups",
    ),
    "between-within": (
        "both: within a group, and between group means",
        "slopes of single groups unless they are random",
    ),
    "GEE": (
        "difference in the population, groups weighted by their information",
        "how groups differ; needs rows missing completely at random",
    ),
    "mixed model": (
        "difference along x for a typical group, and how groups vary; with a logit further from "
        "zero than in the population",
        "a causal effect if group means of x go with the group's effect",
    ),
}

#: Standard deviation of the groups that is effectively infinite, on the scale of the link.
WIDE = 3e4


def fits_of(
    formula: Formula, data: Any, groups: str, family: str, time: str | None, contrasts: Any
) -> dict[str, Callable[[], Any]]:
    """Return what fits each approach."""
    name = find(family, "glmm").name
    plain, mixed, same = marginal_text(formula), mixed_text(formula), {"contrasts": contrasts}
    spec = specification(name, None, 1)

    def pooled() -> Any:
        if name in known("feglm"):
            # clusters choose the rows; the errors of the plain fit are those of the likelihood
            call = FeglmCall(plain, name, cluster=(groups,), vcov="iid", **same)
            return fit_feglm(call, data)
        alone = GEECall(
            plain, groups, family=name, corr="independence", vcov="naive", contrasts=contrasts
        )
        return fit_gee(checked(alone), data)

    return {
        "GLM": pooled,
        "fixed effects": lambda: fit_feglm(
            FeglmCall(plain, find(name, "feglm").name, absorb=(groups,), **same), data
        ),
        "between-within": lambda: fit_split(
            WithinBetweenCall(mixed, groups, family=name, **same), data
        ),
        "GEE": lambda: fit_gee(checked(GEECall(plain, groups, time, name, **same)), data),
        "mixed model": lambda: fit_glmer(GlmerCall(mixed, spec, **same), data),
    }


def checked(call: GEECall) -> GEECall:
    """Check that estimating equations have the family."""
    find(call.family, "gee")
    return call


def tables_of(models: dict[str, Any], groups: str) -> dict[str, pd.DataFrame]:
    """Return the coefficient table of every approach, in order; the statistic is called t."""
    tables = {}
    if "GLM" in models:
        tables["GLM"] = models["GLM"].coef_table()
        tables["GLM, cluster-robust"] = robust(models["GLM"], groups)
    if "fixed effects" in models:
        tables["fixed effects"] = robust(models["fixed effects"], groups)
    if "between-within" in models:
        tables["between-within"] = models["between-within"].coef_table()
    if "GEE" in models:
        tables["GEE"] = robust(models["GEE"], groups)
    tables["mixed model"] = models["mixed model"].coef_table()
    return {name: tables[name].rename(columns={"z": "t"}) for name in GENERALISED if name in tables}


def robust(model: Any, groups: str) -> pd.DataFrame:
    """Lay out coefficients with standard errors by CR2, clusters being the groups."""
    found = model.robust("CR2") if isinstance(model, GEEModel) else model.robust("CR2", groups)
    table: pd.DataFrame = found.coef_table()
    return table


def identities_of(
    models: dict[str, Any], formula: Formula, data: Any, groups: str, contrasts: Any
) -> pd.DataFrame:
    """Check on these data what theory says must agree."""
    gaps: dict[str, float] = {}
    pooled, fixed = models.get("GLM"), models.get("fixed effects")
    if "GEE" in models and pooled is not None and not isinstance(pooled, GEEModel):
        gaps["GEE with independence is the GLM with CR0"] = independence(pooled, data, groups)
    if fixed is not None and not fixed.parts.is_conditional:
        gaps["fixed effects are the mixed model as theta grows"] = growing_theta(
            fixed, only_intercept(formula, groups), data, groups, contrasts
        )
    holds = {name: bool(gap < 1e-5) for name, gap in gaps.items()}
    return pd.DataFrame({"difference": gaps, "holds": holds})


def independence(pooled: Any, data: Any, groups: str) -> float:
    """Compare GEE under independence with the pooled fit and CR0."""
    call = pooled.call
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RanefWarning)
        other = fit_gee(
            GEECall(
                call.formula,
                groups,
                family=call.family,
                corr="independence",
                contrasts=call.contrasts,
            ),
            data,
        )
    errors = pooled.robust("CR0", groups).bse
    return max(
        apart(other.params, pooled.params, pooled.bse),
        float(np.abs(other.bse / errors - 1.0).max()),
    )


def growing_theta(fixed: Any, formula: Formula, data: Any, groups: str, contrasts: Any) -> float:
    """Compare fixed effects of counts with a random intercept of very large deviation."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RanefWarning)
        wide = fit_glmer(
            GlmerCall(
                mixed_text(formula),
                specification(fixed.call.family, None, 1),
                contrasts=contrasts,
                prior={groups: Point(WIDE)},
            ),
            data,
        )
    own = fixed.params.dropna()
    return apart(wide.params[own.index], own, fixed.bse[own.index])
