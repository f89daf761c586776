"""Growth mixtures with different numbers of classes, side by side."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import pandas as pd

from .._counted import counted
from ..errors import ModelError
from ..fitted.mixture.call import MixtureCall
from ..fitted.mixture.fit import read
from ..fitted.mixture.model import GrowthMixture, fit_rows
from ..report.tabled import Tabled

__all__ = ["MixtureComparison", "compare_classes"]


@dataclass(frozen=True, repr=False)
class MixtureComparison(Tabled):
    """Growth mixtures of the same rows with different numbers of classes.

    Returned by :func:`ranef.growth_mixture` with several ``classes``. ``table`` has one row per
    number of classes: npar, llf, aic, bic, icl, entropy, smallest (share of the smallest class),
    reached (starts at the best optimum), starts.

    Attributes
    ----------
    models : dict of int to GrowthMixture
        The fits, by number of classes.
    """

    models: Mapping[int, GrowthMixture] = field(default_factory=dict)

    @property
    def title(self) -> str:
        """What the table shows."""
        return "Growth mixtures by number of classes"

    @property
    def best(self) -> GrowthMixture:
        """The fit with the lowest BIC."""
        return self.models[lowest(self.table["bic"])]

    def bootstrap_tests(
        self,
        n: int = 100,
        *,
        starts: int = 10,
        seed: int | None = None,
        workers: int | None = None,
        progress: bool = True,
    ) -> pd.DataFrame:
        """Test each number of classes against one fewer by the bootstrap likelihood ratio.

        Parameters
        ----------
        n, starts, seed, workers, progress
            As for :meth:`ranef.GrowthMixture.bootstrap_test`.

        Returns
        -------
        DataFrame
            statistic and pvalue by number of classes.
        """
        rows = {}
        for k, model in self.models.items():
            if k > 1:
                found = model.bootstrap_test(
                    n, starts=starts, seed=seed, workers=workers, progress=progress
                )
                rows[k] = {"statistic": found.statistic, "pvalue": found.pvalue}
        return pd.DataFrame.from_dict(rows, orient="index").rename_axis("classes")

    def plot(self, *, ax: Any = None) -> Any:
        """Draw BIC and ICL by number of classes.

        Parameters
        ----------
        ax : Axes, optional
            Where to draw; a new figure by default.

        Returns
        -------
        Axes
        """
        from ..report.plots.mixture import criteria_axes

        return criteria_axes(self.table, ax=ax)


def compare_classes(
    call: MixtureCall,
    data: Any,
    classes: Sequence[int],
    workers: int | None,
    *,
    progress: bool = False,
) -> MixtureComparison:
    """Fit each number of classes to the same rows.

    Raises
    ------
    ModelError
        If none of them could be fitted.
    """
    numbers = list(dict.fromkeys(classes))
    if not numbers:
        raise ValueError("classes is empty; pass numbers of classes, as in (1, 2, 3)")
    rows = read(call, data)
    models, notes = {}, []
    for k in numbers:
        try:
            models[k] = fit_rows(replace(call, classes=k), rows, workers, progress=progress)
        except ModelError as error:
            notes.append(f"{counted(k, 'class', 'classes')}: {error}")
    if not models:
        raise ModelError("; ".join(notes))
    table = pd.DataFrame.from_dict({k: row_of(m) for k, m in models.items()}, orient="index")
    table = table.rename_axis("classes")
    return MixtureComparison(table, (*verdicts(table), *notes), models)


def lowest(criterion: pd.Series[Any]) -> int:
    """Return the number of classes with the lowest value."""
    return int(np.asarray(criterion.index)[int(np.argmin(criterion))])


def row_of(model: GrowthMixture) -> dict[str, float]:
    """Measures of one model."""
    return {
        "npar": model.npar,
        "llf": model.llf,
        "aic": model.aic,
        "bic": model.bic,
        "icl": model.icl,
        "entropy": model.entropy,
        "smallest": float(model.shares.min()),
        "reached": int(model.starts["best"]),
        "starts": int(model.starts["all"]),
    }


def verdicts(table: pd.DataFrame) -> list[str]:
    """State which number of classes each criterion is lowest for."""
    if len(table) < 2:
        return []
    best = lowest(table["bic"])
    notes = [f"BIC is lowest with {best}, ICL with {lowest(table['icl'])} (number of classes)"]
    if best == 1:
        notes.append("by BIC one class is enough: the groups are one population with these curves")
    if best == max(table.index) and np.all(np.diff(table["bic"].sort_index()) < 0.0):
        notes.append("BIC still falls at the largest number; try more classes")
    return notes
