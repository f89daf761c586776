"""The groups that a model's rows fall into, whatever kind of model it is."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ..design.frame import open_frame
from ..design.grouped import group_term
from ..errors import DataError, ModelError
from ..fitted.feglm.model import GeneralizedFixedEffectsModel
from ..fitted.feols.model import FixedEffectsModel
from ..fitted.gee.model import GEEModel
from ..fitted.gls.model import GLSModel

__all__ = ["column_of_rows", "group_codes", "groupings"]

Codes = NDArray[np.intp]


def groupings(model: Any) -> dict[str, Codes]:
    """Return the grouping factors of a model, and the level of each row, (n,)."""
    design = model.parts.design
    if isinstance(model, GEEModel):
        name = model.parts.call.groups
        return {name: group_term(design, name).codes.astype(np.intp)}
    found: dict[str, Codes] = {}
    if isinstance(model, GLSModel) and model.parts.call.groups is not None:
        found[model.parts.call.groups] = model.parts.rows.cluster.astype(np.intp)
    absorbing = isinstance(model, FixedEffectsModel | GeneralizedFixedEffectsModel)
    for term in design.random if absorbing else design.bars:
        if term.is_single:
            found.setdefault(term.group, term.codes.astype(np.intp))
    if absorbing:
        for name in model.parts.call.cluster:
            found.setdefault(name, _codes_of(model, name))
    return found


def group_codes(model: Any, group: str | None) -> tuple[str, Codes]:
    """Return a grouping factor by its name, or a column of the data; the only one by default."""
    known = groupings(model)
    if group is None:
        if len(known) == 1:
            return next(iter(known.items()))
        if not known:
            raise ModelError(
                "the model has no grouping factor; name a column of the data by group=, or leave "
                "rows out: scheme='new_rows'"
            )
        raise ValueError(
            f"the model has the grouping factors {', '.join(known)}; say which is new by group="
        )
    if group in known:
        return group, known[group]
    if model.parts.data is None or group not in open_frame(model.parts.data).names:
        names = ", ".join(known) or "none"
        raise ValueError(
            f"group must be a column of the data or one of the grouping factors ({names}), not "
            f"{group!r}"
        )
    return group, _codes_of(model, group)


def _codes_of(model: Any, name: str) -> Codes:
    codes, _ = pd.factorize(column_of_rows(model, name), sort=True)
    return np.asarray(codes, dtype=np.intp)


def column_of_rows(model: Any, name: str) -> pd.Series[Any]:
    """Return a column of the data in the rows that the model uses.

    Raises
    ------
    DataError
        If values are missing there.
    """
    values = open_frame(model.parts.training_data()).series(name)
    rows = model.parts.design.rows
    values = values if rows is None else values.iloc[rows]
    if values.isna().any():
        raise DataError(f"column {name!r} has missing values in rows that the model uses", name)
    return values
