"""What to type to fit one model of a stored batch, without its data at hand."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pandas as pd

from .result import position

__all__ = ["single_call"]


def single_call(plan: Mapping[str, Any], fits: pd.Index[Any], which: Any) -> str:
    """Write the call that fits one of a stored batch again.

    Parameters
    ----------
    plan : mapping of str to JSON values
        The plan of the run.
    fits : Index
        The names of the fits.
    which : label or int
        Which one, by name or position.

    Returns
    -------
    str
        The call, and what its data are.
    """
    name = fits[position(fits, which)]
    call = "ranef.lmer" if not plan["family"] else "ranef.glmer"
    if plan["function"] == "fit_groups":
        formula, data, told = plan["formula"], rows_of(plan["key"], name), ""
    else:
        quoted = str(name) if str(name).isidentifier() else f"`{name}`"
        formula, data = f"{quoted} ~ {plan['formula'].partition('~')[2].strip()}", "data"
        told = f", where data has the response as its column {str(name)!r}"
    arguments = [f'"{formula}"', data, *options_of(plan)]
    return f"{call}({', '.join(arguments)}){told}"


def rows_of(key: list[str], name: Any) -> str:
    """Write the rows of one group."""
    values = [name] if len(key) == 1 else list(name)
    plain = [v.item() if hasattr(v, "item") else v for v in values]
    pairs = zip(key, plain, strict=True)
    conditions = " & ".join(f"(data[{column!r}] == {value!r})" for column, value in pairs)
    return f"data[{conditions.strip('()')}]" if len(key) == 1 else f"data[{conditions}]"


def options_of(plan: Mapping[str, Any]) -> list[str]:
    """Write the arguments that are not the defaults."""
    out = []
    if plan["family"]:
        family, link = plan["family"].split(" ")
        out += [f'family="{family}"', f'link="{link}"']
    elif not plan["reml"]:
        out.append("reml=False")
    for name in ("weights", "offset"):
        if plan[name] != "none":
            out.append(f"{name}=..." if plan[name] == "an array" else f"{name}={plan[name]!r}")
    if plan["contrasts"] != "None":
        out.append(f"contrasts={plan['contrasts']}")
    return out
