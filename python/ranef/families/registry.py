"""All families by name."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from difflib import get_close_matches
from typing import Any

from .._importing import load
from .family import Family

__all__ = ["find", "is_normal", "known", "lookup", "names", "registered"]

#: The file of every family, which is read when the family is first used; in the
#: order in which families are listed to users.
FILES = {
    "gaussian": "measures.gaussian",
    "binomial": "shares.binomial",
    "poisson": "counts.poisson",
    "gamma": "measures.gamma",
    "negative_binomial": "counts.negative_binomial",
    "betabinomial": "shares.betabinomial",
    "nbinom1": "counts.nbinom1",
    "generalized_poisson": "counts.generalized_poisson",
    "compois": "counts.compois",
    "truncated_poisson": "counts.truncated_poisson",
    "truncated_negative_binomial": "counts.truncated_negative_binomial",
    "truncated_nbinom1": "counts.truncated_nbinom1",
    "lognormal": "measures.lognormal",
    "tweedie": "measures.tweedie",
    "student": "measures.student",
    "beta": "shares.beta",
    "ordered_beta": "shares.ordered_beta",
}
#: Families read so far, and those added temporarily.
READ: dict[str, Family] = {}


def names() -> list[str]:
    """List the names of all families."""
    return [*FILES, *(name for name in READ if name not in FILES)]


def lookup(name: str) -> Family:
    """Return the family of a name that has been checked.

    Raises
    ------
    ValueError
        For a name that is not a family's.
    """
    if name not in READ:
        if name not in FILES:
            raise ValueError(_unknown(name, names()))
        READ[name] = load(f"{__package__}.{FILES[name]}", name.upper())
    return READ[name]


def is_normal(name: Any) -> bool:
    """Return whether a family is the one of linear models."""
    return isinstance(name, str) and name.lower() == "gaussian"


def known(estimator: str) -> list[str]:
    """List the names of the families that an estimator fits."""
    return [name for name in names() if estimator in lookup(name).estimators]


def find(name: Any, estimator: str) -> Family:
    """Return the family that a user asked an estimator for.

    Parameters
    ----------
    name : str
        Name of the family, in any case.
    estimator : {"glmer", "glmm", "gee", "feglm", "growth_mixture"}
        Who is to fit it: a function, or for "glmm" models of a mean alone.

    Raises
    ------
    ValueError
        When there is no such family or the estimator does not fit it, with those that it fits and
        the nearest of them.
    """
    if not isinstance(name, str):
        word = type(name).__name__ if not isinstance(name, type) else name.__name__
        raise ValueError(_unknown(word, known(estimator), "family is a name: "))
    if name.lower() not in names():
        raise ValueError(_unknown(name, known(estimator)))
    family = lookup(name.lower())
    if estimator in family.estimators:
        return family
    if estimator == "glmm" and family.elsewhere:
        raise ValueError(family.elsewhere)
    listed = f"family is one of {', '.join(known(estimator))}"
    if estimator == "glmm":
        raise ValueError(
            f"{family.named} family has several predictors, so only ranef.glmer fits it; here "
            f"{listed}"
        )
    raise ValueError(f"ranef.{estimator} does not fit {family.named} family; {listed}")


def _unknown(name: str, listed: list[str], start: str = "") -> str:
    """State which families there are, and which was probably meant."""
    asked = name.lower()
    others = {own: lookup(own).aliases for own in listed}
    meant = [own for own in listed if asked in others[own] or asked == own]
    plain = _plain(asked)
    meant = meant or [own for own in listed if plain in map(_plain, (*others[own], own))]
    meant = meant or get_close_matches(asked, listed, n=1)
    hint = f". Use family={meant[0]!r}" if meant else ""
    return f"{start}family is one of {', '.join(listed)}, not {name!r}{hint}"


def _plain(name: str) -> str:
    """Write a name without what stands between words."""
    return name.translate(str.maketrans("", "", "_-. "))


@contextmanager
def registered(family: Family) -> Iterator[Family]:
    """Add a family for as long as the context lasts.

    Raises
    ------
    ValueError
        When there is a family of that name.
    """
    if family.name in names():
        raise ValueError(f"there already is a family {family.name!r}")
    READ[family.name] = family
    try:
        yield family
    finally:
        del READ[family.name]
