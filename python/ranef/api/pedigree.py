"""Read a pedigree."""

from __future__ import annotations

from typing import Any

from ..design.known.pedigree import Pedigree, read_pedigree
from ..words.answers import answering

__all__ = ["pedigree"]


@answering
def pedigree(id: Any, sire: Any, dam: Any) -> Pedigree:
    """Return the additive relationships of a pedigree, for ``covariance=`` of :func:`ranef.lmer`.

    Parameters
    ----------
    id : array-like of length n
        The animals, each once, in any order.
    sire, dam : array-like of length n
        Their parents; missing (None, NaN or an empty text) where unknown. A parent without a row
        of its own is a founder: both its parents are unknown.

    Returns
    -------
    Pedigree
        ``labels`` (founders without a row first), ``inbreeding`` (a Series) and ``precision``, the
        sparse inverse of the relationship matrix A, whose diagonal is one plus the inbreeding.

    Raises
    ------
    DataError
        If an animal is listed twice, is its own ancestor, or is both a sire and a dam; the message
        names it.

    Notes
    -----
    The inverse is accumulated animal by animal by Henderson's rules with inbreeding [1]_ [2]_, the
    coefficients by the method of Meuwissen and Luo [3]_; A itself is never formed.

    References
    ----------
    .. [1] Henderson (1976), Biometrics 32, 69-83.
    .. [2] Quaas (1976), Biometrics 32, 949-953.
    .. [3] Meuwissen and Luo (1992), Genet. Sel. Evol. 24, 305-313.

    Examples
    --------
    Two full sibs and their offspring:

    >>> import ranef
    >>> animals = ranef.pedigree(
    ...     id=["a", "b", "c", "d", "e"],
    ...     sire=[None, None, "a", "a", "c"],
    ...     dam=[None, None, "b", "b", "d"],
    ... )
    >>> animals.inbreeding.to_dict()
    {'a': 0.0, 'b': 0.0, 'c': 0.0, 'd': 0.0, 'e': 0.25}
    """
    return read_pedigree(id, sire, dam)
