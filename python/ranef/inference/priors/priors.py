"""Prior densities of covariance matrices, as penalties with their derivatives."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol, TypeAlias

import numpy as np
import scipy

from ..._typing import Array
from ...design.design import RandomTerm

__all__ = [
    "Gamma",
    "InverseGamma",
    "InverseWishart",
    "Point",
    "Prior",
    "PriorLike",
    "Wishart",
    "prior_of",
]


class Prior(Protocol):
    """The density of a covariance matrix relative to sigma^2, as the formula scales its columns."""

    def penalty(self, cov: Array) -> float:
        """-2 log density, constants left out where the density is improper."""

    def slope(self, cov: Array) -> Array:
        """Differentiate the penalty by the matrix, shape (s, s)."""


PriorLike: TypeAlias = "str | Prior | Mapping[str, Any] | None"


@dataclass(frozen=True)
class Wishart:
    """Wishart density; with an infinite scale, |Sigma|^((df - s - 1) / 2).

    Attributes
    ----------
    extra : float
        Degrees of freedom minus the number of columns s: 2.5 is blme's default, 1.5 ours.
    scale : float or array-like of shape (s, s)
        The scale matrix, or a multiple of the identity.
    """

    extra: float = 2.5
    scale: Any = np.inf

    @property
    def lift(self) -> float:
        """How fast the penalty falls with log|Sigma| without end; 0 when the scale is finite."""
        return self.extra - 1.0 if np.isscalar(self.scale) and np.isinf(self.scale) else 0.0

    def penalty(self, cov: Array) -> float:
        """-2 log density."""
        s = len(cov)
        df = s + self.extra
        value = -(df - s - 1.0) * _logdet(cov)
        if self.lift:
            return value
        S = _matrix(self.scale, s)
        constant = (
            df * _logdet(S) + df * s * np.log(2.0) + 2.0 * scipy.special.multigammaln(df / 2.0, s)
        )
        return float(value + np.trace(np.linalg.solve(S, cov)) + constant)

    def slope(self, cov: Array) -> Array:
        """Differentiate the penalty by the matrix."""
        value = -(self.extra - 1.0) * np.linalg.inv(cov)
        if self.lift:
            return np.asarray(value)
        return np.asarray(value + np.linalg.inv(_matrix(self.scale, len(cov))))


@dataclass(frozen=True)
class InverseWishart:
    """Inverse Wishart density.

    Attributes
    ----------
    df : float
        Degrees of freedom, above s - 1.
    scale : float or array-like of shape (s, s)
        The scale matrix, or a multiple of the identity.
    """

    df: float
    scale: Any = 1.0

    def penalty(self, cov: Array) -> float:
        """-2 log density."""
        s = len(cov)
        S = _matrix(self.scale, s)
        constant = -self.df * _logdet(S) + self.df * s * np.log(2.0)
        constant += 2.0 * scipy.special.multigammaln(self.df / 2.0, s)
        inside = (self.df + s + 1.0) * _logdet(cov) + np.trace(np.linalg.solve(cov, S))
        return float(inside + constant)

    def slope(self, cov: Array) -> Array:
        """Differentiate the penalty by the matrix."""
        inverse = np.linalg.inv(cov)
        S = _matrix(self.scale, len(cov))
        return np.asarray((self.df + len(cov) + 1.0) * inverse - inverse @ S @ inverse)


@dataclass(frozen=True)
class Gamma:
    """Gamma density of a standard deviation: of a term with one column, or the residual one.

    Attributes
    ----------
    shape, rate : float
        Its parameters; a rate of zero leaves sd^(shape - 1).
    """

    shape: float = 2.5
    rate: float = 0.0

    def penalty(self, cov: Array) -> float:
        """-2 log density."""
        sd = _sd(cov, "gamma")
        value = -2.0 * ((self.shape - 1.0) * np.log(sd) - self.rate * sd)
        if self.rate > 0:
            value -= 2.0 * (self.shape * np.log(self.rate) - scipy.special.gammaln(self.shape))
        return float(value)

    def slope(self, cov: Array) -> Array:
        """Differentiate the penalty by the matrix."""
        sd = _sd(cov, "gamma")
        by_sd = -2.0 * ((self.shape - 1.0) / sd - self.rate)
        return np.array([[by_sd / (2.0 * sd)]])


@dataclass(frozen=True)
class InverseGamma:
    """Inverse gamma density of a standard deviation: of a term with one column, or residual.

    Attributes
    ----------
    shape, scale : float
        Its parameters.
    """

    shape: float
    scale: float

    def penalty(self, cov: Array) -> float:
        """-2 log density."""
        sd = _sd(cov, "inverse gamma")
        inside = -(self.shape + 1.0) * np.log(sd) - self.scale / sd
        return float(
            -2.0 * (inside + self.shape * np.log(self.scale) - scipy.special.gammaln(self.shape))
        )

    def slope(self, cov: Array) -> Array:
        """Differentiate the penalty by the matrix."""
        sd = _sd(cov, "inverse gamma")
        by_sd = 2.0 * ((self.shape + 1.0) / sd - self.scale / sd**2)
        return np.array([[by_sd / (2.0 * sd)]])


@dataclass(frozen=True)
class Point:
    """A standard deviation that is known, as from repeated measurements or an earlier study.

    Attributes
    ----------
    sigma : float
        Its value. Of the residual, in units of the response; with weights, that of an observation
        of weight 1. Of a random-effects term with one column, in units of the response (of the
        link for a generalised model) by that of the column; with a known covariance, that of a
        level where it is 1.
    """

    sigma: float


#: Ours: the mode of the standard deviation is without bias where it is large, by the restricted
#: likelihood (extra 1.5) and by the full one (2.5), whatever the number of groups.
WEAK = {True: Wishart(1.5), False: Wishart(2.5)}


def prior_of(prior: PriorLike, term: RandomTerm, *, reml: bool) -> Prior | None:
    """Return the prior of the covariances of one term.

    Raises
    ------
    ValueError
        If the name is not known.
    """
    given: Any = prior
    if isinstance(prior, Mapping):
        given = prior.get(term.group, prior.get("random"))
    if not isinstance(given, str):
        density: Prior | None = None if isinstance(given, Point) else given
        return density
    known = {"weak": WEAK[reml], "wishart": Wishart(2.5)}
    if given not in known:
        raise ValueError(f"prior must be 'weak', 'wishart' or a density, not {given!r}")
    return known[given]


def _logdet(matrix: Array) -> float:
    return float(np.linalg.slogdet(matrix)[1])


def _matrix(scale: Any, s: int) -> Array:
    """Return the scale as a matrix."""
    given = np.asarray(scale, dtype=np.float64)
    return np.asarray(given * np.eye(s) if given.ndim == 0 else given)


def _sd(cov: Array, what: str) -> float:
    if len(cov) > 1:
        raise ValueError(
            f"a {what} prior is for one standard deviation; this term has {len(cov)} correlated "
            "columns: use Wishart, or || in the formula"
        )
    return float(np.sqrt(cov[0, 0]))
