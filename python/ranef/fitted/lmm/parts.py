"""The parts of a fitted linear mixed model."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from ... import _core
from ..._counted import counted
from ..._typing import Array
from ...chunks.summed import SummedDesign
from ...errors import UnsupportedError
from ...inference.optimum.optimum import Optimum, examine
from ...inference.priors.parts import prior_parts
from ...inference.structures import free_only
from ...models import lmm
from ...models.lmm import LmmEstimate
from ..mixed.parts import CurvedParts, ProfiledParts
from ..mixed.profiles import PRIOR
from .call import Call

if TYPE_CHECKING:
    from ...inference.hypotheses.linear import Approximation
    from ...inference.optimum.surface import Explorer
    from ...inference.priors.penalized import Penalized
    from ...inference.profile.profile import Walked
    from ...inference.smooths.table import Fitted
    from ...report.varcorr import VarCorr

__all__ = ["LmmParts"]


@dataclass(frozen=True, eq=False, repr=False)
class LmmParts(ProfiledParts, CurvedParts):
    """Design, estimate and kernel of a fit, and what follows from them."""

    estimate: LmmEstimate
    call: Call

    ddf: ClassVar[tuple[str, ...]] = ("satterthwaite", "kenward-roger", "residual", "inf")
    relative: ClassVar[bool] = True

    @cached_property
    def core(self) -> _core.Lmm:
        """The kernel, built again after pickling."""
        # A prior of the fixed effects belongs to the kernel, and is not in one of the rows alone.
        held: _core.Lmm | None = self.kernel
        if held is not None and prior_parts(self.call.prior).fixed is None:
            return held
        kernel = lmm.kernel(self.design)
        if self.call.prior is None:
            return kernel
        from ...inference.priors.mode import kernel_with_prior

        return kernel_with_prior(self.design, kernel, self.call.prior, self.estimate.sigma)

    @property
    def reml(self) -> bool:
        """Whether the restricted likelihood was maximised."""
        return self.estimate.reml

    @property
    def npar(self) -> int:
        """Fixed effects that are not aliased, covariance parameters and sigma, if not known."""
        priors = prior_parts(self.call.prior)
        known = len(priors.points) + (priors.sigma is not None)
        return len(self.kept) + self.n_covariances + 1 - known

    @property
    def varcorr(self) -> VarCorr:
        """Covariance matrices of the random effects by group."""
        from ...report.varcorr import VarCorr

        return VarCorr(
            self.own(self.design.random), self.own(self.estimate.sigmas), self.estimate.sigma
        )

    @cached_property
    def smoothed(self) -> Fitted:
        """What the table of smooth terms needs of the fit."""
        from ...inference.smooths.table import Fitted

        return Fitted(
            self.design,
            self.kept,
            self.beta,
            self.estimate.modes,
            self.estimate.lambda_,
            self.estimate.sigma,
            None if isinstance(self.design, SummedDesign) else self.design.weights,
            self.covariances(),
            known_scale=False,
        )

    def term_basis(self, term: int) -> Array:
        """Standardised columns of a term to those as written."""
        return np.asarray(self.core.term_basis(term))

    @cached_property
    def states_covariance(self) -> list[Array] | None:
        """Covariance of the parameters of the search, by term."""
        from ...inference.profile.structures import linear_covariance

        if self.call.prior is not None or self.estimate.approximation is not None:
            return None
        if not any(term.is_structured for term in self.design.random):
            return None
        return linear_covariance(self.design, self.core, self.estimate)

    @property
    def covariance_unit(self) -> float:
        """Sigma."""
        return self.sigma

    def aliasing(self) -> tuple[Sequence[int], Array]:
        """Aliased columns, and each as a combination of the kept, shape (n_kept, n_aliased)."""
        from ...models.gls.model import alias

        if isinstance(self.design, SummedDesign):
            return self.core.aliased, np.atleast_2d(self.core.alias)
        return alias(self.design, self.kept)

    def covariances(self) -> list[Array]:
        """Conditional covariance of each level, (levels, s, s) for each term."""
        blocks = self.core.conditional_covariances(list(self.estimate.lambda_standard))
        scale = self.estimate.sigma**2
        return [
            scale * block.T.reshape(term.n_levels, term.n_cols, term.n_cols)
            for term, block in zip(self.design.random, blocks, strict=True)
        ]

    def joint_covariances(self) -> list[Array]:
        """Covariance of the error of each level's effects, coefficients estimated too."""
        from ...inference.prediction.joint import joint_covariances
        from ...inference.prediction.predict import error_variances

        self.exact_only("ranef(uncertainty='joint')", "ranef()")
        scale, core = self.estimate.sigma**2, self.core
        return joint_covariances(
            self.design,
            lambda rows, group: (
                scale * error_variances(self.design, self.estimate, core, rows, [group])
            ),
        )

    def approximate(self, ddf: str) -> Approximation:
        """Compute the reference distribution of the tests."""
        from ...inference.hypotheses.kenward_roger import kenward_roger
        from ...inference.hypotheses.linear import FixedDf
        from ...inference.hypotheses.satterthwaite import satterthwaite
        from ...inference.priors.tests import satterthwaite_penalized

        if ddf == "satterthwaite":
            if self.call.prior is not None:
                return satterthwaite_penalized(self.penalized(), self.estimate)
            return satterthwaite(self.core, self.estimate, self.nobs)
        if ddf == "kenward-roger":
            self.exact_only("Kenward and Roger's method", "ddf='satterthwaite'")
            free_only(self.design, "Kenward and Roger's method", "use ddf='satterthwaite'")
            parts = prior_parts(self.call.prior)
            if parts.fixed is not None or parts.residual is not None or parts.points:
                raise UnsupportedError(
                    "Kenward and Roger correct the standard errors of fixed effects that were "
                    "estimated "
                    "without a prior, of their own or of the residual, and without known standard "
                    "deviations; use ddf='satterthwaite'"
                )
            return kenward_roger(self.core, self.estimate, self.nobs)
        rest = float(self.nobs - len(self.kept))
        return FixedDf(self.cov, np.inf if ddf == "inf" else rest)

    def brief(self) -> str:
        """Describe in a few words what was fitted."""
        kind = "REML" if self.reml else "ML"
        return f"{kind}, {counted(self.nobs, 'row')}, llf {self.llf:.4f}"

    @property
    def table_hidden(self) -> Sequence[str]:
        """Restricted criteria, which a table would set beside those of other fixed parts."""
        return ("ll", "aic", "bic") if self.reml else ()

    def table_rows(self) -> dict[str, Any]:
        """List the rows of a regression table below the coefficients."""
        from ...report.maketables import covariance_rows

        rows = {"N": self.nobs, **covariance_rows(self.varcorr, self.ngroups)}
        if self.reml:
            return {**rows, "Restricted log-likelihood": self.llf}
        return {**rows, "ll": self.llf, "aic": 2.0 * (self.npar - self.llf)}

    def table_covariance(self) -> dict[str, Any]:
        """Describe the covariance for a regression table."""
        return {"vcov_type": "REML" if self.reml else "ML"}

    # ------------------------------------------------------------------ priors and the optimum

    def penalized(self) -> Penalized:
        """Set up the objective of a fit with priors."""
        from ...inference.priors.mode import penalized_at

        return penalized_at(self.design, self.core, self.estimate, self.call.prior)

    @property
    def penalty(self) -> float:
        """-2 log density of what has a prior, under it; 0 without one."""
        if self.call.prior is None:
            return 0.0
        return self.penalized().whole_penalty(self.estimate)

    def prior_precision(self) -> Array:
        """Precision of the prior of each fixed effect, relative to 1 / sigma^2, shape (n_kept,)."""
        out = np.zeros(len(self.kept))
        if self.call.prior is not None and (fixed := self.penalized().fixed) is not None:
            out[fixed.index] = fixed.scale(self.estimate.sigma) ** -2
        return out

    def optimum(self) -> Optimum:
        """Examine the optimum of what was minimised, the prior included."""
        from ...inference.priors.mode import examine_penalized

        if self.call.prior is not None:
            return examine_penalized(self.penalized(), self.estimate)
        return examine(self.design, self.core, self.estimate)

    def likelihood_only(self, what: str) -> None:
        """Raise if the model has a prior: ``what`` needs the unpenalised likelihood."""
        if self.call.prior is not None:
            raise UnsupportedError(
                f"{what} searches the likelihood, and this model maximises it times a prior; "
                "use model.update(prior=None)"
            )

    def exact_only(self, what: str, instead: str = "") -> None:
        """Raise if the fit is iterative: ``what`` needs the factor that it does without."""
        if self.estimate.approximation is not None:
            other = f"use {instead}, or " if instead else ""
            raise UnsupportedError(
                f"{what} needs a factor of the random effects, which method='iterative' does "
                f"without; {other}fit again by model.update(method='exact') where it fits in memory"
            )

    def explorer(self, places: tuple[tuple[int, int], ...], hold: bool) -> Explorer:
        """Set up the likelihood over standard deviations relative to sigma."""
        from ...inference.optimum.surface import Explorer, LinearDeviance

        self.likelihood_only("surface")
        self.exact_only("surface")
        free_only(self.design, "a surface")
        bases = [self.core.term_basis(t) for t in range(len(self.design.random))]
        deviance = LinearDeviance(self.core, self.reml)
        states = self.estimate.lambda_standard
        return Explorer(self.design, bases, deviance, states, np.zeros(0), places, hold)

    def walked(self) -> Walked:
        """Fit this design by ML, from the present optimum."""
        from ...inference.profile.linear import linear_curves

        if self.call.prior is not None:
            raise UnsupportedError(PRIOR)
        self.exact_only("a profile", "conf_int('wald') or conf_int('boot')")
        estimate = self.estimate
        if self.reml:
            start = lmm.off_boundary(estimate.lambda_standard)
            estimate = lmm.fit(self.design, self.core, reml=False, control=lmm.Control(start=start))
        return linear_curves(self.design, self.core, estimate)
