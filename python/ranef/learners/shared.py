"""What models pass on from the linear mixed model inside them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pandas as pd

from ..design.snapshot import Kept
from ..errors import RanefWarning, UnsupportedAttributeError
from ..fitted.lmm.model import LinearMixedModel
from ..fitted.residual_series import Residuals
from ..report.effects import RandomEffects
from ..report.varcorr import VarCorr
from ..words.answers import Spoken

if TYPE_CHECKING:
    from ..report.summary import Summary

__all__ = ["BesideMixed", "rounds_of"]


#: Attributes of linear mixed models that do not describe the whole model, and alternatives.
INSTEAD = {
    **dict.fromkeys(
        ("aic", "aicc", "bic"),
        "its criterion would not count what the learner or the splits were fitted with; compare "
        "models by validation",
    ),
    **dict.fromkeys(
        ("params", "bse", "pvalues", "tvalues", "cov_params", "coef_table", "conf_int", "test"),
        "coefficients are those of the linear mixed model inside, model.mixed",
    ),
    **dict.fromkeys(
        ("anova", "bootstrap", "check", "influence", "profile", "simulate", "theta"),
        "the linear mixed model inside, model.mixed, has it, with the learner or splits as known",
    ),
    "update": "call the function again with other arguments; model.call has these",
}


class BesideMixed(Spoken):
    """Random effects, likelihood and fitted rows of the mixed model inside."""

    def __init__(self, call: Any, found: Any, data: Any):
        self.call, self.fit, self.data = call, found, data
        self.mixed: LinearMixedModel = found.mixed
        self.trace: pd.DataFrame = found.trace

    def __getstate__(self) -> dict[str, Any]:
        return {"call": self.call, "fit": self.fit}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__init__(state["call"], state["fit"], None)  # type: ignore[misc]

    if TYPE_CHECKING:

        def summary(self) -> Summary:
            """Summarise the fit; every kind of model writes its own."""

    else:

        def __getattr__(self, name: str) -> Any:
            if name in INSTEAD:
                kind = type(self).__name__
                message = f"{name} is not available for a {kind}: {INSTEAD[name]}"
                raise UnsupportedAttributeError(message, name=name, obj=self)
            return super().__getattr__(name)

    #: The caller's data by value: later changes do not reach it.
    data = Kept()

    @property
    def warnings(self) -> tuple[RanefWarning, ...]:
        """What the fit warned of."""
        return tuple(self.fit.warnings)

    @property
    def varcorr(self) -> VarCorr:
        """Covariance matrices of the random effects by group; prints as standard deviations."""
        return self.mixed.varcorr

    @property
    def sigma(self) -> float:
        """Residual standard deviation."""
        return self.mixed.sigma

    def ranef(self) -> RandomEffects:
        """Return the conditional modes of the random effects by group."""
        return self.mixed.ranef()

    @property
    def llf(self) -> float:
        """Log-likelihood of the mixed model; restricted when ``reml``.

        It takes the learner, or the splits, as known, so it does not compare models that differ in
        these.
        """
        return self.mixed.llf

    @property
    def nobs(self) -> int:
        """Rows that were used."""
        return self.mixed.nobs

    @property
    def ngroups(self) -> dict[str, int]:
        """Number of levels of each grouping factor."""
        return self.mixed.ngroups

    @property
    def resid(self) -> Residuals:
        """Response minus ``fittedvalues``."""
        return self.mixed.resid

    def tidy(self, *arguments: Any, **options: Any) -> pd.DataFrame:
        """Return estimates under broom's names; arguments as of a linear mixed model's ``tidy``."""
        return self.mixed.tidy(*arguments, **options)

    def __str__(self) -> str:
        return str(self.summary())

    def _repr_html_(self) -> str:
        return self.summary()._repr_html_()

    def training_data(self) -> Any:
        """Return the caller's data.

        Raises
        ------
        ValueError
            After unpickling.
        """
        if self.data is None:
            raise ValueError("this model was unpickled and does not know its data; fit it again")
        return self.data


def rounds_of(trace: pd.DataFrame) -> str:
    """Count the rounds of an alternation in words."""
    return f"{len(trace)} round{'s' if len(trace) > 1 else ''}"
