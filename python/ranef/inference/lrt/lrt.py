"""How two fits relate, and the likelihood-ratio test that this allows."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import scipy

from ...design.design import Design
from ...models.glmm.estimate import GlmmEstimate
from ...models.lmm import LmmEstimate
from .fixed import FixedSpace, coding_shift, contains, fixed_space
from .kinds import structured_zeros
from .random import CovarianceBlock, covariance_blocks, zero_directions

__all__ = [
    "Parts",
    "RatioTest",
    "Relation",
    "boundary_pvalue",
    "chi2_tail",
    "parts",
    "ratio_test",
    "relate",
]


@dataclass(frozen=True)
class Parts:
    """The fixed part of a model as a space and the random part as a family of covariances."""

    fixed: FixedSpace
    random: list[CovarianceBlock]
    design: Design


@dataclass(frozen=True)
class Relation:
    """How a smaller model lies in a larger one.

    Attributes
    ----------
    same_fixed, same_random : bool
        Whether the parts are equal, however written.
    nested : bool
        Whether every distribution of the smaller model is one of the larger.
    zeros : int
        Variances of the larger model that are zero in the smaller.
    shift : float
        What the coding of the fixed part alone adds to -2 restricted log-likelihood of the larger;
        zero unless the fixed parts are the same space.
    """

    same_fixed: bool
    same_random: bool
    nested: bool
    zeros: int
    shift: float


@dataclass(frozen=True)
class RatioTest:
    """A likelihood-ratio test; NaN where there is none.

    Attributes
    ----------
    chisq : float
        Twice the difference of the log-likelihoods.
    df : float
        Difference of the numbers of parameters.
    pvalue : float
        By the chi-squared distribution on ``df``.
    pvalue_boundary : float
        By the mixture that a variance at its boundary calls for.
    """

    chisq: float = np.nan
    df: float = np.nan
    pvalue: float = np.nan
    pvalue_boundary: float = np.nan


def parts(design: Design, estimate: LmmEstimate | GlmmEstimate) -> Parts:
    """Prepare a model for comparison."""
    plain = all(term.is_plain for term in design.random)
    blocks = covariance_blocks(design) if plain else []
    return Parts(fixed_space(design, estimate.kept), blocks, design)


def relate(small: Parts, large: Parts) -> Relation:
    """Compare the parts of two models on the same rows by numbers, not by names."""
    fixed_in, fixed_out = contains(large.fixed, small.fixed), contains(small.fixed, large.fixed)
    weights = large.design.weights
    terms = (*small.design.random, *large.design.random)
    if any(term.is_structured or not term.is_plain for term in terms):
        zeros = structured_zeros(small.design, large.design, weights)
        back = structured_zeros(large.design, small.design, weights)
    else:
        zeros = zero_directions(small.random, large.random, weights)
        back = zero_directions(large.random, small.random, weights)
    same_fixed = fixed_in and fixed_out
    return Relation(
        same_fixed=same_fixed,
        same_random=zeros is not None and back is not None,
        nested=fixed_in and zeros is not None,
        zeros=zeros or 0,
        shift=coding_shift(small.fixed, large.fixed) if same_fixed else 0.0,
    )


def ratio_test(
    deviances: tuple[float, float], npars: tuple[int, int], relation: Relation
) -> RatioTest:
    """Test a smaller model within a larger one.

    Parameters
    ----------
    deviances : (float, float)
        -2 log-likelihood of the smaller and the larger fit, on one scale.
    npars : (int, int)
        Their numbers of parameters.
    relation : Relation
        How they lie in each other.
    """
    chisq = max(0.0, deviances[0] - deviances[1])
    df = npars[1] - npars[0]
    if not (relation.same_fixed or relation.same_random):
        return RatioTest(chisq, df)
    boundary = boundary_pvalue(chisq, df) if relation.same_fixed and relation.zeros == 1 else np.nan
    return RatioTest(chisq, df, chi2_tail(chisq, df), boundary)


def chi2_tail(x: float, df: float) -> float:
    """Upper tail of chi-squared at x; on no degrees of freedom, a point at zero."""
    if df == 0:
        return float(x <= 0.0)
    return float(scipy.special.chdtrc(df, x))


def boundary_pvalue(chisq: float, df: int) -> float:
    """Return the p-value when one variance of ``df`` parameters is zero under the null hypothesis.

    Notes
    -----
    The other df - 1 parameters are covariances, free to move; the variance can move one way only.
    The statistic is then an equal mixture of chi-squared on df - 1 and on df degrees of freedom
    [1]_, [2]_.

    References
    ----------
    .. [1] Self and Liang (1987), J. Am. Stat. Assoc. 82, 605-610.
    .. [2] Stram and Lee (1994), Biometrics 50, 1171-1177.
    """
    return 0.5 * chi2_tail(chisq, df - 1) + 0.5 * chi2_tail(chisq, df)
