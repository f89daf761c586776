"""Where searches for classes begin."""

from __future__ import annotations

import numpy as np

from ..._typing import Array, Codes
from .rows import MixtureRows, Standard

__all__ = ["first_classes"]

#: Moves of units to the nearest centre after seeds are drawn.
MOVES = 3


def first_classes(
    rows: MixtureRows, standard: Standard, classes: int, starts: int, rng: np.random.Generator
) -> Codes:
    """Draw the class of each unit, one column per start.

    Every other start is a partition at random; the others gather units about curves that are far
    apart, as k-means++ draws its centres (Arthur and Vassilvitskii, 2007).

    Returns
    -------
    ndarray of shape (units, starts), int32
    """
    curves = unit_curves(rows, standard)
    out = np.empty((rows.n_units, starts), np.int32, order="F")
    for s in range(starts):
        out[:, s] = (
            gathered(curves, classes, rng) if s % 2 == 0 else partition(rows.n_units, classes, rng)
        )
    return out


def partition(units: int, classes: int, rng: np.random.Generator) -> Codes:
    """Divide units at random into classes of equal size."""
    return np.asarray(rng.permutation(np.arange(units) % classes), np.int32)


def gathered(curves: Array, classes: int, rng: np.random.Generator) -> Codes:
    """Gather units about seeds that are far apart."""
    centres = curves[[rng.integers(len(curves))]]
    while len(centres) < classes:
        nearest = distances(curves, centres).min(axis=1)
        total = nearest.sum()
        share = None if total <= 0.0 else nearest / total
        centres = np.vstack([centres, curves[rng.choice(len(curves), p=share)]])
    label = distances(curves, centres).argmin(axis=1)
    for _ in range(MOVES):
        for k in range(classes):
            if np.any(label == k):
                centres[k] = curves[label == k].mean(axis=0)
        label = distances(curves, centres).argmin(axis=1)
    counts = np.bincount(label, minlength=classes)
    empty = np.flatnonzero(counts == 0)  # as many classes as requested, whatever the ties
    label[rng.choice(len(label), len(empty), replace=False)] = empty
    return np.asarray(label, np.int32)


def distances(curves: Array, centres: Array) -> Array:
    """Squared distances, (units, centres)."""
    return np.asarray(np.sum((curves[:, None, :] - centres[None]) ** 2, axis=2))


def unit_curves(rows: MixtureRows, standard: Standard) -> Array:
    """Coefficients of each unit, drawn towards those of all, (units, p)."""
    z = standard.z if np.isfinite(standard.within) else working(standard.z)
    p = standard.Q.shape[1]
    centre = standard.Q.T @ z / len(z)
    out = np.empty((rows.n_units, p))
    for u, (first, last) in enumerate(zip(rows.start[:-1], rows.start[1:], strict=True)):
        part = standard.Q[first:last]
        right = part.T @ z[first:last] + centre
        out[u] = np.linalg.solve(part.T @ part + np.eye(p), right)
    return out


def working(z: Array) -> Array:
    """Put counts on a logarithmic scale; other responses stay."""
    return np.log(z + 0.5) if z.min() >= 0.0 else z
