"""The parts of a fitted generalised linear mixed model."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np

from ... import _core
from ..._typing import Array, Positions
from ...design.design import Design
from ...design.encode import NewRows, encode
from ...errors import UnsupportedError
from ...inference.optimum.surface import Explorer, SearchDeviance
from ...inference.prediction.estimable import without_estimate
from ...inference.prediction.generalised import Predictive, predictor_variance
from ...inference.prediction.joint import joint_covariances
from ...inference.prediction.places import at_places
from ...inference.prediction.predict import linear_predictor
from ...inference.priors.generalised import CovariancePenalty
from ...inference.priors.parts import prior_parts
from ...inference.profile.generalised import generalised_curves
from ...inference.profile.profile import Walked
from ...inference.profile.structures import generalised_covariance
from ...inference.profile.targets import targets, values
from ...inference.shares.generalised import observed_parts, parts_of_variance
from ...inference.shares.observed import Observed
from ...inference.shares.r2 import Variances
from ...inference.smooths.table import Fitted
from ...inference.smooths.weights import observed_weights
from ...inference.structures import natural_values
from ...models.glmm import model as glmm
from ...models.glmm.estimate import GlmmEstimate
from ...models.glmm.model import criterion_at
from ...models.glmm.plan import Plan, location_rows, plan_of
from ...models.glmm.several import lower
from ...models.glmm.standing import Standing
from ...models.gls.model import alias
from ..generalised.likelihood import by_likelihood
from ..generalised.parts import GeneralisedParts
from ..mixed.parts import CurvedParts
from ..mixed.profiles import PRIOR
from .call import GlmerCall

__all__ = ["GlmmParts"]


@dataclass(frozen=True, eq=False, repr=False)
class GlmmParts(GeneralisedParts, CurvedParts):
    """Design and estimate of a fit, and what follows from them."""

    estimate: GlmmEstimate
    call: GlmerCall
    #: Rows that were read in chunks, of which the design's are the distinct ones.
    n_read: int | None = None

    @property
    def distribution(self) -> str:
        """The distribution of the response in a word."""
        return self.call.spec.family

    @property
    def link(self) -> str:
        """Link of the mean."""
        return self.call.spec.link

    @property
    def core(self) -> _core.Glmm:
        """A kernel of these rows, not evaluated yet."""
        return glmm.kernel(self.design, self.estimate.spec)

    def evaluated(self) -> _core.Glmm:
        """Set up a kernel that stands at the estimate."""
        return glmm.at_estimate(self.design, self.estimate)

    @property
    def weights(self) -> Array:
        """Weights of the rows, shape (n,)."""
        return np.ones(self.design.n_obs) if self.design.weights is None else self.design.weights

    @property
    def npar(self) -> int:
        """Fixed effects that are not aliased, covariance parameters, and a dispersion."""
        known = len(prior_parts(self.call.prior).points)
        return len(self.kept) + self.n_covariances - known + self.call.spec.has_dispersion

    @cached_property
    def smoothed(self) -> Fitted:
        """What the table of smooth terms needs of the fit."""
        e = self.estimate
        family = e.spec.distribution
        return Fitted(
            self.design,
            self.kept,
            self.beta,
            e.modes,
            e.lambda_,
            1.0,
            observed_weights(
                family, e.spec.transform, self.design.y, e.eta, self.weights, e.params
            ),
            self.covariances(),
            known_scale=family.scale is None,
        )

    def term_basis(self, term: int) -> Array:
        """Standardised columns of a term to those as written."""
        return np.asarray(self.core.term_basis(term))

    @cached_property
    def states_covariance(self) -> list[Array] | None:
        """Covariance of the parameters of the search, by term."""
        spec = self.call.spec
        if self.call.prior is not None or spec.reml or spec.nagq == 0 or self.estimate.separated:
            return None
        if not any(term.is_structured for term in self.design.random):
            return None
        return generalised_covariance(self.design, self.estimate)

    @property
    def covariance_unit(self) -> float:
        """1: covariances are absolute."""
        return 1.0

    def aliasing(self) -> tuple[Sequence[int], Array]:
        """Aliased columns, and each as a combination of the kept, shape (n_kept, n_aliased)."""
        return alias(self.design, self.kept)

    def covariances(self) -> list[Array]:
        """Conditional covariance of each level, (levels, s, s) for each term."""
        return [
            block.T.reshape(term.n_levels, term.n_cols, term.n_cols)
            for term, block in zip(
                self.design.random, self.evaluated().conditional_covariances(), strict=True
            )
        ]

    def joint_covariances(self) -> list[Array]:
        """Covariance of the error of each level's effects, coefficients estimated too."""
        return joint_covariances(
            self.design,
            lambda rows, group: predictor_variance(self.design, self.estimate, rows, [group]),
        )

    def explorer(self, places: tuple[tuple[int, int], ...], hold: bool) -> Explorer:
        """Set up the likelihood over standard deviations."""
        by_likelihood(self, "a surface")
        criterion, optimum = criterion_at(self.design, self.estimate)
        bases = [self.term_basis(t) for t in range(len(self.design.random))]
        states, rest = self.estimate.lambda_standard, optimum[criterion.m :]
        deviance = SearchDeviance(criterion)
        return Explorer(self.design, bases, deviance, states, rest, places, hold)

    def walked(self) -> Walked:
        """List the parameters and their curves."""
        if self.call.prior is not None:
            raise UnsupportedError(PRIOR)
        if self.call.spec.reml:
            raise UnsupportedError(
                "a profile is of the likelihood, and this model maximises the restricted one; use "
                "model.update(reml=False)"
            )
        if self.call.spec.nagq == 0:
            raise UnsupportedError(
                "a profile covers fixed effects, which nagq=0 leaves at their joint mode with the "
                "random ones; use model.update(nagq=1)"
            )
        if self.estimate.separated:
            raise UnsupportedError(
                "a profile starts from the largest likelihood, and here it increases without "
                "bound along a coefficient; remove the column that separates the responses"
            )
        return generalised_curves(self.design, self.estimate)

    @property
    def nobs(self) -> int:
        """Rows that were used."""
        return self.design.n_obs if self.n_read is None else self.n_read

    def each_row(self, what: str) -> None:
        """Refuse what needs every row of a fit that keeps distinct ones only.

        Raises
        ------
        UnsupportedError
            With what there is instead.
        """
        if self.n_read is not None:
            raise UnsupportedError(
                f"{what} is about single rows, and a model of data in chunks keeps their distinct "
                "rows only; use predict(newdata) on rows of the data, or fit a frame in memory"
            )

    def sizes(self, codes: Positions, count: int) -> Positions:
        """Count the rows of each of ``count`` groups, all that were read."""
        if self.n_read is None:
            return super().sizes(codes, count)
        return np.rint(np.bincount(codes, self.weights, count)).astype(np.intp)

    def new_response(self, y: Any) -> Array:
        """Check a response of the rows that were used."""
        self.each_row("a new response")
        return super().new_response(y)

    @property
    def nagq(self) -> int:
        """Points of the quadrature."""
        return self.call.spec.nagq

    @cached_property
    def several(self) -> Plan:
        """The same model for the kernel of several predictors."""
        family = self.call.spec.distribution
        start = {name: np.zeros(self.design.n_obs) for name in ("location", *family.parameters)}
        return plan_of(family, self.call.spec.link, (("location", self.design),), start)

    def latent(self, method: str) -> tuple[Design, Variances]:
        """Compute the parts of the linear predictor's variance, and the terms they are of."""
        design = self.design
        kept = tuple(term for term in design.random if term.n_levels < design.n_obs)
        return replace(design, random=kept), parts_of_variance(design, self.estimate, method)

    def observed(self) -> Observed:
        """Compute the parts of the variance of the responses themselves."""
        return observed_parts(self.design, self.estimate, self.weights)

    def scale_word(self, method: str) -> str:
        """State where the variance of the distribution comes from."""
        known = super().scale_word(method)
        return "latent" if self.call.spec.distribution.latent else known

    def standing(self) -> Standing:
        """Where the likelihood stands, by the kernel of several predictors."""
        plan, estimate = self.several, self.estimate
        block = plan.blocks[0]
        standard = np.zeros(len(plan.start))
        standard[block.places] = np.linalg.solve(block.T, estimate.beta[block.kept])
        if self.call.spec.has_dispersion:
            standard[-1] = np.log(estimate.dispersion)
        factors = tuple(
            lower(np.asarray(np.linalg.solve(basis, own)))
            for basis, own in zip(plan.bases, estimate.lambda_, strict=True)
        )
        return Standing(plan, factors, standard, self.nagq)

    def location_rows(self) -> Array:
        """Write the kept coefficients as functions of all parameters, shape (n_kept, m + P)."""
        return location_rows(self.several)

    def numbers(self) -> dict[str, float]:
        """List all parameters by name: covariances, dispersion, coefficients."""
        residual = "dispersion" if self.call.spec.has_dispersion else None
        listed, e = targets(self.design, self.kept, residual), self.estimate
        natural = natural_values(self.design.random, e.lambda_standard, self.core.term_basis)
        found = values(listed, e.sigmas, e.dispersion, e.beta, natural)
        return {one.name: float(value) for one, value in zip(listed, found, strict=True)}

    @property
    def penalty(self) -> float:
        """-2 log density of the covariances under the prior; 0 without one."""
        if self.call.prior is None:
            return 0.0
        return CovariancePenalty(self.design, self.core, self.call.prior)(self.estimate.theta)[0]

    def predictive(self, data: Any, trials: Array) -> Predictive:
        """Find the distribution of a new response of each row, of levels seen or not."""
        every = [term.group for term in self.design.random]
        _, eta, variance = new_rows(self, data, every, "population")
        e = self.estimate
        return Predictive(e.spec, e.dispersion, eta, variance, trials)


def encoded(parts: GlmmParts, data: Any, groups: list[str], new_levels: str) -> NewRows:
    """Encode new rows; means that are not estimable are NaN."""
    rows = encode(parts.design, data, random=groups, new_levels=new_levels)
    rows = without_estimate(parts.design, data, rows, parts.kept)
    return at_places(parts.design, parts.estimate, rows)


def new_rows(
    parts: GlmmParts, data: Any, groups: list[str], new_levels: str
) -> tuple[NewRows, Array, Array]:
    """Encode new rows, with their linear predictor and the variance of its error."""
    rows = encoded(parts, data, groups, new_levels)
    eta = linear_predictor(parts.design, parts.estimate, rows, groups)
    return rows, eta, predictor_variance(parts.design, parts.estimate, rows, groups)
