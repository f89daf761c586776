"""Sample the posterior of a fitted model."""

from __future__ import annotations

import warnings
from numbers import Integral
from typing import TYPE_CHECKING, Any

import numpy as np

from ...errors import ConvergenceWarning
from ..parts import Base

if TYPE_CHECKING:
    from .model import Posterior

__all__ = ["Sampled"]


class Sampled(Base):
    """The posterior of a mixed model."""

    def sample(
        self,
        draws: int = 1000,
        *,
        chains: int = 4,
        warmup: int = 1000,
        seed: int | None = None,
        prior: Any = None,
        progress: bool = True,
    ) -> Posterior:
        """Sample the posterior distribution of the parameters under priors.

        Parameters
        ----------
        draws : int
            Draws of each chain that are kept.
        chains : int
            Independent chains.
        warmup : int
            Draws of each chain that tune the sampler and are not kept.
        seed : int, optional
            Makes the draws repeatable.
        prior : mapping, optional
            Keys are grouping factors, or ``"random"`` for all of them: a :class:`ranef.HalfT` of
            the standard deviations, or a density of the covariance matrix as :func:`ranef.lmer`
            takes it; ``"correlation"``: a :class:`ranef.LKJ`; ``"residual"`` (of a gamma or a
            negative binomial ``"dispersion"``): a HalfT, a :class:`ranef.Gamma` or a known
            :class:`ranef.Point`; ``"fixed"``: a :class:`ranef.Normal`. None is flat. Keys that
            are left out have defaults; without a mapping, the priors of the fit are used.
        progress : bool
            Whether to show a progress bar when it takes longer than a second.

        Returns
        -------
        Posterior
            ``table()``, ``ranef()``, ``predict()``, ``derive()``, ``loo()``, ``plot``,
            ``to_arviz()``; prints with its priors and a verdict.

        Raises
        ------
        ModelError
            If the posterior is improper, or a prior is for a part that the model does not have.

        Notes
        -----
        Defaults: flat for coefficients; for standard deviations of a term a half t with 3 degrees
        of freedom, its scale 2.5 times the standard deviation of the responses about the fixed
        part (of a generalised model, of all responses on the scale of the link; 1 for shares of
        trials) in the units of each column; the same for sigma; uniform for correlation matrices.

        Linear models are sampled over covariances and sigma alone, by independent proposals from
        a mixture of t distributions that the warm-up fits to the posterior, or by NUTS where these
        are not suitable [1]_; generalised ones by NUTS over all parameters.

        References
        ----------
        .. [1] Tierney (1994), Ann. Statist. 22, 1701-1762; Hoffman and Gelman (2014), J. Mach.
           Learn. Res. 15, 1593-1623.

        Examples
        --------
        >>> import ranef
        >>> sleep = ranef.datasets.load("sleepstudy")
        >>> model = ranef.lmer("Reaction ~ Days + (Days | Subject)", sleep)
        >>> posterior = model.sample(seed=1)
        >>> float(posterior.table().loc["Days", "mean"].round())
        10.0
        """
        from ...inference.posterior.run import Settings
        from .model import Posterior
        from .prepare import prepared

        for name, value, least in (
            ("draws", draws, 1),
            ("chains", chains, 1),
            ("warmup", warmup, 1),
        ):
            if isinstance(value, bool) or not isinstance(value, Integral) or value < least:
                raise ValueError(f"{name} must be a whole number above zero, not {value!r}")
        if seed is not None and (isinstance(seed, bool) or not isinstance(seed, Integral)):
            raise ValueError(f"seed must be a whole number or None, not {seed!r}")
        if seed is None:
            seed = int(np.random.SeedSequence().generate_state(1)[0])
        if seed < 0:
            raise ValueError(f"seed must be 0 or more, not {seed}")
        settings = Settings(int(draws), int(chains), int(warmup), int(seed), progress)
        ready = prepared(self, prior)
        found = Posterior(ready.source, ready.draw(settings), ready.priors, int(seed))
        if not found.reliable:
            warnings.warn(ConvergenceWarning(found.verdict), stacklevel=2)
        return found
