"""A fitted generalised linear mixed model: thin methods over frozen arrays."""

from __future__ import annotations

import warnings
from collections.abc import Iterable
from dataclasses import replace
from typing import Any

import numpy as np

from ... import _core
from ... import design as designs
from ...design.design import Design
from ...errors import (
    ConvergenceWarning,
    DroppedRowsWarning,
    RanefWarning,
    SingularFitWarning,
)
from ...formula import parse
from ...inference.optimum.generalised import optimum_of, overdispersed, takes_it_up, without_excess
from ...inference.priors.generalised import CovariancePenalty
from ...models.glmm import model as glmm
from ...models.glmm.estimate import DISPERSIONS, GlmmEstimate
from ...report.summary import Summary
from ...report.verdict import Convergence, convergence, data_warnings, singular_notes
from ..warned import as_error
from .call import GlmerCall
from .fit import check_counts, check_quadrature, estimated
from .tables import GlmerTables

__all__ = ["GeneralizedLinearMixedModel"]

REMEDY = (
    "Fewer random effects, a prior on their covariances (prior='weak'), merged levels of a "
    "predictor, or with || predictors counted from inside the data may help."
)


class GeneralizedLinearMixedModel(GlmerTables):
    """A fitted generalised linear mixed model.

    Made by :func:`ranef.glmer`. Nothing of it changes after the fit: ``refit`` and ``update`` give
    new models.

    Attributes
    ----------
    call : GlmerCall
        The arguments that made it.
    warnings : tuple of RanefWarning
        What the fit warned of.
    reml : bool
        False: the likelihood is maximised.
    """

    reml = False

    def __init__(
        self,
        design: Design,
        estimate: GlmmEstimate,
        call: GlmerCall,
        *,
        core: _core.Glmm | None = None,
        data: Any = None,
    ):
        self.call = call
        self._design = design
        self._estimate = estimate
        self._data = data
        self.warnings = tuple(self._findings(core or glmm.kernel(design, call.spec)))

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_data": None}  # the caller's frame is not ours to copy

    def _findings(self, core: _core.Glmm) -> Iterable[RanefWarning]:
        """Everything worth a warning, in the order of the analysis."""
        design, estimate = self._design, self._estimate
        yield from data_warnings(design, lambda: core, estimate.kept)
        if estimate.is_singular:
            notes = singular_notes(design, core, estimate)
            yield SingularFitWarning("singular fit: " + "; ".join(notes))
        if estimate.separated:
            far = [repr(design.fixed_names[j]) for j in estimate.separated]
            yield ConvergenceWarning(
                f"{' and '.join(far)} separate{'s' if len(far) == 1 else ''} the responses: fitted "
                "means run to the edge of their range, so that no finite coefficient exists and "
                "its error is left out. Leave the column out, or merge its levels."
            )
        elif not estimate.converged:
            left = (
                f"-2 log-likelihood can still fall by about {estimate.decrement:.2g}"
                if np.isfinite(estimate.decrement)
                else "the curvature of the likelihood cannot be computed"
            )
            yield ConvergenceWarning(
                f"the search stopped ({estimate.status}) where {left}. {REMEDY}"
            )

    def _warn(self) -> None:
        """Give the warnings of the fit, once."""
        for warning in self.warnings:
            warnings.warn(warning, stacklevel=5)

    # ------------------------------------------------------------------ parameters

    @property
    def penalty(self) -> float:
        """-2 log density of the covariances under the prior; 0 without one."""
        if self.call.prior is None:
            return 0.0
        core = glmm.kernel(self._design, self.call.spec)
        return CovariancePenalty(self._design, core, self.call.prior)(self._estimate.theta)[0]

    @property
    def convergence(self) -> Convergence:
        """Report on the optimum: exact gradient, curvature, evaluations, advice."""
        notes = [str(w) for w in self.warnings if not isinstance(w, DroppedRowsWarning)]
        optimum = optimum_of(self._design, self._estimate)
        report = convergence(self._estimate, optimum, notes, REMEDY)
        if not self._estimate.separated:
            return report
        verdict = "Not converged: the likelihood rises without end with a coefficient."
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
        from .fit import check_counts

        design = replace(self._design, y=self._new_response(y))
        check_counts(design, self.call.spec)
        return fit_design(design, self.call)

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
        from ...formula import parse, update
        from .fit import specification

        spec = self.call.spec
        known = (set(GlmerCall.__dataclass_fields__) - {"formula", "spec"}) | {
            *("family", "link", "nagq")
        }
        if unknown := set(changes) - known:
            raise ValueError(
                f"glmer has no argument {sorted(unknown)[0]!r}; it has {sorted(known)}"
            )
        family = changes.pop("family", spec.family)
        link = changes.pop("link", spec.link if family == spec.family else None)
        changes["spec"] = specification(family, link, changes.pop("nagq", spec.nagq))
        text = (
            self.call.formula if formula is None else update(parse(self.call.formula), formula).text
        )
        call = replace(self.call, formula=text, **changes)
        return fit_model(call, self._training_data() if data is None else data)

    # ------------------------------------------------------------------ tables

    def _method(self) -> str:
        """How the random effects are integrated out."""
        nagq = self.call.spec.nagq
        if nagq == 0:
            return "fixed effects at their joint mode with the random ones (nagq=0)"
        if nagq == 1:
            return "Laplace's approximation"
        return f"adaptive Gauss-Hermite quadrature, {nagq} points"

    def _facts(self) -> list[tuple[str, str]]:
        """Label and value of what a summary says first."""
        groups = ", ".join(f"{group} ({count:,})" for group, count in self.ngroups.items())
        facts = [
            ("Formula", self.call.formula),
            ("Family", f"{self.family.replace('_', ' ')}, {self.link} link"),
            ("Rows", f"{self.nobs:,}"),
            ("Groups", groups),
            ("Log-likelihood", f"{self.llf:.4f}  (AIC {self.aic:.2f}, BIC {self.bic:.2f})"),
        ]
        if self.call.spec.has_dispersion:
            facts.insert(2, ("Dispersion", f"{DISPERSIONS[self.family]} {self.dispersion:.5g}"))
        if self.call.prior is not None:
            facts.append(("Prior", f"{self.call.prior!r}, penalty {self.penalty:.4f}"))
        return facts

    def _notes(self) -> Iterable[str]:
        """Collect what the reader of a summary must know."""
        yield from (str(w) for w in self.warnings)
        e = self._estimate
        if found := overdispersed(self._design, e, self.df_resid):
            yield (
                f"Overdispersed: squared Pearson residuals are {found.ratio:.2f} times what "
                "the distribution lets one expect, so standard errors are too small; "
                f"{takes_it_up(e)} takes it up."
            )
        if without_excess(e):
            yield (
                "The size of the negative binomial runs to infinity: the counts vary no more than "
                'Poisson ones, and family="poisson" gives the same fit with a parameter less.'
            )
        if e.converged:
            yield (
                f"Converged: after {len(e.path)} steps, exact derivatives predict a further "
                f"decrease of -2 log-likelihood by {e.decrement:.1e}."
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
            self.varcorr,
            self.coef_table(),
            list(self._notes()),
            "normal tests",
        )

    def __repr__(self) -> str:
        fit = f"{self.family}, {self.nobs} rows, llf {self.llf:.4f}"
        return f"<GeneralizedLinearMixedModel {self.call.formula!r}, {fit}>"

    def _repr_html_(self) -> str:
        return self.summary()._repr_html_()


def fit_model(call: GlmerCall, data: Any) -> GeneralizedLinearMixedModel:
    """Carry out a call: parse, build, check, fit."""
    spec = call.spec
    design = designs.build(
        parse(call.formula),
        data,
        weights=call.weights,
        offset=call.offset,
        contrasts=call.contrasts,
        missing=call.missing,
        response="counts" if spec.family == "binomial" else "numeric",
    )
    glmm.check(design, spec)
    check_counts(design, spec)
    check_quadrature(design, spec)
    return fit_design(design, call, data)


def fit_design(design: Design, call: GlmerCall, data: Any = None) -> GeneralizedLinearMixedModel:
    """Fit a design as a call says, and give its warnings."""
    core = glmm.kernel(design, call.spec)
    estimate = estimated(design, core, call)
    model = GeneralizedLinearMixedModel(design, estimate, call, core=core, data=data)
    if call.strict and model.warnings:
        raise as_error(model.warnings)
    model._warn()
    return model
