"""Random effects of a fitted model."""

from __future__ import annotations

from typing import Any, Literal

import pandas as pd

from ..._number import Real
from ..._options import check_option
from ...report.effects import RandomEffects, per_level
from ...report.varcorr import VarCorr
from ..parts import Base
from .parts import MixedParts

__all__ = ["RandomPart"]


class RandomPart(Base):
    """Conditional modes, covariances and grouping factors."""

    parts: MixedParts

    @property
    def varcorr(self) -> VarCorr:
        """Covariance matrices of the random effects by group; prints as standard deviations."""
        return self.parts.varcorr

    @property
    def sigma(self) -> Real:
        """Residual standard deviation.

        For a generalised model the root of phi of a gamma, and 1 for other families; with
        ``variance=`` of :func:`ranef.gls`, where it has its first level or zero columns.
        """
        return Real(self.parts.sigma)

    @property
    def theta(self) -> pd.Series[Any]:
        """Elements of the relative covariance factors, labelled ``group.term[.term]``."""
        return self.parts.theta

    def ranef(self, uncertainty: Literal["conditional", "joint"] = "conditional") -> RandomEffects:
        """Return the conditional modes of the random effects.

        Parameters
        ----------
        uncertainty : {"conditional", "joint"}
            The contents of ``.cov``. "conditional": the covariance of each level's effects given
            the data and all estimated parameters, as lme4's ``condVar``. "joint": the covariance of
            the error of the modes, which are measured from coefficients that are estimated too; the
            variances of the random effects are taken as known by both.

        Returns
        -------
        RandomEffects
            Mapping of group to a frame of levels by terms; ``.cov[group]`` has covariances of
            shape (levels, s, s).

        Notes
        -----
        The joint covariance is the lower right part of the inverse of the matrix of the mixed model
        equations, times sigma squared [1]_. The conditional one is the inverse of the lower right
        part, and smaller: with few levels it understates the uncertainty.

        References
        ----------
        .. [1] Henderson (1975), Biometrics 31(2), 423-447.

        Examples
        --------
        >>> import numpy as np
        >>> import ranef
        >>> sleep = ranef.datasets.load("sleepstudy")
        >>> model = ranef.lmer("Reaction ~ Days + (Days | Subject)", sleep)
        >>> np.sqrt(np.diag(model.ranef().cov["Subject"][0])).round(3).tolist()
        [12.071, 2.305]
        >>> np.sqrt(np.diag(model.ranef("joint").cov["Subject"][0])).round(3).tolist()
        [13.1, 2.639]
        """
        if check_option("uncertainty", uncertainty, ("conditional", "joint")) == "joint":
            return self.parts.joint_ranef()
        return self.parts.ranef()

    def coef(self) -> dict[str, pd.DataFrame]:
        """Return each level's own coefficients: fixed plus random, a frame for each group."""
        return per_level(self.parts.ranef(), self.parts.params.dropna())

    @property
    def is_singular(self) -> bool:
        """Whether a covariance matrix of random effects is singular, in the standardised basis.

        Smooth terms do not count: a curve may well be a straight line.
        """
        return self.parts.is_singular

    @property
    def ngroups(self) -> dict[str, int]:
        """Number of levels of each grouping factor, and of ``groups`` where they were given."""
        return self.parts.ngroups
