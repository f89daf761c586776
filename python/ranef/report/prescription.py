"""What was tried to help a model, and the smallest change that helped."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pandas as pd

from .._html import Preformatted
from ..words.answers import Spoken
from .findings import Diagnosis

__all__ = ["Prescription"]


@dataclass(frozen=True, repr=False)
class Prescription(Spoken, Preformatted):
    """A log of changes to a model and what each does.

    Attributes
    ----------
    findings : Diagnosis
        All findings about the data and the fit.
    troubles : tuple of str
        Problems of the model, as codes of findings.
    table : DataFrame
        One row per change, in the order tried: llf, gain (of the log-likelihood; NaN where
        restricted likelihoods of other fixed parts, or other likelihoods, do not compare),
        coefficients_se (the largest move of a coefficient, in standard errors of the model),
        errors_ratio (the largest standard error over the model's), singular, converged, helps,
        code.
    model : LinearMixedModel
        The model with the smallest change that helps; the original where none does or none is
        needed.
    code : str
        The line that makes it.
    """

    findings: Diagnosis
    troubles: tuple[str, ...]
    table: pd.DataFrame
    model: Any
    code: str

    def __repr__(self) -> str:
        if not self.troubles:
            other = [f.code for f in self.findings if f.severity != "note"]
            return "Nothing to do: the model has converged and is not singular." + (
                f" For the data see ranef.diagnose(model): {', '.join(other)}." if other else ""
            )
        shown = self.table.drop(columns="code").to_string()
        head = f"Trouble: {', '.join(self.troubles)}\n\n{shown}\n\n"
        if not self.code:
            return head + "No change helps; see ranef.diagnose(model)."
        return head + f"The smallest change that helps:\n    {self.code}"
