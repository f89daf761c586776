"""What a marginal model says of rows."""

from __future__ import annotations

from typing import Any, Literal, overload

import numpy as np
import pandas as pd

from ..._typing import Array
from ...design import encode
from ...families.links import link_named
from ...inference.coverage import t_quantile
from ...inference.prediction.estimable import without_estimate
from ..parts import Base
from .parts import GeeParts

__all__ = ["Rows"]


class Rows(Base):
    """Fitted values, residuals and predictions."""

    parts: GeeParts

    @property
    def fittedvalues(self) -> pd.Series[Any]:
        """Fitted means."""
        return self.parts.label(self.parts.estimate.mu)

    @property
    def resid(self) -> pd.Series[Any]:
        """Responses less fitted means."""
        return self.parts.label(self.parts.design.y - self.parts.estimate.mu)

    @overload
    def predict(
        self, newdata: Any = None, *, interval: None = None, level: float = 0.95
    ) -> Array: ...
    @overload
    def predict(
        self, newdata: Any = None, *, interval: Literal["confidence"], level: float = 0.95
    ) -> pd.DataFrame: ...
    def predict(
        self,
        newdata: Any = None,
        *,
        interval: Literal["confidence"] | None = None,
        level: float = 0.95,
    ) -> Array | pd.DataFrame:
        """Predict means.

        Parameters
        ----------
        newdata : frame, optional
            New rows; the rows of the fit by default.
        interval : {"confidence"}, optional
            Ask for an interval of the mean, symmetric on the scale of the link.
        level : float
            Its coverage.

        Returns
        -------
        ndarray of shape (m,) or DataFrame
            Means, or columns mean, lower, upper.
        """
        if newdata is None:
            X, offset = self.parts.design.X, self.parts.design.offset
        else:
            rows = encode(self.parts.design, newdata, random=False)
            rows = without_estimate(self.parts.design, newdata, rows, self.parts.kept)
            X, offset = rows.X, rows.offset
        kept, link = self.parts.kept, link_named(self.parts.spec.link)
        eta = X[:, kept] @ self.parts.beta[kept] + (0.0 if offset is None else offset)
        mean = link.mean(eta)
        if interval is None:
            return mean
        if interval != "confidence":
            raise ValueError(f"interval is confidence or None, not {interval!r}")
        se = np.sqrt(np.einsum("ij,jk,ik->i", X[:, kept], self.parts.cov, X[:, kept]))
        df = float(np.min(self.parts.approximation().df(np.eye(len(kept)))))
        half = float(t_quantile(level, df)) * se
        lower, upper = link.limits(eta, half)
        return pd.DataFrame({"mean": mean, "lower": lower, "upper": upper})
