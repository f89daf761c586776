"""What a learner is to learn, and how its rows may be divided."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from .._options import check_option
from .._typing import Array, Positions
from ..design.design import Design
from ..errors import UnsupportedError

__all__ = ["FEW_BLOCKS", "Task", "blocks_of", "folds_of", "sklearn_part", "within_groups"]

#: Levels of a grouping factor below which rows, not whole groups, are held out.
FEW_BLOCKS = 10


@dataclass(frozen=True)
class Task:
    """A response to be learned from predictors.

    Attributes
    ----------
    X : ndarray of shape (n, p)
        Predictors.
    target : ndarray of shape (n,)
        Response minus offset and random effects.
    weights : ndarray of shape (n,) or None
        Precision weights.
    blocks : ndarray of shape (n,), int
        Rows that are held out together, numbered from 0.
    folds : int
        Parts into which the blocks are divided.
    seed : int
        Seed of all draws.
    workers : int
        Threads.
    """

    X: Array
    target: Array
    weights: Array | None
    blocks: Positions
    folds: int
    seed: int
    workers: int

    def of(self, target: Array) -> Task:
        """Return the task for another response."""
        return replace(self, target=target)

    def take(self, rows: Positions) -> tuple[Array, Array, Array | None]:
        """Predictors, response and weights of some rows."""
        weights = None if self.weights is None else self.weights[rows]
        return self.X[rows], self.target[rows], weights

    @property
    def fold(self) -> Positions:
        """The part that each row belongs to."""
        return folds_of(self.blocks, self.folds, self.seed)


def folds_of(blocks: Positions, folds: int, seed: int) -> Positions:
    """Divide blocks of rows at random into parts of nearly equal numbers of blocks.

    Returns
    -------
    ndarray of shape (n,), int
        The part of each row.
    """
    count = int(blocks.max()) + 1
    part = np.arange(count) % min(folds, count)
    return np.asarray(np.random.default_rng(seed).permutation(part)[blocks])


def blocks_of(design: Design, resample: str) -> tuple[Positions, str]:
    """Find which rows are held out together.

    Parameters
    ----------
    design : Design
        Rows with their grouping factors.
    resample : str
        "auto", "rows", or a grouping factor. "auto" is the factor with fewest levels, if these are
        at least ten: the outermost where factors are nested.

    Returns
    -------
    blocks : ndarray of shape (n,), int
        Numbered from 0.
    name : str
        The factor, or "rows".
    """
    plain = {term.group: term for term in design.random if len(term.memberships) == 1}
    name = check_option("resample", resample, ["auto", "rows", *plain])
    if name == "auto":
        wide = [term for term in plain.values() if len(np.unique(term.codes)) >= FEW_BLOCKS]
        name = min(wide, key=lambda term: term.n_levels).group if wide else "rows"
    if name == "rows":
        return np.arange(design.n_obs), name
    return np.unique(plain[name].codes, return_inverse=True)[1].astype(np.intp), name


def sklearn_part(module: str, name: str) -> Any:
    """Import one name from scikit-learn.

    Raises
    ------
    UnsupportedError
        If scikit-learn is not installed.
    """
    from importlib import import_module

    try:
        return getattr(import_module(f"sklearn.{module}"), name)
    except ImportError as error:
        raise UnsupportedError('learners use scikit-learn; pip install "ranef[learn]"') from error


def within_groups(codes: Positions, folds: int, seed: int) -> Positions:
    """Divide the rows of every group among the parts, shape (n,)."""
    rng = np.random.default_rng(seed)
    order = rng.permutation(len(codes))
    order = order[np.argsort(codes[order], kind="stable")]
    out = np.empty(len(codes), dtype=np.intp)
    out[order] = (np.arange(len(codes)) + rng.integers(folds)) % folds
    return out
