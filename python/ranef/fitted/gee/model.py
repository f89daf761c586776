"""A fitted marginal model: thin methods over frozen arrays."""

from __future__ import annotations

import warnings
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from ... import _core
from ..._typing import Array, Codes
from ...design import Design, encode
from ...design.grouped import build_grouped, group_term, times_of
from ...errors import ModelError, RanefWarning
from ...families.response import check_response
from ...formula.parse import parse
from ...inference.coverage import t_quantile
from ...inference.sandwich.sandwich import DiagonalScores, check_kind
from ...inference.sandwich.wild import WildBootstrap
from ...models import gee as models
from ...models.gee import GeeEstimate, GeeSpec
from ...models.within import is_nested
from ...report.regression import CoefficientTests
from ...report.summary import Summary
from ..feols.fit import check_formula
from ..robust import Named, RobustResult, clusters_of, robust_clusters, robust_multiway
from ..warned import dropped_rows
from .call import GEECall
from .fit import check_pairs, check_times, findings, fit_design, specification

__all__ = ["QIC", "GEEModel", "check_vcov"]


#: Groups below which robust errors without a correction are known to be too small.
FEW = 40

#: Names of the covariances and the corrections they stand for.
VCOV = {
    "robust": "CR0",
    "naive": "",
    "jackknife": "CR3",
    "mancl-derouen": "CR3",
    "kauermann-carroll": "CR2",
}


def check_vcov(vcov: str) -> None:
    """Refuse a name that is no covariance of estimating equations."""
    if vcov not in VCOV:
        raise ValueError(f"vcov is one of {', '.join(VCOV)}, not {vcov!r}")


@dataclass(frozen=True)
class QIC:
    """Quasi-likelihood criteria of one fit; smaller is better.

    Attributes
    ----------
    qic : float
        Pan's criterion, -2 Q + 2 cic.
    qicu : float
        -2 Q + 2 p, to choose columns by.
    cic : float
        Trace of the robust covariance in units of the independence model's, to choose a
        correlation by.
    quasi_likelihood : float
        Q at the fitted means, with scale 1.
    """

    qic: float
    qicu: float
    cic: float
    quasi_likelihood: float


class GEEModel(CoefficientTests):
    """A fitted marginal model.

    Made by :func:`ranef.gee`; nothing of it changes after the fit.

    Attributes
    ----------
    call : GEECall
        The arguments that made it.
    spec : GeeSpec
        Family, link and working correlation, checked.
    warnings : tuple of RanefWarning
        What the fit warned of.
    """

    def __init__(
        self,
        design: Design,
        estimate: GeeEstimate,
        call: GEECall,
        spec: GeeSpec,
        data: Any = None,
        found: tuple[RanefWarning, ...] = (),
    ):
        self.call = call
        self.spec = spec
        self.warnings = found
        self._design = design
        self._estimate = estimate
        self._data = data
        self._names = design.fixed_names
        self._beta = estimate.beta
        if estimate.ran_away:
            nothing = np.full((int(self._kept().sum()),) * 2, np.nan)
            self._vcov = RobustResult(call.vcov, self._named(), nothing, df_given=np.inf)
        else:
            self._vcov = self._covariance(call.vcov)
        self._cov = self._vcov.cov

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_data": None}

    # ------------------------------------------------------------------ covariance

    def _must_be_finite(self) -> None:
        """Refuse errors of coefficients that have no finite estimate."""
        if self._estimate.ran_away:
            raise ModelError("the coefficients have no finite estimates, so they have no errors")

    def _covariance(self, vcov: str) -> RobustResult:
        """Give one of the named covariances with its degrees of freedom."""
        check_vcov(vcov)
        self._must_be_finite()
        if vcov == "naive":
            return RobustResult("naive", self._named(), self._estimate.cov_naive, df_given=np.inf)
        kind = VCOV[vcov]
        result = self._clustered(kind, self._scores, self.call.groups, vcov == "robust")
        factor = 1.0
        if vcov == "jackknife":
            G, p = self.n_clusters, int(self._kept().sum())
            if p >= G:
                raise ModelError(f"the jackknife needs more groups ({G}) than coefficients ({p})")
            factor = (G - p) / G
        return replace(result, kind=vcov, adjustment=kind, cov=factor * result.cov)

    def _clustered(
        self, kind: str, scores: DiagonalScores, name: str, normal: bool
    ) -> RobustResult:
        """Give a cluster-robust covariance, tested by normal or Satterthwaite's quantiles."""
        count = int(self._kept().sum())
        given = np.inf if normal else None
        return robust_clusters(kind, self._named(), scores, name, n_coef=count, df_given=given)

    @cached_property
    def _scores(self) -> DiagonalScores:
        """Whitened scores by group."""
        e = self._estimate
        return DiagonalScores(e.columns, e.resid, None, e.root, e.codes, self.n_clusters)

    def _named(self) -> Named:
        return Named(self._names, self._beta, self._design.fixed_terms, self.call.formula)

    def _df(self) -> ArrayLike:
        return self._vcov._df()

    def _table_rows(self) -> dict[str, Any]:
        return {"N": self.nobs, "Clusters": self.n_clusters}

    def _table_covariance(self) -> dict[str, Any]:
        return self._vcov._table_covariance()

    def robust(self, kind: str = "CR2", cluster: Any = None) -> RobustResult:
        """Give tests with another robust covariance, with Satterthwaite's degrees of freedom.

        Parameters
        ----------
        kind : str
            CR0, CR1, CR1S, CR2 (Kauermann and Carroll) or CR3 (Mancl and DeRouen); or one of the
            names that ``vcov`` takes.
        cluster : str, sequence of str or array_like, optional
            Clusters that hold whole groups; the groups by default. Several (CR0, CR1, CR1S) make
            the covariance robust to each.

        Returns
        -------
        RobustResult

        Notes
        -----
        The adjustments are those of least squares on the whitened columns V^-1/2 D, with the
        working covariance as target [1]_ [2]_ [3]_.

        References
        ----------
        .. [1] Mancl and DeRouen (2001), Biometrics 57, 126-134.
        .. [2] Kauermann and Carroll (2001), J. Am. Stat. Assoc. 96, 1387-1396.
        .. [3] McCaffrey and Bell (2006), Stat. Med. 25, 4081-4098.
        """
        if kind in VCOV and cluster is None:
            return self._covariance(kind)
        check_kind(kind)
        self._must_be_finite()
        if cluster is None:
            return self._clustered(kind, self._scores, self.call.groups, False)
        e = self._estimate
        found = clusters_of(self._data, self._design, cluster)
        found = {name: codes[e.order] for name, codes in found.items()}
        if len(found) > 1:
            return self._multiway(kind, found)
        name, codes = next(iter(found.items()))
        if not is_nested(e.codes, codes):
            raise ModelError(
                f"levels of the groups {self.call.groups!r} reach into several clusters of "
                f"{name!r}; clusters must hold whole groups"
            )
        scores = DiagonalScores(e.columns, e.resid, None, e.root, codes, int(codes.max()) + 1)
        return self._clustered(kind, scores, name, False)

    def _multiway(self, kind: str, clusters: dict[str, Codes]) -> RobustResult:
        """Give a covariance robust to clusters of several kinds."""
        e = self._estimate
        cut = [name for name, codes in clusters.items() if not is_nested(e.codes, codes)]
        if cut and self.spec.corr != "independence":
            raise ModelError(
                f"levels of the groups {self.call.groups!r} reach into several clusters of "
                f"{' and '.join(map(repr, cut))}; with clusters that cut groups use "
                'corr="independence"'
            )
        if not any(is_nested(e.codes, codes) for codes in clusters.values()):
            raise ModelError(
                f"no cluster variable holds whole groups of {self.call.groups!r}, whose rows are "
                f"dependent; add {self.call.groups!r} to the clusters"
            )
        rows = np.asfortranarray(e.columns * e.resid[:, None])
        count = int(self._kept().sum())
        return robust_multiway(kind, self._named(), rows, e.root, clusters, n_coef=count)

    def wild_bootstrap(self, term: str, cluster: Any = None, **options: Any) -> WildBootstrap:
        """Test a coefficient by the wild cluster bootstrap; see `RobustResult.wild_bootstrap`."""
        return self.robust("CR0", cluster).wild_bootstrap(term, **options)

    def wald_test(self, what: Any, value: ArrayLike = 0.0) -> pd.DataFrame:
        """Test coefficients jointly by the covariance of this model; see `RobustResult`."""
        return self._vcov.wald_test(what, value)

    def anova(self) -> pd.DataFrame:
        """Test each term of the formula by Wald's test, given all others.

        Returns
        -------
        DataFrame
            Columns num_df, den_df, F, pvalue; a row a term. den_df is infinite for normal tests,
            and F times num_df is then chi-squared.
        """
        rows = {
            name: self.wald_test([self._names[j] for j in columns]).iloc[0]
            for name, columns in self._design.fixed_terms
            if name != "Intercept" and self._kept()[list(columns)].any()
        }
        return pd.DataFrame(rows).T

    # ------------------------------------------------------------------ fit

    @property
    def nobs(self) -> int:
        """Rows that were used."""
        return self._design.n_obs

    @property
    def df_resid(self) -> int:
        """Rows less coefficients."""
        return self.nobs - int(self._kept().sum())

    @property
    def n_clusters(self) -> int:
        """Number of groups."""
        return group_term(self._design, self.call.groups).n_levels

    @property
    def converged(self) -> bool:
        """Whether the estimating equations are solved."""
        return self._estimate.converged

    @property
    def scale(self) -> float:
        """Scale parameter phi, the weighted mean of squared Pearson residuals."""
        return self._estimate.phi

    @property
    def corr_params(self) -> pd.Series[Any]:
        """Parameters of the working correlation."""
        alpha, corr = self._estimate.alpha, self.spec.corr
        if corr == "unstructured":
            times = self._times()
            labels = [
                f"{times[a]:g},{times[b]:g}"
                for a in range(len(times))
                for b in range(a + 1, len(times))
            ]
        elif corr == "m-dependent":
            labels = [f"lag {k}" for k in range(1, len(alpha) + 1)]
        else:
            labels = ["alpha"] * len(alpha)
        return pd.Series(alpha, index=pd.Index(labels, dtype=object), dtype=float)

    def _times(self) -> Array:
        """Distinct times; 1, 2, ... when no time column was given."""
        if self.call.time is not None:
            return np.unique(times_of(group_term(self._design, self.call.time)))
        codes = group_term(self._design, self.call.groups).codes
        return np.arange(1.0, np.bincount(codes).max() + 1.0)

    @property
    def working_corr(self) -> pd.DataFrame:
        """Working correlation of a group that was seen at every time."""
        times, corr, alpha = self._times(), self.spec.corr, self._estimate.alpha
        R = models.working_correlation(corr, alpha, times, self.spec.fixed)
        return pd.DataFrame(R, index=pd.Index(times), columns=pd.Index(times))

    def _series(self, values: Array) -> pd.Series[Any]:
        """Label values of the rows used as the caller's frame does."""
        index, rows = self._design.index, self._design.rows
        if index is None:
            return pd.Series(values)
        return pd.Series(values, index=index if rows is None else index[rows])

    @property
    def fittedvalues(self) -> pd.Series[Any]:
        """Fitted means."""
        return self._series(self._estimate.mu)

    @property
    def resid(self) -> pd.Series[Any]:
        """Responses less fitted means."""
        return self._series(self._design.y - self._estimate.mu)

    def qic(self) -> QIC:
        """Give the quasi-likelihood criteria.

        Returns
        -------
        QIC

        Notes
        -----
        The quasi-likelihood has scale 1, and the independence model of the trace is refitted; so
        for gaussian and gamma responses criteria compare fits of one response on one scale only.

        References
        ----------
        .. [1] Pan (2001), Biometrics 57, 120-125.
        .. [2] Hin and Wang (2009), Stat. Med. 28, 642-658.
        """
        d, spec = self._design, self.spec
        Q = models.quasi_likelihood(d.y, self._estimate.mu, spec.family, d.weights)
        codes = group_term(d, self.call.groups).codes
        rows, alike = models.sort_rows(codes, None), models.independent(spec)
        alone = models.fit_gee(d.y, d.X, rows, alike, weights=d.weights, offset=d.offset)
        robust = self._covariance("robust").cov
        cic = float(np.trace(np.linalg.solve(alone.cov_naive, robust)))
        p = int(self._kept().sum())
        return QIC(-2.0 * Q + 2.0 * cic, -2.0 * Q + 2.0 * p, cic, Q)

    # ------------------------------------------------------------------ prediction

    def predict(
        self, newdata: Any = None, *, interval: str | None = None, level: float = 0.95
    ) -> Any:
        """Predict means.

        Parameters
        ----------
        newdata : frame, optional
            New rows; the rows of the fit by default.
        interval : {"confidence"}, optional
            Ask for an interval of the mean, symmetric on the scale of the link.
        level : float
            Its coverage.

        Returns
        -------
        ndarray of shape (m,) or DataFrame
            Means, or columns mean, lower, upper.
        """
        if newdata is None:
            X, offset = self._design.X, self._design.offset
        else:
            rows = encode(self._design, newdata, random=False)
            X, offset = rows.X, rows.offset
        kept, link = self._kept(), self.spec.link
        eta = X[:, kept] @ self._beta[kept] + (0.0 if offset is None else offset)
        mean = _core.mean_of(link, eta)
        if interval is None:
            return mean
        if interval != "confidence":
            raise ValueError(f"interval is confidence or None, not {interval!r}")
        se = np.sqrt(np.einsum("ij,jk,ik->i", X[:, kept], self._cov, X[:, kept]))
        df = float(np.min(np.asarray(self._df(), float)))
        half = float(t_quantile(level, df)) * se
        ends = np.sort([_core.mean_of(link, eta - half), _core.mean_of(link, eta + half)], axis=0)
        return pd.DataFrame({"mean": mean, "lower": ends[0], "upper": ends[1]})

    # ------------------------------------------------------------------ text

    def summary(self) -> Summary:
        """Summarise the fit; prints as text, shows as HTML in a notebook."""
        spec = self.spec
        alpha = ", ".join(f"{v:.4g}" for v in self._estimate.alpha[:6])
        steps = self._estimate.iterations
        more = " ..." if len(self._estimate.alpha) > 6 else ""
        facts = [
            ("Formula", self.call.formula),
            ("Family", f"{spec.family}, {spec.link} link"),
            ("Rows", str(self.nobs)),
            ("Groups", f"{self.call.groups} ({self.n_clusters})"),
            ("Correlation", f"{spec.corr}{': ' + alpha + more if alpha else ''}"),
            ("Scale", f"{self.scale:.5g}"),
            ("Equations", f"{'solved in' if self.converged else 'NOT solved after'} {steps} steps"),
            ("Covariance", self.call.vcov),
        ]
        notes = [str(warning) for warning in self.warnings]
        if self.call.vcov == "robust" and self.n_clusters < FEW:
            notes.append(
                f"robust errors are too small with {self.n_clusters} groups; "
                'vcov="mancl-derouen" corrects them and tests by t'
            )
        if self.call.time is None and spec.corr not in ("independence", "exchangeable"):
            notes.append("no time was given: rows of a group count 1, 2, ... without gaps")
        title = "Generalised estimating equations"
        return Summary(title, facts, None, self.coef_table(), notes)

    def __repr__(self) -> str:
        return str(self.summary())

    def _repr_html_(self) -> str:
        return self.summary()._repr_html_()


def fit_model(call: GEECall, data: Any) -> GEEModel:
    """Carry out a call: parse, build, check, fit, warn."""
    check_vcov(call.vcov)
    design = build_grouped(
        check_formula(parse(call.formula), "gee"),
        data,
        [call.groups] if call.time is None else [call.groups, call.time],
        weights=call.weights,
        offset=call.offset,
        contrasts=call.contrasts,
        missing=call.missing,
        response="binary" if call.family == "binomial" else "numeric",
    )
    term = group_term(design, call.groups)
    times = None if call.time is None else times_of(group_term(design, call.time))
    rows = models.sort_rows(term.codes, times)
    spec = specification(call.family, call.link, call.corr, len(rows.time))
    check_response(design, spec.family)
    check_times(rows, term.levels, str(call.time))
    if spec.corr in ("unstructured", "m-dependent"):
        check_pairs(rows, spec)
    estimate = fit_design(design, rows, spec)
    found = tuple(dropped_rows(design)) + tuple(findings(design, estimate, spec))
    for warning in found:
        warnings.warn(warning, stacklevel=3)
    return GEEModel(design, estimate, call, spec, data, found)
