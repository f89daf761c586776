"""A fitted linear mixed model: thin methods over frozen arrays."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from ...formula import parse
from ...formula import update as updated
from ...inference.priors.parts import describe
from ...models import lmm
from ...report.summary import Summary
from ..checked import Checked
from ..coefficients import Coefficients, LinearTests
from ..criteria import Criteria
from ..mixed.profiles import Profiles
from ..mixed.random_part import RandomPart
from ..mixed.smooths import Smooths
from ..mixed.structured_terms import StructuredTerms
from ..mixed.surfaces import Surfaces
from ..mixed.tidy import Tidied
from ..plain import Figures, ResidualKinds
from ..posterior.sample import Sampled
from ..regression_table import RegressionTable
from ..term_tests import TermTests
from ..warned import tell
from .call import Call
from .fit import estimated, fit, made
from .heritability import Heritability
from .intervals import Intervals
from .parts import LmmParts
from .robust import Robust
from .rows import Rows
from .shares import Shares
from .simulated import Checks
from .tables import Tables
from .tests import RandomTests
from .trust import Trust

__all__ = ["Call", "LinearMixedModel"]


class LinearMixedModel(
    Coefficients,
    RandomPart,
    Smooths,
    StructuredTerms,
    Criteria,
    Rows,
    LinearTests,
    TermTests,
    RandomTests,
    Robust,
    Intervals,
    Profiles,
    Surfaces,
    Shares,
    Heritability,
    Trust,
    Sampled,
    ResidualKinds,
    Tidied,
    Tables,
    Figures,
    RegressionTable,
    Checks,
    Checked,
):
    """A fitted linear mixed model.

    Returned by :func:`ranef.lmer`. It does not change after the fit: ``refit`` and ``update``
    make new models. Threads may share it.

    Attributes
    ----------
    call : Call
        The arguments that made it.
    warnings : tuple of RanefWarning
        Warnings of the fit.
    """

    parts: LmmParts
    model_kind = "linear"

    def __init__(self, parts: LmmParts):
        super().__init__(parts)

    @property
    def call(self) -> Call:
        """The arguments that made the model."""
        return self.parts.call

    @property
    def reml(self) -> bool:
        """Whether the restricted likelihood was maximised."""
        return self.parts.reml

    # ------------------------------------------------------------------ other fits

    def refit(self, y: Any) -> LinearMixedModel:
        """Fit the same model to another response.

        Parameters
        ----------
        y : array-like of shape (nobs,)
            A value for each row that was used.

        Returns
        -------
        LinearMixedModel
            A new model.

        Raises
        ------
        DataError
            If there is not one finite value for each row.
        """
        design = replace(self.parts.design, y=self.parts.new_response(y))
        core = lmm.kernel(design)
        return LinearMixedModel(made(design, estimated(design, core, self.call), self.call, core))

    def update(
        self, formula: str | None = None, data: Any = None, **changes: Any
    ) -> LinearMixedModel:
        """Fit the same call with some arguments changed.

        Parameters
        ----------
        formula : str, optional
            A new formula; a dot stands for that side of the present one, as in ``". ~ . + x"``.
        data : DataFrame, optional
            New data; the present ones by default.
        **changes
            Other arguments of :func:`ranef.lmer`.

        Returns
        -------
        LinearMixedModel
            A new model. A change of ``reml`` alone starts from the present optimum.
        """
        known = set(Call.__dataclass_fields__) - {"formula"}
        if unknown := set(changes) - known:
            raise ValueError(f"lmer has no argument {sorted(unknown)[0]!r}; it has {sorted(known)}")
        text = (
            self.call.formula
            if formula is None
            else updated(parse(self.call.formula), formula).text
        )
        call = replace(self.call, formula=text, **changes)
        if formula is None and data is None and set(changes) <= {"reml", "control"}:
            return self._again(call)
        return fit_model(call, self.parts.training_data() if data is None else data)

    def _again(self, call: Call) -> LinearMixedModel:
        """Fit the same design under another criterion, from the present optimum."""
        parts = self.parts
        start = lmm.off_boundary(parts.estimate.lambda_standard)
        estimate = estimated(parts.design, parts.core, call, start)
        return LinearMixedModel(made(parts.design, estimate, call, parts.core, parts.data))

    # ------------------------------------------------------------------ tables

    def _facts(self) -> list[tuple[str, str]]:
        """Label and value of what a summary says first."""
        design = self.parts.design
        groups = ", ".join(f"{group} ({count:,})" for group, count in self.ngroups.items())
        criterion = "restricted log-likelihood" if self.reml else "log-likelihood"
        facts = [
            ("Formula", self.call.formula),
            ("Rows", f"{self.nobs:,}"),
            *([("Groups", groups)] if groups else []),
            (criterion.capitalize(), f"{self.llf:.4f}  (AIC {self.aic:.2f}, BIC {self.bic:.2f})"),
        ]
        found = self.parts.estimate.approximation
        if found is not None:
            facts.append(("Method", f"{found}; error of llf {found.llf_error:.2g}"))
        if design.weights is not None:
            facts.insert(2, ("Weights", "precision weights, Var(e_i) = sigma^2 / w_i"))
        if self.call.prior is not None:
            facts.append(("Prior", f"{describe(self.call.prior)}, penalty {self.penalty:.4f}"))
        return facts

    def summary(self, ddf: str | None = None) -> Summary:
        """Summarise the fit for reading.

        Parameters
        ----------
        ddf : str, optional
            Degrees of freedom of the tests, as in ``coef_table``.

        Returns
        -------
        Summary
            Prints as text, and as HTML in a notebook.
        """
        notes = [str(w) for w in self.warnings]
        if self.parts.converged:
            count = self.parts.estimate.n_gradient
            notes.append(
                f"Converged: after {count} step{'s' if count > 1 else ''}, exact derivatives "
                "predict a further decrease of -2 log-likelihood by "
                f"{self.parts.estimate.decrement:.1e}."
            )
        return Summary(
            "Linear mixed model fit by " + ("REML" if self.reml else "maximum likelihood"),
            self._facts(),
            self.varcorr if len(self.varcorr) else None,
            self._parametric(self.coef_table(ddf)),
            notes,
            self.parts.tests_title(ddf),
            self._smooth_summary(),
        )


def fit_model(
    call: Call, data: Any, *, executor: Any = None, progress: bool = True
) -> LinearMixedModel:
    """Carry out a call, and issue its warnings."""
    parts = fit(call, data, executor=executor, progress=progress)
    tell(parts.warnings, strict=call.strict)
    return LinearMixedModel(parts)
