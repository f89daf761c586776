"""Covariances and tests of least squares: methods of a fitted model."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from ..._typing import Codes
from ...design import Design
from ...errors import ModelError, RanefWarning, UnsupportedError
from ...inference.sandwich.absorbed import (
    absorbed_count,
    absorbed_leverage,
    check_convention,
    hetero_cov,
    within_scores,
)
from ...inference.sandwich.sandwich import DiagonalScores
from ...inference.sandwich.wild import WildBootstrap
from ...models.ols import OlsEstimate
from ...report.regression import CoefficientTests
from ..robust import Named, RobustResult, clusters_of, robust_clusters, robust_multiway
from .call import FeolsCall

if TYPE_CHECKING:
    from .fit import Fitted

__all__ = ["LeastSquaresTests"]

TOO_MANY = (
    "degrees of freedom are clusters - 1: too many absorbed levels cut through the clusters for "
    "Satterthwaite's"
)


class LeastSquaresTests(CoefficientTests):
    """Design and estimate of one fit, and every covariance of its coefficients."""

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

    def _table_covariance(self) -> dict[str, Any]:
        return self._vcov._table_covariance()

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
        **options: Any,
    ) -> WildBootstrap:
        """Test a coefficient by the wild cluster bootstrap with the hypothesis imposed.

        Parameters
        ----------
        term : str
            The coefficient.
        cluster : str or array_like, optional
            Clusters; by default those of the call.
        **options
            null, draws, weights, level and seed; see `RobustResult.wild_bootstrap`.

        Returns
        -------
        WildBootstrap
        """
        return self.robust("CR2", cluster=cluster).wild_bootstrap(term, **options)

    def _n_coef(self, clusters: Sequence[Codes], ssc: str) -> int:
        """Coefficients that CR1S counts."""
        within = self._fitted.within
        charged = absorbed_count(self._fitted.absorption, within.df_absorbed, clusters, ssc)
        return int(self._kept().sum()) + charged

    def _scores(self, codes: Codes, ssc: str, kind: str) -> DiagonalScores | None:
        """Set up scores whose small-sample adjustments hold, None if that is out of reach."""
        if ssc != "clubSandwich" and kind in ("CR0", "CR1", "CR1S"):
            return self._plain_scores(codes)
        scores = within_scores(
            self._ols.basis,
            self._ols.resid,
            codes,
            weights=self._design.weights,
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
        basis = self._ols.basis
        return DiagonalScores(
            basis.columns,
            self._ols.resid,
            self._design.weights,
            basis.root,
            codes,
            int(codes.max()) + 1,
        )

    def _hetero(self, kind: str) -> RobustResult:
        """Give a heteroscedasticity-robust covariance."""
        absorption, weights = self._fitted.absorption, self._design.weights
        leverage = None
        if absorption is not None and kind in ("HC2", "HC3"):
            leverage = absorbed_leverage(absorption, weights)
        cov = hetero_cov(
            self._ols.basis,
            self._ols.resid,
            weights,
            kind,
            df_resid=self.df_resid,
            leverage=leverage,
        )
        return RobustResult(kind, self._named(), cov, df_given=float(self.df_resid))

    def _multiway(self, kind: str, clusters: dict[str, Codes], ssc: str) -> RobustResult:
        """Give a covariance robust to clusters of several kinds."""
        basis, w = self._ols.basis, self._design.weights
        We = self._ols.resid if w is None else w * self._ols.resid
        count = self._n_coef(list(clusters.values()), ssc)
        rows = np.asfortranarray(basis.columns * We[:, None])
        return robust_multiway(
            kind, self._named(), rows, basis.root, clusters, n_coef=count, ssc=ssc
        )

    def wald_test(self, what: Any, value: ArrayLike = 0.0) -> pd.DataFrame:
        """Test coefficients jointly by the covariance of this model; see `RobustResult`."""
        return self._vcov.wald_test(what, value)

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
