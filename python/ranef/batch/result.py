"""The results of many fits: tidy tables, adjusted p-values, and each fit in full on request."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import numpy as np
import pandas as pd

from .._html import Preformatted
from .._typing import Array
from ..design.design import Design
from ..errors import UnsupportedError
from ..fitted.kinds import Model
from ..models.batch.blocks import Progress
from ..models.batch.estimate import STATUSES, BatchEstimate
from ..models.glmm.estimate import GlmmSpec
from ..words.answers import Spoken
from .moderate import Blocks, moderated_dispersions
from .tables import Labels, WaldTests, fits_frame, joint_frame

__all__ = ["BatchParts", "BatchResult", "Labels"]


@dataclass(frozen=True, eq=False, repr=False)
class BatchParts:
    """What the tables of a batch are made of.

    Attributes
    ----------
    labels : Labels
        Names of the fits and of the coefficients.
    estimate : BatchEstimate
        The estimates, one row per fit.
    design : Design
        The design that the fits share, or one like theirs.
    ddf : str
        Degrees of freedom of the tests.
    """

    labels: Labels
    estimate: BatchEstimate
    design: Design
    ddf: str

    def residual_df(self) -> Array:
        """Degrees of freedom n - p of each fit."""
        kept = self.estimate.p - np.isnan(self.estimate.estimate[:, : self.estimate.p]).sum(1)
        return np.asarray(self.estimate.n_obs - kept, dtype=np.float64)

    def df(self) -> Array:
        """Degrees of freedom of each t test, shape (m, h)."""
        estimate = self.estimate
        if self.ddf == "satterthwaite":
            return estimate.df
        if self.ddf == "inf":
            return np.full(estimate.estimate.shape, np.inf)
        return np.tile(self.residual_df()[:, None], (1, estimate.estimate.shape[1]))

    def tests(self) -> WaldTests:
        """Return the t tests."""
        estimate = self.estimate
        names = [*self.labels.terms, *(c.name for c in estimate.settings.single)]
        return WaldTests(self.labels, names, estimate.estimate, estimate.variance, self.df())

    def joint(self, *, adjusted: bool) -> pd.DataFrame:
        """Lay out the F tests."""
        joint = self.estimate.settings.joint
        num_df = np.array([len(c.rows) for c in joint], dtype=np.float64)
        den_df = self.df()[:, :1] * np.ones(len(joint))
        F = self.estimate.F
        return joint_frame(
            self.labels, [c.name for c in joint], num_df, F, den_df, adjusted=adjusted
        )

    def tables(self) -> dict[str, pd.DataFrame]:
        """Return the tables without the columns that need all fits of a run."""
        return {
            "table": self.tests().frame(adjusted=False),
            "tests": self.joint(adjusted=False),
            "fits": fits_frame(self.labels, self.estimate, self.design),
        }


class BatchResult(Spoken, Preformatted):
    """Results of :func:`ranef.fit_many` or :func:`ranef.fit_groups`.

    Attributes
    ----------
    interrupted : bool
        Whether the run was stopped from the keyboard; fits that were not started have the status
        "not run".
    messages : dict
        Reasons why fits could not be set up, by position.
    """

    model_is: ClassVar[str] = "a single fit, such as batch.fit(name)"

    def __init__(
        self,
        labels: Labels,
        estimate: BatchEstimate,
        design: Design,
        single: Callable[[int], Model],
        *,
        ddf: str,
        interrupted: bool,
        messages: dict[int, str] | None = None,
        blocks: Blocks | None = None,
    ):
        self.interrupted = interrupted
        self.messages = messages or {}
        self.parts = BatchParts(labels, estimate, design, ddf)
        self._single: Callable[[int], Model] | None = single
        self._blocks = blocks

    def __getstate__(self) -> dict[str, Any]:
        # The caller's data are not copied.
        return {**self.__dict__, "_single": None, "_blocks": None}

    def __len__(self) -> int:
        return len(self.parts.estimate.outcome)

    def __repr__(self) -> str:
        return f"<BatchResult of {len(self):,} fits: {self.counts().to_dict()}>"

    def counts(self) -> pd.Series[int]:
        """Count the fits by status."""
        found = np.bincount(self.parts.estimate.outcome, minlength=len(STATUSES))
        return pd.Series(found, index=pd.Index(STATUSES, name="status"))[found > 0]

    @property
    def status(self) -> pd.Series[Any]:
        """Status of each fit."""
        return pd.Series(
            np.array(STATUSES)[self.parts.estimate.outcome], index=self.parts.labels.fits
        )

    @property
    def table(self) -> pd.DataFrame:
        """A row for each fit and coefficient or one-row test.

        Columns: the fit, term, estimate, se, df, t, pvalue, and the p-value adjusted over all
        fits of the same term: p_bh (Benjamini and Hochberg) and q_storey (Storey's q-value).
        """
        return self.parts.tests().frame()

    def moderated(self, *, progress: bool = True) -> pd.DataFrame:
        """Return ``table`` with residual variances or dispersions shrunk by empirical Bayes.

        Parameters
        ----------
        progress : bool
            Whether to show a bar; generalised models are fitted again.

        Returns
        -------
        DataFrame
            Columns as in ``table``; ``attrs`` holds the prior's ``prior_variance`` and
            ``prior_df``. After a generalised fit there are also ``dispersion``, shrunk, and
            ``trend``, its prior mean, and ``attrs`` has ``prior_sd``, of the log dispersion.

        Notes
        -----
        Linear models: residual variances are shrunk to a common value.
        Standard errors are multiplied by the root of the ratio of the shrunk to the original
        residual variance, at each fit's own relative covariance, and the degrees of freedom grow by
        those of the prior. The residual variances are taken to have n - p degrees of freedom for
        this.

        Negative binomial and gamma responses: log dispersions have a normal prior about a trend in
        the log mean of the responses, whose parameters maximise the marginal likelihood (EM over
        the profile likelihoods of all fits). Each dispersion is then where its profile likelihood
        and the prior together are largest, and coefficients, variances of the random effects and
        standard errors are those of a fit at that dispersion. It takes about as long as three
        batches.

        References
        ----------
        Smyth (2004), Stat. Appl. Genet. Mol. Biol. 3(1), article 3; McCarthy, Chen and Smyth
        (2012), Nucleic Acids Res. 40, 4288-4297; Love, Huber and Anders (2014), Genome Biol. 15,
        550.

        Raises
        ------
        UnsupportedError
            For families without a dispersion, and for a model of each group.
        ValueError
            If fewer than two fits have one to shrink, or the data are no longer there.
        """
        settings = self.parts.estimate.settings
        if settings.spec is not None:
            return self._moderated_dispersions(settings.spec, progress)
        return self.parts.tests().moderated(self.parts.estimate.sigma, self.parts.residual_df())

    def _moderated_dispersions(self, spec: GlmmSpec, progress: bool) -> pd.DataFrame:
        """Shrink the dispersions of generalised models."""
        parts = self.parts
        if not spec.has_dispersion:
            raise UnsupportedError(
                f"moderated() shrinks residual variances and dispersions, and the {spec.family} "
                "family has none; read table, or fit family='negative_binomial'"
            )
        if self._single is None:
            raise ValueError(
                "this result was unpickled and no longer knows its data; call fit_many again to "
                "have its dispersions moderated"
            )
        if self._blocks is None:
            raise UnsupportedError(
                "moderated() of counts is for many responses of one design, ranef.fit_many from "
                "responses that can be read again; this is a model of each group, or an iterator"
            )
        with Progress(2 * len(self), "fits", shown=progress) as line:
            found = moderated_dispersions(parts.estimate, parts.design, self._blocks, line)
        table = replace(parts, estimate=found.estimate).tests().frame()
        return found.added_to(table, len(parts.labels.key) + 1)

    @property
    def tests(self) -> pd.DataFrame:
        """A row for each fit and hypothesis of several rows: F, num_df, den_df, pvalue, p_bh."""
        return self.parts.joint(adjusted=True)

    @property
    def fits(self) -> pd.DataFrame:
        """A row for each fit: nobs, sigma, llf, sds and correlations, singular, status, n_eval."""
        return fits_frame(self.parts.labels, self.parts.estimate, self.parts.design)

    def fit(self, which: Any) -> Model:
        """Fit one of the batch in full.

        Parameters
        ----------
        which : label or int
            The name of a response or group, or where no fit has that name, a position.

        Returns
        -------
        LinearMixedModel or GeneralizedLinearMixedModel
            The full model, with all its methods.

        Raises
        ------
        ValueError
            If the result was unpickled and no longer has its data.
        """
        if self._single is None:
            raise ValueError(
                "this result was unpickled and no longer knows its data; fit the response or group "
                "that you want by ranef.lmer"
            )
        return self._single(position(self.parts.labels.fits, which))


def position(fits: pd.Index[Any], which: Any) -> int:
    """Find a fit by its name or, if none has that name, by its position."""
    if which in fits:
        at = fits.get_loc(which)
        if not isinstance(at, int):
            raise KeyError(f"{which!r} names more than one fit; pass its position")
        return at
    if isinstance(which, (int, np.integer)) and -len(fits) <= which < len(fits):
        return int(which) % len(fits)
    raise KeyError(f"there is no fit {which!r}; there are {len(fits)}, from {fits[0]!r} on")
