"""Random effects at places that the fit has not seen: times and coordinates of a structure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Protocol

import numpy as np

from ..._counted import counted
from ..._typing import Array
from ...design.design import Design, RandomTerm
from ...design.encode import NewRows, NewTerm
from ...errors import UnsupportedError
from ...models.states import block_parameters

__all__ = ["at_places", "left_over", "only_seen_places"]


class Located(Protocol):
    """An estimate with the state of each term's covariance."""

    @property
    def sigmas(self) -> tuple[Array, ...]:
        """Covariance matrices of the random effects."""

    @property
    def lambda_standard(self) -> tuple[Array, ...]:
        """Factors, or parameters of structures, in the standardised basis."""


def at_places(design: Design, estimate: Located, rows: NewRows) -> NewRows:
    """Add to rows at unseen places the columns that predict their random effects.

    Notes
    -----
    Given the effects b at the places of the fit, with correlations R, the effect at another place
    has the mean r'R⁻¹ b and the variance s² (1 - r'R⁻¹ r), r its correlations with them: kriging,
    exact under the model.
    """
    if not any(term.is_structured for term in design.random):
        return rows
    terms = tuple(
        new if new is None else _located(term, new, state, cov)
        for term, new, state, cov in zip(
            design.random, rows.terms, estimate.lambda_standard, estimate.sigmas, strict=True
        )
    )
    return replace(rows, terms=terms)


def _located(term: RandomTerm, new: NewTerm, state: Array, cov: Array) -> NewTerm:
    if not term.is_structured or not any(place is not None for place in new.places):
        return new
    z, extra = new.z.copy(order="F"), np.zeros(len(new.z))
    parameters = block_parameters(term, state)
    for columns, structure, psi, places in zip(
        term.blocks, term.block_structures, parameters, new.places, strict=True
    ):
        if structure is None or psi is None or places is None:
            continue
        none = (z[:, columns] == 0.0).all(axis=1)
        unseen = np.flatnonzero(none & np.isfinite(places).all(axis=1))
        if not len(unseen):
            continue
        distinct, back = np.unique(places[unseen], axis=0, return_inverse=True)
        r = structure.core.between(psi, np.asfortranarray(distinct))
        own = structure.core.between(psi, np.asfortranarray(structure.places))
        weights = np.linalg.lstsq(own, r.T, rcond=1e-13)[0].T
        variance = float(cov[columns[0], columns[0]])
        z[np.ix_(unseen, np.array(columns))] = weights[back.ravel()]
        left = np.maximum(variance * (1.0 - np.sum(weights * r, axis=1)), 0.0)
        extra[unseen] += left[back.ravel()]
    return replace(new, z=z, extra=extra)


def only_seen_places(design: Design, rows: NewRows) -> NewRows:
    """Refuse rows of known levels at places that the fit has not seen.

    Raises
    ------
    UnsupportedError
        For a model that does not predict there.
    """
    for term, new in zip(design.random, rows.terms, strict=True):
        if new is None:
            continue
        for columns, places in zip(term.blocks, new.places, strict=False):
            if places is None:
                continue
            none = (new.z[:, columns] == 0.0).all(axis=1)
            count = int(np.sum(none & np.isfinite(places).all(axis=1) & (new.codes >= 0)))
            if count:
                raise UnsupportedError(
                    f"{counted(count, 'row is at a time or place', 'rows are at times or places')} "
                    "that the fit has not seen, and this "
                    f"kind of model does not predict effects of {term.group} there; pass "
                    'random="none", or fit one linear predictor by ranef.lmer or ranef.glmer'
                )
    return rows


def left_over(rows: NewRows, groups: Iterable[str] | None = None) -> Array:
    """Variance of effects at unseen places given those at the seen ones, shape (m,).

    ``groups`` are those that take part, all by default.
    """
    total = np.zeros(len(rows.missing))
    for term in rows.terms:
        if term is None or term.extra is None:
            continue
        if groups is None or term.group in groups:
            total += term.extra
    return total
