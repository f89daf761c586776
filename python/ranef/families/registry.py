"""All families by name."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from difflib import get_close_matches
from typing import Any

from .binomial import BINOMIAL
from .family import Family
from .gamma import GAMMA
from .gaussian import GAUSSIAN
from .negative_binomial import NEGATIVE_BINOMIAL
from .poisson import POISSON

__all__ = ["find", "known", "lookup", "registered"]

#: Every family there is, in the order in which they are listed to users.
FAMILIES = {
    family.name: family for family in (GAUSSIAN, BINOMIAL, POISSON, GAMMA, NEGATIVE_BINOMIAL)
}


def lookup(name: str) -> Family:
    """Return the family of a name that was checked before.

    Raises
    ------
    ValueError
        For a name that is not a family's.
    """
    if name not in FAMILIES:
        raise ValueError(_unknown(name, list(FAMILIES)))
    return FAMILIES[name]


def known(estimator: str) -> list[str]:
    """List the names of the families that an estimator fits."""
    return [name for name, family in FAMILIES.items() if estimator in family.estimators]


def find(name: Any, estimator: str) -> Family:
    """Return the family that a user asked an estimator for.

    Parameters
    ----------
    name : str
        Name of the family, in any case.
    estimator : {"glmer", "gee"}
        Who is to fit it.

    Raises
    ------
    ValueError
        When there is no such family or the estimator does not fit it, with those that it fits and
        the nearest of them.
    """
    if not isinstance(name, str):
        word = type(name).__name__ if not isinstance(name, type) else name.__name__
        raise ValueError(_unknown(word, known(estimator), "family is a name: "))
    family = FAMILIES.get(name.lower())
    if family is None:
        raise ValueError(_unknown(name, known(estimator)))
    if estimator not in family.estimators:
        if estimator == "glmer" and family.elsewhere:
            raise ValueError(family.elsewhere)
        raise ValueError(
            f"ranef.{estimator} does not fit a {family.label} family; family is one of "
            f"{', '.join(known(estimator))}"
        )
    return family


def _unknown(name: str, names: list[str], start: str = "") -> str:
    """Say which families there are, and which was probably meant."""
    asked = name.lower()
    meant = [own for own in names if asked in FAMILIES[own].aliases or asked == own]
    plain = asked.replace("_", "").replace("-", "").replace(" ", "").replace(".", "")
    meant = meant or [own for own in names if plain in (*FAMILIES[own].aliases, own)]
    meant = meant or get_close_matches(asked, names, n=1)
    hint = f". Use family={meant[0]!r}" if meant else ""
    return f"{start}family is one of {', '.join(names)}, not {name!r}{hint}"


@contextmanager
def registered(family: Family) -> Iterator[Family]:
    """Add a family for as long as the context lasts.

    Raises
    ------
    ValueError
        When there already is a family of that name.
    """
    if family.name in FAMILIES:
        raise ValueError(f"there already is a family {family.name!r}")
    FAMILIES[family.name] = family
    try:
        yield family
    finally:
        del FAMILIES[family.name]
