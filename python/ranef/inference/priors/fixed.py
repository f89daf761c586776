"""Normal priors of fixed effects, and the rows of data that they are worth."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from numbers import Real
from typing import TypeAlias, cast

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ... import _core
from ..._counted import counted
from ..._typing import Array
from ...design.design import INTERCEPT, Design
from ...errors import ModelError
from ...models import lmm

__all__ = ["FixedPrior", "Normal", "prior_kernel", "resolve"]

PerCoefficient: TypeAlias = "float | Sequence[float] | Mapping[str, float]"


@dataclass(frozen=True)
class Normal:
    """Independent normal priors of the fixed effects.

    Attributes
    ----------
    sd : float, sequence or mapping of name to float
        Standard deviations. A number is for every coefficient but the intercept; a sequence has one
        for each coefficient, in the order of ``params``; a mapping or a Series names
        coefficients, and the others have no prior.
    mean : float, sequence or mapping of name to float
        Means, in the units of the coefficients; those that a mapping omits have mean 0.
    relative : bool
        Whether ``sd`` is in units of sigma (blme's ``common.scale = TRUE``) instead of the units of
        the coefficients.
    """

    sd: PerCoefficient
    mean: PerCoefficient = 0.0
    relative: bool = False


@dataclass(frozen=True)
class FixedPrior:
    """A normal prior of r of the coefficients that are kept.

    Attributes
    ----------
    index : ndarray of shape (r,) int
        Their positions among the kept ones.
    sd, mean : ndarray of shape (r,)
        Standard deviations and means.
    relative : bool
        Whether ``sd`` is in units of sigma.
    """

    index: NDArray[np.intp]
    sd: Array
    mean: Array
    relative: bool

    def scale(self, sigma: float) -> Array:
        """Return the standard deviations relative to sigma, shape (r,)."""
        return self.sd if self.relative else self.sd / sigma

    def misfit(self, beta: Array) -> float:
        """Sum of ((beta - mean) / sd)^2 for kept coefficients, shape (n_kept,)."""
        return float(np.sum(((beta[self.index] - self.mean) / self.sd) ** 2))

    def penalty(self, beta: Array, sigma: float) -> float:
        """-2 log density of kept coefficients, shape (n_kept,)."""
        sd = self.sd * sigma if self.relative else self.sd
        squares = np.sum(((beta[self.index] - self.mean) / sd) ** 2)
        return float(squares + 2.0 * np.log(sd).sum() + len(sd) * np.log(2.0 * np.pi))


def resolve(normal: Normal, design: Design, kept: Sequence[int]) -> FixedPrior:
    """Find out which coefficients a prior is for.

    Raises
    ------
    ModelError
        If it names something that is not a coefficient, or has the wrong number of values.
    ValueError
        If a standard deviation is not above zero, or a mean has none.
    """
    names = [design.fixed_names[j] for j in kept]
    sd = _by_name(normal.sd, names, list(design.fixed_names), "sd")
    mean = _by_name(normal.mean, names, list(design.fixed_names), "mean")
    if isinstance(normal.mean, Mapping | pd.Series) and (extra := sorted(set(mean) - set(sd))):
        raise ValueError(f"Normal has a mean for {extra[0]!r} and no sd, so no prior of it")
    if not sd:
        raise ModelError("Normal has no coefficient to be a prior of; pass sd a mapping of names")
    for name, value in sd.items():
        if not 0.0 < value < np.inf:
            raise ValueError(f"the sd of the prior of {name!r} must be above zero, not {value!r}")
    for name, value in mean.items():
        if not np.isfinite(value):
            raise ValueError(f"the mean of the prior of {name!r} must be finite, not {value!r}")
    return FixedPrior(
        np.array([names.index(name) for name in sd], dtype=np.intp),
        np.array([*sd.values()]),
        np.array([mean.get(name, 0.0) for name in sd]),
        normal.relative,
    )


def _by_name(
    given: PerCoefficient, kept: list[str], names: list[str], what: str
) -> dict[str, float]:
    """Return the number of each coefficient that has one."""
    if isinstance(given, Mapping | pd.Series):
        named = dict(given)
        for name in named:
            if name not in names:
                raise ModelError(f"Normal: {what} names {name!r}, which is not one of {names}")
            if name not in kept:
                raise ModelError(
                    f"Normal: {what} names {name!r}, a combination of other columns that has no "
                    "coefficient of its own; leave it out of the prior, or of the formula"
                )
        return {str(name): _number(value, what) for name, value in named.items()}
    if isinstance(given, str) or np.ndim(given) == 0:
        value = _number(given, what)
        return {name: value for name in kept if name != "Intercept"}
    values = [_number(value, what) for value in cast("Sequence[float]", given)]
    if len(values) != len(names):
        raise ModelError(
            f"Normal: {what} has {counted(len(values), 'number')} for "
            f"{counted(len(names), 'coefficient')}, {names}"
        )
    return {name: value for name, value in zip(names, values, strict=True) if name in kept}


def _number(value: object, what: str) -> float:
    if not isinstance(value, Real):
        raise ValueError(f"Normal: {what} must be numbers, not {value!r}")
    return float(value)


def prior_kernel(design: Design, core: _core.Lmm, prior: FixedPrior, sigma: float) -> _core.Lmm:
    """Build the kernel of a model with a normal prior of its fixed effects.

    Parameters
    ----------
    design : Design
        The rows.
    core : Lmm
        A kernel of them, with the prior or without: it knows which columns are aliased.
    prior : FixedPrior
        The prior.
    sigma : float
        The residual standard deviation that an absolute prior is compared with.

    Notes
    -----
    A prior N(m, sigma^2 d^2) of a coefficient is worth one row more, with 1 / d in its column and
    m / d for the response, and no random effects. A column that others span keeps to their
    combination there, so that it stays aliased.
    """
    scale = prior.scale(sigma)
    r, kept, aliased = len(scale), list(core.kept), list(core.aliased)
    rows = np.zeros((r, len(design.fixed)))
    rows[np.arange(r), np.array(kept)[prior.index]] = 1.0 / scale
    if aliased:
        rows[:, aliased] = rows[:, kept] @ np.asarray(core.alias).reshape(len(kept), len(aliased))
    columns = [np.r_[_column(design, j), rows[:, i]] for i, j in enumerate(design.fixed)]
    places: dict[int, int] = {}
    for term in design.random:
        for reference in term.columns:
            if reference not in places:
                places[reference] = len(columns)
                columns.append(np.r_[_column(design, reference), np.zeros(r)])
    random = tuple(
        replace(
            term,
            codes=np.r_[term.codes, np.zeros(r, dtype=np.int32)],
            columns=tuple(places[reference] for reference in term.columns),
        )
        for term in design.random
    )
    longer = replace(
        design,
        y=np.r_[design.y, prior.mean / scale],
        columns=tuple(columns),
        fixed=tuple(range(len(design.fixed))),
        random=random,
        weights=None if design.weights is None else np.r_[design.weights, np.ones(r)],
        offset=None if design.offset is None else np.r_[design.offset, np.zeros(r)],
    )
    return lmm.kernel(longer)


def _column(design: Design, reference: int) -> Array:
    """Return a column of the design, the constant one too."""
    return np.ones(design.n_obs) if reference == INTERCEPT else design.columns[reference]
