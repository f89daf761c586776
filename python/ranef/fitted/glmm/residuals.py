"""Residuals of a generalised model, which come in kinds."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, Literal, get_args

import pandas as pd

from ..._options import check_option
from ...families.residuals import residuals as residuals_of
from .parts import GlmmParts

if TYPE_CHECKING:
    Base = pd.Series[Any]
else:
    Base = pd.Series

__all__ = ["RESIDUALS", "ResidualKind", "Residuals", "residuals"]

ResidualKind = Literal["deviance", "pearson", "response", "working"]

#: Kinds of residuals.
RESIDUALS = get_args(ResidualKind)


class Residuals(Base):
    """A series of deviance residuals that may also be called with the name of another kind.

    What is computed from it is a plain series.
    """

    #: Not handed on to what is computed from it, nor pickled, as pandas has it.
    _internal_names_set: ClassVar[set[str]] = {
        *Base.__dict__.get("_internal_names_set", ()),
        "_parts",
    }
    _parts: GlmmParts

    @property
    def _constructor(self) -> type[pd.Series[Any]]:
        return pd.Series

    def __call__(self, kind: ResidualKind = "deviance") -> pd.Series[Any]:
        """Compute residuals of a kind, as ``model.residuals(kind)`` does."""
        return residuals(self._parts, kind)

    def _repr_html_(self) -> str:
        return pd.Series(self).to_frame("residual").to_html(max_rows=20)

    def __reduce__(self) -> str | tuple[Any, ...]:
        return pd.Series(self).__reduce__()

    @classmethod
    def of(cls, parts: GlmmParts) -> Residuals:
        """Compute the deviance residuals of a fit."""
        made = cls(residuals(parts, "deviance"))
        object.__setattr__(made, "_parts", parts)
        return made


def residuals(parts: GlmmParts, kind: str) -> pd.Series[Any]:
    """Compute residuals of the rows used, given the random effects."""
    name = check_option("kind", kind, RESIDUALS)
    e, y, w = parts.estimate, parts.design.y, parts.weights
    family, link = e.spec.distribution, e.spec.transform
    return parts.label(residuals_of(family, link, name, y, e.eta, w, e.params(w)))
