"""The parametric bootstrap: a method of every generalised model."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

import numpy as np

from ..._options import check_option
from ..._typing import Array
from ...errors import UnsupportedError
from ...parallel.workers import worker_count
from ...report.bootstrap import Bootstrap
from ..parts import Base
from .likelihood import by_likelihood
from .parts import GeneralisedParts
from .refits import with_response
from .replicates import Replicate, named, replicated

__all__ = ["Resampled"]


class Drawn(Protocol):
    """A model that draws responses."""

    @property
    def parts(self) -> GeneralisedParts:
        """The parts of the model."""

    def __init__(self, parts: Any) -> None: ...

    def simulate(self, n: int = 1, *, seed: Any = None) -> Array:
        """Draw new responses."""


class Resampled(Base):
    """Refits to data drawn again."""

    parts: GeneralisedParts

    def bootstrap(
        self: Drawn,
        n: int = 1000,
        kind: str = "parametric",
        *,
        seed: int | None = None,
        workers: int | None = None,
        statistic: Callable[[Any], Any] | None = None,
        progress: bool = True,
    ) -> Bootstrap:
        """Refit the model to responses drawn from it.

        Parameters
        ----------
        n : int
            Replicates.
        kind : {"parametric"}
            Responses from the fitted model, new random effects each time.
        seed : int, optional
            Makes the draws repeatable, whatever the number of workers.
        workers : int, optional
            Threads; one by default, since such fits run mostly in Python.
        statistic : callable, optional
            Takes a fitted model and returns a number, an array, or a Series or mapping of names to
            numbers. By default all parameters.
        progress : bool
            Whether to show a progress bar when it takes longer than a second.

        Returns
        -------
        Bootstrap
            ``replicates``, ``conf_int(method)``, ``bse``, ``bias`` and counts of failed and
            singular fits.

        Examples
        --------
        >>> import ranef
        >>> cbpp = ranef.datasets.load("cbpp")
        >>> model = ranef.glmer(
        ...     "cbind(incidence, size - incidence) ~ period + (1 | herd)", cbpp, family="binomial"
        ... )
        >>> found = model.bootstrap(50, seed=1, progress=False)
        >>> found.replicates.shape, found.failed
        ((50, 5), 0)
        """
        known = ("parametric", "cases", "residual", "wild")
        how = check_option("kind", kind, known, shown=known[:1])
        if how != "parametric":
            raise UnsupportedError(
                f"kind={how!r} is for linear models; use kind='parametric', or model.robust() for "
                "standard errors that do not assume the distribution"
            )
        parts = self.parts
        by_likelihood(parts, "a bootstrap", structured=True, known=True)
        parts.each_row("a bootstrap")

        def measured(fitted: GeneralisedParts) -> dict[str, float]:
            return fitted.numbers() if statistic is None else named(statistic(type(self)(fitted)))

        def refit(rng: np.random.Generator) -> Replicate:
            fitted = with_response(parts, self.simulate(1, seed=rng)[:, 0])
            estimate = fitted.estimate
            return Replicate(measured(fitted), bool(estimate.is_singular), estimate.converged)

        return replicated(
            refit,
            measured(parts),
            n,
            how,
            seed=seed,
            workers=worker_count(workers, 1),
            progress=progress,
        )
