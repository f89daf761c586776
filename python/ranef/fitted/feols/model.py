"""A fitted least squares model: thin methods over frozen arrays."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np

from ...design.grouped import group_term
from ...report.summary import Summary
from ..checked import Checked
from ..coefficients import Coefficients, LinearTests, WaldIntervals
from ..plain import Figures, PlainTables, ResidualKinds
from ..regression_table import RegressionTable
from ..updating import changed
from ..wald_tests import WaldTests
from ..warned import tell
from .call import FeolsCall
from .criteria import Criteria
from .fit import fit, names
from .parts import FeolsParts
from .rows import Rows
from .simulated import Checks
from .tests import Robust

__all__ = ["FeolsCall", "FixedEffectsModel"]


class FixedEffectsModel(
    Coefficients,
    Criteria,
    Rows,
    LinearTests,
    WaldTests,
    Robust,
    WaldIntervals,
    ResidualKinds,
    PlainTables,
    Figures,
    RegressionTable,
    Checks,
    Checked,
):
    """A fitted least squares model, pooled or with absorbed factors.

    Returned by :func:`ranef.feols`; it does not change after the fit.

    Attributes
    ----------
    call : FeolsCall
        The arguments that made it.
    warnings : tuple of RanefWarning
        Warnings of the fit.
    """

    parts: FeolsParts
    instead: ClassVar[Mapping[str, str]] = {
        **dict.fromkeys(
            ("ranef", "varcorr", "icc"),
            "absorbed effects are in effects(); random ones come by ranef.lmer",
        ),
        **dict.fromkeys(("bootstrap", "profile"), "use wild_bootstrap(term)"),
        "anova": "use wald_test(terms)",
        "overdispersion": "a linear model estimates its variance; see model.check()",
        "coef": "the coefficients are in params, absorbed effects in effects()",
        "fixef": "absorbed effects are in effects(), coefficients in params",
        "simulate": "fit ranef.lmer or ranef.gls to draw new responses",
        "r2": "use rsquared, rsquared_within and rsquared_adj",
    }

    def __init__(self, parts: FeolsParts):
        super().__init__(parts)

    @property
    def call(self) -> FeolsCall:
        """The arguments that made the model."""
        return self.parts.call

    def update(
        self, formula: str | None = None, data: Any = None, **changes: Any
    ) -> FixedEffectsModel:
        """Fit the same call with some arguments changed.

        Parameters
        ----------
        formula : str, optional
            A new formula; a dot stands for that side of the present one, as in ``". ~ . + x"``.
        data : DataFrame, optional
            New data; the present ones by default.
        **changes
            Other arguments of :func:`ranef.feols`.
        """
        named = {k: names(v) if k in ("absorb", "cluster") else v for k, v in changes.items()}
        call = changed(self.call, formula, named, "feols")
        return fit_model(call, self.parts.training_data() if data is None else data)

    # ------------------------------------------------------------------ text

    def summary(self) -> Summary:
        """Summarise the fit; prints as text, shows as HTML in a notebook."""
        facts = [("Formula", self.parts.call.formula)]
        if self.ngroups:
            groups = ", ".join(f"{name} ({count})" for name, count in self.ngroups.items())
            facts.append(("Absorbed", groups))
        facts += [("Rows", str(self.parts.nobs)), ("Residual sd", f"{self.sigma:.5g}")]
        within = f", within {self.rsquared_within:.4f}" if self.ngroups else ""
        facts += [("R squared", f"{self.rsquared:.4f}{within}"), ("Covariance", self.vcov_type)]
        if self.parts.vcov.n_clusters:
            clusters = ", ".join(
                f"{n} ({count})" for n, count in self.parts.vcov.n_clusters.items()
            )
            facts.append(("Clusters", clusters))
        return Summary("Least squares", facts, None, self.coef_table(), self._notes())

    def _notes(self) -> list[str]:
        """Collect what the reader must know."""
        notes = [str(warning) for warning in self.warnings]
        alone = {name: count for name, count in self.singletons.items() if count}
        if alone:
            told = ", ".join(f"{name} {self._alone(name)}" for name in alone)
            notes.append(
                f"singletons: {told} occur in one row each, which the effect fits exactly; they "
                "count as clusters but say nothing about the coefficients"
            )
        if self._is_perfect():
            notes.append("the fit is exact up to rounding: standard errors and tests mean nothing")
        return notes + list(self.parts.vcov.notes)

    def _is_perfect(self) -> bool:
        """Whether residuals are rounding."""
        size = float(np.abs(self.parts.design.y).max())
        return bool(np.abs(self.parts.ols.resid).max() <= 1e-12 * size) and self.parts.df_resid > 0

    def _alone(self, name: str, most: int = 5) -> str:
        """Name the levels of an absorbed factor that occur in a single row, the first of them."""
        term = group_term(self.parts.design, name)
        levels = term.levels[np.bincount(term.codes) == 1]
        more = f" and {len(levels) - most} more" if len(levels) > most else ""
        return ", ".join(map(str, levels[:most])) + more


def fit_model(call: FeolsCall, data: Any) -> FixedEffectsModel:
    """Carry out a call, and issue its warnings."""
    parts = fit(call, data)
    tell(parts.warnings)
    return FixedEffectsModel(parts)
