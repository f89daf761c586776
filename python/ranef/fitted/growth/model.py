"""A fitted growth model: thin methods over frozen arrays."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from ..._counted import counted
from ...errors import ModelError
from ...report.numbers import in_one_scale
from ...report.summary import Summary, pvalue_text
from ..checked import Checked
from ..coefficients import Coefficients, LinearTests, WaldIntervals
from ..gls.model import GLSCall, GLSModel
from ..gls.model import fit_model as fit_gls
from ..lmm.call import Call
from ..lmm.model import LinearMixedModel
from ..lmm.model import fit_model as fit_lmm
from ..plain import Figures, PlainTables, ResidualKinds
from ..regression_table import RegressionTable
from ..updating import changed
from ..warned import tell
from .call import FACTORS, GrowthCall
from .curves import Criteria, Curves, Rows
from .equate import Equivalence, equated
from .fiml import FimlGrowthModel, fit_fiml_model, is_joint
from .fit import checked_call, fit, formula_of
from .lavaan import write_syntax
from .parts import GrowthParts
from .simulated import Checks

#: Where a growth curve is fitted as a mixed model.
MIXED = "fit the same curve by ranef.lmer(..., reml=False)"

__all__ = ["FACTORS", "GrowthCall", "GrowthModel"]


class GrowthModel(
    Coefficients,
    Curves,
    Criteria,
    Rows,
    LinearTests,
    WaldIntervals,
    ResidualKinds,
    PlainTables,
    Figures,
    RegressionTable,
    Checks,
    Checked,
):
    """A fitted latent growth curve model.

    Returned by :func:`ranef.growth`; it does not change after the fit. ``params``, ``bse``,
    ``cov_params()``, ``coef_table()`` and ``conf_int()`` cover all parameters: means of the
    factors, their regressions on covariates, their variances and covariances, and residual
    variances.

    Attributes
    ----------
    call : GrowthCall
        The arguments that made it.
    warnings : tuple of RanefWarning
        Warnings of the fit.
    """

    parts: GrowthParts
    instead: ClassVar[Mapping[str, str]] = {
        **dict.fromkeys(("ranef", "coef"), "scores() predicts the growth factors of each group"),
        "varcorr": "use factor_cov and residual_variances",
        **dict.fromkeys(("bootstrap", "profile", "simulate", "icc", "r2"), MIXED),
        "anova": "use test(...) on the names in params",
    }

    def __init__(self, parts: GrowthParts):
        super().__init__(parts)

    @property
    def call(self) -> GrowthCall:
        """The arguments that made the model."""
        return self.parts.call

    def update(self, data: Any = None, **changes: Any) -> GrowthModel | FimlGrowthModel:
        """Fit the same call with some arguments changed.

        Parameters
        ----------
        data : DataFrame, optional
            New data; the present ones by default.
        **changes
            Other arguments of :func:`ranef.growth`.
        """
        call = checked_call(changed(self.call, None, changes, "growth"))
        rows = self.parts.training_data() if data is None else data
        return fit_fiml_model(call, rows) if is_joint(call) else fit_model(call, rows)

    # ------------------------------------------------------------------ the other view

    def equate(self) -> Equivalence:
        """Fit the equivalent mixed model, and compare the parameters side by side.

        Returns
        -------
        Equivalence
            ``table``: what each parameter is called there, both estimates, their difference.
        """
        return equated(mixed_model(self.parts), self.parts)

    def lavaan(self) -> str:
        """Write the model in lavaan's syntax, for its function growth() on wide data.

        Returns
        -------
        str
            Waves are named after the outcome and their time, such as ``gpa_0``.
        """
        return write_syntax(self.call, [float(t) for t in self.occasions])

    # ------------------------------------------------------------------ text

    def summary(self) -> Summary:
        """Summarise the fit; prints as text, shows as HTML in a notebook."""
        call = self.call
        facts = [
            ("Outcome", call.outcome),
            (
                "Curve",
                f"{call.shape} in {call.time}; {self._varying_text()}; {call.residuals} residual "
                f"variance{'s' if call.residuals == 'free' else ''}",
            ),
            (
                "Groups",
                f"{call.groups} ({self.n_groups:,}), {self.nobs:,} rows of "
                f"{counted(len(self.occasions), 'occasion')}",
            ),
            ("Log-likelihood", f"{self.llf:.4f}  (AIC {self.aic:.2f}, BIC {self.bic:.2f})"),
        ]
        notes = [str(w) for w in self.warnings]
        try:
            facts += self._fit_facts()
        except ModelError as error:
            notes.append(f"no measures of fit: {error}")
        notes.append(
            f"standard errors are from the {self.information} information; tests are normal"
        )
        title = "Latent growth curve model fit by maximum likelihood"
        return Summary(title, facts, None, self.coef_table(), notes)

    def _varying_text(self) -> str:
        """Name the factors that vary between groups."""
        *first, last = FACTORS[: self.parts.n_random]
        return f"{', '.join(first)} and {last} vary" if first else f"{last} varies"

    def _fit_facts(self) -> list[tuple[str, str]]:
        """Measures of fit as text."""
        fit = self.fit
        p = pvalue_text(fit.pvalue)
        indices = in_one_scale([fit.cfi, fit.tli, fit.srmr], [1.0, 1.0, 1.0])
        p = f"p {p}" if p.startswith("<") else f"p = {p}"
        return [
            ("Against saturated", f"chi-squared {fit.chisq:.3f} on {fit.df} df, {p}"),
            (
                "Indices of fit",
                f"CFI {indices[0]}, TLI {indices[1]}, SRMR {indices[2]}, RMSEA {fit.rmsea:.3f} "
                f"({fit.rmsea_lower:.3f} to {fit.rmsea_upper:.3f})",
            ),
        ]


def curve_parts(curve: Any) -> GrowthParts:
    """Return the parts of a growth curve, or refuse another object."""
    if not isinstance(curve, GrowthModel):
        raise ModelError(
            f"the second argument is a growth curve of ranef.growth, not a {type(curve).__name__}"
        )
    return curve.parts


def mixed_model(parts: GrowthParts) -> LinearMixedModel | GLSModel:
    """Fit the mixed model that a curve is, by maximum likelihood."""
    call, data = parts.call, parts.training_data()
    if call.residuals == "equal":
        return fit_lmm(Call(formula_of(call), reml=False, missing=call.missing), data)
    return fit_gls(
        GLSCall(
            formula_of(call),
            groups=call.groups,
            time=call.time,
            variance=call.time,
            reml=False,
            missing=call.missing,
        ),
        data,
    )


def fit_model(call: GrowthCall, data: Any) -> GrowthModel:
    """Carry out a call, and issue its warnings."""
    parts = fit(call, data)
    tell(parts.warnings)
    return GrowthModel(parts)
