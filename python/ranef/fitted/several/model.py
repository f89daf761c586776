"""A fitted model of several linear predictors: thin methods over frozen arrays."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any, ClassVar

import pandas as pd

from ..._counted import counted
from ...formula import parse, update
from ...report.summary import Summary
from ..checked import Checked
from ..coefficients import Coefficients, LinearTests
from ..criteria import Criteria
from ..generalised.instead import ELSEWHERE, OF_SEVERAL
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
from ..plain import Figures
from ..posterior.sample import Sampled
from ..regression_table import RegressionTable
from ..warned import tell
from .call import PartsCall
from .checks import check_parts
from .findings import REMEDY
from .fit import fit_call, fit_designs, parts_call
from .parts import SeveralParts
from .rows import PartsRows
from .simulated import Checks
from .tables import PartTables

__all__ = ["DistributionalModel", "fit_parts_model"]

#: What a formula of the dispersion at the end of its range says.
AT_END = "the dispersion runs to a limit along its formula"


class DistributionalModel(
    PartTables,
    Coefficients,
    RandomPart,
    StructuredTerms,
    Criteria,
    Judged,
    PartsRows,
    LinearTests,
    Profiles,
    Surfaces,
    Sampled,
    Tidied,
    Figures,
    RegressionTable,
    Resampled,
    Sandwiched,
    Shares,
    RandomTests,
    Units,
    Checks,
    Checked,
):
    """A fitted mixed model of location, zeros and dispersion.

    Returned by :func:`ranef.glmer`. It does not change after the fit.

    Attributes
    ----------
    call : PartsCall
        The arguments that made it.
    warnings : tuple of RanefWarning
        Warnings of the fit.
    reml : bool
        False: the likelihood is maximised.
    """

    parts: SeveralParts
    model_kind = "several"
    reml = False
    remedy = REMEDY
    elsewhere: ClassVar[Mapping[str, str]] = ELSEWHERE
    instead: ClassVar[Mapping[str, str]] = OF_SEVERAL

    def __init__(self, parts: SeveralParts):
        super().__init__(parts)

    @property
    def call(self) -> PartsCall:
        """The arguments that made the model."""
        return self.parts.call

    # ------------------------------------------------------------------ other fits

    def refit(self, y: Any) -> DistributionalModel:
        """Fit the same model to another response of the rows that were used."""
        response = self.parts.new_response(y)
        found = tuple((name, replace(d, y=response)) for name, d in self.parts.designs)
        check_parts(self.call, found)
        return finished(fit_designs(self.call, found))

    def update(
        self, formula: str | None = None, data: Any = None, **changes: Any
    ) -> DistributionalModel:
        """Fit the same call with some arguments changed.

        Parameters
        ----------
        formula : str, optional
            A new formula of the location; a dot stands for that side of the present one.
        data : DataFrame, optional
            New data; the present ones by default.
        **changes
            Other arguments of :func:`ranef.glmer`. A new family comes with its usual link.
        """
        call = self.call
        known = set(PartsCall.__dataclass_fields__) - {"formula"}
        if unknown := set(changes) - known:
            raise ValueError(
                f"glmer has no argument {sorted(unknown)[0]!r} for this model; it has "
                f"{sorted(known)}"
            )
        text = call.formula if formula is None else update(parse(call.formula), formula).text
        given = {name: getattr(call, name) for name in known} | changes
        if "family" in changes and "link" not in changes:
            given["link"] = None
        again = parts_call(text, **given)
        frame = self.parts.training_data() if data is None else data
        return fit_parts_model(again, frame)

    # ------------------------------------------------------------------ tables

    def _facts(self) -> list[tuple[str, str]]:
        """Label and value of what a summary says first."""
        facts = [("Formula", self.call.formula)]
        facts += [
            (name.capitalize(), text)
            for name, text in (("zero", self.call.zero), ("dispersion", self.call.dispersion))
            if text is not None
        ]
        facts.append(("Family", f"{self.family.replace('_', ' ')}, {self.link} link"))
        if len(self.family_params):
            shapes = ", ".join(f"{name} {value:.5g}" for name, value in self.family_params.items())
            facts.append(("Parameters", shapes))
        groups = ", ".join(f"{group} ({count:,})" for group, count in self.ngroups.items())
        facts += [
            ("Rows", f"{self.nobs:,}"),
            ("Groups", groups),
            ("Log-likelihood", f"{self.llf:.4f}  (AIC {self.aic:.2f}, BIC {self.bic:.2f})"),
        ]
        return facts

    def _notes(self) -> Iterable[str]:
        """Collect what the reader of a summary must know."""
        yield from (str(w) for w in self.warnings)
        said = {shape.name: shape.at_end for shape in self.parts.family.shapes}
        for part in self.parts.estimate.edges:
            what = said.get(part, AT_END)
            yield f"{part} runs to infinity: {what}; a simpler family gives the same fit."
        yield from self._converged_notes()

    def summary(self) -> Summary:
        """Summarise the fit for reading: prints as text, and as HTML in a notebook."""
        tables = []
        for part, _ in self.parts.designs:
            table = self.parts.part_table(part)
            prefix = "" if part == "location" else f"{part}:"
            table.index = pd.Index([prefix + name for name in table.index])
            tables.append(table)
        nagq = self.call.nagq
        method = (
            "Laplace's approximation"
            if nagq == 1
            else f"adaptive Gauss-Hermite quadrature, {counted(nagq, 'point')}"
        )
        return Summary(
            f"Generalised linear mixed model of several parts fit by {method}",
            self._facts(),
            self.varcorr if len(self.parts.design.random) else None,
            pd.concat(tables),
            list(self._notes()),
            "normal tests",
        )


def finished(parts: SeveralParts) -> DistributionalModel:
    """Make the model and give its warnings."""
    tell(parts.warnings, strict=parts.call.strict)
    return DistributionalModel(parts)


def fit_parts_model(call: PartsCall, data: Any) -> DistributionalModel:
    """Carry out a call: parse, build, check, fit."""
    return finished(fit_call(call, data))
