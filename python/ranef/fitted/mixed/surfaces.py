"""The likelihood as a surface: a method of a fitted mixed model, linear or generalised."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from ..parts import Base
from .parts import ProfiledParts

if TYPE_CHECKING:
    from ...report.surface import Surface

__all__ = ["Surfaces"]

#: Points of a grid in each direction, by the number of its directions.
POINTS = {1: 81, 2: 21}


class Surfaces(Base):
    """The likelihood over its standard deviations."""

    parts: ProfiledParts

    def surface(
        self,
        *names: str,
        points: int | None = None,
        upper: tuple[float, ...] = (),
        hold: bool = False,
        progress: bool = True,
    ) -> Surface:
        """Compute the (restricted) log-likelihood on a grid of one or two standard deviations.

        Parameters
        ----------
        *names : str
            One or two of the standard deviations, ``"sd_TERM|GROUP"``; the first one or two of the
            model by default.
        points : int, optional
            Grid points in each direction, from zero; 21 of two, 81 of one by default.
        upper : tuple of float, optional
            Where the grid ends; where the log-likelihood has dropped by six with everything else
            held fixed, by default.
        hold : bool
            Whether all else is held at the estimate. By default it is chosen again at each point,
            which shows ridges and maxima for what they are.
        progress : bool
            Whether to show a progress bar when it takes longer than a second.

        Returns
        -------
        Surface
            ``table``, ``maxima`` and ``plot()``.

        Notes
        -----
        Standard deviations of a linear model are relative to sigma, which is always optimised, as
        coefficients are. Those of a generalised model are on the scale of the linear predictor, and
        its log-likelihood is by the approximation of the fit; ``hold`` holds its coefficients and
        its dispersion too.

        Examples
        --------
        >>> import ranef
        >>> cbpp = ranef.datasets.load("cbpp")
        >>> model = ranef.glmer(
        ...     "cbind(incidence, size - incidence) ~ period + (1 | herd)", cbpp, family="binomial"
        ... )
        >>> model.surface(points=9, upper=(1.6,)).maxima.round(2)
           sd_Intercept|herd    llf  drop
        3                0.6 -92.06  0.03
        """
        from ...inference.optimum.surface import sd_names
        from ...parallel.progress import tracked
        from ...report.surface import Surface

        known = sd_names(self.parts.design)
        chosen = names or tuple(known)[:2]
        for name in chosen:
            if name not in known:
                raise ValueError(f"there is no standard deviation {name!r} among {list(known)}")
        if not 1 <= len(chosen) <= 2 or len(set(chosen)) < len(chosen):
            raise ValueError("a surface has one or two different standard deviations")
        explorer = self.parts.explorer(tuple(known[name] for name in chosen), hold)
        ends = upper or tuple(explorer.upper(which) for which in range(len(chosen)))
        grid = grid_to(ends, len(chosen), points)
        table = pd.DataFrame(grid, columns=list(chosen))
        every = tracked(grid, len(grid), "points", shown=progress)
        table["llf"] = [-0.5 * explorer.value(point) for point in every]
        table["drop"] = self.parts.llf - table["llf"]
        return Surface(chosen, table, explorer.estimates(), hold, self.parts.relative)


def grid_to(ends: tuple[float, ...], directions: int, points: int | None) -> np.ndarray:
    """Lay out the points of a grid from zero, a row each."""
    if len(ends) != directions:
        raise ValueError(f"upper has {len(ends)} ends for {directions} standard deviations")
    if points is not None and points < 2:
        raise ValueError(f"points must be 2 or more in each direction, not {points}")
    count = points or POINTS[directions]
    axes = [np.linspace(0.0, end, count) for end in ends]
    return np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1).reshape(-1, directions)
