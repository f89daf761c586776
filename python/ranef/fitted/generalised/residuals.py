"""Residuals that come in kinds, as a series and as a method."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, ClassVar

import pandas as pd

if TYPE_CHECKING:
    Base = pd.Series[Any]
else:
    Base = pd.Series

__all__ = ["Residuals"]


class Residuals(Base):
    """A series of residuals that may also be called with the name of another kind.

    What is computed from it is a plain series.
    """

    #: Not handed on to what is computed from it, nor pickled, as pandas has it.
    _internal_names_set: ClassVar[set[str]] = {
        *Base.__dict__.get("_internal_names_set", ()),
        "_make",
    }
    _make: Callable[[str], pd.Series[Any]]

    @property
    def _constructor(self) -> type[pd.Series[Any]]:
        return pd.Series

    def __call__(self, kind: str | None = None) -> pd.Series[Any]:
        """Compute residuals of a kind, as ``model.residuals(kind)`` does; these for None."""
        return pd.Series(self) if kind is None else self._make(kind)

    def _repr_html_(self) -> str:
        return pd.Series(self).to_frame("residual").to_html(max_rows=20)

    def __reduce__(self) -> str | tuple[Any, ...]:
        return pd.Series(self).__reduce__()

    @classmethod
    def of(cls, make: Callable[[str], pd.Series[Any]], kind: str) -> Residuals:
        """Compute the residuals of a kind, from what computes those of any."""
        made = cls(make(kind))
        object.__setattr__(made, "_make", make)
        return made
