"""Several linear predictors as the kernel takes them, and back."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ... import _core
from ..._typing import Array
from ...design.design import INTERCEPT, Design, RandomTerm
from ...design.structures.structure import Structure
from ...families import Family
from .estimate import Block

__all__ = [
    "Plan",
    "PredictorTerm",
    "block_of_columns",
    "location_rows",
    "plan_of",
    "standard_part",
    "whole_design",
]

#: Terms of the kernel: codes, levels, standardised columns, block of each column, predictor.
PredictorTerm = tuple[NDArray[np.int32], int, Array, list[int], int]


@dataclass(frozen=True)
class Plan:
    """What a kernel of several predictors is made of.

    Attributes
    ----------
    y, weights : ndarray of shape (n,)
        Response, and its trials or frequencies.
    family, link : str
        Names in the core.
    zero : bool
        Whether the last predictor is the logit of a zero.
    inputs : tuple of (ndarray of shape (n, p_a), list of int, ndarray)
        Columns of each predictor, places of their coefficients, and its offset or nothing.
    terms : tuple of PredictorTerm
        Random-effects terms, in the order of the design's.
    blocks : tuple of Block
        Coefficients by part, in the order of beta.
    bases : tuple of ndarray of shape (s, s)
        Standardised columns of each term to those as written.
    start : ndarray of shape (P,)
        Where the search begins.
    structures : tuple of tuple of Structure or None
        Of each term what is known of the covariance of each block.
    top : float
        The last category of an ordinal response, which need not occur; -1 for the largest.
    unit : float
        What the response was divided by, so that the search meets no numbers but those near one;
        bases and blocks lead back to coefficients in the caller's unit.
    """

    y: Array
    weights: Array
    family: str
    link: str
    zero: bool
    inputs: tuple[tuple[Array, list[int], Array], ...]
    terms: tuple[PredictorTerm, ...]
    blocks: tuple[Block, ...]
    bases: tuple[Array, ...]
    start: Array
    structures: tuple[tuple[Structure | None, ...], ...] = ()
    top: float = -1.0
    unit: float = 1.0

    @property
    def constant(self) -> float:
        """What the unit adds to -2 log-likelihood."""
        return 2.0 * float(np.log(self.unit)) * float(self.weights.sum())

    def in_unit(self, eta: Array) -> Array:
        """Put the kernel's predictors, shape (n, predictors), into the caller's unit."""
        if self.unit == 1.0:
            return eta
        out = eta.copy()
        out[:, 0] *= self.unit
        out[:, 1] += np.log(self.unit)
        return out

    def core(self) -> _core.Predictors:
        """Plan the factor."""
        return _core.Predictors(
            self.y,
            self.weights,
            self.family,
            self.link,
            self.zero,
            [(X, index, offset) for X, index, offset in self.inputs],
            list(self.terms),
            len(self.start),
            structures=[
                [None if one is None else one.core for one in known] for known in self.structures
            ],
            top=self.top,
        )


def standard_part(design: Design) -> Any:
    """Orthonormalise the columns of one predictor and of its terms."""
    return _core.standard_columns(
        design.n_obs,
        list(design.columns),
        list(design.fixed),
        [
            (term.codes, term.n_levels, list(term.columns), block_of_columns(term))
            for term in design.random
        ],
        structures=[term.cores for term in design.random],
    )


def block_of_columns(term: RandomTerm) -> list[int]:
    """Independent block of each column."""
    return [b for b, block in enumerate(term.blocks) for _ in block]


def plan_of(
    family: Family,
    link: str,
    designs: Sequence[tuple[str, Design]],
    start_of: dict[str, Array],
) -> Plan:
    """Lay the predictors of a family side by side.

    Parameters
    ----------
    family : Family
        Names the shapes; those without a design are constants.
    designs : sequence of (str, Design)
        "location", and those of "dispersion" and "zero" that have a formula.
    link : str
        The link of the location.
    start_of : mapping of str to ndarray of shape (n,)
        Predictors to start from, by part or by shape.
    """
    known = dict(designs)
    location = known["location"]
    n = location.n_obs
    unit = unit_of(location.y) if family.in_units and link == "identity" else 1.0
    names = ["location", *family.parameters]
    if "zero" in known:
        names.append("zero")
    inputs: list[tuple[Array, list[int], Array]] = []
    terms: list[PredictorTerm] = []
    blocks: list[Block] = []
    bases: list[Array] = []
    structures: list[tuple[Structure | None, ...]] = []
    start: list[Array] = []
    first = 0
    for position, name in enumerate(names):
        part = "dispersion" if position == 1 and "dispersion" in known else name
        design = known.get(part)
        target, size = start_of[name], unit if name == "location" else 1.0
        moved = -np.log(unit) if position == 1 else 0.0  # of the log of a standard deviation
        if design is None:
            X, offset = np.ones((n, 1), order="F"), np.zeros(0)
            blocks.append(
                Block(
                    part,
                    ("Intercept",),
                    np.zeros(1, np.intp),
                    np.eye(1),
                    first,
                    (),
                    np.zeros((1, 0)),
                )
            )
        else:
            found = standard_part(design)
            X = found.X
            offset = np.zeros(0) if design.offset is None else design.offset
            kept = np.asarray(found.kept, dtype=np.intp)
            blocks.append(
                Block(
                    part,
                    design.fixed_names,
                    kept,
                    size * found.T,
                    first,
                    tuple(found.aliased),
                    np.atleast_2d(found.alias),
                )
            )
            bases += [size * basis for basis in found.Tz]
            structures += [term.structures for term in design.random]
            terms += [
                (term.codes, term.n_levels, z, block_of_columns(term), position)
                for term, z in zip(design.random, found.z, strict=True)
            ]
        p = X.shape[1]
        left = target - offset if len(offset) else target
        start.append(X.T @ left / (size * n))
        if unit != 1.0 and (len(offset) or moved):
            offset = (offset if len(offset) else np.zeros(n)) / size + moved
        inputs.append((X, list(range(first, first + p)), offset))
        first += p
    weights = np.ones(n) if location.weights is None else location.weights
    order = [name for name, _ in designs]
    assert order[0] == "location"
    return Plan(
        np.ascontiguousarray(location.y if unit == 1.0 else location.y / unit),
        np.ascontiguousarray(weights),
        family.core,
        link,
        "zero" in known,
        tuple(inputs),
        tuple(terms),
        tuple(blocks),
        tuple(bases),
        np.concatenate(start),
        structures=tuple(structures),
        unit=unit,
    )


def unit_of(y: Array) -> float:
    """Return the power of two nearest to a standard deviation: to divide by it loses no digit."""
    return float(2.0 ** np.round(np.log2(np.std(y))))


def whole_design(designs: Sequence[tuple[str, Design]]) -> Design:
    """One design that holds the terms of all parts, those of others named ``part:group``.

    The fixed part is the location's; the order of terms is that of the plan.
    """
    ordered = sorted(designs, key=lambda item: ("location", "dispersion", "zero").index(item[0]))
    columns: list[Array] = []
    random: list[RandomTerm] = []
    for name, design in ordered:
        shift = len(columns)
        for term in design.random:
            random.append(
                replace(
                    term,
                    group=term.group if name == "location" else f"{name}:{term.group}",
                    columns=tuple(j if j == INTERCEPT else j + shift for j in term.columns),
                )
            )
        columns += list(design.columns)
    location = dict(designs)["location"]
    return replace(location, columns=tuple(columns), random=tuple(random))


def location_rows(plan: Plan) -> Array:
    """Write the location's kept coefficients as functions of all parameters, covariances first."""
    block = next(b for b in plan.blocks if b.part == "location")
    m = sum(_n_elements(blocks) for _, _, _, blocks, _ in plan.terms)
    out = np.zeros((len(block.kept), m + len(plan.start)))
    out[:, m + block.first : m + block.places.stop] = block.T
    return out


def _n_elements(blocks: Sequence[int]) -> int:
    """Count the elements of a covariance factor, blocks of whose columns are independent."""
    sizes = np.bincount(blocks)
    return int((sizes * (sizes + 1) // 2).sum())
