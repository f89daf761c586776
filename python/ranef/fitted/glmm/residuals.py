"""Residuals of a generalised model, which come in kinds."""

from __future__ import annotations

from typing import Any, Literal, get_args

import numpy as np
import pandas as pd

from ..._options import check_option
from ..._typing import Array
from ...families.residuals import residuals as residuals_of
from .parts import GlmmParts

__all__ = ["RESIDUALS", "ResidualKind", "of_kept", "residuals"]

ResidualKind = Literal["deviance", "pearson", "response", "working"]

#: Kinds of residuals.
RESIDUALS = get_args(ResidualKind)


def residuals(parts: GlmmParts, kind: str) -> pd.Series[Any]:
    """Compute residuals of the rows used, given the random effects."""
    parts.each_row("residuals")
    return parts.label(of_kept(parts, kind))


def of_kept(parts: GlmmParts, kind: str) -> Array:
    """Compute residuals of the rows that are kept, whose squares count as often as they do."""
    name = check_option("kind", kind, RESIDUALS)
    e, y, w = parts.estimate, parts.design.y, parts.weights
    family, link = e.spec.distribution, e.spec.transform
    return np.asarray(residuals_of(family, link, name, y, e.eta, w, e.params(w)))
