"""The state of a fitted mixed model that all of its methods share."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from ... import _core
from ...design.design import Design
from ...errors import RanefWarning, UnsupportedError
from ...inference.optimum.optimum import judged
from ...inference.priors.mode import fit_penalized, kernel_with_prior, penalized_at
from ...inference.priors.parts import prior_parts
from ...inference.priors.penalized import Penalized
from ...inference.priors.priors import PriorLike
from ...models import lmm
from ...models.lmm import Control, LmmEstimate
from ..named import Array, Effects

__all__ = ["Array", "Call", "Fitted", "checked", "estimated"]


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


class Fitted(Effects):
    """Design, estimate and kernel of one fit, and the little that everything else is made of."""

    warnings: tuple[RanefWarning, ...]
    _estimate: LmmEstimate

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

    @property
    def sigma(self) -> float:
        """Residual standard deviation."""
        return self._estimate.sigma

    @property
    def reml(self) -> bool:
        """Whether the restricted likelihood was maximised."""
        return self._estimate.reml
