"""Profiles of the deviance as a table, intervals and a picture."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import pandas as pd
import scipy

from ..inference.coverage import t_quantile
from ..inference.profile.profile import Path
from ..words.answers import Spoken

if TYPE_CHECKING:
    from .plots.base import Panels

__all__ = ["Profile"]


@dataclass(frozen=True, repr=False)
class Profile(Spoken):
    """The profiled ML deviance of every parameter.

    Attributes
    ----------
    paths : sequence of Path
        One for each parameter.
    level : float
        Largest coverage whose intervals can be read from it.
    table : DataFrame
        Columns parameter, value, zeta, then every parameter: the best values of the others with
        the first held at value. zeta is the signed square root of the rise of -2 log-likelihood.
    """

    model_is: ClassVar[str] = "the fitted model"

    paths: Sequence[Path]
    level: float

    @property
    def table(self) -> pd.DataFrame:
        """Every held value, its zeta, and the best values of all parameters there."""
        names = [path.name for path in self.paths]
        parts = [
            pd.DataFrame(path.others, columns=names)
            .assign(**{path.name: path.value})
            .pipe(_led_by, path)
            for path in self.paths
        ]
        return pd.concat(parts, ignore_index=True)

    def conf_int(self, level: float = 0.95) -> pd.DataFrame:
        """Read confidence intervals from the profile.

        Parameters
        ----------
        level : float
            Coverage, at most that of the profile.

        Returns
        -------
        DataFrame
            Columns lower, upper; a bound of the parameter (a standard deviation of 0, a
            correlation of -1 or 1) where the data do not exclude it.
        """
        z = float(t_quantile(level))
        if level > self.level + 1e-12:
            raise ValueError(
                f"the profile goes to level {self.level:g}; for {level:g} compute it again: "
                f"model.profile(level={level:g})"
            )
        rows = [(_read(path, -z), _read(path, z)) for path in self.paths]
        return pd.DataFrame(
            rows, columns=["lower", "upper"], index=pd.Index([p.name for p in self.paths])
        )

    def plot(self, parameters: Sequence[str] | None = None, *, axes: Any = None) -> Panels:
        """Draw zeta against each parameter, with its 50, 80, 90, 95 and 99 % intervals.

        Parameters
        ----------
        parameters : sequence of str, optional
            Names of the parameters to draw; all by default.
        axes : sequence of Axes, optional
            Where to draw; one for each parameter.

        Returns
        -------
        Panels
            One panel per parameter; a straight line is a normal likelihood.
        """
        from .plots.tables import profile_figure

        return profile_figure(self, parameters, axes)

    def __repr__(self) -> str:
        intervals = self.conf_int(min(0.95, self.level))
        return f"Profile of the ML deviance, to level {self.level:g}\n{intervals}"

    def _repr_html_(self) -> str:
        level = min(0.95, self.level)
        return (
            f"<p>Profile of the ML deviance, {level:.0%} intervals</p>"
            f"{self.conf_int(level).to_html(float_format='{:.5g}'.format)}"
        )


def _led_by(frame: pd.DataFrame, path: Path) -> pd.DataFrame:
    """Put the held parameter's name, value and zeta before all others."""
    frame.insert(0, "zeta", path.zeta)
    frame.insert(0, "value", path.value)
    frame.insert(0, "parameter", path.name)
    return frame


def _read(path: Path, z: float) -> float:
    """Read the value where zeta is z, by a cubic with slopes; a bound beyond the end."""
    zeta, c = path.zeta, path.coordinate
    if z <= zeta[0] or z >= zeta[-1]:
        return float(path.value[0 if z <= zeta[0] else -1])
    k = int(np.searchsorted(zeta, z, side="right")) - 1
    secant = (zeta[k + 1] - zeta[k]) / (c[k + 1] - c[k])
    slopes = [s if np.isfinite(s) else secant for s in path.slope[k : k + 2]]
    cubic = scipy.interpolate.CubicHermiteSpline(c[k : k + 2], zeta[k : k + 2], slopes)
    width = c[k + 1] - c[k]  # the search ends by an absolute difference: in units of the step
    share = scipy.optimize.brentq(lambda s: float(cubic(c[k] + s * width)) - z, 0.0, 1.0)
    return path.value_at(float(c[k] + share * width))
