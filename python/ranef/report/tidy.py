"""Tidy frames under the column names of R's broom and broom.mixed."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
import pandas as pd

from .._options import check_option
from ..inference.coverage import t_quantile
from .coefficients import interval_table
from .effects import RandomEffects, per_level
from .varcorr import VarCorr
from .whole_frame import WrittenFrame

__all__ = [
    "EFFECTS",
    "chosen_effects",
    "fixed_rows",
    "glance",
    "glance_generalised",
    "ran_coefs_rows",
    "ran_pars_rows",
    "ran_vals_rows",
    "stack",
]

EFFECTS = ("fixed", "ran_pars", "ran_vals", "ran_coefs")
COLUMNS = [
    "effect",
    "group",
    "level",
    "term",
    "estimate",
    "std.error",
    "statistic",
    "df",
    "p.value",
    "conf.low",
    "conf.high",
]
_ALWAYS = ("effect", "group", "term", "estimate")


def chosen_effects(effects: str | Iterable[str]) -> tuple[str, ...]:
    """Check the requested effects.

    Raises
    ------
    ValueError
        If one is not among ``EFFECTS``, or there is none.
    """
    chosen = (effects,) if isinstance(effects, str) else tuple(effects)
    chosen = tuple(check_option("effects", effect, EFFECTS) for effect in chosen)
    if not chosen:
        raise ValueError("effects is empty")
    return chosen


def fixed_rows(table: pd.DataFrame, level: float | None) -> pd.DataFrame:
    """Lay out the coefficient table; intervals on its degrees of freedom when a level is given."""
    rows = pd.DataFrame(
        {
            "effect": "fixed",
            "term": table.index,
            "estimate": table["estimate"].to_numpy(),
            "std.error": table["se"].to_numpy(),
            "statistic": table["z" if "z" in table else "t"].to_numpy(),
            "df": table["df"].to_numpy(),
            "p.value": table["pvalue"].to_numpy(),
        }
    )
    if level is not None:
        limits = interval_table(
            list(table.index), table["estimate"], table["se"], table["df"], level
        )
        rows["conf.low"], rows["conf.high"] = limits["lower"].to_numpy(), limits["upper"].to_numpy()
    return rows


def ran_pars_rows(varcorr: VarCorr, limits: pd.DataFrame | None) -> pd.DataFrame:
    """Lay out standard deviations (``sd__TERM``) and correlations (``cor__TERM.TERM``)."""
    parts = varcorr.to_frame()
    terms, names = [], []
    for group, a, b in zip(parts["group"], parts["term"], parts["term2"], strict=True):
        correlated = isinstance(b, str)
        terms.append(f"cor__{a}.{b}" if correlated else "sd__" + (a or "Observation"))
        names.append(f"cor_{b}.{a}|{group}" if correlated else f"sd_{a}|{group}" if a else "sigma")
    rows = pd.DataFrame(
        {"effect": "ran_pars", "group": parts["group"], "term": terms, "estimate": parts["sdcor"]}
    )
    if limits is not None:
        found = limits.reindex(names)
        rows["conf.low"], rows["conf.high"] = found["lower"].to_numpy(), found["upper"].to_numpy()
    return rows


def ran_vals_rows(effects: RandomEffects, level: float | None) -> pd.DataFrame:
    """Lay out conditional modes with their conditional standard deviations."""
    parts = [pd.DataFrame(columns=["effect", "group", "level", "term", "estimate", "std.error"])]
    for group, frame in effects.items():
        sd = np.sqrt(np.einsum("lii->li", effects.cov[group]))
        rows = _long(frame, "ran_vals", group)
        rows["std.error"] = sd.ravel()
        parts.append(rows)
    out = pd.concat(parts[1:], ignore_index=True)
    if level is not None:
        half = float(t_quantile(level)) * out["std.error"]
        out["conf.low"], out["conf.high"] = out["estimate"] - half, out["estimate"] + half
    return out


def ran_coefs_rows(effects: RandomEffects, params: pd.Series) -> pd.DataFrame:
    """Lay out each level's own coefficients, fixed and random added."""
    parts = [
        _long(frame, "ran_coefs", group) for group, frame in per_level(effects, params).items()
    ]
    return pd.concat(parts, ignore_index=True)


def _long(frame: pd.DataFrame, effect: str, group: str) -> pd.DataFrame:
    """Levels by terms, a row each."""
    levels, terms = len(frame), len(frame.columns)
    return pd.DataFrame(
        {
            "effect": effect,
            "group": group,
            "level": np.repeat(frame.index.to_numpy(), terms),
            "term": np.tile(frame.columns.to_numpy(), levels),
            "estimate": frame.to_numpy().ravel(),
        }
    )


def stack(parts: Iterable[pd.DataFrame]) -> pd.DataFrame:
    """Put parts below each other, columns in broom's order, columns that none has left out."""
    parts = list(parts)
    known = {name for part in parts for name in part.columns}
    columns = [name for name in COLUMNS if name in known or name in _ALWAYS]
    filled = [part.reindex(columns=columns).astype({"estimate": float}) for part in parts]
    whole = {
        name: np.concatenate([part[name].to_numpy(dtype=object) for part in filled])
        for name in columns
    }
    out = pd.DataFrame(whole)
    text = [name for name in ("effect", "group", "level", "term") if name in columns]
    out[text] = out[text].astype(object).where(out[text].notna(), None)
    return WrittenFrame(out.astype({name: float for name in columns if name not in text}))


def glance(model: Any, converged: bool) -> pd.DataFrame:
    """Lay out one row about a fit by REML or maximum likelihood."""
    criterion = -2.0 * model.llf
    row = {
        "nobs": model.nobs,
        "npar": model.npar,
        "sigma": model.sigma,
        "logLik": model.llf,
        "AIC": model.aic,
        "BIC": model.bic,
        "REMLcrit": criterion if model.reml else np.nan,
        "deviance": np.nan if model.reml else criterion,
        "df.residual": model.df_resid,
        "singular": model.is_singular,
        "converged": converged,
    }
    return pd.DataFrame([row])


def glance_generalised(model: Any) -> pd.DataFrame:
    """Lay out one row about a generalised fit; the deviance is conditional."""
    row = {
        "nobs": model.nobs,
        "npar": model.npar,
        "sigma": model.sigma,
        "logLik": model.llf,
        "AIC": model.aic,
        "BIC": model.bic,
        "deviance": model.deviance,
        "df.residual": model.df_resid,
        "singular": model.is_singular,
        "converged": model.converged,
    }
    return pd.DataFrame([row])
