"""Rows of a marginal model: fitted values, residuals and predictions."""

from __future__ import annotations

from typing import Any, Literal, overload

import numpy as np
import pandas as pd

from ..._options import check_option
from ..._typing import CONFIDENCE
from ...design import encode
from ...families.links import link_named
from ...inference.coverage import t_quantile
from ...inference.prediction.estimable import without_estimate
from ...inference.prediction.table import labelled, laid_out
from ..parts import Base
from ..residual_series import Residuals
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
    def resid(self) -> Residuals:
        """Responses minus fitted means."""
        return Residuals.over(self, self.parts.label(self.parts.design.y - self.parts.estimate.mu))

    @overload
    def predict(
        self,
        newdata: Any = None,
        *,
        interval: None = None,
        se: Literal[False] = False,
        level: float = 0.95,
    ) -> pd.Series[Any]: ...
    @overload
    def predict(
        self,
        newdata: Any = None,
        *,
        interval: Literal["confidence"],
        se: bool = False,
        level: float = 0.95,
    ) -> pd.DataFrame: ...
    @overload
    def predict(
        self,
        newdata: Any = None,
        *,
        interval: Literal["confidence"] | None = None,
        se: Literal[True],
        level: float = 0.95,
    ) -> pd.DataFrame: ...
    def predict(
        self,
        newdata: Any = None,
        *,
        interval: Literal["confidence"] | None = None,
        se: bool = False,
        level: float = 0.95,
    ) -> pd.Series[Any] | pd.DataFrame:
        """Predict means.

        Parameters
        ----------
        newdata : frame, optional
            New rows; the rows of the fit by default.
        interval : {"confidence"}, optional
            An interval of the mean, symmetric on the scale of the link.
        se : bool
            Whether to add a column ``se``: standard errors of the mean, by the delta method
            where there is a link.
        level : float
            Its coverage.

        Returns
        -------
        Series of length m, or DataFrame with columns mean, se, lower, upper
            Labelled as the rows of ``newdata``.
        """
        if newdata is None:
            X, offset = self.parts.design.X, self.parts.design.offset
            index: Any = self.fittedvalues.index
        else:
            rows = encode(self.parts.design, newdata, random=False)
            rows = without_estimate(self.parts.design, newdata, rows, self.parts.kept)
            X, offset, index = rows.X, rows.offset, rows.index
        kept, link = self.parts.kept, link_named(self.parts.spec.link)
        eta = X[:, kept] @ self.parts.beta[kept] + (0.0 if offset is None else offset)
        mean = link.mean(eta)
        if interval is not None:
            interval = check_option("interval", interval, CONFIDENCE)
        if interval is None and not se:
            return labelled(mean, index)
        error = np.sqrt(np.einsum("ij,jk,ik->i", X[:, kept], self.parts.cov, X[:, kept]))
        limits = None
        if interval is not None:
            df = float(np.min(self.parts.approximation().df(np.eye(len(kept)))))
            limits = link.limits(eta, float(t_quantile(level, df)) * error)
        shown = error * np.abs(link.slope(eta)) if se else None
        return laid_out(mean, shown, limits, index)
