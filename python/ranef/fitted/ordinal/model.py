"""A fitted cumulative link model: thin methods over frozen arrays."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import pandas as pd

from ..._counted import counted
from ...errors import DataError
from ...formula import parse, update
from ...report.coefficients import coefficient_table
from ...report.summary import Summary
from ..checked import Checked
from ..coefficients import Coefficients, LinearTests
from ..criteria import Criteria
from ..generalised.instead import ELSEWHERE, OF_SEVERAL
from ..generalised.intervals import Intervals
from ..generalised.judged import Judged
from ..generalised.reduced import RandomTests
from ..generalised.resampled import Resampled
from ..generalised.sandwiched import Sandwiched
from ..generalised.shares import Shares
from ..generalised.units import Units
from ..mixed.profiles import Profiles
from ..mixed.random_part import RandomPart
from ..mixed.structured_terms import StructuredTerms
from ..mixed.surfaces import Surfaces
from ..mixed.tidy import Tidied
from ..regression_table import RegressionTable
from ..warned import tell
from .call import OrdinalCall
from .fit import REMEDY, fit_call, fit_found, ordinal_call
from .parts import OrdinalParts
from .rows import OrdinalRows
from .simulated import Checks
from .tables import OrdinalTables

if TYPE_CHECKING:
    from ...report.plots.model import ModelPlots

__all__ = ["CumulativeLinkModel", "fit_ordinal_model"]


class CumulativeLinkModel(
    Coefficients,
    RandomPart,
    StructuredTerms,
    Criteria,
    Judged,
    OrdinalRows,
    OrdinalTables,
    LinearTests,
    Profiles,
    Surfaces,
    Tidied,
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
    """A fitted cumulative link model of an ordered response.

    Returned by :func:`ranef.clmm`. It does not change after the fit.

    Attributes
    ----------
    call : OrdinalCall
        The arguments that made it.
    warnings : tuple of RanefWarning
        Warnings of the fit.
    categories : tuple
        Labels of the categories that occur, in order.
    reml : bool
        False: the likelihood is maximised.
    """

    parts: OrdinalParts
    model_kind = "ordinal"
    reml = False
    remedy = REMEDY
    elsewhere: ClassVar[Mapping[str, str]] = ELSEWHERE
    instead: ClassVar[Mapping[str, str]] = {
        **OF_SEVERAL,
        **dict.fromkeys(
            ("resid", "residuals"),
            "categories have no differences; compare model.predict(kind='prob') with what occurred",
        ),
        "augment": "join model.predict(kind='prob') to the rows of the data",
        "family": "model.link names the distribution of the latent response",
    }

    def __init__(self, parts: OrdinalParts):
        super().__init__(parts)

    @property
    def call(self) -> OrdinalCall:
        """The arguments that made the model."""
        return self.parts.call

    @property
    def plot(self) -> ModelPlots:
        """Figures, which need matplotlib: ``predictions``, ``coefficients``, ``caterpillar``."""
        from ...report.plots.ordinal import OrdinalPlots

        return OrdinalPlots(self)  # type: ignore[arg-type]

    # ------------------------------------------------------------------ other fits

    def refit(self, y: Any) -> CumulativeLinkModel:
        """Fit the same model to other categories, as positions in ``categories``."""
        response = self.parts.new_response(y)
        if set(np.unique(response)) != set(range(len(self.parts.categories))):
            raise DataError(
                f"y must contain each of the categories 0 to {len(self.parts.categories) - 1}"
            )
        parts = self.parts
        found = (replace(parts.design, y=response), parts.nominal, parts.scale, parts.categories)
        return finished(fit_found(self.call, found))

    def update(
        self, formula: str | None = None, data: Any = None, **changes: Any
    ) -> CumulativeLinkModel:
        """Fit the same call with some arguments changed.

        Parameters
        ----------
        formula : str, optional
            A new formula; a dot stands for that side of the present one.
        data : DataFrame, optional
            New data; the present ones by default.
        **changes
            Other arguments of :func:`ranef.clmm`.
        """
        call = self.call
        known = set(OrdinalCall.__dataclass_fields__) - {"formula"}
        if unknown := set(changes) - known:
            raise ValueError(f"clmm has no argument {sorted(unknown)[0]!r}; it has {sorted(known)}")
        text = call.formula if formula is None else update(parse(call.formula), formula).text
        again = ordinal_call(text, **({name: getattr(call, name) for name in known} | changes))
        return fit_ordinal_model(again, self.parts.training_data() if data is None else data)

    # ------------------------------------------------------------------ tables

    def _notes(self) -> Iterable[str]:
        """Collect what the reader of a summary must know."""
        yield from (str(w) for w in self.warnings)
        if absent := self.parts.absent:
            names = " and ".join(map(repr, map(str, absent)))
            verbs = ("occurs", "is") if len(absent) == 1 else ("occur", "are")
            yield f"{names} never {verbs[0]}, and {verbs[1]} left out."
        yield from self._converged_notes()

    def summary(self) -> Summary:
        """Summarise the fit for reading: prints as text, and as HTML in a notebook."""
        groups = ", ".join(f"{group} ({count:,})" for group, count in self.ngroups.items())
        cuts = coefficient_table(self.parts.cuts, self.thresholds, self.thresholds_bse, np.inf)
        facts = [
            ("Formula", self.parts.call.formula),
            *(
                (n, t)
                for n, t in (("Scale", self.parts.call.scale), ("Nominal", self.parts.call.nominal))
                if t
            ),
            ("Link", f"{self.link}, {self.parts.call.thresholds} thresholds"),
            ("Categories", ", ".join(map(str, self.parts.categories))),
            ("Rows", f"{self.parts.nobs:,}"),
            *([("Groups", groups)] if groups else []),
            ("Log-likelihood", f"{self.llf:.4f}  (AIC {self.aic:.2f}, BIC {self.bic:.2f})"),
        ]
        nagq = self.parts.call.nagq
        method = (
            "Laplace's approximation"
            if nagq == 1
            else f"adaptive quadrature, {counted(nagq, 'point')}"
        )
        mixed = bool(self.parts.design.random)
        return Summary(
            f"Cumulative link mixed model fit by {method}" if mixed else "Cumulative link model",
            facts,
            self.varcorr if mixed else None,
            pd.concat([self.coef_table(), cuts]) if len(self.params) else cuts,
            list(self._notes()),
            "normal tests",
        )


def finished(parts: OrdinalParts) -> CumulativeLinkModel:
    """Make the model and give its warnings."""
    tell(parts.warnings, strict=parts.call.strict)
    return CumulativeLinkModel(parts)


def fit_ordinal_model(call: OrdinalCall, data: Any) -> CumulativeLinkModel:
    """Carry out a call: parse, build, check, fit."""
    return finished(fit_call(call, data))
