"""The part of a model whose means are asked for: its design, coefficients and link."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .._typing import Array
from ..design.design import INTERCEPT, Design
from ..errors import UnsupportedError
from ..fitted.feglm.parts import FeglmParts
from ..fitted.feols.parts import FeolsParts
from ..fitted.ordinal.parts import OrdinalParts
from ..fitted.several.parts import SeveralParts
from ..inference.hypotheses.linear import Approximation, FixedDf, not_estimable

__all__ = ["MarginalPart", "check_type", "part_of"]

#: Links of the predictors other than the location's.
LINKS = {"zero": "logit", "dispersion": "log"}
#: A difference of columns that is rounding.
TINY = 1e-9


@dataclass(frozen=True)
class MarginalPart:
    """Coefficients that rows of a design are combinations of.

    Attributes
    ----------
    design : Design
        Encodes the rows.
    kept : ndarray of int
        Columns that are not aliased.
    aliased, alias
        The others, and each as a combination of the kept.
    beta : ndarray of shape (p,)
        Coefficients; one fewer than the kept where thresholds stand for the first.
    approximation : Approximation or None
        Their covariance; None for that of the model's tests.
    link : str
        What their predictor is turned back through.
    center : ndarray of shape (columns,) or None
        Mean row of the data, about which means are taken where an intercept is absorbed.
    height : float
        Mean of the predictor over the rows, at ``center``.
    """

    design: Design
    kept: NDArray[np.intp]
    aliased: Sequence[int]
    alias: Array
    beta: Array
    approximation: Approximation | None
    link: str
    center: Array | None = None
    height: float = 0.0

    def rows(self, L: Array) -> Array:
        """Write rows in the coefficients; NaN where they are not estimable."""
        out = L[:, self.kept]
        if self.center is not None:
            lost = np.abs(L[:, list(self.aliased)]).max(axis=1, initial=0.0) > TINY
            out = np.where(lost[:, None], np.nan, out)
        elif len(self.kept) < L.shape[1]:
            lost = not_estimable(L, self.kept, self.aliased, self.alias)
            out = np.where(lost[:, None], np.nan, out)
        return out[:, len(self.kept) - len(self.beta) :]

    def means(self, L: Array) -> Array:
        """Write means in the coefficients: about the mean row where an intercept is absorbed."""
        if self.center is None:
            return self.rows(L)
        about = L - self.center
        constant = [j for j in range(L.shape[1]) if self.design.fixed[j] == INTERCEPT]
        about[:, constant] = 0.0
        return self.rows(about)


def part_of(model: Any, part: str) -> MarginalPart:
    """Look up a part of a model.

    Raises
    ------
    ValueError
        For a part that the model does not have.
    """
    parts = model.parts
    if isinstance(parts, SeveralParts):
        design, block = parts.part_of(part), parts.estimate.block(part)
        return MarginalPart(
            design,
            block.kept,
            block.aliased,
            block.alias,
            parts.estimate.values(part)[block.kept],
            FixedDf(parts.estimate.cov_of(part), np.inf),
            LINKS.get(part, parts.call.link),
        )
    if part != "location":
        raise ValueError(f"part is 'location' for a {type(model).__name__}, not {part!r}")
    if isinstance(parts, OrdinalParts):
        block = parts.estimate.block("location")
        p = len(block.kept)
        return MarginalPart(
            parts.design,
            np.r_[0, block.kept + 1],
            [j + 1 for j in block.aliased],
            block.alias,
            parts.beta[block.kept],
            FixedDf(parts.cov[:p, :p], np.inf),
            "identity",
        )
    if isinstance(parts, FeolsParts | FeglmParts):
        return absorbed_part(parts)
    estimate = parts.estimate
    whole = len(estimate.kept) == len(estimate.beta)
    aliased, alias = ((), np.zeros((0, 0))) if whole else parts.aliasing()
    return MarginalPart(
        parts.design,
        estimate.kept,
        aliased,
        alias,
        estimate.beta[estimate.kept],
        None,
        getattr(model, "link", "identity"),
    )


def absorbed_part(parts: FeolsParts | FeglmParts) -> MarginalPart:
    """Look up the coefficients beside absorbed effects, and the mean row of the data.

    A column without a coefficient, as one that is constant within every absorbed level, cannot be
    told from the absorbed effects: rows that need it are not estimable.
    """
    design = parts.design
    kept = np.asarray(parts.estimate.positions, dtype=np.intp)[parts.kept]
    lost = [j for j in range(len(design.fixed)) if j not in kept and design.fixed[j] != INTERCEPT]
    if parts.estimate.absorption is None and INTERCEPT in design.fixed:
        lost = [j for j in range(len(design.fixed)) if j not in kept]
    center, height = None, 0.0
    if parts.estimate.absorption is not None:
        w = design.weights
        center = np.average(design.X, axis=0, weights=w)
        height = float(np.average(predictor(parts), weights=w))
    return MarginalPart(
        design,
        kept,
        lost,
        np.zeros((len(kept), len(lost))),
        parts.beta[parts.kept],
        None,
        parts.link,
        center,
        height,
    )


def predictor(parts: FeolsParts | FeglmParts) -> Array:
    """Linear predictors of rows, offsets left out; responses of a linear model have their mean."""
    if isinstance(parts, FeolsParts):
        values = parts.design.y
    elif parts.is_conditional:
        values = np.full(parts.design.n_obs, np.nan)
    else:
        values = parts.estimate.eta
    return values if parts.design.offset is None else values - parts.design.offset


def check_type(model: Any, kind: str) -> None:
    """Refuse a scale that the model does not have.

    Raises
    ------
    UnsupportedError
        With the scales that it has.
    """
    parts = model.parts
    if isinstance(parts, OrdinalParts):
        allowed: tuple[str, ...] = ("link", "prob")
    elif isinstance(parts, SeveralParts):
        allowed = ("link", "response", "mean")
    else:
        allowed = ("link", "response")
    if kind not in allowed:
        raise UnsupportedError(
            f"type={kind!r} is not available for a {type(model).__name__}; use type="
            f"{' or '.join(map(repr, allowed))}"
        )
