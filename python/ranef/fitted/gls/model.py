"""A fitted linear model with structured residuals: thin methods over frozen arrays."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, ClassVar

import numpy as np

from ...formula import parse
from ...formula import update as updated
from ...report.structured import correlation_text, variance_text
from ...report.summary import Summary
from ...report.verdict import Convergence
from ..checked import Checked
from ..coefficients import Coefficients, LinearTests, WaldIntervals
from ..criteria import Criteria
from ..mixed.random_part import RandomPart
from ..plain import Figures, ResidualKinds
from ..regression_table import RegressionTable
from ..term_tests import TermTests
from ..warned import tell
from .call import GLSCall
from .fit import checked_corr, convergence, fit, fit_rows
from .parts import GlsParts
from .rows import Rows
from .simulated import Checks
from .tables import ResidualStructure, Tables

__all__ = ["GLSCall", "GLSModel"]


class GLSModel(
    Coefficients,
    RandomPart,
    ResidualStructure,
    Criteria,
    Rows,
    LinearTests,
    TermTests,
    WaldIntervals,
    ResidualKinds,
    Tables,
    Figures,
    RegressionTable,
    Checks,
    Checked,
):
    """A fitted linear model with correlated or unequal residuals.

    Returned by :func:`ranef.gls`; it does not change after the fit.

    Attributes
    ----------
    call : GLSCall
        The arguments that made it.
    warnings : tuple of RanefWarning
        Warnings of the fit.
    """

    parts: GlsParts
    model_kind = "structured"
    elsewhere: ClassVar[Mapping[str, str]] = {
        "": "ranef.anova compares those of ranef.gls, and their aic does"
    }
    instead: ClassVar[Mapping[str, str]] = {
        "profile": "covariance_params(level) has intervals of the covariance's parameters",
        "simulate": "ranef.lmer draws new responses of models with independent residuals",
        "r2": "fit ranef.lmer for proportions of variance",
        "icc": "fit ranef.lmer for proportions of variance",
        "robust": "use ranef.gee, or robust() of ranef.lmer",
        "bootstrap": "ranef.lmer has a bootstrap for models with independent residuals",
        "ranova": "ranef.anova compares models with and without a term",
    }

    def __init__(self, parts: GlsParts):
        super().__init__(parts)

    @property
    def call(self) -> GLSCall:
        """The arguments that made the model."""
        return self.parts.call

    @property
    def reml(self) -> bool:
        """Whether the restricted likelihood was maximised."""
        return self.parts.reml

    @property
    def convergence(self) -> Convergence:
        """Report whether the search stopped at an optimum, with the evidence."""
        return convergence(self.parts)

    # ------------------------------------------------------------------ other fits

    def update(self, formula: str | None = None, data: Any = None, **changes: Any) -> GLSModel:
        """Fit the same call with some arguments changed.

        Parameters
        ----------
        formula : str, optional
            A new formula; a dot stands for that side of the present one, as in ``". ~ . + x"``.
        data : DataFrame, optional
            New data; the present ones by default.
        **changes
            Other arguments of :func:`ranef.gls`.

        Returns
        -------
        GLSModel
            A new model.
        """
        known = set(GLSCall.__dataclass_fields__) - {"formula"}
        if unknown := set(changes) - known:
            raise ValueError(f"gls has no argument {sorted(unknown)[0]!r}; it has {sorted(known)}")
        if formula is None and data is None and set(changes) <= {"reml", "control"}:
            again = replace(self.call, **changes)
            return GLSModel(fit_rows(self.parts.rows, again, self.parts.data))
        text = self.call.formula
        if formula is not None:
            text = updated(parse(text), formula).text
        arguments = {name: getattr(self.call, name) for name in known} | changes
        call = GLSCall(text, **arguments)
        call = replace(call, corr=checked_corr(call.corr, call.groups))
        return fit_model(call, self.parts.training_data() if data is None else data)

    # ------------------------------------------------------------------ text

    def summary(self, ddf: str | None = None) -> Summary:
        """Summarise the fit; prints as text, shows as HTML in a notebook.

        Parameters
        ----------
        ddf : {"satterthwaite", "residual", "inf"}, optional
            Degrees of freedom of the tests.
        """
        criterion = "Restricted log-likelihood" if self.reml else "Log-likelihood"
        groups = ", ".join(f"{group} ({count:,})" for group, count in self.ngroups.items())
        facts = [("Formula", self.call.formula), ("Rows", f"{self.nobs:,}")]
        if groups:
            facts.append(("Groups", groups))
        facts += [
            ("Residuals", correlation_text(self.call.corr, self.correlation)),
            ("Residual sd", self._sd_text()),
            (criterion, f"{self.llf:.4f}  (AIC {self.aic:.2f}, BIC {self.bic:.2f})"),
        ]
        notes = [str(w) for w in self.warnings]
        if self.call.time is None and self.call.corr not in ("independence", "exchangeable"):
            notes.append("no time was given: rows of a group count 0, 1, 2, ... without gaps")
        if self.convergence.converged:
            notes.append(
                "Converged: exact derivatives predict a further decrease of -2 log-likelihood by "
                f"{self.parts.estimate.decrement:.1e}."
            )
        return Summary(
            "Linear model with structured residuals fit by "
            + ("REML" if self.reml else "maximum likelihood"),
            facts,
            self.varcorr if self.parts.design.random else None,
            self.coef_table(ddf),
            notes,
            self.parts.tests_title(ddf),
        )

    def _sd_text(self) -> str:
        """Residual standard deviations in a line."""
        if self.call.variance is None:
            return f"{self.sigma:.5g}"
        if self.parts.rows.strata is not None:
            return f"by {self.call.variance}: {variance_text(self.variances['sd'])}"
        slopes = self.variance_params.items()
        if self.sigma > 0.0 and np.isfinite(self.sigma):
            return f"{self.sigma:.5g} * exp({' + '.join(f'{v:.4g} {name}' for name, v in slopes)})"
        found = self.parts.estimate
        near = [
            f"{v:.4g} ({name} - {c:.6g})" for (name, v), c in zip(slopes, found.centre, strict=True)
        ]
        return f"{found.unit:.5g} * exp({' + '.join(near)})"


def fit_model(call: GLSCall, data: Any) -> GLSModel:
    """Carry out a call, and issue its warnings."""
    parts = fit(call, data)
    tell(parts.warnings)
    return GLSModel(parts)
