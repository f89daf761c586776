"""A fitted generalised linear mixed model: thin methods over frozen arrays."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any, ClassVar

from ..._counted import counted
from ...errors import DroppedRowsWarning
from ...families import find
from ...formula import parse
from ...formula import update as updated
from ...inference.identified import endless_variances
from ...inference.optimum.generalised import accounts_for_it, overdispersed, without_excess
from ...report.summary import Summary
from ...report.verdict import Convergence, convergence, not_identified
from ..checked import Checked
from ..coefficients import Coefficients, LinearTests
from ..criteria import Criteria
from ..generalised.intervals import Intervals
from ..generalised.reduced import RandomTests
from ..generalised.resampled import Resampled
from ..generalised.sandwiched import Sandwiched
from ..generalised.shares import Shares
from ..generalised.units import Units
from ..mixed.profiles import Profiles
from ..mixed.random_part import RandomPart
from ..mixed.smooths import Smooths
from ..mixed.structured_terms import StructuredTerms
from ..mixed.surfaces import Surfaces
from ..mixed.tidy import Tidied
from ..plain import Figures
from ..posterior.sample import Sampled
from ..regression_table import RegressionTable
from ..warned import tell
from .call import GlmerCall
from .fit import REMEDY, check_counts, fit, fit_design, specification
from .parts import GlmmParts
from .rows import Rows
from .simulated import Checks
from .tables import Tables

__all__ = ["GeneralizedLinearMixedModel"]


class GeneralizedLinearMixedModel(
    Coefficients,
    RandomPart,
    Smooths,
    StructuredTerms,
    Criteria,
    Rows,
    LinearTests,
    Profiles,
    Surfaces,
    Tables,
    Sampled,
    Tidied,
    Figures,
    RegressionTable,
    Intervals,
    Resampled,
    Sandwiched,
    Shares,
    RandomTests,
    Units,
    Checks,
    Checked,
):
    """A fitted generalised linear mixed model.

    Returned by :func:`ranef.glmer`. It does not change after the fit: ``refit`` and ``update``
    make new models.

    Attributes
    ----------
    call : GlmerCall
        The arguments that made it.
    warnings : tuple of RanefWarning
        Warnings of the fit.
    reml : bool
        False: the likelihood is maximised.
    """

    parts: GlmmParts
    model_kind = "generalised"
    elsewhere: ClassVar[Mapping[str, str]] = {
        "anova": "give models of ranef.glmer alone",
        "average": "give models of ranef.glmer alone",
        "compare": "give models of ranef.glmer alone",
        "for_marginaleffects": 'take ranef.emmeans(model, ..., type="response")',
        "rlrt": "ranef.anova gives a p-value for the boundary",
    }
    instead: ClassVar[Mapping[str, str]] = {
        "wild_bootstrap": "use ranef.gee(...).wild_bootstrap(term)",
    }
    reml = False

    def __init__(self, parts: GlmmParts):
        super().__init__(parts)

    @property
    def call(self) -> GlmerCall:
        """The arguments that made the model."""
        return self.parts.call

    # ------------------------------------------------------------------ parameters

    @property
    def penalty(self) -> float:
        """-2 log density of the covariances under the prior; 0 without one."""
        return self.parts.penalty

    @property
    def convergence(self) -> Convergence:
        """Report on the optimum: exact gradient, curvature, evaluations, advice."""
        notes = [str(w) for w in self.warnings if not isinstance(w, DroppedRowsWarning)]
        report = convergence(self.parts.estimate, self.parts.optimum(), notes, REMEDY)
        design, estimate = self.parts.design, self.parts.estimate
        if endless_variances(design, estimate):
            verdict = "Not supported by the data: a variance of the random effects has no end."
            return replace(report, converged=False, verdict=verdict)
        if self.parts.spanned:
            return not_identified(report, design, self.parts.spanned)
        if not estimate.separated:
            return report
        verdict = "Not converged: the likelihood rises without bound with a coefficient."
        return replace(report, converged=False, verdict=verdict)

    # ------------------------------------------------------------------ other fits

    def refit(self, y: Any) -> GeneralizedLinearMixedModel:
        """Fit the same model to another response.

        Parameters
        ----------
        y : array-like of shape (nobs,)
            A value for each row that was used; shares of the same trials for a binomial response.

        Returns
        -------
        GeneralizedLinearMixedModel
            A new model.

        Raises
        ------
        DataError
            If there is not one value within the family's range for each row.
        """
        design = replace(self.parts.design, y=self.parts.new_response(y))
        check_counts(design, self.call.spec)
        parts = fit_design(design, self.call)
        tell(parts.warnings, strict=self.call.strict)
        return GeneralizedLinearMixedModel(parts)

    def update(
        self, formula: str | None = None, data: Any = None, **changes: Any
    ) -> GeneralizedLinearMixedModel:
        """Fit the same call with some arguments changed.

        Parameters
        ----------
        formula : str, optional
            A new formula; a dot stands for that side of the present one, as in ``". ~ . + x"``.
        data : DataFrame, optional
            New data; the present ones by default.
        **changes
            Other arguments of :func:`ranef.glmer`. A new family comes with its usual link.

        Returns
        -------
        GeneralizedLinearMixedModel
            A new model.
        """
        spec = self.call.spec
        known = (set(GlmerCall.__dataclass_fields__) - {"formula", "spec"}) | {
            *("family", "link", "nagq", "reml")
        }
        if unknown := set(changes) - known:
            raise ValueError(
                f"glmer has no argument {sorted(unknown)[0]!r}; it has {sorted(known)}"
            )
        family = find(changes.pop("family", spec.family), "glmm").name
        link = changes.pop("link", spec.link if family == spec.family else None)
        nagq, reml = changes.pop("nagq", spec.nagq), changes.pop("reml", spec.reml)
        changes["spec"] = specification(family, link, nagq, reml)
        text = (
            self.call.formula
            if formula is None
            else updated(parse(self.call.formula), formula).text
        )
        call = replace(self.call, formula=text, **changes)
        return fit_model(call, self.parts.training_data() if data is None else data)

    # ------------------------------------------------------------------ tables

    def _method(self) -> str:
        """How the random effects are integrated out."""
        nagq = self.call.spec.nagq
        if nagq == 0:
            return "fixed effects at their joint mode with the random ones (nagq=0)"
        if nagq == 1:
            restricted = " of the restricted likelihood" if self.call.spec.reml else ""
            return f"Laplace's approximation{restricted}"
        return f"adaptive Gauss-Hermite quadrature, {counted(nagq, 'point')}"

    def _facts(self) -> list[tuple[str, str]]:
        """Label and value of what a summary says first."""
        groups = ", ".join(f"{group} ({count:,})" for group, count in self.ngroups.items())
        facts = [
            ("Formula", self.call.formula),
            ("Family", f"{self.call.spec.distribution.label}, {self.link} link"),
            ("Rows", self._rows_read()),
            *([("Groups", groups)] if groups else []),
            ("Log-likelihood", f"{self.llf:.4f}  (AIC {self.aic:.2f}, BIC {self.bic:.2f})"),
        ]
        if self.call.spec.has_dispersion:
            name = self.call.spec.distribution.parameters[0]
            facts.insert(2, ("Dispersion", f"{name} {self.dispersion:.5g}"))
        found = self.parts.estimate.approximation
        if found is not None:
            facts.append(("Method", f"{found}; error of llf {found.llf_error:.2g}"))
        if self.call.prior is not None:
            facts.append(("Prior", f"{self.call.prior!r}, penalty {self.penalty:.4f}"))
        return facts

    def _rows_read(self) -> str:
        """Count the rows, and those that were kept of data in chunks."""
        if self.parts.n_read is None:
            return f"{self.nobs:,}"
        return f"{self.nobs:,}, read in chunks and kept as {self.parts.design.n_obs:,} distinct"

    def _notes(self) -> Iterable[str]:
        """Collect what the reader of a summary must know."""
        yield from (str(w) for w in self.warnings)
        e = self.parts.estimate
        if found := overdispersed(self.parts.design, e, self.df_resid):
            yield (
                f"Overdispersed: squared Pearson residuals are {found.ratio:.2f} times what "
                "expected under the distribution, so standard errors are too small; "
                f"{accounts_for_it(e)} accounts for it."
            )
        own = e.spec.distribution
        if without_excess(e):
            yield (
                f"The {own.parameters[0]} of the {own.label} runs to infinity: the responses vary "
                f'no more than {own.narrower} ones, and family="{own.narrower}" gives the same fit '
                "with one parameter fewer."
            )
        if self.parts.converged:
            yield (
                f"Converged: after {counted(len(e.path), 'step')}, exact derivatives predict a "
                f"further decrease of -2 log-likelihood by {e.decrement:.1e}."
            )

    def summary(self) -> Summary:
        """Summarise the fit for reading.

        Returns
        -------
        Summary
            Prints as text, and as HTML in a notebook.
        """
        return Summary(
            f"Generalised linear mixed model fit by {self._method()}",
            self._facts(),
            self.varcorr if len(self.varcorr) else None,
            self._parametric(self.coef_table()),
            list(self._notes()),
            "normal tests",
            self._smooth_summary(),
        )


def fit_model(call: GlmerCall, data: Any) -> GeneralizedLinearMixedModel:
    """Carry out a call, and issue its warnings."""
    parts = fit(call, data)
    tell(parts.warnings, strict=call.strict)
    return GeneralizedLinearMixedModel(parts)
