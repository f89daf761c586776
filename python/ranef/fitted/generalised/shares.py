"""Shares of variance: methods of every generalised model."""

from __future__ import annotations

from typing import ClassVar

import pandas as pd

from ..._options import check_option
from ...inference.shares.icc import NOTE, Icc, decomposition, icc
from ...inference.shares.results import R2
from ..parts import Base
from .parts import GeneralisedParts

__all__ = ["SCALES", "Shares"]

SCALES = ("latent", "observation")
#: What proportions of variance mean here.
LATENT = (
    "Nakagawa-Johnson-Schielzeth: variances of X beta (marginal), and of it with the mean variance "
    "of the random effects (conditional), over the total, in which the distribution counts as on "
    "the scale of the linear predictor."
)
OBSERVED = (
    "Of the variance of the responses themselves: that of their means given the predictors "
    "(marginal), with what new random effects add (conditional), over the total. Exposures and "
    "trials of the rows count as they are."
)
CORRELATION = (
    "Correlations of two responses themselves that have the same predictors and share levels: of "
    "all groups, and of each group alone; these do not add up, since the link is curved."
)


class Shares(Base):
    """R², intraclass correlation and the ledger of the variance, on both scales."""

    parts: GeneralisedParts
    #: What the scale of a linear predictor is called when the method makes no difference.
    latent_word: ClassVar[str] = "latent"

    def r2(self, method: str = "lognormal", *, scale: str = "latent") -> R2:
        """Return the proportions of variance of Nakagawa, Johnson and Schielzeth.

        Parameters
        ----------
        method : {"lognormal", "trigamma", "delta"}
            How the variance of the distribution is put on the scale of a log link. That of a
            binomial or of categories is the latent variable's, whatever the method; of shares
            between 0 and 1 under a logit link it is exact, unless "delta" is asked for.
        scale : {"latent", "observation"}
            The linear predictor's; or that of the responses, by integration over new random
            effects, which every distribution of numbers has.

        Returns
        -------
        R2
            ``marginal`` of the fixed effects, ``conditional`` of fixed and random ones.

        Raises
        ------
        UnsupportedError
            On the latent scale for responses whose variance has no place there.

        Notes
        -----
        The distribution's variance is taken at the mean of the model without predictors, which is
        fitted for it where it matters [1]_; with an offset, at the mean over the rows. Structural
        zeros of a constant probability p count: under a log link the squared coefficient of
        variation is (V + p mu²) / ((1 - p) mu²). A dispersion with a formula is that of each row.
        An effect of each row is extra dispersion: its variance belongs to the denominator alone
        [2]_.

        References
        ----------
        .. [1] Nakagawa, Johnson and Schielzeth (2017), J. R. Soc. Interface 14, 20170213.
        .. [2] Nakagawa and Schielzeth (2010), Biol. Rev. 85, 935-956.

        Examples
        --------
        >>> import ranef
        >>> cbpp = ranef.datasets.load("cbpp")
        >>> model = ranef.glmer(
        ...     "cbind(incidence, size - incidence) ~ period + (1 | herd)", cbpp, family="binomial"
        ... )
        >>> model.r2()
        R² (nakagawa, latent): marginal 0.0854, conditional 0.1873
        ...
        >>> round(model.r2(scale="observation").conditional, 2)
        0.5
        """
        self.parts.each_row("r2")
        if check_option("scale", scale, SCALES) == "observation":
            found = self.parts.observed()
            marginal = found.fixed / found.total
            conditional = (found.fixed + found.random) / found.total
            return R2("observation", marginal, conditional, None, OBSERVED)
        _, parts = self.parts.latent(method)
        marginal = parts.fixed / parts.total
        conditional = (parts.fixed + parts.random) / parts.total
        word = self.parts.scale_word(method)
        return R2(f"nakagawa, {word}", marginal, conditional, None, LATENT)

    def icc(self, method: str = "lognormal", *, scale: str = "latent") -> Icc:
        """Return the intraclass correlation on the scale of the linear predictor or the responses.

        Parameters
        ----------
        method : {"lognormal", "trigamma", "delta"}
            As in ``r2``.
        scale : {"latent", "observation"}
            As in ``r2``.

        Returns
        -------
        Icc
            ``adjusted`` given the fixed effects, ``unadjusted`` with their variance, ``by_group``.
            An effect of each row counts as residual variance.
        """
        self.parts.each_row("icc")
        if check_option("scale", scale, SCALES) == "latent":
            return icc(*self.parts.latent(method))
        found = self.parts.observed()
        given = found.random + found.residual
        by_group = pd.Series(dict(found.by_group), name="icc", dtype=float) / given
        note = f"{CORRELATION} {NOTE}"
        return Icc(found.random / given, found.random / found.total, by_group, note)

    def variance_decomposition(
        self, method: str = "lognormal", *, scale: str = "latent"
    ) -> pd.DataFrame:
        """Split the variance of the linear predictor, or of the responses, into its parts.

        Parameters
        ----------
        method : {"lognormal", "trigamma", "delta"}
            As in ``r2``.
        scale : {"latent", "observation"}
            As in ``r2``; on the scale of the responses what groups add is one part.

        Returns
        -------
        DataFrame
            Columns component, group, variance, share: fixed effects, each grouping factor, and the
            distribution's own with that of effects of single rows.

        Examples
        --------
        >>> import ranef
        >>> cbpp = ranef.datasets.load("cbpp")
        >>> model = ranef.glmer(
        ...     "cbind(incidence, size - incidence) ~ period + (1 | herd)", cbpp, family="binomial"
        ... )
        >>> model.variance_decomposition()["share"].round(2).tolist()
        [0.09, 0.1, 0.81]
        """
        self.parts.each_row("variance_decomposition")
        if check_option("scale", scale, SCALES) == "latent":
            return decomposition(*self.parts.latent(method))
        return self.parts.observed().table()
