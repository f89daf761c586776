"""The state of a fitted linear mixed model that all of its methods share."""

from __future__ import annotations

from typing import Any

import numpy as np

from ... import _core
from ..._typing import Array
from ...design.design import Design
from ...errors import RanefWarning, UnsupportedError
from ...inference.priors.mode import kernel_with_prior, penalized_at
from ...inference.priors.parts import prior_parts
from ...inference.priors.penalized import Penalized
from ...models import lmm
from ...models.lmm import LmmEstimate
from ..named import Effects
from .call import Call

__all__ = ["Fitted"]


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

    def _exact_only(self, what: str, instead: str = "") -> None:
        """Refuse what needs the factor that an iterative fit does without."""
        if self._estimate.approximation is not None:
            other = f"use {instead}, or " if instead else ""
            raise UnsupportedError(
                f"{what} needs a factor of the random effects, which method='iterative' does "
                f"without; {other}fit again by model.update(method='exact') where it fits in memory"
            )

    @property
    def sigma(self) -> float:
        """Residual standard deviation."""
        return self._estimate.sigma

    @property
    def reml(self) -> bool:
        """Whether the restricted likelihood was maximised."""
        return self._estimate.reml
