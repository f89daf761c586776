"""A fitted marginal model: thin methods over frozen arrays."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from ..._counted import counted
from ...models.gee import GeeSpec
from ...report.summary import Summary
from ..checked import Checked
from ..coefficients import Coefficients, LinearTests, WaldIntervals
from ..plain import Figures, PlainTables, ResidualKinds
from ..regression_table import RegressionTable
from ..updating import changed
from ..wald_tests import WaldTests
from ..warned import tell
from .call import GEECall
from .covariance import check_vcov
from .criteria import QIC, Criteria
from .fit import fit
from .parts import GeeParts
from .rows import Rows
from .simulated import Checks
from .tests import Robust

__all__ = ["QIC", "GEEModel", "check_vcov"]

#: Groups below which robust errors without a correction are known to be too small.
FEW = 40


class GEEModel(
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
    """A fitted marginal model.

    Returned by :func:`ranef.gee`; it does not change after the fit.

    Attributes
    ----------
    call : GEECall
        The arguments that made it.
    spec : GeeSpec
        Family, link and working correlation, checked.
    warnings : tuple of RanefWarning
        Warnings of the fit.
    """

    parts: GeeParts
    instead: ClassVar[Mapping[str, str]] = {
        **dict.fromkeys(
            ("llf", "aic", "bic"),
            "estimating equations have no likelihood; qic() compares them",
        ),
        **dict.fromkeys(
            ("ranef", "coef", "varcorr", "icc", "r2"),
            "a marginal model has no random effects; use ranef.lmer or ranef.glmer",
        ),
        **dict.fromkeys(("bootstrap", "profile"), "use wild_bootstrap(term)"),
        "simulate": "estimating equations have no distribution; use ranef.glmer",
    }

    def __init__(self, parts: GeeParts):
        super().__init__(parts)

    @property
    def call(self) -> GEECall:
        """The arguments that made the model."""
        return self.parts.call

    @property
    def spec(self) -> GeeSpec:
        """Family, link and working correlation, checked."""
        return self.parts.spec

    def update(self, formula: str | None = None, data: Any = None, **changes: Any) -> GEEModel:
        """Fit the same call with some arguments changed.

        Parameters
        ----------
        formula : str, optional
            A new formula; a dot stands for that side of the present one, as in ``". ~ . + x"``.
        data : DataFrame, optional
            New data; the present ones by default.
        **changes
            Other arguments of :func:`ranef.gee`.
        """
        call = changed(self.call, formula, changes, "gee")
        return fit_model(call, self.parts.training_data() if data is None else data)

    # ------------------------------------------------------------------ text

    def summary(self) -> Summary:
        """Summarise the fit; prints as text, shows as HTML in a notebook."""
        spec = self.parts.spec
        alpha = ", ".join(f"{v:.4g}" for v in self.parts.estimate.alpha[:6])
        steps = self.parts.estimate.iterations
        more = " ..." if len(self.parts.estimate.alpha) > 6 else ""
        facts = [
            ("Formula", self.call.formula),
            ("Family", f"{spec.family}, {spec.link} link"),
            ("Rows", str(self.nobs)),
            ("Groups", f"{self.call.groups} ({self.n_clusters})"),
            ("Correlation", f"{spec.corr}{': ' + alpha + more if alpha else ''}"),
            ("Scale", f"{self.scale:.5g}"),
            (
                "Equations",
                f"{'solved in' if self.converged else 'NOT solved after'} {counted(steps, 'step')}",
            ),
            ("Covariance", self.call.vcov),
        ]
        notes = [str(warning) for warning in self.warnings]
        if self.call.vcov == "robust" and self.n_clusters < FEW:
            notes.append(
                f"robust standard errors are too small with {counted(self.n_clusters, 'group')}; "
                'vcov="mancl-derouen" corrects them and tests by t'
            )
        if self.call.time is None and spec.corr not in ("independence", "exchangeable"):
            notes.append("no time was given: rows of a group count 1, 2, ... without gaps")
        title = "Generalised estimating equations"
        return Summary(title, facts, None, self.coef_table(), notes)


def fit_model(call: GEECall, data: Any) -> GEEModel:
    """Carry out a call, and issue its warnings."""
    parts = fit(call, data)
    tell(parts.warnings)
    return GEEModel(parts)
