"""Methods that require the maximum likelihood, and fits that are not at it."""

from __future__ import annotations

from ...design.design import RandomTerm
from ...errors import UnsupportedError
from .parts import GeneralisedParts

__all__ = ["by_likelihood"]


def obstacle(term: RandomTerm, *, structured: bool, known: bool) -> str:
    """Name what keeps the levels of a term from being independent with free covariances, if any."""
    if term.is_structured and not structured:
        return "is a smooth" if term.smooth is not None else "has a covariance structure"
    if term.is_plain or known:
        return ""
    return "has several levels a row" if term.known is None else "has levels of known covariance"


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
    for term in parts.design.random:
        if why := obstacle(term, structured=structured, known=known):
            raise UnsupportedError(
                f"{what} is not available with {term.written}, which {why}; "
                "use model.conf_int('profile'), model.bootstrap(), or ranef.anova with a smaller "
                "model"
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
