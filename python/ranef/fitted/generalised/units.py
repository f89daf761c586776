"""Other units of predictors: a method of every generalised model."""

from __future__ import annotations

from typing import Any, Protocol, Self

from ...design.frame import open_frame
from ...errors import ModelError, UnsupportedError
from ...inference.units import read_recoding, recoded_data, renamed
from ..parts import Base
from .parts import GeneralisedParts

__all__ = ["Units"]

#: Relative difference of log-likelihoods that rounding can explain.
SAME = 1e-7


class Updating(Protocol):
    """A model that is fitted again with other arguments."""

    @property
    def parts(self) -> GeneralisedParts:
        """The parts of the model."""

    def update(self, formula: str | None = None, data: Any = None, **changes: Any) -> Self:
        """Fit the same call with some arguments changed."""


class Units(Base):
    """The same model in other units."""

    parts: GeneralisedParts

    def in_units(self: Updating, **units: str) -> Any:
        """Express the model in other units of its predictors.

        Parameters
        ----------
        **units : str
            New column and how it is made of an old one, a constant plus a multiple:
            ``time="2008 + occasion / 2"``. The new column takes the old one's place in every
            formula.

        Returns
        -------
        A model of the same class
            Fitted in the standardised basis, where units make no difference: its likelihood is the
            same, and so are its predictions from frames that have the new column.

        Raises
        ------
        ModelError
            If the model means something else in the new units, as a slope without an intercept or
            ``||`` does when the origin moves.

        Examples
        --------
        >>> import numpy as np, pandas as pd, ranef
        >>> rng = np.random.default_rng(1)
        >>> d = pd.DataFrame({"g": np.repeat(np.arange(9), 8), "days": np.tile(np.arange(8.0), 9)})
        >>> d["n"] = rng.poisson(np.exp(0.5 + 0.1 * d["days"] + rng.normal(size=9)[d["g"]]))
        >>> model = ranef.glmer("n ~ days + (1 | g)", d, family="poisson")
        >>> weeks = model.in_units(weeks="days / 7")
        >>> round(float(weeks.params["weeks"] / model.params["days"]), 6)
        7.0
        """
        call = self.parts.call
        if getattr(call, "prior", None) is not None:
            raise UnsupportedError(
                "a prior of covariances is on the scale of the formula's columns; recode the data, "
                "and fit with the prior in those units"
            )
        formula, data = call.formula, self.parts.training_data()
        others = {
            name: getattr(call, name)
            for name in ("zero", "dispersion", "nominal", "scale")
            if getattr(call, name, None) is not None
        }
        for new, text in units.items():
            recoding = read_recoding(new, text)
            texts = [formula, *others.values()]
            if all(renamed(one, recoding.old, f"{recoding.old}_") == one for one in texts):
                raise ValueError(
                    f"{recoding.old!r} is in none of {texts}; there is nothing to convert"
                )
            formula = renamed(formula, recoding.old, recoding.new)
            others = {k: renamed(one, recoding.old, recoding.new) for k, one in others.items()}
            data = recoded_data(open_frame(data), recoding)
        again = self.update(formula, data, **others)
        check_same(self.parts.llf, again.parts.llf)
        return again


def check_same(before: float, after: float) -> None:
    """Refuse units in which the model means something else.

    Raises
    ------
    ModelError
        If the likelihood has changed.
    """
    if abs(before - after) > SAME * (1.0 + abs(before)):
        raise ModelError(
            "the model means something else in these units: its log-likelihood would be "
            f"{after:.4f} instead of {before:.4f}. A slope without an intercept, and ||, depend on "
            "where the origin is; recode the data and fit another model if that is what you want"
        )
