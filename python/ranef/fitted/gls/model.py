"""A fitted linear model with structured residuals: thin methods over frozen arrays."""

from __future__ import annotations

import warnings
from collections.abc import Iterable
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd

from ..._typing import Array
from ...design.encode import encode
from ...design.structured import StructuredDesign, build_structured
from ...errors import (
    ConvergenceWarning,
    ModelError,
    RanefWarning,
    RankWarning,
    SingularFitWarning,
    UnsupportedError,
)
from ...formula import parse
from ...formula import update as updated
from ...inference.coverage import t_quantile
from ...inference.prediction import predict as prediction
from ...models import lmm
from ...models.gls import rows as gls_rows
from ...models.gls.checks import check_rows
from ...models.gls.model import GlsEstimate, GlsModel, fit_gls, gls_model
from ...report.structured import correlation_text, variance_text
from ...report.summary import Summary
from ...report.verdict import Convergence, alias_notes
from ..warned import dropped_rows
from .call import GLSCall
from .fit import checked_corr
from .tables import GLSTables

__all__ = ["GLSCall", "GLSModel"]

#: How a summary names its degrees of freedom.
DDF_NAMES = {
    "satterthwaite": "Satterthwaite's degrees of freedom",
    "residual": "residual degrees of freedom",
    "inf": "normal tests",
}


class GLSModel(GLSTables):
    """A fitted linear model with correlated or unequal residuals.

    Made by :func:`ranef.gls`; nothing of it changes after the fit.

    Attributes
    ----------
    call : GLSCall
        The arguments that made it.
    warnings : tuple of RanefWarning
        What the fit warned of.
    """

    def __init__(
        self,
        rows: StructuredDesign,
        estimate: GlsEstimate,
        call: GLSCall,
        *,
        model: GlsModel | None = None,
        data: Any = None,
    ):
        self.call = call
        self._structured = rows
        self._design = rows.design
        self._estimate = estimate
        self._model = model
        self._data = data
        self.warnings = tuple(self._findings())

    def __getstate__(self) -> dict[str, Any]:
        # The kernel is rebuilt when needed; the caller's frame is not ours to copy.
        return {**self.__dict__, "_model": None, "_data": None}

    def _findings(self) -> Iterable[RanefWarning]:
        """Everything worth a warning."""
        design, estimate = self._design, self._estimate
        yield from dropped_rows(design)
        if len(estimate.kept) < len(design.fixed):
            notes = alias_notes(design, *self._aliasing(), estimate.kept)
            yield RankWarning(
                "the fixed-effects matrix has less than full rank: " + " ".join(notes)
            )
        if estimate.is_singular and estimate.converged:
            yield SingularFitWarning(
                "singular fit: a variance of the random effects is zero, or a correlation of "
                "theirs 1; leave the term out, or the correlation of the residuals, which may say "
                "the same"
            )
        if estimate.at_bound:
            yield SingularFitWarning(
                "a residual correlation or variance stands at the end of its range "
                f"({correlation_text(self.call.corr, self.correlation)}); a model with fewer "
                "parameters says as much"
            )
        if not estimate.converged:
            yield ConvergenceWarning(f"{self.convergence.verdict} {self.convergence.advice[0]}")
        elif not (estimate.is_singular or estimate.at_bound) and self._is_flat():
            yield ConvergenceWarning(
                "the likelihood is flat in a direction of the covariance's parameters: the data do "
                "not tell random effects and residuals apart; use fewer of them"
            )

    def _is_flat(self) -> bool:
        """Whether the likelihood does not tell the covariance's parameters apart."""
        return self._estimate.lowest < 1e-8

    @property
    def convergence(self) -> Convergence:
        """Whether the search stopped at an optimum, and how one knows."""
        estimate = self._estimate
        if estimate.converged:
            end = estimate.is_singular or estimate.at_bound
            verdict = "Converged to a boundary of the parameters." if end else "Converged."
        elif estimate.lowest < -1e-6:
            verdict = "Not converged: -2 log-likelihood bends down along a direction."
        else:
            verdict = (
                f"Not converged: -2 log-likelihood can still fall by about {estimate.decrement:.2g}"
                " by the exact gradient and curvature."
            )
        advice = "Simplify the correlation, the variances or the random effects."
        if self.call.corr in ("toeplitz", "unstructured") and not self._design.random:
            advice = (
                "The correlation runs towards a singular matrix, as it does when groups are few "
                'for the number of times; use corr="ar1", "car1" or "exchangeable".'
            )
        return Convergence(
            converged=estimate.converged,
            verdict=verdict,
            status=estimate.status,
            gradient=estimate.gradient,
            curvature=estimate.lowest,
            decrement=estimate.decrement,
            cone=0.0,
            n_null=0,
            n_objective=estimate.n_objective,
            n_gradient=estimate.n_gradient,
            path=np.empty((0, 3)),
            advice=() if estimate.converged else (advice,),
        )

    # ------------------------------------------------------------------ random effects

    def _conditional_covariances(self) -> list[Array]:
        """Conditional covariance of each level, (levels, s, s) for each term."""
        return gls_rows.conditional_covariances(
            self._structured, self._fitted_model, self._estimate
        )

    @property
    def ngroups(self) -> dict[str, int]:
        """Number of levels of ``groups`` and of the grouping factor of each random effect."""
        own = {} if self.call.groups is None else {self.call.groups: len(self._structured.levels)}
        return {**own, **super().ngroups}

    # ------------------------------------------------------------------ rows

    @property
    def fittedvalues(self) -> pd.Series[Any]:
        """X beta + Z b + offset for the rows used."""
        return self._rows(self._design.y - self._resid())

    @property
    def resid(self) -> pd.Series[Any]:
        """Response less fitted values for the rows used."""
        return self._rows(self._resid())

    def _resid(self) -> Array:
        return gls_rows.conditional_residuals(self._structured, self._estimate)

    @property
    def resid_normalized(self) -> pd.Series[Any]:
        """Residuals freed of their correlation and variances: of variance 1, in order of time.

        Each is what the earlier rows of its group do not predict, in units of its own standard
        deviation; of independent normal distributions if the model holds.
        """
        return self._rows(
            gls_rows.normalized_residuals(self._structured, self._fitted_model, self._estimate)
        )

    @property
    def resid_sd(self) -> pd.Series[Any]:
        """Standard deviation of the residual of each row used."""
        return self._rows(gls_rows.residual_sd(self._structured, self._estimate))

    def residual_covariance(self, group: Any = None) -> pd.DataFrame:
        """Give the covariance matrix of the residuals of one group.

        Parameters
        ----------
        group : label, optional
            A level of ``groups``; by default the first of those with most rows.

        Returns
        -------
        DataFrame
            Rows and columns by time, or by number when no time was given.
        """
        if self.call.groups is None:
            raise ModelError("the model has no groups; the variances of rows are in resid_sd")
        rows = self._structured
        code = int(np.bincount(rows.cluster).argmax())
        if group is not None:
            places = np.flatnonzero(rows.levels == group)
            if not len(places):
                raise ValueError(f"{self.call.groups!r} has no level {group!r}")
            code = int(places[0])
        at, cov = gls_rows.residual_covariance(self._fitted_model, self._estimate, code)
        labels: Any = range(len(at))
        if rows.time is not None and rows.time_levels is not None:
            labels = rows.time_levels[np.searchsorted(np.unique(rows.time), rows.time[at])]
        index = pd.Index(labels, name=self.call.time)
        return pd.DataFrame(cov, index=index, columns=index)

    def predict(
        self,
        newdata: Any = None,
        *,
        random: str | Iterable[str] = "all",
        new_levels: str = "raise",
        interval: str | None = None,
        level: float = 0.95,
    ) -> Any:
        """Predict means.

        Parameters
        ----------
        newdata : frame, optional
            New rows; the rows of the fit by default.
        random : {"all", "none"} or list of str
            Which random effects take part, if the model has any.
        new_levels : {"raise", "population"}
            What to do with levels the fit has not seen.
        interval : {"confidence"}, optional
            Ask for an interval of the population's mean, ``random="none"``.
        level : float
            Its coverage.

        Returns
        -------
        ndarray of shape (m,) or DataFrame
            Means, or columns mean, lower, upper. Residuals of the group's observed rows are not
            used.
        """
        if newdata is None and interval is None and random == "all":
            return self._design.y - self._resid()
        if newdata is None and self._data is None:
            raise ValueError("this model was unpickled and does not know its data; give newdata")
        groups = prediction.chosen_groups(self._design, random) if self._design.random else []
        rows = encode(
            self._design,
            self._data if newdata is None else newdata,
            random=groups,
            new_levels=new_levels,
        )
        mean = prediction.linear_predictor(self._design, self._estimate, rows, groups)
        if interval is None:
            return mean
        if interval != "confidence":
            raise ValueError(f"interval is confidence or None, not {interval!r}")
        if groups:
            raise UnsupportedError('an interval is of the population\'s mean; use random="none"')
        X = rows.X[:, self._estimate.kept]
        approximation = self._approximation("satterthwaite")
        se = np.sqrt(np.einsum("ij,jk,ik->i", X, approximation.cov, X))
        half = t_quantile(level, approximation.df(X)) * se
        return pd.DataFrame(
            {"mean": mean, "lower": mean - half, "upper": mean + half}, index=rows.index
        )

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
            return fit_rows(self._structured, replace(self.call, **changes), self._data)
        text = self.call.formula
        if formula is not None:
            text = updated(parse(text), formula).text
        if data is None and self._data is None:
            raise ValueError("this model was unpickled and does not know its data; give data")
        arguments = {name: getattr(self.call, name) for name in known} | changes
        call = GLSCall(text, **arguments)
        call = replace(call, corr=checked_corr(call.corr, call.groups))
        model = fit_model(call, self._data if data is None else data)
        for warning in model.warnings:
            warnings.warn(warning, stacklevel=2)
        return model

    # ------------------------------------------------------------------ text

    def summary(self, ddf: str = "satterthwaite") -> Summary:
        """Summarise the fit; prints as text, shows as HTML in a notebook.

        Parameters
        ----------
        ddf : {"satterthwaite", "residual", "inf"}
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
        if self._estimate.converged:
            notes.append(
                "Converged: exact derivatives predict a further decrease of -2 log-likelihood by "
                f"{self._estimate.decrement:.1e}."
            )
        return Summary(
            "Linear model with structured residuals fit by "
            + ("REML" if self.reml else "maximum likelihood"),
            facts,
            self.varcorr if self._design.random else None,
            self.coef_table(ddf),
            notes,
            DDF_NAMES[ddf],
        )

    def _sd_text(self) -> str:
        """Residual standard deviations in a line."""
        if self.call.variance is None:
            return f"{self.sigma:.5g}"
        if self._structured.strata is not None:
            return f"by {self.call.variance}: {variance_text(self.variances['sd'])}"
        slopes = " + ".join(f"{v:.4g} {name}" for name, v in self.variance_params.items())
        return f"{self.sigma:.5g} * exp({slopes})"

    def __repr__(self) -> str:
        return str(self.summary())

    def _repr_html_(self) -> str:
        return self.summary()._repr_html_()


def fit_model(call: GLSCall, data: Any) -> GLSModel:
    """Fit as a call says, without giving its warnings."""
    rows = build_structured(
        parse(call.formula),
        data,
        groups=call.groups,
        time=call.time,
        variance=call.variance,
        weights=call.weights,
        offset=call.offset,
        contrasts=call.contrasts,
        missing=call.missing,
    )
    return fit_rows(rows, call, data)


def fit_rows(rows: StructuredDesign, call: GLSCall, data: Any = None) -> GLSModel:
    """Fit a structured design as a call says."""
    if rows.design.random and call.corr == "independence":
        lmm.check(rows.design)
    model = gls_model(rows, call.corr)
    check_rows(rows, model.layout, call.corr, call.groups, call.time)
    estimate = fit_gls(rows, model, reml=call.reml, control=call.control)
    return GLSModel(rows, estimate, call, model=model, data=data)
