"""Counts, working correlation and criteria of a marginal model."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from ..._html import Preformatted
from ..._number import Count
from ...design.grouped import group_term
from ...models import gee as models
from ..parts import Base
from .covariance import named_covariance
from .parts import GeeParts

__all__ = ["QIC", "Criteria"]


@dataclass(frozen=True)
class QIC(Preformatted):
    """Quasi-likelihood criteria of one fit; smaller is better.

    Attributes
    ----------
    qic : float
        Pan's criterion, -2 Q + 2 cic.
    qicu : float
        -2 Q + 2 p, to choose columns by.
    cic : float
        Trace of the robust covariance in units of the independence model's, to choose a
        correlation by.
    quasi_likelihood : float
        Q at the fitted means, with scale 1.
    """

    qic: float
    qicu: float
    cic: float
    quasi_likelihood: float


class Criteria(Base):
    """Counts, working correlation and quasi-likelihood criteria."""

    parts: GeeParts

    @property
    def nobs(self) -> Count:
        """Rows that were used."""
        return Count(self.parts.nobs)

    @property
    def df_resid(self) -> int:
        """Rows minus coefficients."""
        return self.parts.nobs - len(self.parts.kept)

    @property
    def n_clusters(self) -> int:
        """Number of groups."""
        return self.parts.n_clusters

    @property
    def ngroups(self) -> dict[str, int]:
        """Number of levels of ``groups``."""
        return {self.parts.call.groups: self.parts.n_clusters}

    @property
    def converged(self) -> bool:
        """Whether the estimating equations are solved."""
        return self.parts.estimate.converged

    @property
    def scale(self) -> float:
        """Scale parameter phi, the weighted mean of squared Pearson residuals."""
        return self.parts.estimate.phi

    @property
    def corr_params(self) -> pd.Series[Any]:
        """Parameters of the working correlation."""
        alpha, corr = self.parts.estimate.alpha, self.parts.spec.corr
        if corr == "unstructured":
            times = self.parts.times()
            labels = [
                f"{times[a]:g},{times[b]:g}"
                for a in range(len(times))
                for b in range(a + 1, len(times))
            ]
        elif corr == "m-dependent":
            labels = [f"lag {k}" for k in range(1, len(alpha) + 1)]
        else:
            labels = ["alpha"] * len(alpha)
        return pd.Series(alpha, index=pd.Index(labels, dtype=object), dtype=float)

    @property
    def working_corr(self) -> pd.DataFrame:
        """Working correlation of a group that was seen at every time."""
        times, corr, alpha = self.parts.times(), self.parts.spec.corr, self.parts.estimate.alpha
        R = models.working_correlation(corr, alpha, times, self.parts.spec.fixed)
        return pd.DataFrame(R, index=pd.Index(times), columns=pd.Index(times))

    def qic(self) -> QIC:
        """Return the quasi-likelihood criteria.

        Returns
        -------
        QIC

        Notes
        -----
        The quasi-likelihood has scale 1, and the independence model of the trace is refitted; so
        for gaussian and gamma responses criteria compare fits of one response on one scale only.

        References
        ----------
        .. [1] Pan (2001), Biometrics 57, 120-125.
        .. [2] Hin and Wang (2009), Stat. Med. 28, 642-658.
        """
        d, spec = self.parts.design, self.parts.spec
        Q = models.quasi_likelihood(d.y, self.parts.estimate.mu, spec.distribution, d.weights)
        codes = group_term(d, self.parts.call.groups).codes
        rows, alike = models.sort_rows(codes, None), models.independent(spec)
        alone = models.fit_gee(d.y, d.X, rows, alike, weights=d.weights, offset=d.offset)
        robust = named_covariance(self.parts, "robust").cov
        cic = float(np.trace(np.linalg.solve(alone.cov_naive, robust)))
        p = len(self.parts.kept)
        return QIC(-2.0 * Q + 2.0 * cic, -2.0 * Q + 2.0 * p, cic, Q)
