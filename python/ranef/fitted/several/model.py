"""A fitted model of several linear predictors: thin methods over frozen arrays."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd

from ...errors import (
    ConvergenceWarning,
    DroppedRowsWarning,
    RanefWarning,
    RankWarning,
    SingularFitWarning,
    UnsupportedError,
)
from ...formula import parse, update
from ...inference.optimum.generalised import optimum_of
from ...models.glmm.estimate import PartsEstimate
from ...report.coefficients import coefficient_table, interval_table
from ...report.summary import Summary
from ...report.verdict import Convergence, alias_notes, convergence
from ..checked import Checked
from ..warned import tell
from .call import PartsCall
from .checks import Checks
from .fit import Parts, check_parts, fit_call, fit_designs, parts_call

__all__ = ["DistributionalModel", "fit_parts_model"]

REMEDY = (
    "A simpler zero or dispersion part, fewer random effects, or merged levels of a predictor may "
    "help."
)
#: What a shape at the end of its range says.
LIMITS = {
    "size": "the counts vary no more than Poisson ones",
    "phi": "the responses vary no more, or no less, than the family's limit",
    "df": "the residuals are normal",
    "power": "the power is at the end of its range",
    "cut_zero": "there are no responses of 0",
    "cut_one": "there are no responses of 1",
    "dispersion": "the dispersion runs to a limit along its formula",
}


class DistributionalModel(Checks, Checked):
    """A fitted mixed model of location, zeros and dispersion.

    Made by :func:`ranef.glmer`. Nothing of it changes after the fit.

    Attributes
    ----------
    call : PartsCall
        The arguments that made it.
    warnings : tuple of RanefWarning
        What the fit warned of.
    reml : bool
        False: the likelihood is maximised.
    """

    reml = False

    def __init__(self, parts: Parts, call: PartsCall, *, data: Any = None):
        self.call = call
        self._parts = parts
        self._design = parts.whole
        self._estimate: PartsEstimate = parts.estimate
        self._data = data
        self.warnings = tuple(self._findings())

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_data": None}  # the caller's frame is not ours to copy

    def _findings(self) -> Iterable[RanefWarning]:
        """Everything worth a warning, in the order of the analysis."""
        design, estimate = self._design, self._estimate
        if design.dropped:
            where = ", ".join(f"{column} ({count})" for column, count in design.dropped.items())
            yield DroppedRowsWarning(
                f"{design.n_data - design.n_obs} of {design.n_data} rows are left out because "
                f"values are missing in {where}. Likelihood inference then assumes that they are "
                "missing at random."
            )
        for part, own in self._parts.designs:
            block = estimate.block(part)
            if block.aliased:
                notes = " ".join(alias_notes(own, block.aliased, block.alias, block.kept))
                yield RankWarning(f"the columns of the {part} have less than full rank: {notes}")
        if estimate.is_singular:
            yield SingularFitWarning("singular fit: " + "; ".join(self._singular()))
        if estimate.separated:
            far = " and ".join(f"{name!r} ({part})" for part, name in estimate.separated)
            yield ConvergenceWarning(
                f"the likelihood rises without end with {far}: fitted values run to the edge of "
                "their range, so that no finite coefficient exists and its standard error is left "
                "out. Leave the column out, or merge its levels."
            )
        elif not self._verdict.converged:
            left = (
                f"-2 log-likelihood can still fall by about {estimate.decrement:.2g}"
                if np.isfinite(estimate.decrement)
                else "the curvature of the likelihood cannot be computed"
            )
            yield ConvergenceWarning(
                f"the search stopped ({estimate.status}) where {left}. {REMEDY}"
            )

    def _singular(self) -> list[str]:
        """Name the terms that are singular."""
        out = []
        for term, block in zip(self._design.random, self._estimate.lambda_standard, strict=True):
            if np.linalg.svd(block, compute_uv=False).min() < 1e-4:
                size = "variance is zero" if len(block) == 1 else "covariance matrix is singular"
                out.append(
                    f"the {size} for ({' + '.join(term.names)} | {term.group}); drop the term, or "
                    "a column of it, for the same fit"
                )
        return out

    @property
    def _verdict(self) -> Convergence:
        return convergence(self._estimate, optimum_of(self._design, self._estimate), [], REMEDY)

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

    # ------------------------------------------------------------------ parameters

    @property
    def family(self) -> str:
        """Distribution of the response given the random effects."""
        return self.call.family

    @property
    def link(self) -> str:
        """Link of the location."""
        return self.call.link

    @property
    def npar(self) -> int:
        """Coefficients of all parts that are not aliased, shapes, and covariance parameters."""
        return len(self._estimate.coefficients) + self._n_covariances

    def _part_params(self, part: str) -> pd.Series[Any]:
        known = dict(self._parts.designs)
        if part not in known:
            return pd.Series(dtype=float)
        return pd.Series(self._estimate.values(part), index=pd.Index(known[part].fixed_names))

    @property
    def zero_params(self) -> pd.Series[Any]:
        """Coefficients of the logit of a structural zero; empty without a zero part."""
        return self._part_params("zero")

    @property
    def dispersion_params(self) -> pd.Series[Any]:
        """Coefficients of the log dispersion; empty where it has no formula."""
        return self._part_params("dispersion")

    @property
    def family_params(self) -> pd.Series[Any]:
        """Shapes that have no formula, on their own scale, by name."""
        eta = [np.atleast_1d(values[0]) for values in self._constant(1)]
        natural = self._family.natural(eta[1 : 1 + len(self._family.shapes)])
        return pd.Series(
            {name: float(value[0]) for name, value in natural.items() if np.isfinite(value[0])},
            dtype=float,
        )

    @property
    def zvalues(self) -> pd.Series[Any]:
        """Coefficients of the location divided by their standard errors."""
        return self.tvalues

    @property
    def pvalues(self) -> pd.Series[Any]:
        """P-values of the location's coefficients by normal tests."""
        return self.coef_table()["pvalue"].rename(None)

    def _part_bse(self, part: str) -> pd.Series[Any]:
        params = self._part_params(part)
        out = np.full(len(params), np.nan)
        out[self._estimate.block(part).kept] = np.sqrt(np.diag(self._estimate.cov_of(part)))
        return pd.Series(out, index=params.index)

    def coef_table(self, part: str = "location") -> pd.DataFrame:
        """Lay out estimates, standard errors and normal tests of one part.

        Parameters
        ----------
        part : {"location", "zero", "dispersion"}
            Which predictor.

        Returns
        -------
        DataFrame
            Columns estimate, se, df (infinite), t, pvalue.
        """
        known = [name for name, _ in self._parts.designs]
        if part not in known:
            raise ValueError(f"part is one of {', '.join(known)} for this model, not {part!r}")
        params = self._part_params(part)
        return coefficient_table(list(params.index), params, self._part_bse(part), np.inf)

    def conf_int(
        self, method: str = "wald", level: float = 0.95, *, part: str = "location"
    ) -> pd.DataFrame:
        """Return normal confidence intervals of one part's coefficients.

        Parameters
        ----------
        method : {"wald"}
            The only one for this model.
        level : float
            Coverage, between 0 and 1.
        part : {"location", "zero", "dispersion"}
            Which predictor.
        """
        if method != "wald":
            raise UnsupportedError(
                "a model of several predictors has Wald intervals: method='wald'"
            )
        table = self.coef_table(part)
        return interval_table(list(table.index), table["estimate"], table["se"], np.inf, level)

    def glance(self) -> pd.DataFrame:
        """Return one row about the fit, under the column names of R's broom.mixed."""
        row = {
            "nobs": self.nobs,
            "npar": self.npar,
            "logLik": self.llf,
            "AIC": self.aic,
            "BIC": self.bic,
            "df.residual": self.df_resid,
            "singular": self.is_singular,
            "converged": self.convergence.converged,
        }
        return pd.DataFrame([row])

    # ------------------------------------------------------------------ other fits

    def refit(self, y: Any) -> DistributionalModel:
        """Fit the same model to another response of the rows that were used."""
        response = self._new_response(y)
        found = tuple((name, replace(d, y=response)) for name, d in self._parts.designs)
        check_parts(self.call, found)
        return finished(fit_designs(self.call, found), self.call)

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
        frame = self._training_data() if data is None else data
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
        for part in self._estimate.edges:
            yield f"{part} runs to infinity: {LIMITS[part]}; a simpler family gives the same fit."
        if self.convergence.converged:
            yield (
                f"Converged: after {len(self._estimate.path)} steps, exact derivatives predict a "
                f"further decrease of -2 log-likelihood by {self._estimate.decrement:.1e}."
            )

    def summary(self) -> Summary:
        """Summarise the fit for reading: prints as text, and as HTML in a notebook."""
        tables = []
        for part, _ in self._parts.designs:
            table = self.coef_table(part)
            prefix = "" if part == "location" else f"{part}:"
            table.index = pd.Index([prefix + name for name in table.index])
            tables.append(table)
        nagq = self.call.nagq
        method = (
            "Laplace's approximation"
            if nagq == 1
            else f"adaptive Gauss-Hermite quadrature, {nagq} points"
        )
        return Summary(
            f"Generalised linear mixed model of several parts fit by {method}",
            self._facts(),
            self.varcorr if len(self._design.random) else None,
            pd.concat(tables),
            list(self._notes()),
            "normal tests",
        )

    def __repr__(self) -> str:
        fit = f"{self.family}, {self.nobs} rows, llf {self.llf:.4f}"
        return f"<DistributionalModel {self.call.formula!r}, {fit}>"

    def _repr_html_(self) -> str:
        return self.summary()._repr_html_()


def finished(parts: Parts, call: PartsCall, data: Any = None) -> DistributionalModel:
    """Make the model and give its warnings."""
    model = DistributionalModel(parts, call, data=data)
    tell(model.warnings, strict=call.strict)
    return model


def fit_parts_model(call: PartsCall, data: Any) -> DistributionalModel:
    """Carry out a call: parse, build, check, fit."""
    return finished(fit_call(call, data), call, data)
