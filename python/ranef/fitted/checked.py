"""Residual checks that every model has."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, Literal, Protocol

import numpy as np

from .._options import check_option

if TYPE_CHECKING:
    from ..inference.residuals.source import Source
    from ..report.checks.residuals import SimulatedResiduals
    from ..report.plots.base import Panels

__all__ = ["Checked"]


#: Above so many rows simulated fits keep the covariance parameters of the model.
MANY_ROWS = 20_000


class Checkable(Protocol):
    """A model that can be drawn from and fitted again."""

    def _source(self, kind: str, rng: np.random.Generator) -> Source: ...

    def simulated_residuals(
        self,
        n: int = 250,
        *,
        seed: Any = None,
        kind: Literal["conditional", "marginal"] = "conditional",
        refit: bool | None = None,
        progress: bool = True,
    ) -> SimulatedResiduals: ...


class Checked:
    """Residuals on one scale, their tests, and the figure of all checks."""

    def simulated_residuals(
        self: Checkable,
        n: int = 250,
        *,
        seed: Any = None,
        kind: Literal["conditional", "marginal"] = "conditional",
        refit: bool | None = None,
        progress: bool = True,
    ) -> SimulatedResiduals:
        """Return residuals on one scale, with those of fits to responses that the model draws.

        Parameters
        ----------
        n : int
            Number of responses that are drawn from the model. To each the model is fitted again,
            so that tests allow for the effect of fitting on residuals.
        seed : int or Generator, optional
            Makes the draws repeatable.
        kind : {"conditional", "marginal"}
            Residuals given the random effects at their modes, which show misfit of rows; or from
            the distribution over new random effects, which show misfit of groups as well.
        refit : bool, optional
            Whether the covariance parameters of a mixed model are estimated again from each
            response, or kept; by default kept above 20,000 rows.
        progress : bool
            Whether to show a progress bar.

        Returns
        -------
        SimulatedResiduals
            Tests ``uniformity``, ``dispersion``, ``outliers``, ``zeros``, ``against``,
            ``by_group``, ``autocorrelation``, ``spatial``, ``compare``; ``table`` and ``plot``.

        Notes
        -----
        A residual is the standard normal quantile of the probability of a response that is not
        larger; exact where the distribution is known, among draws from it elsewhere. A response
        that is discrete is put at random between the probabilities of a smaller and of a not
        larger one [1]_. The idea of tests against simulated responses is that of DHARMa [2]_; here
        the model is fitted to each of them, so the residuals of a fit are compared with residuals
        of fits. Keeping covariance parameters makes tests conservative with few groups.

        References
        ----------
        .. [1] Dunn and Smyth (1996), J. Comput. Graph. Stat. 5, 236-244.
        .. [2] Hartig (2022), DHARMa: residual diagnostics for hierarchical regression models.

        Examples
        --------
        >>> import ranef
        >>> sleep = ranef.datasets.load("sleepstudy")
        >>> model = ranef.lmer("Reaction ~ Days + (Days | Subject)", sleep)
        >>> residuals = model.simulated_residuals(99, seed=1)
        >>> bool(residuals.uniformity().pvalue < 0.05)  # two subjects have outliers
        True
        """
        from ..inference.residuals.source import KINDS
        from ..report.checks.residuals import simulated

        chosen = check_option("kind", kind, KINDS)
        rng = np.random.default_rng(seed)
        if refit not in (None, True, False):
            raise ValueError(f"refit must be True, False or None, not {refit!r}")
        source = self._source(chosen, rng)
        keep = source.design.n_obs > MANY_ROWS if refit is None else not refit
        if keep and source.held is not None:
            source = replace(source, again=source.held)
        return simulated(source, n, chosen, rng, progress=progress)

    def check(
        self: Checkable,
        n: int = 250,
        *,
        seed: Any = 1,
        progress: bool = True,
        axes: Any = None,
    ) -> Panels:
        """Draw one figure of all checks: distribution, curvature, spread, responses, groups.

        Parameters
        ----------
        n : int
            Number of simulated fits that the residuals are compared with.
        seed : int or Generator, optional
            Makes the figure repeatable.
        progress : bool
            Whether to show a progress bar.
        axes : sequence of 6 Axes, optional
            Where to draw; a new figure by default.

        Returns
        -------
        Panels
            Needs matplotlib. Its last panel has the p-values of the tests.
        """
        from ..report.plots.check import check_figure

        return check_figure(self.simulated_residuals(n, seed=seed, progress=progress), axes)
