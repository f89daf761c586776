"""Thresholds of ordered responses: structures, columns, and the plan of a cumulative model.

    P(Y <= j) = F((threshold_j - eta) / exp(zeta))

A threshold is linear in its parameters, so each row has two predictors, the thresholds above and
below its category, which share coefficients.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..._typing import Array
from ...design.design import Design
from ...families.links import link_named
from .estimate import Block
from .plan import Plan, block_of_columns, standard_part

__all__ = ["STRUCTURES", "OrdinalPlan", "ordinal_plan", "structure_of"]

STRUCTURES = ("flexible", "symmetric", "equidistant")


@dataclass(frozen=True)
class OrdinalPlan:
    """A plan with the map back to what the user reads.

    Attributes
    ----------
    plan : Plan
        What the kernel is made of.
    thresholds : ndarray of shape (K, P)
        Standardised coefficients to the K thresholds at the first level of the nominal variables.
    location, scale, nominal : ndarray of shape (.., P)
        The same for coefficients of the location, of the scale, and for what each nominal column
        adds to each threshold, (q * K, P).
    """

    plan: Plan
    thresholds: Array
    location: Array
    scale: Array
    nominal: Array


def structure_of(name: str, K: int) -> Array:
    """Build J with thresholds J alpha, shape (K, n_alpha).

    Notes
    -----
    Symmetric thresholds lie at the same distances on both sides of the central one, or of the
    central two; equidistant ones are a first one and a spacing [1]_.

    References
    ----------
    .. [1] Christensen (2018), Cumulative Link Models for Ordinal Regression with the R Package
       ordinal.
    """
    if name == "flexible" or K == 1:
        return np.eye(K)
    if name == "equidistant":
        return np.column_stack([np.ones(K), np.arange(K)])
    side = (K - 1) // 2
    odd = K % 2 == 1
    J = np.zeros((K, (1 if odd else 2) + side))
    for j in range(K):
        lower = j < K / 2 if not odd else j <= side
        J[j, 0 if odd or lower else 1] = 1.0
        distance = (side - j) if lower else j - (side if odd else side + 1)
        if distance > 0:
            J[j, (1 if odd else 2) + distance - 1] = -1.0 if lower else 1.0
    return J


def start_thresholds(link: str, y: Array, K: int) -> Array:
    """Quantiles of the observed categories."""
    counts = np.bincount(y.astype(int), minlength=K + 1) + 0.5
    p = (counts.cumsum() / counts.sum())[:-1]
    return link_named(link).function(p)


def ordinal_plan(
    design: Design, nominal: Design | None, scale: Design | None, link: str, structure: str
) -> OrdinalPlan:
    """Lay the predictors of a cumulative model side by side.

    Parameters
    ----------
    design : Design
        The location's, with the intercept that thresholds take the place of first; ``y`` holds the
        categories from 0.
    nominal, scale : Design or None
        Designs whose first column is the intercept.
    link, structure : str
        The link, and how thresholds are spaced.
    """
    n, y = design.n_obs, design.y.astype(int)
    K = int(y.max())
    J = structure_of(structure, K)
    a = J.shape[1]
    found = standard_part(design)
    T_location = found.T[1:, 1:]
    X = np.asfortranarray(found.X[:, 1:])
    N, T_nominal = np.ones((n, 1)), np.eye(1)
    if nominal is not None:
        of_nominal = standard_part(nominal)
        N, T_nominal = of_nominal.X, of_nominal.T
    q = N.shape[1]
    p, first = X.shape[1], q * a
    S, T_scale = np.zeros((n, 0), order="F"), np.zeros((0, 0))
    if scale is not None:
        S, T_scale = scaled_columns(scale)
    P = first + p + S.shape[1]

    def threshold_columns(cut: np.ndarray) -> Array:
        rows = J[np.clip(cut, 0, K - 1)]
        return np.asfortranarray(np.einsum("ic,ia->ica", N, rows).reshape(n, q * a))

    alpha = np.linalg.lstsq(J, start_thresholds(link, design.y, K), rcond=None)[0]
    start = np.zeros(P)
    start[:a] = alpha * float(N[0, 0]) if N[0, 0] else alpha
    none = np.zeros(0)
    shared = list(range(first))
    own = list(range(first, first + p))
    inputs = (
        (X, own, none if design.offset is None else design.offset),
        (threshold_columns(y), shared, none),
        (threshold_columns(y - 1), shared, none),
        (S, list(range(first + p, P)), none),
    )
    terms = tuple(
        (term.codes, term.n_levels, z, block_of_columns(term), 0)
        for term, z in zip(design.random, found.z, strict=True)
    )
    names = tuple(design.fixed_names[1:])
    kept = np.asarray(found.kept[1:], dtype=np.intp) - 1
    aliased = tuple(j - 1 for j in found.aliased)
    blocks = [
        Block(
            "thresholds",
            tuple(f"alpha{i}" for i in range(first)),
            np.arange(first),
            np.eye(first),
            0,
            (),
            np.zeros((first, 0)),
        ),
        Block("location", names, kept, T_location, first, aliased, np.atleast_2d(found.alias)),
    ]
    if scale is not None:
        blocks.append(
            Block(
                "scale",
                tuple(scale.fixed_names[1:]),
                np.arange(S.shape[1]),
                T_scale,
                first + p,
                (),
                np.zeros((S.shape[1], 0)),
            )
        )
    weights = np.ones(n)
    plan = Plan(
        np.ascontiguousarray(design.y),
        weights,
        "ordinal",
        link,
        False,
        inputs,
        terms,
        tuple(blocks),
        tuple(found.Tz),
        start,
        structures=tuple(term.structures for term in design.random),
        top=float(K),
    )
    return maps(plan, J, T_nominal, found.T, T_scale, first, p)


def scaled_columns(design: Design) -> tuple[Array, Array]:
    """Columns without the intercept in units of their spread: a scale has no origin to move."""
    X = design.X[:, 1:]
    size = np.maximum(np.abs(X).max(axis=0), 1e-300)
    return np.asfortranarray(X / size), np.diag(1.0 / size)


def maps(
    plan: Plan, J: Array, T_nominal: Array, T: Array, T_scale: Array, first: int, p: int
) -> OrdinalPlan:
    """Lay out what the user reads as linear functions of the standardised coefficients."""
    P, (K, a), q = len(plan.start), J.shape, len(T_nominal)
    by_column = np.zeros((q, K, P))
    for c in range(q):
        for d in range(q):
            by_column[c][:, d * a : (d + 1) * a] = T_nominal[c, d] * J
    location = np.zeros((p, P))
    location[:, first : first + p] = T[1:, 1:]
    thresholds = by_column[0].copy()
    thresholds[:, first : first + p] -= T[0, 1:]
    scale = np.zeros((len(T_scale), P))
    scale[:, first + p :] = T_scale
    return OrdinalPlan(plan, thresholds, location, scale, by_column[1:].reshape(-1, P))
