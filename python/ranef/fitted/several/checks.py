"""What cannot be estimated, in words, before anything is fitted."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ..._counted import counted
from ...design.design import Design
from ...errors import DataError, ModelError
from ...families import Family, lookup
from ...families.response import check_response, check_whole
from ...models.lmm import is_correlated
from ..glmm.fit import MOST_COLUMNS
from .call import PartsCall

__all__ = ["check_parts"]


def check_parts(call: PartsCall, found: Sequence[tuple[str, Design]]) -> None:
    """Refuse what cannot be estimated from these rows, in words.

    Raises
    ------
    DataError
        For a response outside the range.
    ModelError
        For more effects than the rows carry.
    """
    family, known = lookup(call.family), dict(found)
    check_rows(family, known["location"], call.zero is not None)
    terms = [(name, term) for name, design in found for term in design.random]
    n = known["location"].n_obs
    if not terms:
        raise ModelError(
            "none of the formulas has a random-effects term such as (1 | group); a mixed model "
            "needs one"
        )
    n_fixed = sum(len(design.fixed) for _, design in found)
    if n_fixed >= n:
        raise ModelError(
            f"there are {counted(n_fixed, 'fixed effect')} and {counted(n, 'row')}; the model "
            "needs more rows than coefficients. Take predictors out."
        )
    if not known["location"].fixed:
        raise ModelError("the fixed part of the formula is empty; give it at least an intercept")
    for name, term in terms:
        if is_correlated(term):
            continue
        if term.n_levels * term.n_cols > n or (term.n_levels * term.n_cols == n and family.shapes):
            where = "" if name == "location" else f" of the {name} part"
            raise ModelError(
                f"({' + '.join(term.names)} | {term.group}){where} has "
                f"{counted(term.n_levels * term.n_cols, 'random effect')} for {counted(n, 'row')}, "
                "so they cannot be separated from the variation of single rows. Group by "
                "something that several rows share."
            )
    if call.nagq > 1 and (len(terms) > 1 or terms[0][1].n_cols > MOST_COLUMNS):
        raise ValueError(
            f"nagq={call.nagq} needs one random-effects term in all, of at most {MOST_COLUMNS} "
            "columns; use nagq=1, Laplace's approximation"
        )


def check_rows(family: Family, design: Design, zero: bool) -> None:
    """Refuse responses outside the family's range, and those that cannot tell its parts."""
    y, name = design.y, design.response
    check_response(design, family, zero=zero)
    check_whole(design, family)
    if zero and not (y == 0.0).any():
        raise DataError(
            f"{name!r} has no zeros, so the zero part has nothing to explain; leave zero= out", name
        )
    if family.without_zeros and (y > 0.0).all():
        raise DataError(
            f"{name!r} has no zeros, of which a {family.name} response has a share: "
            f"{family.without_zeros}",
            name,
        )
    if zero and family.is_hurdle and np.ptp(y[y != 0.0]) == 0.0:
        raise DataError(
            f"{name!r} has only one value above zero, so there is nothing to explain", name
        )
    single = design.weights is None or design.weights.max() <= 1.0
    if family.has_trials and family.has_dispersion and single:
        raise ModelError(
            f"with one trial a row {family.named} response is a {family.narrower} one: its "
            f"{family.parameters[0]} cannot be estimated. Use family={family.narrower!r}."
        )
