"""What the argument ``prior`` of a fit says about covariances, fixed effects and the residual."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from numbers import Real
from typing import TYPE_CHECKING, Any

import numpy as np

from ..._counted import counted
from ...design.design import Design
from ...errors import ModelError
from .fixed import Normal
from .halves import LKJ, HalfT

if TYPE_CHECKING:
    from .priors import Point, Prior, PriorLike

__all__ = ["PriorParts", "describe", "has_no_units", "prior_parts", "simplified", "with_weak"]

#: Keys of a mapping that are not grouping factors.
RESERVED = ("random", "fixed", "residual")


@dataclass(frozen=True)
class PriorParts:
    """The priors of a model, part by part.

    Attributes
    ----------
    random : str, Prior, mapping or None
        Of the covariances.
    fixed : Normal or None
        Of the fixed effects.
    residual : Prior, Point or None
        Of the residual standard deviation.
    points : mapping of str to float
        Known standard deviations of terms, by grouping factor.
    """

    random: PriorLike = None
    fixed: Normal | None = None
    residual: Prior | Point | None = None
    points: Mapping[str, float] = field(default_factory=dict)

    @property
    def sigma(self) -> float | None:
        """The residual standard deviation where it is known."""
        if self.residual is None:
            return None
        from .priors import Point

        return self.residual.sigma if isinstance(self.residual, Point) else None

    @property
    def profiles_sigma(self) -> bool:
        """Whether sigma is at its best in closed form, as without a prior."""
        return self.residual is None and not self.needs_sigma

    @property
    def needs_sigma(self) -> bool:
        """Whether the rest is fitted at a sigma that is held: something is known in its units."""
        return bool(self.points) or (self.fixed is not None and not self.fixed.relative)

    def known_terms(self, design: Design) -> dict[int, float]:
        """Return the position of each term whose standard deviation is known, and this."""
        return {
            t: self.points[term.group]
            for t, term in enumerate(design.random)
            if term.group in self.points
        }


def prior_parts(prior: PriorLike, design: Design | None = None) -> PriorParts:
    """Take the argument apart.

    Parameters
    ----------
    prior : str, density, mapping or None
        As the user gives it.
    design : Design, optional
        The model, whose grouping factors are then checked against the keys.

    Raises
    ------
    ModelError
        If it names what the model does not have.
    ValueError
        If a density stands where it has no meaning.
    """
    if prior is None:
        return PriorParts()
    from .priors import Point

    if not isinstance(prior, Mapping):
        _check_random(prior, "prior")
        return PriorParts(prior)
    groups = [] if design is None else [term.group for term in design.random]
    for key, value in prior.items():
        if key in RESERVED and key in groups:
            raise ModelError(
                f"prior has the key {key!r}, which is a grouping factor here and also a key of its "
                "own; rename the factor"
            )
        if design is not None and key not in RESERVED and key not in groups:
            raise ModelError(
                f"prior has the key {key!r}; it takes the grouping factors {groups} and "
                "'random' (all of them), 'fixed' and 'residual'"
            )
        if key not in RESERVED and isinstance(value, Point):
            _check_point(value, key, design)
        elif key not in ("fixed", "residual"):
            _check_random(value, key)
    fixed, residual = prior.get("fixed"), prior.get("residual")
    if not isinstance(fixed, Normal | None):
        raise ValueError(f"the prior of the fixed effects must be a ranef.Normal, not {fixed!r}")
    _check_residual(residual)
    covariances = {key: prior[key] for key in prior if key not in ("fixed", "residual")}
    points = {
        str(key): float(value.sigma)
        for key, value in covariances.items()
        if isinstance(value, Point)
    }
    return PriorParts(covariances or None, fixed, residual, points)


def _check_point(point: Point, key: str, design: Design | None) -> None:
    """Refuse a known standard deviation that is no number, or of a term with several columns."""
    if not (isinstance(point.sigma, Real) and 0.0 < point.sigma < np.inf):
        raise ValueError(
            f"Point: the standard deviation of {key} must be a number above zero, "
            f"not {point.sigma!r}; a term that does not vary is left out of the formula"
        )
    for term in () if design is None else design.random:
        if term.group == key and (term.n_cols > 1 or term.is_structured):
            why = (
                "a covariance structure"
                if term.is_structured
                else f"{counted(term.n_cols, 'column')}"
            )
            raise ModelError(
                f"prior has a Point for {key!r}, and {term.written} has {why}; a standard "
                f"deviation can be known of a term with one column, such as (1 | {key})"
            )


def _check_random(prior: Any, key: str) -> None:
    """Refuse a density that is not of a covariance."""
    from .priors import Point

    if isinstance(prior, Normal):
        raise ValueError(
            "a Normal prior is of the fixed effects: prior={'fixed': ranef.Normal(...)}"
        )
    if isinstance(prior, Point):
        raise ValueError(
            "a Point is of one term or of the residual: prior={'g': ranef.Point(...)} with g a "
            "grouping factor, or {'residual': ranef.Point(...)}"
        )
    if isinstance(prior, str) and prior not in ("weak", "wishart"):
        raise ValueError(f"{key} must be 'weak', 'wishart' or a density, not {prior!r}")
    if not (prior is None or isinstance(prior, str) or _is_density(prior)):
        raise ValueError(
            f"{key} must be 'weak', 'wishart' or a density such as ranef.Wishart(2.5), "
            f"not {prior!r}{'; that is for model.sample()' * isinstance(prior, HalfT | LKJ)}"
        )


def _is_density(prior: Any) -> bool:
    """Whether this is a density, not the class of one."""
    return hasattr(prior, "penalty") and hasattr(prior, "slope") and not isinstance(prior, type)


def _check_residual(prior: Any) -> None:
    """Refuse anything but a density of a standard deviation."""
    from .priors import Point

    if isinstance(prior, Point):
        if not (isinstance(prior.sigma, Real) and 0.0 < prior.sigma < np.inf):
            raise ValueError(f"Point: sigma must be a number above zero, not {prior.sigma!r}")
    elif prior is not None and not _is_density(prior):
        raise ValueError(
            "the prior of the residual must be ranef.Point(sigma), or a density such as "
            f"ranef.Gamma(shape, rate) of sigma, not {prior!r}"
        )


def simplified(prior: PriorLike) -> PriorLike:
    """Return None for a mapping that holds no prior."""
    if isinstance(prior, Mapping) and all(value is None for value in prior.values()):
        return None
    return prior


def with_weak(prior: PriorLike) -> tuple[PriorLike, str] | None:
    """Add a weak prior of the covariances: the priors and how to write them, or None with one.

    The code is for a model of that name.
    """
    parts = prior_parts(prior)
    if parts.random is not None:
        return None
    if not isinstance(prior, Mapping):
        return "weak", "'weak'"
    return {**prior, "random": "weak"}, "{**model.call.prior, 'random': 'weak'}"


def has_no_units(prior: PriorLike) -> bool:
    """Whether the priors say the same whatever the units of the predictors."""
    parts = prior_parts(prior)
    named = parts.random if isinstance(parts.random, Mapping) else {"random": parts.random}
    return parts.fixed is None and all(isinstance(given, str | None) for given in named.values())


def describe(prior: PriorLike) -> str:
    """Name the priors for reading."""
    if not isinstance(prior, Mapping):
        return _named(prior)
    return "; ".join(f"{key}: {_named(value)}" for key, value in prior.items())


def _named(prior: Any) -> str:
    return prior if isinstance(prior, str) else repr(prior)
