"""All definitions of R² of a model, in one table."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from ..errors import RanefError, UnsupportedError
from ..families.scale import METHODS as SCALES
from ..fitted.glmm.model import GeneralizedLinearMixedModel
from ..fitted.lmm.model import LinearMixedModel
from ..inference.shares.r2 import variances
from ..inference.shares.split import within_between
from ..report.tabled import Tabled
from .crossval import by_refits, closed_form, divided

__all__ = ["R2Table", "explained", "new_data", "says", "table_of"]


@dataclass(frozen=True, repr=False)
class R2Table(Tabled):
    """R² of a model by all its definitions; see :func:`ranef.r2_table`.

    Attributes
    ----------
    table : DataFrame
        One row per definition: r2, lower, upper, says.
    notes : tuple of str
        Remarks.
    """

    @property
    def title(self) -> str:
        """What the table shows."""
        return "R² by all definitions"


#: What each definition says.
SAID = {
    "marginal": "variance of the fixed effects over the whole (Nakagawa and Schielzeth, 2013)",
    "conditional": "of fixed and random effects over the whole (Johnson, 2014)",
    "within, fixed": "of the fixed effects within groups, over all within (Rights, Sterba, 2019)",
    "within, fixed and slopes": "of fixed effects and random slopes within groups, over all within",
    "between, fixed": "of the fixed effects between groups, over all between",
    "nsj": "marginal, as a semi-partial R² of all terms, with an F distribution's limits",
    "sgv": "by the standardised generalised variance of the responses (Jaeger et al., 2017)",
    "kr": "by Kenward-Roger F tests (Edwards et al., 2008)",
    "xu": "one minus the variance of the residuals over that of the responses (Xu, 2003)",
    "response, marginal": "variance of the means of the responses themselves over the whole",
    "response, conditional": "the same with random effects",
    "new groups": "squared errors of groups left out, against those of the mean",
    "new rows": "squared errors of rows left out of known groups, against those of the mean",
}


def says(name: str) -> str:
    """State what a definition is."""
    scale, _, which = name.partition(", ")
    if name not in SAID and which in SAID:
        return f"{SAID[which]}, {scale} scale"
    return SAID[name]


def explained(model: Any) -> dict[str, float]:
    """Return R² by each definition that the model has and that needs no refits."""
    if isinstance(model, LinearMixedModel):
        return _linear(model)
    return _generalised(model)


def _linear(model: LinearMixedModel) -> dict[str, float]:
    design, estimate = model.parts.design, model.parts.estimate
    parts = variances(design, estimate)
    out = {
        "marginal": parts.fixed / parts.total,
        "conditional": (parts.fixed + parts.random) / parts.total,
        **(within_between(design, estimate, parts.residual) or {}),
    }
    out["xu"] = model.r2("xu").conditional
    return out


def semipartial(model: LinearMixedModel, level: float) -> pd.DataFrame:
    """Rows of the definitions that have limits of their own."""
    rows = {}
    for method in ("nsj", "sgv", "kr"):
        try:
            found = model.r2(method, level).table
        except UnsupportedError:
            continue
        if found is not None and len(found):
            rows[method] = found.iloc[0][["r2", "lower", "upper"]].astype(float)
    return pd.DataFrame(rows).T.reindex(columns=["r2", "lower", "upper"])


def _generalised(model: Any) -> dict[str, float]:
    out: dict[str, float] = {}
    latent = model.parts.scale_word(SCALES[0]) == "latent"
    for scale in ("latent",) if latent else SCALES:
        try:
            _, parts = model.parts.latent(SCALES[0] if latent else scale)
        except UnsupportedError:
            continue
        out[f"{scale}, marginal"] = parts.fixed / parts.total
        out[f"{scale}, conditional"] = (parts.fixed + parts.random) / parts.total
        one = isinstance(model, GeneralizedLinearMixedModel)
        if one and scale in ("latent", SCALES[0]):
            design, estimate = model.parts.design, model.parts.estimate
            out |= within_between(design, estimate, parts.residual) or {}
    try:
        found = model.parts.observed()
    except UnsupportedError:
        return out
    out["response, marginal"] = found.fixed / found.total
    out["response, conditional"] = (found.fixed + found.random) / found.total
    return out


def new_data(model: Any, folds: int, seed: Any, progress: bool) -> dict[str, tuple[float, str]]:
    """Return cross-validated R² for new groups and new rows, and how each was left out."""
    out: dict[str, tuple[float, str]] = {}
    if model.model_kind == "ordinal":  # positions of categories have no variance to account for
        return out
    for name, scheme in (("new groups", "new_groups"), ("new rows", "new_rows")):
        group = model.parts.design.random[0].group if scheme == "new_groups" else None
        count = folds
        if scheme == "new_groups":
            count = min(folds, model.parts.design.random[0].n_levels)
        try:
            if isinstance(model, LinearMixedModel):
                found = closed_form(model, scheme, group, progress)
            else:
                found = by_refits(
                    model, scheme, divided(model, scheme, group, count, None, seed), progress
                )
        except RanefError:
            continue
        out[name] = (float(found.table["r2"].iloc[0]), found.scheme)
    return out


def table_of(
    model: Any, level: float, replicates: Callable[[Callable[[Any], Any]], pd.DataFrame] | None
) -> pd.DataFrame:
    """Tabulate the definitions: r2, lower, upper, and what each says."""
    found = pd.DataFrame({"r2": explained(model)}, dtype=float)
    found["lower"], found["upper"] = np.nan, np.nan
    if replicates is not None:
        limits = replicates(explained)
        for name in found.index.intersection(limits.index):
            found.loc[name, ["lower", "upper"]] = limits.loc[name, ["lower", "upper"]].to_numpy()
    if isinstance(model, LinearMixedModel):
        found = pd.concat([found, semipartial(model, level)])
    return found
