"""What figures read from a fitted model."""

from __future__ import annotations

from typing import Any, Protocol

import pandas as pd

from ...design.design import RandomTerm
from ...formula import unquoted
from ..effects import RandomEffects

__all__ = ["Drawn", "drawn_terms", "predicted_label", "response_label"]


class Drawn(Protocol):
    """A model with parts, fitted values and residuals; and random effects, if it has any."""

    @property
    def parts(self) -> Any:
        """The parts of the model."""

    @property
    def fittedvalues(self) -> pd.Series[Any]:
        """Fitted values."""

    @property
    def resid(self) -> pd.Series[Any]:
        """Residuals."""

    def ranef(self) -> RandomEffects:
        """Return the conditional modes of the random effects."""


def response_label(model: Drawn) -> str:
    """Name what the means are of."""
    parts = model.parts
    response = unquoted(str(parts.design.response))
    if not parts.draws_points:
        return f"linear predictor of {response}"
    if response.startswith("cbind("):
        return f"share of {response[6:].partition(',')[0].strip()}"
    return response


def predicted_label(model: Drawn) -> str:
    """Begin the title of a figure of predicted means."""
    label = response_label(model)
    return f"Predicted {label}" if model.parts.draws_points else label[0].upper() + label[1:]


def drawn_terms(model: Drawn) -> tuple[RandomTerm, ...]:
    """Return the random-effects terms that have modes; none of least squares and of margins."""
    found = model.parts.design.bars if hasattr(model.parts.estimate, "modes") else ()
    return tuple(found)
