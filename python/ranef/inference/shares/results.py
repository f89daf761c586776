"""R² of a mixed model, by the definition that was asked for."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from html import escape
from typing import ClassVar

import numpy as np
import pandas as pd

from ..._options import check_option
from ..._typing import Array
from ...design.design import Design
from ...models.lmm import LmmEstimate
from ...words.answers import Spoken
from . import r2 as shares
from .r2 import Part, with_limits

__all__ = ["METHODS", "R2", "Tester", "r2"]


#: Returns (F, num_df, den_df) of the hypotheses in the rows of a matrix.
Tester = Callable[[Array], tuple[float, float, float]]

_NOT = (
    "It does not say how well new groups are predicted, and is not comparable across data sets "
    "with "
    "other covariate ranges."
)
METHODS = {
    "nakagawa": (
        "Nakagawa-Schielzeth-Johnson: variances of X beta (marginal), and of it with the mean "
        "variance of "
        "the random effects (conditional), over the total."
    ),
    "nsj": (
        "Semi-partial R² of each term from the marginal Nakagawa-Schielzeth-Johnson R²; a row does "
        "not add "
        "up with the others where predictors are correlated."
    ),
    "sgv": (
        "Semi-partial R² with the standardised generalised variance of the responses as the "
        "residual "
        "scale; larger than the marginal R² because correlation is not held against the fixed "
        "effects."
    ),
    "kr": (
        "Semi-partial R² from Kenward-Roger F tests; it measures evidence against the term being "
        "zero "
        "relative to its degrees of freedom, not a share of the responses' variance."
    ),
    "xu": (
        "Xu: one minus the variance of the residuals over that of the responses. It uses the "
        "fitted random effects and so rises with their number."
    ),
}


@dataclass(frozen=True, repr=False)
class R2(Spoken):
    """Proportions of variance.

    Attributes
    ----------
    method : str
        The definition.
    marginal : float
        Of the fixed effects; NaN for "xu".
    conditional : float
        Of fixed and random effects; NaN for semi-partial methods.
    table : DataFrame or None
        Semi-partial methods: term, r2, lower, upper, F, num_df, den_df.
    note : str
        What it means, and its limits.
    interval : DataFrame or None
        Rows marginal and conditional, columns lower and upper, when asked for.
    """

    model_is: ClassVar[str] = "the fitted model"

    method: str
    marginal: float
    conditional: float
    table: pd.DataFrame | None
    note: str
    interval: pd.DataFrame | None = None

    def _head(self) -> str:
        known = {"marginal": self.marginal, "conditional": self.conditional}
        return f"R² ({self.method}): " + with_limits(known, self.interval)

    def _repr_html_(self) -> str:
        table = ""
        if self.table is not None and len(self.table):
            table = self.table.round(4).to_html(index=False)
        return f"<p>{escape(self._head())}</p>{table}<p>{escape(self.note)}</p>"

    def __repr__(self) -> str:
        lines = [self._head()]
        if self.table is not None and len(self.table):
            lines.append(self.table.round(4).to_string(index=False))
        return "\n".join([*lines, self.note])


def r2(design: Design, estimate: LmmEstimate, method: str, level: float, test: Tester) -> R2:
    """Compute R² by one of ``METHODS``."""
    method = check_option("method", method, METHODS)
    note = f"{METHODS[method]} {_NOT}"
    if method == "xu":
        return R2(method, np.nan, shares.xu(design, estimate), None, note)
    parts = shares.variances(design, estimate)
    marginal = parts.fixed / parts.total
    if method == "nakagawa":
        conditional = (parts.fixed + parts.random) / parts.total
        return R2(method, marginal, conditional, None, note)
    if method == "kr":
        rows = _kr(design, estimate, level, test)
    else:
        nsj = method == "nsj"
        scale = (
            shares.mean_scale(design, parts) if nsj else shares.standardised_scale(design, estimate)
        )
        rows = shares.partial_r2(design, estimate, *scale, level)
    whole = rows[0].r2 if rows else 0.0
    return R2(method, whole, np.nan, pd.DataFrame([vars(row) for row in rows]), note)


def _kr(design: Design, estimate: LmmEstimate, level: float, test: Tester) -> Sequence[Part]:
    """Edwards, Muller, Wolfinger, Qaqish and Schabenberger (2008), Stat. Med. 27, 6137-6157."""
    terms = shares.term_matrices(design, estimate.kept)
    full = np.zeros((len(estimate.kept), len(design.fixed)))
    full[np.arange(len(estimate.kept)), estimate.kept] = 1.0
    return shares.ordered([shares.part(name, *test(C @ full), level) for name, C in terms.items()])
