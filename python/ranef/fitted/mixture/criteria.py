"""Counts, criteria and starts of a growth mixture."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from ..._number import Count
from ..._typing import Array
from ...models.mixture.fit import MixtureEstimate
from .call import MixtureCall
from .fit import MixtureData, shape_of

__all__ = ["Criteria", "Fitted", "starts_text"]


@dataclass(frozen=True, eq=False, repr=False)
class Fitted:
    """A call, the rows it read, and what the search found."""

    call: MixtureCall
    _data: MixtureData
    _estimate: MixtureEstimate

    @property
    def classes(self) -> int:
        """Number of classes."""
        return self.call.classes

    @property
    def _labels(self) -> pd.Index[Any]:
        return pd.RangeIndex(1, self.classes + 1, name="class")


class Criteria(Fitted):
    """Counts, likelihood and criteria."""

    @property
    def nobs(self) -> Count:
        """Rows that were used."""
        return Count(len(self._data.rows.y))

    @property
    def ngroups(self) -> dict[str, int]:
        """Number of groups that were used."""
        return {self.call.groups: self._data.rows.n_units}

    @property
    def npar(self) -> int:
        """Number of parameters."""
        return shape_of(self.call).npar(self.call.n_shape)

    @property
    def llf(self) -> float:
        """Log-likelihood."""
        return self._estimate.llf

    @property
    def aic(self) -> float:
        """Akaike's criterion."""
        return 2.0 * self.npar - 2.0 * self.llf

    @property
    def bic(self) -> float:
        """Schwarz's criterion, counting rows."""
        return float(np.log(self.nobs)) * self.npar - 2.0 * self.llf

    @property
    def icl(self) -> float:
        """BIC plus twice the entropy of the classes: low when groups are also well classified."""
        return self.bic + 2.0 * self._uncertainty

    @property
    def entropy(self) -> float:
        """How well groups are classified: 1 when every class is certain, 0 when none is."""
        if self.classes == 1:
            return 1.0
        return 1.0 - self._uncertainty / (self._data.rows.n_units * float(np.log(self.classes)))

    @property
    def _uncertainty(self) -> float:
        """Entropy of the posterior probabilities, summed over groups."""
        p = self._estimate.posterior
        return float(-np.sum(p * np.log(np.maximum(p, 1e-300))))

    @property
    def converged(self) -> bool:
        """Whether the best start ended at an optimum."""
        return self._estimate.converged

    @property
    def starts(self) -> pd.Series[Any]:
        """Outcomes of the starts.

        Returns
        -------
        Series
            Numbers of starts: all; ``best``, at the best optimum; ``other``, at lower optima;
            ``empty``, lost a class; ``degenerate``, ended in a class without a variance, or in one
            of a single group with its own variance; ``broken``, met a number that is not finite.
        """
        found = self._estimate.outcomes
        reached = self._estimate.reached
        return pd.Series(
            {
                "all": sum(found.values()),
                "best": reached,
                "other": found["converged"] + found["stopped"] - reached,
                "empty": found["empty"],
                "degenerate": found["collapsed"] + found["single"],
                "broken": found["broken"],
            }
        )

    @property
    def optima(self) -> Array:
        """Log-likelihoods of the distinct optima that starts ended at, best first."""
        return self._estimate.optima


def starts_text(found: pd.Series[Any]) -> str:
    """State how often the best optimum was found."""
    text = f"{found['best']} of {found['all']} reached the best optimum"
    rest = {
        "other": "at lower optima",
        "empty": "lost a class",
        "degenerate": "degenerate",
        "broken": "broke down",
    }
    told = [f"{found[key]} {words}" for key, words in rest.items() if found[key]]
    return ", ".join([text, *told])
