"""Residuals as a series that may also be called: ``model.resid`` and ``model.resid()``."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
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

    def __call__(self, kind: Any = None) -> Any:
        """Compute residuals of a kind, as ``model.residuals(kind)`` does; these for None.

        pandas calls whatever is callable: with a frame in ``data.assign(r=model.resid)``, and with
        one label after another in ``rows.map(model.resid)``.
        """
        if isinstance(kind, str):
            return self._make(kind)
        if kind is None or isinstance(kind, (pd.DataFrame, pd.Series)):
            return pd.Series(self)
        return self.get(kind, np.nan)

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

    @classmethod
    def over(cls, model: Any, values: pd.Series[Any]) -> Residuals:
        """Make a model's residuals callable."""
        made = cls(values)
        object.__setattr__(made, "_make", model.residuals)
        return made
