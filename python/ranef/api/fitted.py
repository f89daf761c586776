"""The state of a fitted mixed model that all of its methods share."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from .. import _core
from ..design.design import Design
from ..errors import RanefWarning, UnsupportedError
from ..inference.map_prior import fit_penalized, kernel_with_prior, penalized_at
from ..inference.optimum import judged
from ..inference.penalized import Penalized
from ..inference.prior_parts import prior_parts
from ..inference.priors import PriorLike
from ..models import lmm
from ..models.lmm import Control, LmmEstimate

__all__ = ["Array", "Call", "Fitted", "checked", "estimated"]

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Call:
    """The arguments of a fit."""

    formula: str
    reml: bool = True
    weights: Any = None
    offset: Any = None
    contrasts: Any = None
    missing: str = "drop"
    control: Control = field(default_factory=Control)
    strict: bool = False
    prior: PriorLike = None


def estimated(
    design: Design, core: _core.Lmm, call: Call, start: tuple[Array, ...] = ()
) -> LmmEstimate:
    """Fit a design as a call says: by likelihood, or with its prior."""
    control = replace(call.control, start=start) if start else call.control
    if call.prior is not None:
        return fit_penalized(design, core, call.prior, reml=call.reml, control=control)
    found = lmm.fit(design, core, reml=call.reml, control=control)
    return found if found.converged else judged(design, core, found)


def checked(design: Design, call: Call) -> None:
    """Refuse a model that cannot be estimated, as a call would fit it.

    Raises
    ------
    ModelError
        See :func:`ranef.models.lmm.check`.
    """
    lmm.check(design, knows_sigma=prior_parts(call.prior).sigma is not None)


class Fitted:
    """Design, estimate and kernel of one fit, and the little that everything else is made of."""

    warnings: tuple[RanefWarning, ...]

    def __init__(
        self,
        design: Design,
        estimate: LmmEstimate,
        call: Call,
        *,
        core: _core.Lmm | None = None,
        data: Any = None,
    ):
        self.call = call
        self._design = design
        self._estimate = estimate
        # A prior of the fixed effects belongs to the kernel, and is not in one of the rows alone.
        self._kernel = core if prior_parts(call.prior).fixed is None else None
        self._data = data

    def __getstate__(self) -> dict[str, Any]:
        # The kernel is rebuilt when needed; the caller's frame is not ours to copy.
        return {**self.__dict__, "_kernel": None, "_data": None}

    @property
    def _core(self) -> _core.Lmm:
        if self._kernel is None:
            self._kernel = kernel_with_prior(
                self._design, lmm.kernel(self._design), self.call.prior, self.sigma
            )
        return self._kernel

    def _penalized(self) -> Penalized:
        """Give the objective of a fit with priors."""
        return penalized_at(self._design, self._core, self._estimate, self.call.prior)

    def _prior_precision(self) -> Array:
        """Precision of the prior of each fixed effect, relative to 1 / sigma^2, shape (n_kept,)."""
        out = np.zeros(len(self._estimate.kept))
        if self.call.prior is not None and (fixed := self._penalized().fixed) is not None:
            out[fixed.index] = fixed.scale(self.sigma) ** -2
        return out

    def _likelihood_only(self, what: str) -> None:
        """Refuse what searches the likelihood for a model that was fitted with a prior."""
        if self.call.prior is not None:
            raise UnsupportedError(
                f"{what} searches the likelihood, and this model maximises it times a prior; "
                "use model.update(prior=None)"
            )

    def _names(self) -> pd.Index[Any]:
        return pd.Index(self._design.fixed_names)

    def _full(self, values: Array) -> pd.Series[Any]:
        """Values of the kept coefficients, NaN for aliased ones, by name."""
        out = np.full(len(self._design.fixed), np.nan)
        out[self._estimate.kept] = values
        return pd.Series(out, index=self._names())

    @property
    def params(self) -> pd.Series[Any]:
        """Fixed effects by name; NaN where a column is aliased."""
        return pd.Series(self._estimate.beta, index=self._names())

    @property
    def bse(self) -> pd.Series[Any]:
        """Standard errors of the fixed effects."""
        return self._full(np.sqrt(np.diag(self._estimate.cov_beta)))

    @property
    def sigma(self) -> float:
        """Residual standard deviation."""
        return self._estimate.sigma

    @property
    def reml(self) -> bool:
        """Whether the restricted likelihood was maximised."""
        return self._estimate.reml

    @property
    def nobs(self) -> int:
        """Rows that were used."""
        return self._design.n_obs
