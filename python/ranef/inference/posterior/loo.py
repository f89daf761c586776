"""Leave-one-out prediction, by Pareto smoothed importance weights."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from ..._html import Preformatted
from ..._typing import Array
from ...words.answers import Spoken
from .extras import array_stats

__all__ = ["Loo", "leave_one_out"]

#: Shape of the tail of weights above which an estimate is not reliable.
LARGEST_K = 0.7


@dataclass(frozen=True, repr=False)
class Loo(Spoken, Preformatted):
    """Expected log density of the rows or levels left out.

    Attributes
    ----------
    elpd_loo : float
        Sum over what was left out.
    se : float
        Its standard error.
    p_loo : float
        Effective number of parameters; NaN where levels are left out.
    pointwise : DataFrame
        Columns elpd_loo and pareto_k, a row for each row of the data or level.
    what : str
        What was left out: "row", or a grouping factor.
    """

    elpd_loo: float
    se: float
    p_loo: float
    pointwise: pd.DataFrame
    what: str

    @property
    def looic(self) -> float:
        """-2 elpd_loo, on the scale of a deviance."""
        return -2.0 * self.elpd_loo

    @property
    def verdict(self) -> str:
        """Report whether the estimate can be trusted."""
        bad = int((self.pointwise["pareto_k"] > LARGEST_K).sum())
        if not bad:
            return "All Pareto k are below 0.7: the estimate is reliable."
        return (
            f"{bad} of {len(self.pointwise)} Pareto k are above 0.7: these weigh so much that the "
            "estimate is not reliable; use ranef.cross_validate, which fits again."
        )

    def __repr__(self) -> str:
        count = "" if np.isnan(self.p_loo) else f", p_loo {self.p_loo:.2f}"
        return (
            f"Leave-one-{self.what}-out: elpd {self.elpd_loo:.2f} (se {self.se:.2f}){count}, looic "
            f"{self.looic:.2f}\n{self.verdict}"
        )


def leave_one_out(
    log_density: Array, index: pd.Index[Any], what: str, seen: Array | None = None
) -> Loo:
    """Estimate the log density of each part given the others.

    Parameters
    ----------
    log_density : ndarray of shape (S, k)
        Of each part given the others and the draw of what is sampled. Its inverse is the ratio of
        the posterior without the part to the posterior.
    seen : ndarray of shape (S, k), optional
        Of each part given all, itself included, and the draw.
    index : Index
        Labels of the parts.
    what : str
        What a part is.

    References
    ----------
    Vehtari, Gelman and Gabry (2017), Stat. Comput. 27, 1413-1432.
    """
    package = array_stats()
    k = log_density.shape[1]
    values, shapes = np.empty(k), np.empty(k)
    for i in range(k):
        smoothed, shapes[i] = package.psislw(log_density[:, i])
        values[i] = np.logaddexp.reduce(smoothed + log_density[:, i])
    p_loo = np.nan
    if seen is not None:
        every = np.logaddexp.reduce(seen, axis=0) - np.log(len(seen))
        p_loo = float((every - values).sum())
    table = pd.DataFrame({"elpd_loo": values, "pareto_k": shapes}, index=index)
    return Loo(
        float(values.sum()),
        float(np.sqrt(k * values.var())),
        p_loo,
        table,
        what,
    )
