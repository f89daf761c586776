"""The priors of a posterior: what is asked for, checked against the model, as log densities."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..._typing import Array
from ...design.design import Design, RandomTerm
from ...errors import ModelError
from ..priors.fixed import FixedPrior, Normal, resolve
from ..priors.halves import LKJ, HalfT
from ..priors.priors import Gamma, InverseGamma, Point, Prior, prior_of
from .coordinates import Block, Coordinates, Values

__all__ = ["PosteriorPriors", "Scales", "posterior_priors"]

#: Degrees of freedom of default priors, and their scale in typical standard deviations.
DF, WIDTH = 3, 2.5


@dataclass(frozen=True)
class Scales:
    """Scales of default priors.

    Attributes
    ----------
    random : tuple of ndarray of shape (s,)
        A typical standard deviation of each column's effects.
    residual : float or None
        The same of the residual, or the dispersion; None where there is none.
    residual_key : str
        How a prior calls it: "residual" or "dispersion".
    reml : bool
        Which likelihood was maximised, for ``prior="weak"``.
    """

    random: tuple[Array, ...]
    residual: float | None
    residual_key: str = "residual"
    reml: bool = True


@dataclass(frozen=True)
class PosteriorPriors:
    """Priors of every part of a model.

    Attributes
    ----------
    blocks : tuple of HalfT, Prior or None
        Of each block of correlated columns; None is flat in standard deviations and correlations.
    scales : tuple of ndarray of shape (k,)
        Scales of those that are a HalfT.
    correlation : LKJ
        Of the correlations of those.
    residual : HalfT, Prior, Point or None
        Of the residual standard deviation, or of the dispersion.
    fixed : FixedPrior or None
        Of the fixed effects; None is flat.
    said : mapping of str to prior
        All of them by the keys of ``prior=``.
    """

    blocks: tuple[Any, ...]
    scales: tuple[Array, ...]
    correlation: LKJ
    residual: Any
    fixed: FixedPrior | None
    said: Mapping[str, Any] = field(default_factory=dict)

    @property
    def known_scale(self) -> float | None:
        """The residual standard deviation where it is known."""
        return float(self.residual.sigma) if isinstance(self.residual, Point) else None

    def log_density(self, coordinates: Coordinates, values: Values, *, relative: bool) -> Array:
        """Log density of covariances and residual, shape (S,), by standard deviations and roots.

        ``relative`` is whether a covariance matrix's prior is of it relative to the residual's.
        """
        total = np.zeros(len(values.scale))
        of_blocks = zip(
            coordinates.blocks, self.blocks, self.scales, values.sd, values.cor_root, strict=True
        )
        for _, prior, scale, sd, root in of_blocks:
            if isinstance(prior, HalfT):
                total += prior.logpdf(sd, scale).sum(axis=1)
                total += log_lkj(root, self.correlation.eta)
            elif prior is not None:
                total += _of_matrix(prior, sd, root, values.scale if relative else None)
            else:
                total += log_lkj(root, 1.0)
        if coordinates.has_scale and self.residual is not None:
            total += log_density_of_sd(self.residual, values.scale)
        return total


def log_lkj(root: Array, eta: float) -> Array:
    """Log density of Cholesky factors of correlations, shape (S,), without its constant."""
    k = root.shape[1]
    power = k - 1.0 - np.arange(1, k) + 2.0 * (eta - 1.0)
    return np.asarray(np.log(np.diagonal(root, axis1=1, axis2=2)[:, 1:]) @ power)


def log_density_of_sd(prior: Any, sd: Array) -> Array:
    """Log density of a standard deviation or a dispersion, shape (S,)."""
    if isinstance(prior, HalfT):
        return prior.logpdf(sd, float(prior.scale))  # type: ignore[arg-type]
    return np.array([-0.5 * prior.penalty(np.array([[value**2]])) for value in sd])


def _of_matrix(prior: Prior, sd: Array, root: Array, scale: Array | None) -> Array:
    """Log density by standard deviations and roots where a prior is one of a covariance matrix."""
    k = sd.shape[1]
    relative = sd if scale is None else sd / scale[:, None]
    factors = relative[:, :, None] * root
    density = np.array([-0.5 * prior.penalty(L @ L.T) for L in factors])
    if scale is not None:
        density -= k * np.log(scale)
    if isinstance(prior, Gamma | InverseGamma):
        return density
    density += k * (np.log(2.0) + np.log(relative).sum(axis=1)) + log_lkj(root, 1.0)
    return density


def posterior_priors(
    given: Any, design: Design, kept: NDArray[np.intp], coordinates: Coordinates, scales: Scales
) -> PosteriorPriors:
    """Check what was asked for, and fill in the default for what is left out.

    Raises
    ------
    ModelError
        If a prior is of what the model does not have.
    ValueError
        If a density stands where it has no meaning.
    """
    asked = {"random": given} if isinstance(given, str) or _is_prior(given) else given
    if asked is None:
        asked = {}
    if not isinstance(asked, Mapping):
        raise ValueError(
            "prior must be a mapping such as {'Subject': ranef.HalfT(3, 0, 10), "
            f"'residual': ranef.HalfT(3, 0, 10)}}, not {given!r}"
        )
    _check_keys(asked, design, scales)
    said: dict[str, Any] = {}
    own = [
        _term_prior(asked, term, typical, scales.reml)
        for term, typical in zip(design.random, scales.random, strict=True)
    ]
    for term, prior in zip(design.random, own, strict=True):
        said[term.group] = prior
    correlation = _correlation(asked, design, own)
    if any(len(b.columns) > 1 and isinstance(own[b.term], HalfT) for b in coordinates.blocks):
        said["correlation"] = correlation
    residual = _residual(asked, scales)
    if scales.residual is not None:
        said[scales.residual_key] = residual
    normal = asked.get("fixed")
    if not isinstance(normal, Normal | None):
        raise ValueError(f"the prior of the fixed effects must be a ranef.Normal, not {normal!r}")
    if normal is not None and normal.relative and scales.residual_key != "residual":
        raise ValueError(
            "Normal(relative=True) is relative to sigma, which this model does not have"
        )
    said["fixed"] = normal
    fixed = None if normal is None else resolve(normal, design, [int(j) for j in kept])
    widths = tuple(_scale(own[b.term], design.random[b.term], b) for b in coordinates.blocks)
    blocks = tuple(own[b.term] for b in coordinates.blocks)
    return PosteriorPriors(blocks, widths, correlation, residual, fixed, said)


def _check_keys(asked: Mapping[str, Any], design: Design, scales: Scales) -> None:
    groups = [term.group for term in design.random]
    others = ["random", "correlation", "fixed"]
    if scales.residual is not None:
        others.append(scales.residual_key)
    for key in asked:
        if key in others and key in groups:
            raise ModelError(
                f"prior has the key {key!r}, which is a grouping factor here and also a key of its "
                "own; rename the factor"
            )
        if key not in groups and key not in others:
            raise ModelError(
                f"prior has the key {key!r}; this model has the grouping factors {groups}, and the "
                f"keys {others}"
            )


def _is_prior(given: Any) -> bool:
    """Whether this is one density of covariances, not the class of one."""
    if isinstance(given, type | Point | Normal | LKJ):
        return False
    return isinstance(given, HalfT) or (hasattr(given, "penalty") and hasattr(given, "slope"))


def _term_prior(asked: Mapping[str, Any], term: RandomTerm, typical: Array, reml: bool) -> Any:
    """Return the density of one term: its own, that of all, or the default."""
    if term.group not in asked and "random" not in asked:
        widths = _round(WIDTH * typical)
        one = widths[0] if term.n_cols == 1 else dict(zip(term.names, widths, strict=True))
        return HalfT(DF, 0, one)
    given = asked.get(term.group, asked.get("random"))
    if isinstance(given, str):
        return prior_of(given, term, reml=reml)
    if given is None or _is_prior(given):
        return given
    raise ValueError(
        f"the prior of {term.group!r} must be ranef.HalfT(df, location, scale), a density of a "
        f"covariance matrix such as ranef.InverseWishart, 'weak', or None, not {given!r}"
    )


def _round(values: Array) -> list[float]:
    return [float(f"{value:.3g}") for value in values]


def _correlation(asked: Mapping[str, Any], design: Design, own: list[Any]) -> LKJ:
    if "correlation" not in asked:
        return LKJ(1.0)
    given = asked["correlation"]
    if not isinstance(given, LKJ):
        raise ValueError(f"the prior of the correlations must be ranef.LKJ(eta), not {given!r}")
    wide = [t for t, term in enumerate(design.random) if any(len(b) > 1 for b in term.blocks)]
    if not wide:
        raise ModelError(
            "prior has the key 'correlation', and no term of this model has correlated columns; "
            "leave it out"
        )
    if not any(isinstance(own[t], HalfT) for t in wide):
        raise ModelError(
            "prior has the key 'correlation' together with densities of whole covariance matrices, "
            "which include the correlations; omit it, or give standard deviations a ranef.HalfT"
        )
    return given


def _residual(asked: Mapping[str, Any], scales: Scales) -> Any:
    if scales.residual is None:
        return None
    key = scales.residual_key
    if key not in asked:
        return HalfT(DF, 0, _round(np.array([scales.residual]))[0])
    given = asked[key]
    if isinstance(given, HalfT) and isinstance(given.scale, Mapping):
        raise ValueError(f"the prior of the {key} has one scale, not {dict(given.scale)!r}")
    if isinstance(given, Point) and key == "dispersion":
        raise ValueError("a Point is of a residual standard deviation; use a HalfT or a Gamma")
    if isinstance(given, Point):
        value: Any = given.sigma
        if not (isinstance(value, int | float) and 0.0 < value < np.inf):
            raise ValueError(f"Point: sigma must be a number above zero, not {value!r}")
        return given
    if given is None or isinstance(given, HalfT | Gamma | InverseGamma):
        return given
    raise ValueError(
        f"the prior of the {key} must be ranef.HalfT, ranef.Gamma, ranef.InverseGamma, "
        f"ranef.Point or None, not {given!r}"
    )


def _scale(prior: Any, term: RandomTerm, block: Block) -> Array:
    """Scales of a HalfT for the columns of a block."""
    if not isinstance(prior, HalfT):
        return np.ones(len(block.columns))
    if not isinstance(prior.scale, Mapping):
        return np.full(len(block.columns), float(prior.scale))
    names = list(term.names)
    if unknown := [name for name in prior.scale if name not in names]:
        raise ModelError(
            f"the prior of {term.group!r} has a scale for {unknown[0]!r}; the columns of "
            f"{term.written} are {names}"
        )
    if missing := [name for name in names if name not in prior.scale]:
        raise ModelError(
            f"the prior of {term.group!r} has no scale for {missing[0]!r}; the columns of "
            f"{term.written} are {names}"
        )
    return np.array([float(prior.scale[names[j]]) for j in block.columns])
