"""Which class each group is in, and the curves of the classes."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from ...families.links import mean_of
from .criteria import Fitted

__all__ = ["Memberships"]


class Memberships(Fitted):
    """Posterior probabilities, most probable classes and mean curves."""

    @property
    def posterior(self) -> pd.DataFrame:
        """Probability of each class for each group, in the order in which groups appear."""
        index = pd.Index(self._data.labels, name=self.call.groups)
        return pd.DataFrame(self._estimate.posterior, index=index, columns=self._labels)

    @property
    def assigned(self) -> pd.Series[Any]:
        """The most probable class of each group."""
        best = self._estimate.posterior.argmax(axis=1) + 1
        index = pd.Index(self._data.labels, name=self.call.groups)
        return pd.Series(best, index=index, name="class")

    @property
    def counts(self) -> pd.Series[Any]:
        """Number of groups by most probable class."""
        return self.assigned.value_counts().reindex(self._labels, fill_value=0)

    @property
    def certainty(self) -> pd.Series[Any]:
        """Mean probability of their own class of the groups that are assigned to it.

        Values below about 0.7 mean that a class is not well separated from the others.
        """
        own = pd.Series(self._estimate.posterior.max(axis=1))
        return own.groupby(self.assigned.to_numpy()).mean().reindex(self._labels)

    def curves(self, times: Any = None) -> pd.DataFrame:
        """Compute the mean curve of each class, on the scale of the outcome.

        Parameters
        ----------
        times : array_like, optional
            Times; those of the data by default.

        Returns
        -------
        DataFrame
            One row per time, one column per class.
        """
        at = np.unique(self._data.time) if times is None else np.asarray(times, float)
        if at.ndim != 1 or not np.isfinite(at).all():
            raise ValueError("times must be a list of finite numbers")
        eta = np.vander(at, self.call.n_shape, increasing=True) @ self._estimate.beta.T
        mean = mean_of(self.call.distribution.link.name, eta.ravel()).reshape(eta.shape)
        return pd.DataFrame(mean, index=pd.Index(at, name=self.call.time), columns=self._labels)
