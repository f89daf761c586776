"""Methods that require the maximum likelihood, and fits that are not at it."""

from __future__ import annotations

from ...errors import UnsupportedError
from .parts import GeneralisedParts

__all__ = ["by_likelihood"]


def by_likelihood(
    parts: GeneralisedParts, what: str, *, structured: bool = False, known: bool = False
) -> None:
    """Refuse a fit that is not at the largest likelihood by Laplace or quadrature.

    Parameters
    ----------
    parts : GeneralisedParts
        The fit.
    what : str
        What needs it.
    structured, known : bool
        Whether covariance structures, and known covariances and several levels a row, are no
        obstacle to it.

    Raises
    ------
    UnsupportedError
        With what to do about it.
    """
    if getattr(parts.call, "prior", None) is not None:
        raise UnsupportedError(
            f"{what} rests on the likelihood, and this model was fitted with a prior; use "
            "model.update(prior=None)"
        )
    terms = parts.design.random
    if not all((known or t.is_plain) and (structured or not t.is_structured) for t in terms):
        raise UnsupportedError(
            f"{what} is not available where levels have a known covariance, a row has several, "
            "or a term has a structure; "
            "use model.conf_int('profile'), or ranef.anova with a smaller model"
        )
    if getattr(getattr(parts.call, "spec", None), "reml", False):
        raise UnsupportedError(
            f"{what} rests on the likelihood, and this model maximises the restricted one; use "
            "model.update(reml=False)"
        )
    if parts.nagq == 0:
        raise UnsupportedError(
            f"{what} rests on the likelihood, which nagq=0 does not maximise over the fixed "
            "effects; use model.update(nagq=1)"
        )
    if parts.estimate.separated:
        raise UnsupportedError(
            f"{what} rests on the largest likelihood, and here it increases without bound along a "
            "coefficient; remove the column that separates the responses"
        )
