"""A fitted cumulative link model: thin methods over frozen arrays."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from itertools import pairwise
from typing import Any

import numpy as np
import pandas as pd

from ..._typing import Array, Random
from ...design.encode import encode
from ...errors import (
    ConvergenceWarning,
    DataError,
    RanefWarning,
    RankWarning,
    SingularFitWarning,
    UnsupportedError,
)
from ...families.shaped import mean_of
from ...formula import parse, update
from ...inference.optimum.generalised import optimum_of
from ...inference.prediction import predict as prediction
from ...inference.prediction.table import labelled
from ...models.glmm.estimate import PartsEstimate
from ...models.glmm.several import at_parts
from ...report.coefficients import coefficient_table, interval_table
from ...report.summary import Summary
from ...report.verdict import Convergence, alias_notes, convergence
from ..several.named import Effects
from ..warned import dropped_rows, tell
from .call import OrdinalCall
from .fit import OrdinalParts, fit_call, fit_found, ordinal_call

__all__ = ["CumulativeLinkModel", "fit_ordinal_model"]

KINDS = ("prob", "class", "cumulative", "link")
REMEDY = "Merged categories, fewer random effects or merged levels of a predictor may help."


class CumulativeLinkModel(Effects):
    """A fitted cumulative link model of an ordered response.

    Made by :func:`ranef.clmm`. Nothing of it changes after the fit.

    Attributes
    ----------
    call : OrdinalCall
        The arguments that made it.
    warnings : tuple of RanefWarning
        What the fit warned of.
    categories : tuple
        Labels of the categories that occur, in order.
    reml : bool
        False: the likelihood is maximised.
    """

    reml = False

    def __init__(self, parts: OrdinalParts, call: OrdinalCall, *, data: Any = None):
        self.call = call
        self.categories = parts.categories
        self._parts = parts
        self._design = parts.design
        self._estimate: PartsEstimate = parts.estimate
        self._data = data
        self.warnings = tuple(self._findings())

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_data": None}  # the caller's frame is not ours to copy

    def _findings(self) -> Iterable[RanefWarning]:
        """Everything worth a warning, in the order of the analysis."""
        e, design = self._estimate, self._design
        yield from dropped_rows(design)
        block = e.block("location")
        if block.aliased:
            shifted = replace(design, fixed_names=design.fixed_names[1:], fixed=design.fixed[1:])
            notes = " ".join(alias_notes(shifted, block.aliased, block.alias[1:], block.kept))
            yield RankWarning(f"the columns of the location have less than full rank: {notes}")
        if e.is_singular:
            groups = [
                term.group
                for term, own in zip(design.random, e.lambda_standard, strict=True)
                if np.linalg.svd(own, compute_uv=False).min() < 1e-4
            ]
            yield SingularFitWarning(
                f"singular fit: a variance of {' and '.join(groups)} is zero, or its covariance "
                "matrix singular; a smaller term gives the same fit"
            )
        if e.separated:
            far = " and ".join(
                "the thresholds" if part == "thresholds" else repr(name)
                for part, name in dict.fromkeys(
                    (part, "" if part == "thresholds" else name) for part, name in e.separated
                )
            )
            yield ConvergenceWarning(
                f"the likelihood rises without end with {far}: a category, or a level of a "
                "predictor, occurs alone, so that no finite coefficient exists and its standard "
                "error is left out. Merge categories or levels."
            )
        elif not self._verdict.converged:
            yield ConvergenceWarning(
                f"the search stopped ({e.status}) where -2 log-likelihood can still fall by about "
                f"{e.decrement:.2g}. {REMEDY}"
            )

    @property
    def _verdict(self) -> Convergence:
        return convergence(self._estimate, optimum_of(self._design, self._estimate), [], REMEDY)

    @property
    def convergence(self) -> Convergence:
        """Report on the optimum: exact gradient, curvature, evaluations, advice."""
        notes = [str(w) for w in self.warnings]
        optimum = optimum_of(self._design, self._estimate)
        report = convergence(self._estimate, optimum, notes, REMEDY)
        if not self._estimate.separated:
            return report
        verdict = "Not converged: the likelihood rises without end with a coefficient."
        return replace(report, converged=False, verdict=verdict)

    # ------------------------------------------------------------------ parameters

    @property
    def link(self) -> str:
        """Link of the cumulative probabilities."""
        return self.call.link

    @property
    def _cuts(self) -> list[str]:
        """Names of the thresholds."""
        labels = [str(label) for label in self.categories]
        return [f"{low}|{high}" for low, high in pairwise(labels)]

    def _mapped(self) -> tuple[pd.Index[Any], Array, Array]:
        """Names, estimates and the map of all coefficients but thresholds; NaN where aliased."""
        plan = self._parts.plan
        names = list(self._design.fixed_names[1:])
        maps = np.full((len(names), len(self._estimate.standard)), np.nan)
        maps[self._estimate.block("location").kept] = plan.location
        if self._parts.scale is not None:
            names += [f"scale:{name}" for name in self._parts.scale.fixed_names[1:]]
        if self._parts.nominal is not None:
            names += [
                f"{cut}:{name}"
                for name in self._parts.nominal.fixed_names[1:]
                for cut in self._cuts
            ]
        maps = np.vstack([maps, plan.scale, plan.nominal])
        return pd.Index(names), maps @ self._estimate.standard, maps

    @property
    def params(self) -> pd.Series[Any]:
        """Coefficients of the location, of the scale, and of what is nominal by threshold."""
        names, values, _ = self._mapped()
        return pd.Series(values, index=names)

    @property
    def bse(self) -> pd.Series[Any]:
        """Standard errors of ``params``."""
        names, _, maps = self._mapped()
        out = np.sqrt(np.einsum("ij,jk,ik->i", maps, self._estimate.standard_cov, maps))
        lost = [name for part, name in self._estimate.separated if part != "thresholds"]
        return pd.Series(out, index=names).where(~names.isin(lost))

    def cov_params(self) -> pd.DataFrame:
        """Covariance matrix of the coefficients that are not aliased."""
        names, values, maps = self._mapped()
        kept = np.isfinite(values)
        cov = maps[kept] @ self._estimate.standard_cov @ maps[kept].T
        return pd.DataFrame(cov, index=names[kept], columns=names[kept])

    @property
    def thresholds(self) -> pd.Series[Any]:
        """Cut points of the latent response, at the first level of what is nominal."""
        values = self._parts.plan.thresholds @ self._estimate.standard
        return pd.Series(values, index=pd.Index(self._cuts))

    @property
    def thresholds_bse(self) -> pd.Series[Any]:
        """Standard errors of the cut points."""
        maps = self._parts.plan.thresholds
        out = np.sqrt(np.einsum("ij,jk,ik->i", maps, self._estimate.standard_cov, maps))
        return pd.Series(out, index=pd.Index(self._cuts))

    @property
    def npar(self) -> int:
        """Parameters of the thresholds, coefficients, and covariance parameters."""
        return len(self._estimate.standard) + self._n_covariances

    @property
    def zvalues(self) -> pd.Series[Any]:
        """Coefficients divided by their standard errors."""
        return self.params / self.bse

    @property
    def pvalues(self) -> pd.Series[Any]:
        """P-values of the coefficients by normal tests."""
        return self.coef_table()["pvalue"].rename(None)

    def coef_table(self) -> pd.DataFrame:
        """Lay out estimates, standard errors and normal tests.

        Returns
        -------
        DataFrame
            Columns estimate, se, df (infinite), t, pvalue.
        """
        return coefficient_table(list(self.params.index), self.params, self.bse, np.inf)

    def conf_int(self, method: str = "wald", level: float = 0.95) -> pd.DataFrame:
        """Return normal confidence intervals of the coefficients.

        Parameters
        ----------
        method : {"wald"}
            The only one for this model.
        level : float
            Coverage, between 0 and 1.
        """
        if method != "wald":
            raise UnsupportedError("a cumulative link model has Wald intervals: method='wald'")
        return interval_table(list(self.params.index), self.params, self.bse, np.inf, level)

    # ------------------------------------------------------------------ rows

    def predict(
        self,
        newdata: Any = None,
        *,
        kind: str = "prob",
        random: Random = "all",
        new_levels: str = "raise",
    ) -> Any:
        """Predict probabilities of categories, the most probable one, or the linear predictor.

        Parameters
        ----------
        newdata : DataFrame, optional
            New rows; the fitted rows by default.
        kind : {"prob", "class", "cumulative", "link"}
            Probability of each category; the most probable category; probability of each category
            or a lower one; the linear predictor of the location.
        random : {"all", "none"} or list of str
            Which random effects take part: all, none, or those of the groups named.
        new_levels : {"raise", "population"}
            What to do with levels the fit has not seen: raise, or give them the effect zero.

        Returns
        -------
        DataFrame or Series
            A column a category for "prob" and "cumulative". A row with missing values gives NaN.
        """
        if kind not in KINDS:
            raise ValueError(f"kind must be one of {', '.join(map(repr, KINDS))}, not {kind!r}")
        data = self._training_data() if newdata is None else newdata
        eta, cuts, zeta, index = self._predictors(data, random, new_levels)
        if newdata is None and self._design.rows is not None:  # the rows of the fit
            rows = self._design.rows
            eta, cuts, zeta = eta[rows], cuts[rows], zeta[rows]
            index = None if index is None else index[rows]
        if kind == "link":
            return labelled(eta, index)
        cumulative = self._cumulative(eta, cuts, zeta)
        columns = list(self.categories)
        if kind == "cumulative":
            return pd.DataFrame(cumulative, index=index, columns=columns)
        prob = pd.DataFrame(np.diff(cumulative, axis=1, prepend=0.0), index=index, columns=columns)
        return prob if kind == "prob" else self._classes(prob)

    def _cumulative(self, eta: Array, cuts: Array, zeta: Array) -> Array:
        """Probabilities of each category or a lower one, (m, categories)."""
        latent = (cuts - eta[:, None]) / np.exp(zeta)[:, None]
        below = mean_of(self.call.link, latent.ravel()).reshape(latent.shape)
        last = np.where(np.isnan(eta), np.nan, 1.0)
        return np.column_stack([below, last])

    def _classes(self, prob: pd.DataFrame) -> pd.Series[Any]:
        known = prob.notna().all(axis=1).to_numpy()
        best = np.where(known, prob.fillna(0.0).to_numpy().argmax(axis=1), -1)
        dtype = pd.CategoricalDtype(list(self.categories), ordered=True)
        return pd.Series(pd.Categorical.from_codes(best, dtype=dtype), index=prob.index)

    def _predictors(
        self, data: Any, random: Random, new_levels: str
    ) -> tuple[Array, Array, Array, pd.Index[Any] | None]:
        """Location (m,), thresholds (m, K) and log scale (m,) of rows."""
        e, plan = self._estimate, self._parts.plan
        groups = prediction.chosen_groups(self._design, random)
        rows = encode(self._design, data, random=groups, new_levels=new_levels)
        kept = e.block("location").kept
        eta = rows.X[:, 1:][:, kept] @ (plan.location @ e.standard)
        if rows.offset is not None:
            eta = eta + rows.offset
        for t, new in enumerate(rows.terms):
            if new is not None:
                seen = np.where(new.codes >= 0, new.codes, 0)
                modes = np.where((new.codes >= 0)[:, None], e.modes[t][seen], 0.0)
                eta = eta + np.einsum("ij,ij->i", new.z, modes)
        m = len(eta)
        cuts = np.tile(self.thresholds.to_numpy(), (m, 1))
        if self._parts.nominal is not None:
            own = encode(self._parts.nominal, data, random=False).X[:, 1:]
            moves = (plan.nominal @ e.standard).reshape(own.shape[1], -1)
            cuts = cuts + own @ moves
        zeta = np.zeros(m)
        if self._parts.scale is not None:
            zeta = encode(self._parts.scale, data, random=False).X[:, 1:] @ (
                plan.scale @ e.standard
            )
        return np.where(rows.missing, np.nan, eta), cuts, zeta, rows.index

    @property
    def fittedvalues(self) -> pd.Series[Any]:
        """Probability of the category that was observed, given the random effects."""
        eta = self._estimate.eta
        high, low = eta[:, 1], eta[:, 2]
        y, top = self._design.y, len(self.categories) - 1
        scale = np.exp(eta[:, 3])
        above = np.where(y >= top, 1.0, mean_of(self.call.link, (high - eta[:, 0]) / scale))
        below = np.where(y <= 0, 0.0, mean_of(self.call.link, (low - eta[:, 0]) / scale))
        return self._rows(above - below)

    def simulate(self, n: int = 1, *, seed: Any = None) -> Array:
        """Draw new categories from the fitted model, from 0, new random effects each time.

        Parameters
        ----------
        n : int
            Number of draws.
        seed : int or Generator, optional
            Makes the draws repeatable.

        Returns
        -------
        ndarray of shape (nobs, n)
            Positions in ``categories``.
        """
        rng = np.random.default_rng(seed)
        eta, cuts, zeta, _ = self._predictors(self._training_data(), "none", "raise")
        if self._design.rows is not None:
            eta, cuts, zeta = (part[self._design.rows] for part in (eta, cuts, zeta))
        out = np.empty((self.nobs, n), order="F")
        for i in range(n):
            modes = prediction.random_draws(self._design, self._estimate.lambda_, 1.0, rng)
            moved = eta + prediction.random_part(self._design, modes)
            cumulative = self._cumulative(moved, cuts, zeta)
            out[:, i] = (cumulative < rng.random((self.nobs, 1))).sum(axis=1)
        return out

    def _conditional_covariances(self) -> list[Array]:
        """Conditional covariance of each level, (levels, s, s) for each term."""
        core = at_parts(self._parts.plan.plan, self._estimate)
        out = []
        for term, basis, block in zip(
            self._design.random,
            self._parts.plan.plan.bases,
            core.conditional_covariances(),
            strict=True,
        ):
            own = block.T.reshape(term.n_levels, term.n_cols, term.n_cols)
            out.append(np.einsum("ab,lbc,dc->lad", basis, own, basis))
        return out

    # ------------------------------------------------------------------ other fits

    def refit(self, y: Any) -> CumulativeLinkModel:
        """Fit the same model to other categories, as positions in ``categories``."""
        response = self._new_response(y)
        if set(np.unique(response)) != set(range(len(self.categories))):
            raise DataError(
                f"y has to hold every one of the categories 0 to {len(self.categories) - 1}"
            )
        parts = self._parts
        found = (replace(parts.design, y=response), parts.nominal, parts.scale, parts.categories)
        return finished(fit_found(self.call, found), self.call)

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
        return fit_ordinal_model(again, self._training_data() if data is None else data)

    # ------------------------------------------------------------------ tables

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

    def _notes(self) -> Iterable[str]:
        """Collect what the reader of a summary must know."""
        yield from (str(w) for w in self.warnings)
        if self.convergence.converged:
            yield (
                f"Converged: after {len(self._estimate.path)} steps, exact derivatives predict a "
                f"further decrease of -2 log-likelihood by {self._estimate.decrement:.1e}."
            )

    def summary(self) -> Summary:
        """Summarise the fit for reading: prints as text, and as HTML in a notebook."""
        groups = ", ".join(f"{group} ({count:,})" for group, count in self.ngroups.items())
        cuts = coefficient_table(self._cuts, self.thresholds, self.thresholds_bse, np.inf)
        facts = [
            ("Formula", self.call.formula),
            *((n, t) for n, t in (("Scale", self.call.scale), ("Nominal", self.call.nominal)) if t),
            ("Link", f"{self.link}, {self.call.thresholds} thresholds"),
            ("Categories", ", ".join(map(str, self.categories))),
            ("Rows", f"{self.nobs:,}"),
            *([("Groups", groups)] if groups else []),
            ("Log-likelihood", f"{self.llf:.4f}  (AIC {self.aic:.2f}, BIC {self.bic:.2f})"),
        ]
        nagq = self.call.nagq
        method = "Laplace's approximation" if nagq == 1 else f"adaptive quadrature, {nagq} points"
        mixed = bool(self._design.random)
        return Summary(
            f"Cumulative link mixed model fit by {method}" if mixed else "Cumulative link model",
            facts,
            self.varcorr if mixed else None,
            pd.concat([self.coef_table(), cuts]),
            list(self._notes()),
            "normal tests",
        )

    def __repr__(self) -> str:
        fit = f"{self.link}, {self.nobs} rows, llf {self.llf:.4f}"
        return f"<CumulativeLinkModel {self.call.formula!r}, {fit}>"

    def _repr_html_(self) -> str:
        return self.summary()._repr_html_()


def finished(parts: OrdinalParts, call: OrdinalCall, data: Any = None) -> CumulativeLinkModel:
    """Make the model and give its warnings."""
    model = CumulativeLinkModel(parts, call, data=data)
    tell(model.warnings, strict=call.strict)
    return model


def fit_ordinal_model(call: OrdinalCall, data: Any) -> CumulativeLinkModel:
    """Carry out a call: parse, build, check, fit."""
    return finished(fit_call(call, data), call, data)
