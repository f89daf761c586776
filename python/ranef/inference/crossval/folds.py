"""Ways to divide rows into those that fit and those that are predicted."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..._counted import counted
from ...errors import ModelError

__all__ = ["Fold", "forecast_folds", "group_folds", "row_folds", "splitter_folds"]

Rows = NDArray[np.intp]
Fold = tuple[Rows, Rows]


def row_folds(n: int, folds: int, seed: Any) -> list[Fold]:
    """Divide n rows at random into ``folds`` parts; each is predicted from the others."""
    return _by_label(_dealt(n, folds, seed))


def group_folds(codes: NDArray[np.integer[Any]], folds: int, seed: Any) -> list[Fold]:
    """Divide the levels of a grouping factor at random into ``folds`` parts."""
    return _by_label(_dealt(int(codes.max()) + 1, folds, seed)[codes])


def _dealt(n: int, folds: int, seed: Any) -> Rows:
    """Deal n things into folds at random, as evenly as possible."""
    if not 2 <= folds <= n:
        raise ValueError(f"folds must be between 2 and {n}, not {folds}")
    return np.asarray(np.random.default_rng(seed).permutation(np.arange(n) % folds))


def _by_label(labels: Rows) -> list[Fold]:
    """One fold for each label."""
    return [(np.flatnonzero(labels != k), np.flatnonzero(labels == k)) for k in np.unique(labels)]


def forecast_folds(time: NDArray[Any]) -> list[Fold]:
    """Predict each time in the second half of the distinct times from all earlier ones."""
    times = np.unique(time)
    if len(times) < 3:
        raise ModelError(
            "forecast needs at least 3 distinct times to learn from the past; there are "
            f"{len(times)}"
        )
    return [
        (np.flatnonzero(time < t), np.flatnonzero(time == t))
        for t in times[(len(times) + 1) // 2 :]
    ]


def splitter_folds(splitter: Any, n: int, codes: NDArray[np.integer[Any]]) -> list[Fold]:
    """Take folds from an object with ``split(X, y, groups)`` or an iterable of (train, test)."""
    if hasattr(splitter, "split") and not isinstance(splitter, str):
        pairs = splitter.split(np.empty((n, 1)), None, codes)
    elif isinstance(splitter, Iterable) and not isinstance(splitter, str):
        pairs = splitter
    else:
        raise ValueError(
            "scheme must be 'new_groups', 'new_rows', 'forecast', an object with "
            f"split(X, y, groups) or pairs of row positions (train, test), not {splitter!r}"
        )
    folds = [(_positions(train, n), _positions(test, n)) for train, test in pairs]
    for k, (train, test) in enumerate(folds, start=1):
        _check_fold(train, test, n, k)
    if not folds:
        raise ValueError("the splitter returned no folds")
    return folds


def _positions(rows: Any, n: int) -> Rows:
    """Read positions of rows, or a mask of all of them."""
    found = np.asarray(rows)
    if found.dtype == bool and found.shape == (n,):
        return np.flatnonzero(found)
    if found.ndim != 1 or (len(found) > 0 and found.dtype.kind not in "iu"):
        raise ValueError(
            f"a fold of the splitter is made of positions of rows from 0 to {n - 1}, or of a mask "
            f"of {counted(n, 'row')}, not of {found.dtype} of shape {found.shape}"
        )
    return found.astype(np.intp)


def _check_fold(train: Rows, test: Rows, n: int, k: int) -> None:
    """Refuse positions that do not exist, and rows on both sides."""
    if not (len(train) and len(test)):
        raise ValueError(
            f"fold {k} of the splitter has no {'test' if len(train) else 'train'} rows"
        )
    both = np.concatenate([train, test])
    if both.min() < 0 or both.max() >= n:
        raise ValueError(
            f"fold {k} of the splitter has positions outside 0 to {n - 1}, the rows that the model "
            "uses"
        )
    shared = len(np.intersect1d(train, test))
    if shared:
        raise ModelError(
            f"fold {k} of the splitter has {counted(shared, 'row')} both in train and in test: "
            "predictions of rows that were fitted say nothing about new ones"
        )
