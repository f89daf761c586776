"""A fitted linear mixed model: thin methods over frozen arrays."""

from __future__ import annotations

import warnings
from collections.abc import Iterable
from dataclasses import replace
from typing import Any

import pandas as pd

from ... import _core
from ..._typing import Array
from ...chunks.summed import SummedDesign
from ...design.design import Design
from ...errors import ConvergenceWarning, RanefWarning, SingularFitWarning, UnsupportedError
from ...inference.prediction import predict as prediction
from ...inference.priors.parts import describe, prior_parts
from ...inference.sandwich.wild import WildBootstrap
from ...models import lmm
from ...models.lmm import LmmEstimate
from ...report.summary import Summary
from ...report.verdict import data_warnings, not_reached, not_there_yet, singular_notes
from ..robust import RobustResult, robust_mixed
from ..warned import as_error
from .call import Call
from .explain import Explained
from .fit import checked, complete, estimated, kernel_of, read, settled, with_method
from .intervals import Intervals
from .trust import Trust

__all__ = ["Call", "LinearMixedModel"]

#: How a summary names its degrees of freedom.
DDF_NAMES = {
    "satterthwaite": "Satterthwaite's degrees of freedom",
    "kenward-roger": "errors and degrees of freedom of Kenward and Roger",
    "residual": "residual degrees of freedom",
    "inf": "normal tests",
}


class LinearMixedModel(Explained, Intervals, Trust):
    """A fitted linear mixed model.

    Made by :func:`ranef.lmer`. Nothing of it changes after the fit: ``refit`` and ``update``
    give new models. Threads may share it.

    Attributes
    ----------
    call : Call
        The arguments that made it.
    warnings : tuple of RanefWarning
        What the fit warned of.
    """

    def __init__(
        self,
        design: Design,
        estimate: LmmEstimate,
        call: Call,
        *,
        core: _core.Lmm | None = None,
        data: Any = None,
    ):
        super().__init__(design, estimate, call, core=core, data=data)
        self.warnings = tuple(self._findings())

    def _findings(self) -> Iterable[RanefWarning]:
        """Everything worth a warning, in the order of the analysis."""
        design, estimate = self._design, self._estimate
        yield from data_warnings(design, lambda: self._core, estimate.kept)
        if estimate.is_singular and estimate.converged:
            yield SingularFitWarning(
                "singular fit: "
                + "; ".join(singular_notes(design, self._core, estimate))
                + " ranef.diagnose(model) looks for the cause."
            )
        if not estimate.converged:
            yield ConvergenceWarning(
                f"the search stopped ({estimate.status}) where {not_there_yet(design, estimate)}; "
                "ranef.converge(model) goes on from there, and "
                'ranef.help("convergence") says what this means.'
            )

        if estimate.approximation is not None and not estimate.approximation.reached:
            yield ConvergenceWarning(
                not_reached(estimate.approximation, self._core.exact_bytes, self._core.exact_flops)
            )

    def _warn(self) -> None:
        """Give the warnings of the fit, once."""
        for warning in self.warnings:
            warnings.warn(warning, stacklevel=4)

    # ------------------------------------------------------------------ fixed effects

    def robust(self, kind: str = "CR2", cluster: Any = None) -> RobustResult:
        """Give tests of the fixed effects with a cluster-robust covariance.

        Parameters
        ----------
        kind : {"CR2", "CR3", "CR0", "CR1", "CR1S"}
            The small-sample correction.
        cluster : str, sequence of str or array_like, optional
            Clusters, in which every grouping factor is nested; by default the grouping factor with
            fewest levels. Several (CR0, CR1, CR1S) when each factor is nested in one of them.
        """
        self._exact_only("a cluster-robust covariance")
        if prior_parts(self.call.prior).fixed is not None:
            raise UnsupportedError(
                "cluster-robust errors are of fixed effects that the data alone determine, and "
                "these have a prior; use model.update(prior=...) without 'fixed'"
            )
        return robust_mixed(
            kind, cluster, self._design, self._estimate, self._data, self.call.formula
        )

    def wild_bootstrap(self, term: str, cluster: Any = None, **options: Any) -> WildBootstrap:
        """Test a fixed effect by the wild cluster bootstrap; see `RobustResult.wild_bootstrap`."""
        return self.robust("CR0", cluster).wild_bootstrap(term, **options)

    # ------------------------------------------------------------------ random effects

    def _conditional_covariances(self) -> list[Array]:
        """Conditional covariance of each level, (levels, s, s) for each term."""
        blocks = self._core.conditional_covariances(list(self._estimate.lambda_standard))
        scale = self.sigma**2
        return [
            scale * block.T.reshape(term.n_levels, term.n_cols, term.n_cols)
            for term, block in zip(self._design.random, blocks, strict=True)
        ]

    # ------------------------------------------------------------------ rows

    @property
    def fittedvalues(self) -> pd.Series[Any]:
        """X beta + Z b + offset for the rows used."""
        return self._rows(prediction.fitted(self._design, self._estimate))

    @property
    def resid(self) -> pd.Series[Any]:
        """Response less fitted values for the rows used."""
        return self._rows(self._design.y - prediction.fitted(self._design, self._estimate))

    def predict(
        self,
        newdata: Any = None,
        *,
        random: str | Iterable[str] = "all",
        new_levels: str = "raise",
        interval: str | None = None,
        level: float = 0.95,
    ) -> Any:
        """Predict the response.

        Parameters
        ----------
        newdata : DataFrame, optional
            New rows; the fitted rows by default.
        random : {"all", "none"} or list of str
            Which random effects take part: all, none (the population's mean), or those
            of the groups named.
        new_levels : {"raise", "population"}
            What to do with levels the fit has not seen: raise, or give them the
            population's effect, zero.
        interval : {"confidence", "prediction"}, optional
            An interval for the mean of the row's level, or for one new observation (of
            weight 1). Both hold
            the variance of a new level; a prediction interval with ``random="none"``
            is for an observation
            whose levels are not known.
        level : float
            Coverage of the interval.

        Returns
        -------
        ndarray of shape (m,), or DataFrame with columns mean, lower, upper
            A row with missing values gives NaN.

        Notes
        -----
        Intervals are normal and take the covariance parameters as known.
        """
        if interval not in (None, "confidence", "prediction"):
            raise ValueError(f"interval must be 'confidence' or 'prediction', not {interval!r}")
        if newdata is None:
            if interval is None and random == "all":
                return prediction.fitted(self._design, self._estimate)
            if interval is None and random == "none":
                return prediction.fixed_part(self._design, self._estimate)
            newdata = self._training_data()
        return prediction.predict(
            self._design,
            self._estimate,
            self._core,
            newdata,
            random=random,
            new_levels=new_levels,
            interval=interval,
            level=level,
        )

    def simulate(self, n: int = 1, *, seed: Any = None) -> Array:
        """Draw new responses from the fitted model, random effects included.

        Parameters
        ----------
        n : int
            Number of draws.
        seed : int or Generator, optional
            Makes the draws repeatable.

        Returns
        -------
        ndarray of shape (nobs, n)
            A response a column.
        """
        return prediction.simulate(self._design, self._estimate, n, seed)

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
        design = replace(self._design, y=self._new_response(y))
        core = lmm.kernel(design)
        estimate = estimated(design, core, self.call)
        return LinearMixedModel(settled(design, estimate), estimate, self.call, core=core)

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
        from ...formula import parse, update

        known = set(Call.__dataclass_fields__) - {"formula"}
        if unknown := set(changes) - known:
            raise ValueError(f"lmer has no argument {sorted(unknown)[0]!r}; it has {sorted(known)}")
        text = (
            self.call.formula if formula is None else update(parse(self.call.formula), formula).text
        )
        call = replace(self.call, formula=text, **changes)
        if formula is None and data is None and set(changes) <= {"reml", "control"}:
            return self._again(call)
        return fit_model(call, self._training_data() if data is None else data)

    def _again(self, call: Call) -> LinearMixedModel:
        """Fit the same design under another criterion, from the present optimum."""
        start = lmm.off_boundary(self._estimate.lambda_standard)
        estimate = estimated(self._design, self._core, call, start)
        design = settled(self._design, estimate)
        return LinearMixedModel(design, estimate, call, core=self._core, data=self._data)

    # ------------------------------------------------------------------ tables

    def _facts(self) -> list[tuple[str, str]]:
        """Label and value of what a summary says first."""
        design, estimate = self._design, self._estimate
        groups = ", ".join(f"{group} ({count:,})" for group, count in self.ngroups.items())
        criterion = "restricted log-likelihood" if self.reml else "log-likelihood"
        facts = [
            ("Formula", self.call.formula),
            ("Rows", f"{self.nobs:,}"),
            ("Groups", groups),
            (criterion.capitalize(), f"{self.llf:.4f}  (AIC {self.aic:.2f}, BIC {self.bic:.2f})"),
        ]
        if estimate.approximation is not None:
            error = estimate.approximation.llf_error
            facts.append(("Method", f"{estimate.approximation}; error of llf {error:.2g}"))
        if design.weights is not None:
            facts.insert(2, ("Weights", "precision weights, Var(e_i) = sigma^2 / w_i"))
        if self.call.prior is not None:
            facts.append(("Prior", f"{describe(self.call.prior)}, penalty {self.penalty:.4f}"))
        return facts

    def summary(self, ddf: str = "satterthwaite") -> Summary:
        """Summarise the fit for reading.

        Parameters
        ----------
        ddf : str
            Degrees of freedom of the tests, as in ``coef_table``.

        Returns
        -------
        Summary
            Prints as text, and as HTML in a notebook.
        """
        notes = [str(w) for w in self.warnings]
        if self._estimate.converged:
            count = self._estimate.n_gradient
            notes.append(
                f"Converged: after {count} step{'s' if count > 1 else ''}, exact derivatives "
                "predict a further decrease of -2 log-likelihood by "
                f"{self._estimate.decrement:.1e}."
            )
        return Summary(
            "Linear mixed model fit by " + ("REML" if self.reml else "maximum likelihood"),
            self._facts(),
            self.varcorr,
            self.coef_table(ddf),
            notes,
            DDF_NAMES[ddf],
        )

    def __repr__(self) -> str:
        kind = "REML" if self.reml else "ML"
        fit = f"{kind}, {self.nobs} rows, llf {self.llf:.4f}"
        return f"<LinearMixedModel {self.call.formula!r}, {fit}>"

    def _repr_html_(self) -> str:
        return self.summary()._repr_html_()


def fit_model(
    call: Call, data: Any, *, executor: Any = None, progress: bool = True
) -> LinearMixedModel:
    """Carry out a call: parse, build, check, fit."""
    call = complete(call, data)
    design = read(call, data, executor=executor, progress=progress)
    checked(design, call)
    design = with_method(design, call)
    core = kernel_of(design)
    estimate = estimated(design, core, call)
    design = settled(design, estimate)
    held = None if isinstance(design, SummedDesign) else data
    model = LinearMixedModel(design, estimate, call, core=core, data=held)
    if call.strict and model.warnings:
        raise as_error(model.warnings)
    model._warn()
    return model
