"""The parts of a fitted model of several linear predictors."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property

import numpy as np
import pandas as pd
import scipy

from ... import _core
from ..._options import options_text
from ..._typing import Array
from ...design.design import Design
from ...errors import UnsupportedError
from ...families import Family, Params, lookup
from ...families.links import link_named
from ...inference.identified import endless_terms
from ...inference.optimum.surface import Explorer, SearchDeviance
from ...inference.profile.profile import Walked
from ...inference.profile.several import (
    Linear,
    coefficients,
    criterion_of,
    several_curves,
    several_targets,
)
from ...inference.profile.targets import values
from ...inference.shares.observed import Observed
from ...inference.shares.r2 import Variances
from ...inference.structures import free_only, natural_values
from ...models.glmm.estimate import PartsEstimate
from ...models.glmm.plan import Plan, location_rows
from ...models.glmm.several import at_parts
from ...models.glmm.standing import Standing, standing_of
from ...models.spanned import Spanned, spanned_terms
from ...report.coefficients import coefficient_table
from ..generalised.likelihood import by_likelihood
from ..generalised.parts import GeneralisedParts
from .call import PartsCall
from .shares import latent, observed_parts

__all__ = ["PredictorParts", "SeveralParts"]


@dataclass(frozen=True, eq=False, repr=False)
class PredictorParts(GeneralisedParts):
    """A fit by the kernel of several linear predictors."""

    estimate: PartsEstimate

    @property
    @abstractmethod
    def plan(self) -> Plan:
        """What the kernel is made of."""

    def evaluated(self) -> _core.Predictors:
        """Set up a kernel that stands at the estimate."""
        return at_parts(self.plan, self.estimate)

    def covariances(self) -> list[Array]:
        """Conditional covariance of each level, (levels, s, s) for each term."""
        out = []
        for term, basis, block in zip(
            self.design.random,
            self.plan.bases,
            self.evaluated().conditional_covariances(),
            strict=True,
        ):
            own = block.T.reshape(term.n_levels, term.n_cols, term.n_cols)
            out.append(np.einsum("ab,lbc,dc->lad", basis, own, basis))
        return out

    def term_basis(self, term: int) -> Array:
        """Standardised columns of a term to those as written."""
        return np.asarray(self.plan.bases[term])

    def aliasing(self) -> tuple[Sequence[int], Array]:
        """Aliased columns, and each as a combination of the kept, shape (n_kept, n_aliased)."""
        block = self.estimate.block("location")
        return block.aliased, block.alias

    def explorer(self, places: tuple[tuple[int, int], ...], hold: bool) -> Explorer:
        """Set up the likelihood over standard deviations."""
        by_likelihood(self, "a surface")
        criterion = criterion_of(self.plan, self.estimate)
        states, rest = self.estimate.lambda_standard, np.zeros(len(self.estimate.standard))
        deviance = SearchDeviance(criterion)
        return Explorer(self.design, self.plan.bases, deviance, states, rest, places, hold)

    def walked(self) -> Walked:
        """List the parameters and their curves."""
        free_only(self.design, "a profile", "use conf_int('wald')")
        if self.estimate.separated:
            raise UnsupportedError(
                "a profile starts from the largest likelihood, and here it increases without "
                "bound along a coefficient; remove the column that separates the responses"
            )
        return several_curves(self.design, self.plan, self.estimate, self.listed())

    def standing(self) -> Standing:
        """Where the likelihood stands."""
        return standing_of(self.plan, self.estimate)

    def location_rows(self) -> Array:
        """Write the kept coefficients as functions of all parameters, shape (n_kept, m + P)."""
        return location_rows(self.plan)

    def numbers(self) -> dict[str, float]:
        """List all parameters by name: covariances, coefficients of all parts, shapes."""
        listed = self.listed()
        found = several_targets(self.design, listed)
        e = self.estimate
        beta = coefficients(listed, e.standard)
        bases = self.plan.bases.__getitem__
        natural = natural_values(self.design.random, e.lambda_standard, bases)
        of = values(found, e.sigmas, 1.0, beta, natural)
        return {one.name: float(value) for one, value in zip(found, of, strict=True)}

    @abstractmethod
    def listed(self) -> list[Linear]:
        """List the coefficients of all parts."""


@dataclass(frozen=True, eq=False, repr=False)
class SeveralParts(PredictorParts):
    """A fit of location, zeros and dispersion.

    Attributes
    ----------
    designs : tuple of (str, Design)
        "location", then "dispersion" and "zero" where they have formulas; ``design`` is the
        location's, with the random-effects terms of all parts.
    """

    call: PartsCall
    designs: tuple[tuple[str, Design], ...] = field(kw_only=True)
    kernel_plan: Plan = field(kw_only=True)

    @property
    def plan(self) -> Plan:
        """What the kernel is made of."""
        return self.kernel_plan

    @cached_property
    def spanned(self) -> list[Spanned]:
        """Terms that the fixed effects of their own part span, by position among those of all."""
        found, before = [], 0
        for _, own in self.designs:
            found += [
                replace(
                    one,
                    term=one.term + before,
                    twin=None if one.twin is None else one.twin + before,
                )
                for one in spanned_terms(own)
            ]
            before += len(own.random)
        return found

    @cached_property
    def endless(self) -> list[str]:
        """Why variances of shares have no finite estimate; empty where they have."""
        if not lookup(self.call.family).has_trials:
            return []
        own = self.designs[0][1]
        return endless_terms(own, self.estimate.lambda_standard, self.call.link, edges=(0.0, 1.0))

    @property
    def distribution(self) -> str:
        """The distribution of the response in a word."""
        return self.call.family

    @property
    def draws_points(self) -> bool:
        """Whether responses stand on the scale of the location: not in general."""
        return False

    @property
    def npar(self) -> int:
        """Coefficients of all parts that are not aliased, shapes, and covariance parameters."""
        return len(self.estimate.coefficients) + self.n_covariances

    @property
    def family(self) -> Family:
        """The distribution of a response that is no structural zero."""
        return lookup(self.call.family)

    @property
    def trials(self) -> Array:
        """Trials of the rows; ones where nothing is counted."""
        if self.design.weights is None or not self.family.has_trials:
            return np.ones(self.nobs)
        return self.design.weights

    def listed(self) -> list[Linear]:
        """List the coefficients of all parts, and shapes on their own scale."""
        known, found = dict(self.designs), []
        shapes = {shape.name: shape for shape in self.family.shapes}
        for block in self.estimate.blocks:
            rows = np.zeros((len(block.kept), len(self.estimate.standard)))
            rows[:, block.places] = block.T
            if block.part not in known:
                shape = shapes[block.part]
                name = shape.difference if shape.above else shape.name
                found.append(Linear(name, rows[0], shape.natural))
                continue
            prefix = "" if block.part == "location" else f"{block.part}:"
            names = [prefix + block.names[j] for j in block.kept]
            found += [Linear(name, row) for name, row in zip(names, rows, strict=True)]
        return found

    # ------------------------------------------------------------------ parts

    def part_of(self, name: str) -> Design:
        """Look up the design of a part.

        Raises
        ------
        ValueError
            For a part without a formula.
        """
        known = dict(self.designs)
        if name not in known:
            raise ValueError(f"part is {options_text(list(known))} for this model, not {name!r}")
        return known[name]

    def part_params(self, part: str) -> pd.Series:
        """Return the coefficients of a part by name; empty where it has no formula."""
        known = dict(self.designs)
        if part not in known:
            return pd.Series(dtype=float)
        return pd.Series(self.estimate.values(part), index=pd.Index(known[part].fixed_names))

    def part_bse(self, part: str) -> pd.Series:
        """Return the standard errors of ``part_params``."""
        params = self.part_params(part)
        out = np.full(len(params), np.nan)
        out[self.estimate.block(part).kept] = np.sqrt(np.diag(self.estimate.cov_of(part)))
        return pd.Series(out, index=params.index)

    def part_table(self, part: str) -> pd.DataFrame:
        """Lay out estimates, standard errors and normal tests of one part."""
        self.part_of(part)
        params = self.part_params(part)
        return coefficient_table(list(params.index), params, self.part_bse(part), np.inf)

    # ------------------------------------------------------------------ shares of variance

    def latent(self, method: str) -> tuple[Design, Variances]:
        """Compute the parts of the location's variance, and the terms they are of."""
        return latent(self, method)

    def observed(self) -> Observed:
        """Compute the parts of the variance of the responses themselves."""
        return observed_parts(self)

    def scale_word(self, method: str) -> str:
        """State where the variance of the distribution comes from."""
        known = super().scale_word(method)
        if link_named(self.call.link).contrast == "ratio":
            return known
        return "delta" if known == "delta" and "phi" in self.family.parameters else "latent"

    # ------------------------------------------------------------------ predictors

    @cached_property
    def positions(self) -> dict[str, int]:
        """Predictor of each part and shape."""
        names = ["location", *self.family.parameters]
        if self.call.dispersion is not None:
            names[1] = "dispersion"
        if self.call.zero is not None:
            names.append("zero")
        return {name: j for j, name in enumerate(names)}

    def constants(self, n: int) -> list[Array]:
        """Predictors that are constants, NaN for those of formulas."""
        out = [np.full(n, np.nan) for _ in self.positions]
        known = dict(self.designs)
        for name, j in self.positions.items():
            if name not in known:
                out[j] = np.full(n, float(self.estimate.values(name)[0]))
        return out

    def terms_of(self, part: str) -> list[tuple[str, int]]:
        """Key and place in the whole design of each term of a part."""
        prefix = "" if part == "location" else f"{part}:"
        place = {term.group: t for t, term in enumerate(self.design.random)}
        known = dict(self.designs)[part].random
        return [(prefix + term.group, place[prefix + term.group]) for term in known]

    def predictors(self, *, random: bool) -> list[Array]:
        """Predictors of the rows of the fit."""
        if random:
            return list(np.ascontiguousarray(self.estimate.eta.T))
        out = self.constants(self.nobs)
        for part, design in self.designs:
            kept = self.estimate.block(part).kept
            eta = design.X[:, kept] @ self.estimate.values(part)[kept]
            out[self.positions[part]] = eta if design.offset is None else eta + design.offset
        return out

    # ------------------------------------------------------------------ means

    def given(self, eta: list[Array], trials: Array) -> tuple[Array, Params]:
        """Return location and parameters at values of all predictors."""
        return self.family.given(link_named(self.call.link), eta, trials)

    def zero_share(self, eta: list[Array]) -> Array:
        """Probability of a structural zero."""
        if self.call.zero is None:
            return np.zeros(len(eta[0]))
        return np.asarray(scipy.special.expit(eta[-1]))

    def means(self, kind: str, eta: list[Array], trials: Array) -> Array:
        """Compute what a kind of prediction is, from predictors of shape (m,) each."""
        if kind == "link":
            return eta[0]
        if kind == "zero":
            return self.zero_share(eta)
        if kind == "dispersion":
            first = self.family.shapes[0]
            return np.asarray(first.natural(eta[1]))
        mean = np.asarray(self.family.mean(*self.given(eta, trials)), dtype=np.float64)
        return mean if kind == "conditional" else (1.0 - self.zero_share(eta)) * mean

    def response_variance(self, eta: list[Array]) -> Array:
        """Variance of a response, structural zeros included."""
        return self.response_moments(eta, self.trials)[1]

    def response_moments(self, eta: list[Array], trials: Array) -> tuple[Array, Array]:
        """Mean and variance of a response, structural zeros included."""
        (mu, params), zero = self.given(eta, trials), self.zero_share(eta)
        mean, variance = self.family.mean(mu, params), self.family.variance(mu, params)
        whole = (1.0 - zero) * (variance + zero * mean**2)
        return np.asarray((1.0 - zero) * mean), np.asarray(whole)

    def draws(self, eta: list[Array], trials: Array, rng: np.random.Generator) -> Array:
        """Draw a response for each value of the predictors, structural zeros included."""
        y = np.asarray(self.family.draw(rng, *self.given(eta, trials)), dtype=np.float64)
        return np.where(rng.random(len(y)) < self.zero_share(eta), 0.0, y)
