"""The same model as mixed model and as latent curve: which parameter is which."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from ..._typing import Array
from ...errors import ModelError
from ...formula.terms import quoted
from ...report.tabled import Tabled
from ..gls.model import GLSModel
from ..lmm.model import LinearMixedModel
from .call import SHAPES
from .fit import powers
from .parts import GrowthParts

__all__ = ["Equivalence", "equated"]


@dataclass(frozen=True, repr=False)
class Equivalence(Tabled):
    """Parameters of a mixed model next to those of a latent growth curve.

    Returned by ``curve.equate()`` or :func:`ranef.equate`. ``table`` has one row per parameter of
    the curve: mixed (what it is called in the mixed model), mixed_estimate, curve_estimate,
    difference; the last row is the log-likelihood. A parameter that the mixed model does not have
    is NaN there.

    Attributes
    ----------
    same : bool
        Whether all differences are negligible: within a thousandth of the standard error, and 1e-4
        of the log-likelihood.
    """

    same: bool = False

    @property
    def title(self) -> str:
        """What the table shows."""
        return "The mixed model and the latent growth curve"

    def _shown(self) -> pd.DataFrame:
        """Write the table as text."""
        out = self.table.copy()
        for name in ("mixed_estimate", "curve_estimate"):
            out[name] = out[name].map(lambda x: "" if np.isnan(x) else f"{x:.6g}")
        out["difference"] = out["difference"].map(lambda x: "" if np.isnan(x) else f"{x:.1e}")
        return out


def equated(model: Any, curve: GrowthParts) -> Equivalence:
    """Find each parameter of a curve in a mixed model.

    Raises
    ------
    ModelError
        If the model is of another kind, or of another response or number of rows.
    """
    if not isinstance(model, LinearMixedModel | GLSModel):
        raise ModelError(
            f"a latent curve is compared with a mixed model of ranef.lmer or ranef.gls, not with a "
            f"{type(model).__name__}"
        )
    check_rows(model, curve)
    mixed = mixed_parameters(model)
    rows, used = [], set()
    for name, key, words in keys(curve):
        rows.append(
            (name, mixed[key][0] if key in mixed else words, mixed.get(key, ("", np.nan))[1])
        )
        used.add(key)
    estimates = [*curve.beta, curve.llf]
    rows.append(("log-likelihood", "log-likelihood", float(model.llf)))
    table = pd.DataFrame(rows, columns=["parameter", "mixed", "mixed_estimate"]).set_index(
        "parameter"
    )
    table["curve_estimate"] = np.array(estimates, float)
    table["difference"] = table["mixed_estimate"] - table["curve_estimate"]
    spare = [(label, value) for key, (label, value) in mixed.items() if key not in used]
    unit = np.append(np.sqrt(np.diag(curve.cov)) * 1e-3, 1e-4)
    kept = np.append(~np.isnan(curve.beta), True)
    gaps = table["difference"].abs().to_numpy()[kept]
    same = not spare and bool(np.all(gaps <= np.maximum(unit, 1e-8)))
    return Equivalence(table, tuple(notes_of(model, table, spare, same)), same)


def check_rows(model: Any, curve: GrowthParts) -> None:
    """Refuse models of other responses."""
    theirs, ours = model.parts.design, curve.design
    if theirs.n_obs != ours.n_obs or not same_values(theirs.y, ours.y):
        raise ModelError(
            f"the mixed model is for {theirs.response!r} on {theirs.n_obs:,} rows and the curve "
            f"for {ours.response!r} on {ours.n_obs:,}; fit both to the same rows"
        )


def same_values(a: Array, b: Array) -> bool:
    """Return whether two responses are the same in any order, whatever their unit."""
    size = float(np.abs(a).max())
    return bool(np.allclose(np.sort(a), np.sort(b), rtol=1e-8, atol=1e-10 * size))


def pieces(name: str) -> frozenset[str]:
    """Factors of a term, whatever their order and blanks."""
    return frozenset(part.replace(" ", "") for part in name.split(":"))


def keys(curve: GrowthParts) -> list[tuple[str, Any, str]]:
    """Each parameter of the curve, its key in a mixed model, and what it would be called there."""
    call, design = curve.call, curve.design
    group = call.groups
    out: list[tuple[str, Any, str]] = []
    labels = list(curve.labels())
    for name, column in zip(labels, design.fixed_names, strict=False):
        out.append((name, ("fixed", pieces(column)), column))
    varying = ["Intercept", *powers(call.time, call.random)][: SHAPES[call.random]]
    for i, a in enumerate(varying):
        for b in varying[: i + 1]:
            key = ("random", group, frozenset([a.replace(" ", ""), b.replace(" ", "")]))
            words = f"Var({a} | {group})" if a == b else f"Cov({b}, {a} | {group})"
            out.append((labels[len(out)], key, words))
    for occasion in curve.residual_variances.index:
        one = call.residuals == "equal"
        at = None if one else str(occasion)
        words = "sigma squared" if one else f"residual variance at {quoted(call.time)} = {occasion}"
        out.append((labels[len(out)], ("residual", at), words))
    return out


def mixed_parameters(model: Any) -> dict[Any, tuple[str, float]]:
    """Parameters of a mixed model with their names, by key."""
    out: dict[Any, tuple[str, float]] = {
        ("fixed", pieces(name)): (name, float(value)) for name, value in model.params.items()
    }
    for group in model.varcorr:
        cov = model.varcorr[group]
        names = [str(name) for name in cov.index]
        for i, a in enumerate(names):
            for j, b in enumerate(names[: i + 1]):
                key = ("random", str(group), frozenset([a.replace(" ", ""), b.replace(" ", "")]))
                words = f"Var({a} | {group})" if a == b else f"Cov({b}, {a} | {group})"
                out[key] = (words, float(cov.iloc[i, j]))
    if isinstance(model, GLSModel) and model.parts.call.variance is not None:
        variances = model.variances["variance"]
        for level, value in variances.items():
            out["residual", str(level)] = (f"residual variance at {level}", float(value))
    else:
        out["residual", None] = ("sigma squared", float(model.sigma) ** 2)
    return out


def notes_of(model: Any, table: pd.DataFrame, spare: list[tuple[str, float]], same: bool) -> Any:
    """State what the two agree on, and what only one of them has."""
    if same:
        yield "the two are one model: every parameter and the likelihood agree"
    if getattr(model.parts.call, "reml", False):
        yield (
            "the mixed model was fitted by REML and the curve by maximum likelihood: fit it with "
            "reml=False, and variances and likelihood agree too"
        )
    gone = [str(name) for name in table.index[table["mixed_estimate"].isna()]]
    if gone:
        yield f"not in the mixed model: {', '.join(gone)}"
    if spare:
        yield f"not in the curve: {', '.join(name for name, _ in spare)}"
