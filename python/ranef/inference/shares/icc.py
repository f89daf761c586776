"""Intraclass correlations, and the ledger of the variance that they come from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape
from itertools import product
from typing import Any, ClassVar

import numpy as np
import pandas as pd

from ...design.design import Design
from ...design.encode import encode
from ...design.frame import to_pandas
from ...models.lmm import LmmEstimate
from ...words.answers import Spoken
from .r2 import Variances, with_limits

__all__ = ["Icc", "decomposition", "icc", "icc_at"]


NOTE = (
    "A share of variance, not of explanation: it says how alike responses of one level are under "
    "this "
    "model, and falls when predictors that vary between levels are added."
)
SLOPES = (
    "The model has random slopes, so the correlation depends on the covariate: these numbers are "
    "averages "
    "over the rows of the data. icc(at={...}) gives it at chosen values."
)


@dataclass(frozen=True, repr=False)
class Icc(Spoken):
    """Intraclass correlation.

    Attributes
    ----------
    adjusted : float
        Random variance over random and residual variance: given the fixed effects.
    unadjusted : float
        Random variance over all, the variance of the fixed part included.
    by_group : Series
        The adjusted one's share of each grouping factor.
    note : str
        What it means, and its limits.
    interval : DataFrame or None
        Rows adjusted, unadjusted and the grouping factors, columns lower and upper, when asked for.
    """

    model_is: ClassVar[str] = "the fitted model"

    adjusted: float
    unadjusted: float
    by_group: pd.Series
    note: str
    interval: pd.DataFrame | None = None

    def _lines(self) -> list[str]:
        both = {"adjusted": self.adjusted, "unadjusted": self.unadjusted}
        lines = ["ICC " + with_limits(both, self.interval)]
        if len(self.by_group) > 1:
            each = ({str(group): value} for group, value in self.by_group.items())
            lines += [f"  {with_limits(share, self.interval)}" for share in each]
        return lines

    def __repr__(self) -> str:
        return "\n".join([*self._lines(), self.note])

    def _repr_html_(self) -> str:
        return "".join(f"<p>{escape(line)}</p>" for line in [*self._lines(), self.note])


def icc(design: Design, parts: Variances) -> Icc:
    """Compute the intraclass correlation from the parts of the variance."""
    given = parts.random + parts.residual
    names = pd.Index(parts.groups)
    by_group = pd.Series((parts.mean + parts.slopes) / given, index=names, name="icc")
    slopes = any(reference >= 0 for term in design.grouped for reference in term.columns)
    note = f"{SLOPES} {NOTE}" if slopes else NOTE
    return Icc(parts.random / given, parts.random / parts.total, by_group, note)


def icc_at(
    design: Design, estimate: LmmEstimate, data: Any, at: Mapping[str, Sequence[Any]]
) -> pd.DataFrame:
    """Return the adjusted ICC where covariates have chosen values, each combination of them.

    The other columns are those of the first row that was used; a covariate that no random slope
    depends on changes nothing.
    """
    frame = to_pandas(data)
    for name in at:
        if name not in frame.columns:
            raise ValueError(f"at names {name!r}, which is not a column of the data")
    grid = pd.DataFrame(list(product(*map(list, at.values()))), columns=list(at))
    first = 0 if design.rows is None else int(design.rows[0])
    new = frame.iloc[[first] * len(grid)].reset_index(drop=True)
    new = new.assign(**{str(name): column.to_numpy() for name, column in grid.items()})
    rows = encode(design, new, random=True, new_levels="population")
    per_term = np.array(
        [
            np.einsum("ij,jk,ik->i", term.z, cov, term.z)
            for known, term, cov in zip(design.random, rows.terms, estimate.sigmas, strict=True)
            if term is not None and not known.is_curve
        ]
    )
    total = per_term.sum(axis=0)
    grid["icc"] = total / (total + estimate.sigma**2)
    grid["var_random"], grid["var_residual"] = total, estimate.sigma**2
    return grid


def decomposition(design: Design, parts: Variances) -> pd.DataFrame:
    """Lay out the parts of the variance and their shares."""
    rows = [("fixed", "", parts.fixed)]
    for term, mean, slopes in zip(design.grouped, parts.mean, parts.slopes, strict=True):
        rows.append(("random, at the mean of the covariates", term.group, mean))
        if any(reference >= 0 for reference in term.columns):
            rows.append(("random, as the covariates vary", term.group, slopes))
    rows.append(("residual", "", parts.residual))
    frame = pd.DataFrame(rows, columns=["component", "group", "variance"])
    frame["share"] = frame["variance"] / parts.total
    return frame
