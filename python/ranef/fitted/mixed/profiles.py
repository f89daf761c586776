"""Profiles of the likelihood: methods of a fitted mixed model, linear or generalised."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pandas as pd

from ..._caller import warn_caller
from ...errors import ConvergenceWarning
from ..parts import Base
from .parts import ProfiledParts

if TYPE_CHECKING:
    from ...inference.profile.profile import Curve, Walked
    from ...report.profile import Profile

__all__ = ["PRIOR", "Profiles", "profile_intervals"]

#: Why a model with a prior has no profile.
PRIOR = (
    "a profile is of the likelihood, and this model was fitted with a prior; profile "
    "model.update(prior=None)"
)


class Profiles(Base):
    """Profiles of the likelihood."""

    parts: ProfiledParts

    def profile(self, level: float = 0.99, steps: int = 8, *, progress: bool = True) -> Profile:
        """Profile the ML deviance: how well each value fits with all other parameters optimised.

        Of a generalised model it is the deviance by the approximation of the fit.

        Parameters
        ----------
        level : float
            Coverage of the widest interval to be read from it.
        steps : int
            Held values on each side of the estimate, evenly spaced in zeta.
        progress : bool
            Whether to show a progress bar when it takes longer than a second.

        Returns
        -------
        Profile
            ``table``, ``conf_int(level)``, ``plot()``.

        Examples
        --------
        >>> import ranef
        >>> sleep = ranef.datasets.load("sleepstudy")
        >>> model = ranef.lmer("Reaction ~ Days + (Days | Subject)", sleep)
        >>> model.profile().conf_int(0.9).loc["Days"].round(1).tolist()
        [7.9, 13.0]
        """
        from ...inference.coverage import t_quantile
        from ...inference.profile import profile as profiling
        from ...report.profile import Profile

        z = float(t_quantile(level))
        if steps < 2:
            raise ValueError(f"steps must be 2 or more, not {steps}")
        walked = self.parts.walked()
        paths = [profiling.path(c, walked, z, steps) for c in _tracked(walked, progress)]
        return Profile(paths, level)


def profile_intervals(parts: ProfiledParts, level: float, *, progress: bool) -> pd.DataFrame:
    """Find the ends of every parameter's interval; see ``conf_int``."""
    from ...inference.coverage import t_quantile
    from ...inference.profile import profile as profiling

    z, walked = float(t_quantile(level)), parts.walked()
    found = {c.target.name: profiling.interval(c, z) for c in _tracked(walked, progress)}
    table = pd.DataFrame.from_dict(found, orient="index", columns=["lower", "upper"])
    if lost := table.index[table.isna().any(axis=1)].tolist():
        message = (
            f"the likelihood of {', '.join(lost)} is not smooth on the way to a limit, which is "
            "left out; use method='wald' or 'boot'"
        )
        warn_caller(ConvergenceWarning(message))
    return table


def _tracked(walked: Walked, progress: bool) -> Iterator[Curve]:
    """Yield every parameter's curve, with a bar that counts those processed."""
    from ...parallel.progress import tracked

    return tracked(walked.curves, len(walked.targets), "parameters", shown=progress)
