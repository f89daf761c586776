"""The parts of a model with random effects: linear, generalised, or with structured residuals."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar, TypeVar

import numpy as np
import pandas as pd

from ..._typing import Array, Positions
from ...chunks.summed import NO_ROWS, SummedDesign
from ...design.aligned import one_a_row
from ...design.values import Numbers, read_series
from ...errors import DataError, UnsupportedError
from ...inference.hypotheses import linear
from ...models.lmm import SINGULAR
from ...models.spanned import spanned_terms
from ..parts import Parts

if TYPE_CHECKING:
    from ...inference.optimum.surface import Explorer
    from ...inference.profile.profile import Walked
    from ...inference.smooths.table import Fitted
    from ...models.spanned import Spanned
    from ...report.effects import RandomEffects
    from ...report.varcorr import VarCorr

T = TypeVar("T")

__all__ = ["CurvedParts", "MixedParts", "NaturalParts", "ProfiledParts"]


@dataclass(frozen=True, eq=False, repr=False)
class MixedParts(Parts):
    """Parts of a model whose likelihood was maximised."""

    @property
    def kept(self) -> Positions:
        """Positions of the coefficients that are not aliased."""
        return np.asarray(self.estimate.kept)

    @property
    @abstractmethod
    def npar(self) -> int:
        """Number of parameters."""

    @property
    @abstractmethod
    def varcorr(self) -> VarCorr:
        """Covariance matrices of the random effects."""

    @abstractmethod
    def covariances(self) -> list[Array]:
        """Conditional covariance of each level, (levels, s, s) for each term."""

    @abstractmethod
    def aliasing(self) -> tuple[Sequence[int], Array]:
        """Aliased columns, and each as a combination of the kept, shape (n_kept, n_aliased)."""

    def estimable(self, L: Array) -> Array:
        """Write hypotheses in the coefficients that are not aliased, shape (r, n_kept)."""
        return linear.estimable(L, self.kept, *self.aliasing(), self.names)

    # ------------------------------------------------------------------ numbers

    @cached_property
    def spanned(self) -> list[Spanned]:
        """Terms whose variances the likelihood does not depend on, unless a prior tells them."""
        if getattr(self.call, "prior", None) is None:
            return spanned_terms(self.design)
        if self.estimate.converged:
            return []
        return [replace(one, held=False) for one in spanned_terms(self.design)]

    @property
    def converged(self) -> bool:
        """Whether the search ended at an optimum, and the only one."""
        return bool(self.estimate.converged) and not self.spanned

    @property
    def sigma(self) -> float:
        """Residual standard deviation."""
        return float(self.estimate.sigma)

    @property
    def llf(self) -> float:
        """Log-likelihood; the restricted one of a fit by REML."""
        return -0.5 * float(self.estimate.objective)

    @property
    def n_covariances(self) -> int:
        """Number of covariance parameters of the random effects."""
        return sum(term.n_covariances for term in self.design.random)

    @property
    def ngroups(self) -> dict[str, int]:
        """Number of levels of each grouping factor."""
        return {term.group: term.n_levels for term in self.design.random if term.smooth is None}

    @property
    def theta(self) -> pd.Series[Any]:
        """Elements of the relative covariance factors, labelled ``group.term[.term]``."""
        values: dict[str, float] = {}
        for term, block in zip(self.design.random, self.estimate.lambda_, strict=True):
            for columns in term.blocks if term.smooth is None else ():
                for a, j in enumerate(columns):
                    for i in columns[a:]:
                        label = f"{term.group}.{term.names[j]}"
                        if i != j:
                            label += f".{term.names[i]}"
                        values[label] = float(block[i, j])
        return pd.Series(values, dtype=float)

    def ranef(self) -> RandomEffects:
        """Label the conditional modes."""
        from ...report.effects import RandomEffects

        return RandomEffects(
            self.own(self.design.random),
            self.own(self.estimate.modes),
            lambda: list(self.own(self.covariances())),
        )

    def joint_ranef(self) -> RandomEffects:
        """Label the conditional modes, with covariances that include the error of coefficients."""
        from ...report.effects import RandomEffects

        found = self.joint_covariances()
        return RandomEffects(
            self.own(self.design.random), self.own(self.estimate.modes), lambda: found
        )

    def joint_covariances(self) -> list[Array]:
        """Covariance of the error of each level's effects, (levels, s, s) for each own term.

        Raises
        ------
        UnsupportedError
            Where errors of coefficients and random effects are not known together.
        """
        raise UnsupportedError(
            "ranef(uncertainty='joint') is available after lmer() and after glmer() of one linear "
            "predictor; this model has ranef().cov, given its coefficients"
        )

    def own(self, values: Sequence[T]) -> tuple[T, ...]:
        """Pick from one value a term those of terms that are no part of a smooth."""
        return tuple(
            value
            for term, value in zip(self.design.random, values, strict=True)
            if term.smooth is None
        )

    @property
    def is_singular(self) -> bool:
        """Whether a covariance matrix is singular, those of smooths left aside."""
        if not self.estimate.is_singular or len(self.design.bars) == len(self.design.random):
            return bool(self.estimate.is_singular)
        sizes = [
            float(np.linalg.svd(state, compute_uv=False).min())
            for state in self.own(self.estimate.lambda_standard)
        ]
        return min(sizes, default=1.0) < SINGULAR

    def new_response(self, y: Any) -> Array:
        """Check a response of the rows that were used."""
        design = self.design
        if isinstance(design, SummedDesign):
            raise UnsupportedError(NO_ROWS)
        series = one_a_row(y, "y", design.index, design.n_data, design.rows)
        value = read_series(series, "y")
        if not isinstance(value, Numbers):
            raise DataError("y must be numbers", "y")
        response = value.arrays[0]
        if not np.isfinite(response).all():
            raise DataError("y has missing or infinite values; refit needs a value for every row")
        return response


@dataclass(frozen=True, eq=False, repr=False)
class CurvedParts(MixedParts):
    """Parts of a model that takes smooth terms."""

    @property
    @abstractmethod
    def smoothed(self) -> Fitted:
        """What the table of smooth terms needs of the fit."""


@dataclass(frozen=True, eq=False, repr=False)
class NaturalParts(MixedParts):
    """Parts of a model whose random-effects terms may have structures."""

    @property
    def states_covariance(self) -> list[Array] | None:
        """Covariance of the state of each term; None where it is not known."""
        return None

    @abstractmethod
    def term_basis(self, term: int) -> Array:
        """Standardised columns of a term to those as written."""

    def natural_intervals(self, z: float) -> list[Array]:
        """Estimates, standard errors and limits of natural parameters, (m, 4) a structure."""
        from ...inference.profile.structures import natural_intervals

        return natural_intervals(
            self.design,
            self.estimate.lambda_standard,
            self.states_covariance,
            self.term_basis,
            self.covariance_unit,
            z,
        )

    @property
    @abstractmethod
    def covariance_unit(self) -> float:
        """What relative standard deviations are relative to."""


@dataclass(frozen=True, eq=False, repr=False)
class ProfiledParts(NaturalParts):
    """Parts of a model whose likelihood can be profiled."""

    #: Whether standard deviations of the random effects are relative to the residual one.
    relative: ClassVar[bool] = False

    @abstractmethod
    def explorer(self, places: tuple[tuple[int, int], ...], hold: bool) -> Explorer:
        """Set up the likelihood over standard deviations, by term and column of each."""

    @abstractmethod
    def walked(self) -> Walked:
        """List the parameters and their curves, from the optimum of the likelihood."""
