"""What cannot be estimated, in words, before anything is fitted."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ...design.design import Design
from ...errors import DataError, ModelError
from ...families.shaped import ShapedFamily
from ...families.shaped_registry import shaped_family
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
    family, known = shaped_family(call.family), dict(found)
    check_range(family, known["location"], call.zero is not None)
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
            f"there are {n_fixed} fixed effects and {n} rows; the model needs more rows than "
            "coefficients. Take predictors out."
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
                f"{term.n_levels * term.n_cols} random effects for {n} rows, so they cannot be "
                "separated from the variation of single rows. Group by something that several rows "
                "share."
            )
    if call.nagq > 1 and (len(terms) > 1 or terms[0][1].n_cols > MOST_COLUMNS):
        raise ValueError(
            f"nagq={call.nagq} needs one random-effects term in all, of at most {MOST_COLUMNS} "
            "columns; use nagq=1, Laplace's approximation"
        )


def check_range(family: ShapedFamily, design: Design, zero: bool) -> None:
    """Refuse responses outside the family's range, and counts that are not whole."""
    y, name = design.y, design.response
    inside = family.inside(y) | ((y == 0.0) & zero)
    if bad := int(np.sum(~inside)):
        raise DataError(
            f"a {family.name} response is {family.range}; in {bad} rows {name!r} is not"
            f"{family.hint}",
            name,
        )
    trials = np.ones(len(y)) if design.weights is None else design.weights
    if family.trials and (bad := int(np.sum(trials != np.round(trials)))):
        raise DataError(
            f"the weights of a {family.name} response are its trials, and {bad} of them are not "
            "whole numbers",
            "weights",
        )
    if family.whole:
        counts = y * trials if family.trials else y
        bad = int(np.sum(np.abs(counts - np.round(counts)) > 1e-6 * np.maximum(1.0, counts)))
        if bad:
            words = "shares of whole numbers of trials" if family.trials else "counts 0, 1, 2, ..."
            raise DataError(
                f"a {family.name} response is made of {words}; in {bad} rows {name!r} is not", name
            )
    if zero and not (y == 0.0).any():
        raise DataError(
            f"{name!r} has no zeros, so the zero part has nothing to explain; leave zero= out", name
        )
    if np.all(y == y[0]):
        raise DataError(
            f"{name!r} is {y[0]:g} in every row that is used, so there is nothing to explain",
            name,
        )
    if zero and family.hurdle and np.ptp(y[y != 0.0]) == 0.0:
        raise DataError(
            f"{name!r} has only one value above zero, so there is nothing to explain", name
        )
    if family.name == "betabinomial" and trials.max() <= 1.0:
        raise ModelError(
            "with one trial a row a betabinomial response is a binomial one: its phi cannot be "
            "estimated. Use family='binomial'."
        )
