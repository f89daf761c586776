"""The results of many fits: tidy tables, adjusted p-values, and each fit in full on request."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import special

from ..design.design import Design
from ..inference.multiple import benjamini_hochberg, squeeze_variances, storey
from ..models.batch import STATUSES, BatchEstimate
from ..report.coefficients import t_pvalue
from .mixed_model import LinearMixedModel

__all__ = ["BatchResult"]

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Labels:
    """Names for the arrays of a batch.

    Attributes
    ----------
    key : tuple of str
        Columns of the tables that say which fit a row belongs to.
    fits : Index of length m
        The fits.
    terms : tuple of str, length p
        Coefficients.
    """

    key: tuple[str, ...]
    fits: pd.Index[Any]
    terms: tuple[str, ...]

    def columns(self, repeats: int = 1) -> dict[str, Any]:
        """Say which fit each row belongs to, ``repeats`` rows a fit."""
        at = np.repeat(np.arange(len(self.fits)), repeats)
        if isinstance(self.fits, pd.MultiIndex):
            return {k: self.fits.get_level_values(i)[at] for i, k in enumerate(self.key)}
        return {self.key[0]: self.fits[at]}


class BatchResult:
    """Results of :func:`ranef.fit_many` or :func:`ranef.fit_groups`.

    Attributes
    ----------
    interrupted : bool
        Whether the run was stopped from the keyboard; fits that were not reached have the status
        "not run".
    messages : dict
        What went wrong with a fit that could not be set up, by its position.
    """

    def __init__(
        self,
        labels: Labels,
        estimate: BatchEstimate,
        design: Design,
        single: Callable[[int], LinearMixedModel],
        *,
        ddf: str,
        interrupted: bool,
        messages: dict[int, str] | None = None,
    ):
        self.interrupted = interrupted
        self.messages = messages or {}
        self._labels = labels
        self._estimate = estimate
        self._design = design
        self._single = single
        self._ddf = ddf

    def __len__(self) -> int:
        return len(self._estimate.outcome)

    def __repr__(self) -> str:
        return f"<BatchResult of {len(self):,} fits: {self.counts().to_dict()}>"

    def counts(self) -> pd.Series[int]:
        """Count the fits by status."""
        found = np.bincount(self._estimate.outcome, minlength=len(STATUSES))
        return pd.Series(found, index=pd.Index(STATUSES, name="status"))[found > 0]

    @property
    def status(self) -> pd.Series[Any]:
        """What became of each fit."""
        return pd.Series(np.array(STATUSES)[self._estimate.outcome], index=self._labels.fits)

    @property
    def table(self) -> pd.DataFrame:
        """A row for each fit and coefficient or one-row test.

        Columns: the fit, term, estimate, se, df, t, pvalue, and the p-value adjusted over all
        fits of the same term: p_bh (Benjamini and Hochberg) and q_storey (Storey's q-value).
        """
        return self._tests(self._estimate.variance, self._df())

    def moderated(self) -> pd.DataFrame:
        """Give ``table`` with residual variances shrunk to a common value by empirical Bayes.

        Returns
        -------
        DataFrame
            Columns as in ``table``; ``attrs`` holds the prior's ``prior_variance`` and
            ``prior_df``.

        Notes
        -----
        Standard errors are multiplied by the root of the ratio of the shrunk to the own residual
        variance, at each fit's own relative covariance, and the degrees of freedom grow by those of
        the prior. The residual variances are taken to have n - p degrees of freedom for this.
        """
        estimate = self._estimate
        squeezed = squeeze_variances(estimate.sigma**2, self._residual_df())
        ratio = squeezed.variance / estimate.sigma**2
        table = self._tests(estimate.variance * ratio[:, None], self._df() + squeezed.prior_df)
        table.attrs.update(prior_variance=squeezed.prior_variance, prior_df=squeezed.prior_df)
        return table

    @property
    def tests(self) -> pd.DataFrame:
        """A row for each fit and hypothesis of several rows: F, num_df, den_df, pvalue, p_bh."""
        joint = self._estimate.settings.joint
        F = self._estimate.F
        num_df = np.array([len(c.rows) for c in joint], dtype=np.float64)
        den_df = self._df()[:, :1] * np.ones(len(joint))
        p = np.where(
            np.isinf(den_df),
            special.chdtrc(num_df, F * num_df),
            special.fdtrc(num_df, np.where(np.isinf(den_df), 1.0, den_df), F),
        )
        return pd.DataFrame(
            {
                **self._labels.columns(len(joint)),
                "test": np.tile([c.name for c in joint], len(self)),
                "F": F.ravel(),
                "num_df": np.tile(num_df, len(self)),
                "den_df": den_df.ravel(),
                "pvalue": p.ravel(),
                "p_bh": by_column(benjamini_hochberg, p).ravel(),
            }
        )

    @property
    def fits(self) -> pd.DataFrame:
        """A row for each fit: nobs, sigma, llf, sds and correlations, singular, status, n_eval."""
        estimate = self._estimate
        return pd.DataFrame(
            {
                **self._labels.columns(),
                "nobs": estimate.n_obs,
                "sigma": estimate.sigma,
                "llf": -0.5 * estimate.objective,
                **self._spread(),
                "singular": estimate.is_singular,
                "status": np.array(STATUSES)[estimate.outcome],
                "n_eval": estimate.n_objective,
            }
        )

    def fit(self, which: Any) -> LinearMixedModel:
        """Fit one of the batch in full.

        Parameters
        ----------
        which : label or int
            The name of a response or group, or where no fit has that name, a position.

        Returns
        -------
        LinearMixedModel
            The model with everything that it answers.
        """
        fits = self._labels.fits
        if which in fits:
            at = fits.get_loc(which)
            if not isinstance(at, int):
                raise KeyError(f"{which!r} names more than one fit; give its position")
            return self._single(at)
        if isinstance(which, (int, np.integer)) and -len(self) <= which < len(self):
            return self._single(int(which) % len(self))
        raise KeyError(f"there is no fit {which!r}; there are {len(self)}, from {fits[0]!r} on")

    def _residual_df(self) -> Array:
        """Degrees of freedom n - p of each fit."""
        kept = self._estimate.p - np.isnan(self._estimate.estimate[:, : self._estimate.p]).sum(1)
        return np.asarray(self._estimate.n_obs - kept, dtype=np.float64)

    def _df(self) -> Array:
        """Degrees of freedom of each t test, shape (m, h)."""
        estimate = self._estimate
        if self._ddf == "satterthwaite":
            return estimate.df
        if self._ddf == "inf":
            return np.full(estimate.estimate.shape, np.inf)
        return np.tile(self._residual_df()[:, None], (1, estimate.estimate.shape[1]))

    def _tests(self, variance: Array, df: Array) -> pd.DataFrame:
        """Lay out t tests, a row for each fit and term."""
        estimate = self._estimate.estimate
        se = np.sqrt(variance)
        with np.errstate(divide="ignore", invalid="ignore"):
            t = estimate / se
        p = t_pvalue(t, df)
        names = [*self._labels.terms, *(c.name for c in self._estimate.settings.single)]
        return pd.DataFrame(
            {
                **self._labels.columns(len(names)),
                "term": np.tile(np.array(names, dtype=object), len(self)),
                "estimate": estimate.ravel(),
                "se": se.ravel(),
                "df": np.where(np.isnan(t), np.nan, df).ravel(),
                "t": t.ravel(),
                "pvalue": p.ravel(),
                "p_bh": by_column(benjamini_hochberg, p).ravel(),
                "q_storey": by_column(storey, p).ravel(),
            }
        )

    def _spread(self) -> dict[str, Array]:
        """Name standard deviations and correlations of the random effects."""
        out: dict[str, Array] = {}
        at, sigma = 0, self._estimate.sigma
        for term in self._design.random:
            k = term.n_cols
            factor = np.zeros((len(self), k, k))
            for j in range(k):
                factor[:, j:, j] = self._estimate.factors[:, at : at + k - j]
                at += k - j
            cov = factor @ factor.transpose(0, 2, 1)
            sd = np.sqrt(np.einsum("mii->mi", cov))
            for j, name in enumerate(term.names):
                out[f"sd_{name}|{term.group}"] = sigma * sd[:, j]
            for block in term.blocks:
                for a, j in enumerate(block):
                    for i in block[a + 1 :]:
                        label = f"cor_{term.names[j]}.{term.names[i]}|{term.group}"
                        with np.errstate(divide="ignore", invalid="ignore"):
                            out[label] = cov[:, i, j] / (sd[:, i] * sd[:, j])
        return out


def by_column(adjust: Callable[[Array], Array], p: Array) -> Array:
    """Adjust the p-values of each column over the rows."""
    return np.column_stack([adjust(column) for column in p.T]) if p.shape[1] else p
