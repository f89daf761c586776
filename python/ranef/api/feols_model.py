"""A fitted least squares model: thin methods over frozen arrays."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from ranef.design import Design, encode
from ranef.errors import ModelError, RanefWarning, UnsupportedError
from ranef.inference.robust import (
    Counts,
    absorbed_count,
    absorbed_leverage,
    check_convention,
    hetero_cov,
    multiway_cov,
    within_scores,
)
from ranef.inference.sandwich import DiagonalScores
from ranef.inference.sandwich_tests import f_test
from ranef.inference.wild import WildBootstrap, wild_bootstrap
from ranef.models.ols import OlsEstimate, fit_ols, orthonormal_basis
from ranef.models.within import absorbed_effects, singletons
from ranef.report.coefficients import t_quantile
from ranef.report.regression import CoefficientTests, contrast_matrix
from ranef.report.summary import Summary

from .robust import Named, RobustResult, clusters_of, robust_clusters

if TYPE_CHECKING:
    from .feols import Fitted

__all__ = ["FeolsCall", "FixedEffectsModel"]

TOO_MANY = (
    "degrees of freedom are clusters - 1: too many absorbed levels cut through the clusters for "
    "Satterthwaite's"
)

Array = NDArray[np.float64]
Codes = NDArray[np.int32]


@dataclass(frozen=True)
class FeolsCall:
    """The arguments of a fit."""

    formula: str
    absorb: tuple[str, ...] = ()
    cluster: tuple[str, ...] = ()
    vcov: str | None = None
    ssc: str = "fixest"
    weights: Any = None
    offset: Any = None
    contrasts: Any = None
    missing: str = "drop"


class FixedEffectsModel(CoefficientTests):
    """A fitted least squares model, pooled or with absorbed factors.

    Made by :func:`ranef.feols`; nothing of it changes after the fit.

    Attributes
    ----------
    call : FeolsCall
        The arguments that made it.
    warnings : tuple of RanefWarning
        What the fit warned of.
    """

    def __init__(
        self,
        design: Design,
        fitted: Fitted,
        call: FeolsCall,
        data: Any = None,
        found: tuple[RanefWarning, ...] = (),
    ):
        self.call = call
        self.warnings = found
        self._design = design
        self._fitted = fitted
        self._data = data
        self._names = tuple(design.fixed_names[j] for j in fitted.positions)
        self._beta = fitted.within.ols.beta
        self._vcov = self._default_vcov()
        self._cov = self._vcov.cov

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_data": None}

    # ------------------------------------------------------------------ covariance

    def _default_vcov(self) -> RobustResult:
        """Give the covariance that the call asked for."""
        kind, cluster = self.call.vcov, self.call.cluster
        if kind is None:
            kind = "CR1S" if cluster else "iid"
        check_convention(self.call.ssc)
        if kind == "iid":
            cov = self._ols.sigma2 * self._ols.cov_unscaled
            return RobustResult("iid", self._named(), cov, df_given=float(self.df_resid))
        return self.robust(kind, cluster=cluster or None, ssc=self.call.ssc)

    def _df(self) -> ArrayLike:
        return self._vcov._df()

    def _named(self) -> Named:
        """Names, estimates and terms."""
        place = {j: i for i, j in enumerate(self._fitted.positions)}
        terms = tuple(
            (name, tuple(place[j] for j in columns if j in place))
            for name, columns in self._design.fixed_terms
        )
        return Named(self._names, self._beta, terms, self.call.formula)

    @property
    def vcov_type(self) -> str:
        """Which covariance the tests of this model use."""
        return self._vcov.kind

    def robust(
        self, kind: str = "CR2", cluster: Any = None, *, ssc: str = "clubSandwich"
    ) -> RobustResult:
        """Give tests with a robust covariance.

        Parameters
        ----------
        kind : str
            HC0 to HC3 against unequal variances; CR0, CR1, CR1S, CR2, CR3 against clusters as well.
        cluster : str, sequence of str or array_like, optional
            Clusters: a column, several (CR0, CR1, CR1S), or one value for each row; by default
            those of the call.
        ssc : {"clubSandwich", "fixest", "stata"}
            Small-sample convention, see :func:`ranef.feols`.

        Returns
        -------
        RobustResult

        References
        ----------
        .. [1] Pustejovsky and Tipton (2018), J. Bus. Econ. Stat. 36, 672-683.
        """
        check_convention(ssc)
        if kind.startswith("HC"):
            return self._hetero(kind)
        cluster = self.call.cluster if cluster is None else cluster
        if len(cluster) == 0:
            raise ModelError(
                f'{kind} needs clusters: name them, as in robust("{kind}", cluster="g")'
            )
        clusters = clusters_of(self._data, self._design, cluster)
        if len(clusters) > 1:
            return self._multiway(kind, clusters, ssc)
        name, codes = next(iter(clusters.items()))
        scores = self._scores(codes, ssc, kind)
        small = ssc != "clubSandwich" and kind in ("CR0", "CR1", "CR1S")
        plain = scores is None
        if scores is None:
            scores = self._plain_scores(codes)
        notes = [TOO_MANY] if plain else []
        df_given = float(scores.n_clusters - 1) if small or plain else None
        count = self._n_coef([codes], ssc)
        return robust_clusters(
            kind, self._named(), scores, name, n_coef=count, df_given=df_given, notes=notes
        )

    def wild_bootstrap(
        self,
        term: str,
        cluster: Any = None,
        *,
        null: float = 0.0,
        draws: int = 9999,
        weights: str = "webb",
        level: float = 0.95,
        seed: int | None = None,
    ) -> WildBootstrap:
        """Test a coefficient by the wild cluster bootstrap with the hypothesis imposed.

        Parameters
        ----------
        term : str
            The coefficient.
        cluster : str or array_like, optional
            Clusters; by default those of the call.
        null : float
            Value under the hypothesis.
        draws : int
            Number of draws.
        weights : {"webb", "rademacher"}
            Webb's six points, or random signs, all of whose patterns are used when they are few.
        level : float
            Coverage of the interval, found by inverting the test.
        seed : int, optional
            Seed of the draws.

        Returns
        -------
        WildBootstrap

        References
        ----------
        .. [1] Cameron, Gelbach and Miller (2008), Rev. Econ. Stat. 90, 414-427.
        """
        C = contrast_matrix(term, self._names, self._kept(), self._named().terms)
        if len(C) != 1:
            raise ValueError(f"{term!r} has {len(C)} coefficients; name one of them")
        cluster = self.call.cluster if cluster is None else cluster
        if len(cluster) == 0:
            raise ModelError("the bootstrap redraws clusters: name them with cluster=")
        codes = next(iter(clusters_of(self._data, self._design, cluster).values()))
        scores = self._scores(codes, "clubSandwich", "CR2")
        assert scores is not None
        wide = np.pad(C[0], (0, scores.root.shape[0] - C.shape[1]))
        estimate = float(C[0] @ self._beta[self._kept()])
        return wild_bootstrap(
            scores,
            wide,
            estimate,
            null=null,
            draws=draws,
            weights=weights,
            level=level,
            seed=seed,
        )

    def _n_coef(self, clusters: Sequence[Codes], ssc: str) -> int:
        """Coefficients that CR1S counts."""
        within = self._fitted.within
        charged = absorbed_count(self._fitted.absorption, within.df_absorbed, clusters, ssc)
        return int(self._kept().sum()) + charged

    def _scores(self, codes: Codes, ssc: str, kind: str) -> DiagonalScores | None:
        """Set up scores whose small-sample adjustments hold, None if that is out of reach."""
        if ssc != "clubSandwich" and kind in ("CR0", "CR1", "CR1S"):
            return self._plain_scores(codes)
        within = self._fitted.within
        scores = within_scores(
            within.X,
            self._ols.resid,
            codes,
            int(codes.max()) + 1,
            weights=self._design.weights,
            scale=within.scale,
            absorption=self._fitted.absorption,
        )
        if scores is None and kind in ("CR2", "CR3"):
            raise UnsupportedError(
                f"{kind} and the bootstrap are not offered when many absorbed levels cut through "
                'the clusters, for each of them ties clusters together; use "CR1"'
            )
        return scores

    def _plain_scores(self, codes: Codes) -> DiagonalScores:
        """Set up scores without adjustments."""
        basis = self._basis
        return DiagonalScores(
            basis.columns,
            self._ols.resid,
            self._design.weights,
            basis.root,
            codes,
            int(codes.max()) + 1,
        )

    @cached_property
    def _basis(self) -> Any:
        within = self._fitted.within
        return orthonormal_basis(within.X, self._design.weights, within.scale)

    def _hetero(self, kind: str) -> RobustResult:
        """Give a heteroscedasticity-robust covariance."""
        absorption, weights = self._fitted.absorption, self._design.weights
        leverage = None
        if absorption is not None and kind in ("HC2", "HC3"):
            leverage = absorbed_leverage(absorption, weights)
        cov = hetero_cov(
            self._basis,
            self._ols.resid,
            weights,
            kind,
            df_resid=self.df_resid,
            leverage=leverage,
        )
        return RobustResult(kind, self._named(), cov, df_given=float(self.df_resid))

    def _multiway(self, kind: str, clusters: dict[str, Codes], ssc: str) -> RobustResult:
        """Give a covariance robust to clusters of several kinds."""
        codes = list(clusters.values())
        scores = self._plain_scores(codes[0])
        counts = Counts(self.nobs, self._n_coef(codes, ssc), ssc)
        cov, clipped = multiway_cov(scores, codes, kind, counts)
        sizes = {name: int(c.max()) + 1 for name, c in clusters.items()}
        notes = (
            ["negative eigenvalues of the multiway covariance were set to zero"] if clipped else []
        )
        return RobustResult(
            kind,
            self._named(),
            cov,
            sizes,
            df_given=float(min(sizes.values()) - 1),
            notes=tuple(notes),
        )

    # ------------------------------------------------------------------ fit

    @property
    def _ols(self) -> OlsEstimate:
        return self._fitted.within.ols

    @property
    def nobs(self) -> int:
        """Rows that were used."""
        return self._design.n_obs

    @property
    def df_resid(self) -> int:
        """Rows less coefficients less absorbed effects."""
        return self._ols.df_resid

    @property
    def sigma(self) -> float:
        """Residual standard deviation."""
        return float(np.sqrt(self._ols.sigma2))

    @property
    def ngroups(self) -> dict[str, int]:
        """Levels of each absorbed factor."""
        absorption = self._fitted.absorption
        if absorption is None:
            return {}
        return dict(zip(absorption.names, map(int, absorption.n_levels), strict=True))

    @property
    def singletons(self) -> dict[str, int]:
        """Levels of each absorbed factor that occur in one row, which tells nothing of the rest."""
        absorption = self._fitted.absorption
        return {} if absorption is None else singletons(absorption)

    @property
    def aliased(self) -> dict[str, str]:
        """Columns without a coefficient, and why."""
        return {self._names[j]: why for j, why in self._fitted.within.aliased.items()}

    @property
    def rsquared(self) -> float:
        """Share of the response's variance that is explained, absorbed effects included."""
        return 1.0 - self._ols.ssr / self._fitted.within.tss

    @property
    def rsquared_within(self) -> float:
        """Share that the regressors explain of what the absorbed effects leave."""
        return 1.0 - self._ols.ssr / self._fitted.within.tss_within

    @property
    def rsquared_adj(self) -> float:
        """``rsquared`` with both variances divided by their degrees of freedom."""
        return 1.0 - self._ols.sigma2 * (self.nobs - 1) / self._fitted.within.tss

    @property
    def llf(self) -> float:
        """Gaussian log-likelihood at the maximum likelihood variance."""
        weights = self._design.weights
        logs = 0.0 if weights is None else float(np.log(weights).sum())
        n = self.nobs
        return 0.5 * (logs - n * (1.0 + float(np.log(2.0 * np.pi * self._ols.ssr / n))))

    @property
    def npar(self) -> int:
        """Coefficients, absorbed effects and the variance."""
        return self.nobs - self.df_resid + 1

    @property
    def aic(self) -> float:
        """Akaike's criterion."""
        return 2.0 * self.npar - 2.0 * self.llf

    @property
    def bic(self) -> float:
        """Schwarz's criterion."""
        return float(np.log(self.nobs)) * self.npar - 2.0 * self.llf

    def _series(self, values: Array) -> pd.Series[Any]:
        """Label values of the rows used as the caller's frame does."""
        index, rows = self._design.index, self._design.rows
        if index is None:
            return pd.Series(values)
        return pd.Series(values, index=index if rows is None else index[rows])

    @property
    def fittedvalues(self) -> pd.Series[Any]:
        """Fitted values, absorbed effects included."""
        return self._series(self._ols.fitted)

    @property
    def resid(self) -> pd.Series[Any]:
        """Residuals."""
        return self._series(self._ols.resid)

    def effects(self) -> dict[str, pd.Series[Any]]:
        """Give the absorbed effects, a series for each factor.

        Returns
        -------
        dict of str to Series
            Effects by level. Those of the first factor hold the overall mean; those of each later
            one add up to zero over the rows. Across unconnected levels they cannot be compared.
        """
        absorption = self._fitted.absorption
        if absorption is None:
            raise ModelError("no factor was absorbed; the effects are among the coefficients")
        fixed = self._linear(self._design.X[:, self._fitted.positions])
        offset = 0.0 if self._design.offset is None else self._design.offset
        parts = absorbed_effects(self._design.y - offset - fixed, absorption, self._design.weights)
        return {
            name: pd.Series(part, index=self._design.random[k].levels, name=name)
            for k, (name, part) in enumerate(zip(absorption.names, parts, strict=True))
        }

    def _linear(self, X: Array) -> Array:
        """X beta over the columns that have a coefficient."""
        kept = self._kept()
        return np.asarray(X[:, kept] @ self._beta[kept])

    def f_test_effects(self) -> pd.DataFrame:
        """Test that all absorbed effects are equal.

        Returns
        -------
        DataFrame
            One row: num_df, den_df, F, pvalue, by the residual sums of squares of the pooled fit
            and of this one.
        """
        if self._fitted.absorption is None:
            raise ModelError("no factor was absorbed; there are no effects to test")
        d = self._design
        X = np.column_stack([np.ones(d.n_obs), d.X[:, self._fitted.positions]])
        pooled = fit_ols(d.y, X, d.weights, d.offset)
        num_df = pooled.df_resid - self.df_resid
        test = f_test(pooled.ssr - self._ols.ssr, num_df, self._ols.sigma2, self.df_resid)
        return pd.DataFrame(test.columns())

    def wald_test(self, what: Any, value: ArrayLike = 0.0) -> pd.DataFrame:
        """Test coefficients jointly by the covariance of this model; see `RobustResult`."""
        return self._vcov.wald_test(what, value)

    # ------------------------------------------------------------------ prediction

    def predict(
        self,
        newdata: Any = None,
        *,
        interval: str | None = None,
        level: float = 0.95,
        new_levels: str = "raise",
    ) -> Any:
        """Predict the response.

        Parameters
        ----------
        newdata : frame, optional
            New rows; the rows of the fit by default.
        interval : {"confidence", "prediction"}, optional
            Ask for an interval of the mean, or of a new response of weight 1; not with absorbed
            factors.
        level : float
            Its coverage.
        new_levels : {"raise", "population"}
            What to do with a level of an absorbed factor that the fit did not see: raise, or take
            the mean effect.

        Returns
        -------
        ndarray of shape (m,) or DataFrame
            Means, or columns mean, lower, upper.
        """
        if newdata is None and interval is None:
            return self._ols.fitted.copy()
        X, extra = self._new_rows(self._data if newdata is None else newdata, new_levels)
        mean = self._linear(X) + extra
        if interval is None:
            return mean
        if interval not in ("confidence", "prediction"):
            raise ValueError(f"interval is confidence or prediction, not {interval!r}")
        if self._fitted.absorption is not None:
            raise UnsupportedError("intervals need the covariance of the absorbed effects")
        kept = X[:, self._kept()]
        variance = np.einsum("ij,jk,ik->i", kept, self._cov, kept)
        if interval == "prediction":
            variance = variance + self._ols.sigma2
        half = float(t_quantile(0.5 + level / 2.0, self.df_resid)) * np.sqrt(variance)
        return pd.DataFrame({"mean": mean, "lower": mean - half, "upper": mean + half})

    def _new_rows(self, newdata: Any, new_levels: str) -> tuple[Array, Array]:
        """Columns of new rows, and what offsets and absorbed effects add."""
        absorbed = () if self._fitted.absorption is None else self._fitted.absorption.names
        rows = encode(self._design, newdata, random=list(absorbed), new_levels=new_levels)  # type: ignore[arg-type]
        extra = np.zeros(len(rows.X)) if rows.offset is None else rows.offset
        if absorbed:
            effects = list(self.effects().values())
            for term, effect, design in zip(rows.terms, effects, self._design.random, strict=False):
                assert term is not None
                mean = float(effect.to_numpy()[design.codes].mean())
                extra = extra + np.append(effect.to_numpy(), mean)[term.codes]
        return rows.X[:, self._fitted.positions], extra

    # ------------------------------------------------------------------ text

    def summary(self) -> Summary:
        """Summarise the fit; prints as text, shows as HTML in a notebook."""
        facts = [("Formula", self.call.formula)]
        if self.ngroups:
            groups = ", ".join(f"{name} ({count})" for name, count in self.ngroups.items())
            facts.append(("Absorbed", groups))
        facts += [("Rows", str(self.nobs)), ("Residual sd", f"{self.sigma:.5g}")]
        within = f", within {self.rsquared_within:.4f}" if self.ngroups else ""
        facts += [("R squared", f"{self.rsquared:.4f}{within}"), ("Covariance", self.vcov_type)]
        if self._vcov.n_clusters:
            clusters = ", ".join(f"{n} ({count})" for n, count in self._vcov.n_clusters.items())
            facts.append(("Clusters", clusters))
        return Summary("Least squares", facts, None, self.coef_table(), self._notes())

    def _notes(self) -> list[str]:
        """Collect what the reader must know."""
        notes = [str(warning) for warning in self.warnings]
        alone = {name: count for name, count in self.singletons.items() if count}
        if alone:
            told = ", ".join(f"{count} of {name}" for name, count in alone.items())
            notes.append(
                f"singletons: {told} occur in one row each, which the effect fits exactly; they "
                "count as clusters but tell nothing of the coefficients"
            )
        return notes + list(self._vcov.notes)

    def __repr__(self) -> str:
        return str(self.summary())

    def _repr_html_(self) -> str:
        return self.summary()._repr_html_()
