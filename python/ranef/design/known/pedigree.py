"""Additive relationships of a pedigree, by the sparse inverse of their matrix."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ... import _core
from ..._counted import counted
from ...errors import DataError
from .labels import named
from .precision import KnownCovariance, Triangle

__all__ = ["Pedigree", "read_pedigree"]

Parents = NDArray[np.int32]
#: What other programs' pedigrees write for unknown parents, besides numbers up to zero.
PLACEHOLDERS = frozenset({"0", "-", "*", ".", "?", "na", "nan", "none", "unknown"})


class Pedigree(KnownCovariance):
    """The additive relationship matrix of a pedigree, stored as its inverse.

    Returned by :func:`ranef.pedigree`.
    """

    @property
    def inbreeding(self) -> pd.Series[Any]:
        """Inbreeding coefficient of each animal, the diagonal of A minus one."""
        return pd.Series(self.diagonal - 1.0, index=self.labels, name="inbreeding")


def read_pedigree(id: Any, sire: Any, dam: Any) -> Pedigree:
    """Build the inverse of the relationship matrix; see :func:`ranef.pedigree`."""
    animals, mothers, fathers = _column(id, "id"), _column(dam, "dam"), _column(sire, "sire")
    if not len(animals) == len(fathers) == len(mothers):
        raise DataError(
            f"id, sire and dam have {len(animals)}, {len(fathers)} and "
            f"{counted(len(mothers), 'value')}; each animal has one of each"
        )
    if animals.isna().any():
        raise DataError(
            f"id is missing in {counted(int(animals.isna().sum()), 'row')} of the pedigree", "id"
        )
    labels = pd.Index(animals)
    twice = np.flatnonzero(labels.duplicated())
    if len(twice):
        raise DataError(
            f"each animal is one row of a pedigree; {named(labels, twice)} repeat", "id"
        )
    labels, sires, dams = _with_founders(labels, fathers, mothers)
    both = np.intersect1d(sires[sires >= 0], dams[dams >= 0])
    if len(both):
        raise DataError(f"{named(labels, both)} are sire of one animal and dam of another")
    found = _core.trace_ancestry(sires, dams)
    if found.loop:
        loop = found.loop
        if len(loop) == 1:
            raise DataError(f"{named(labels, loop)} is its own parent")
        chain = " of ".join(repr(labels[i]) for i in reversed([*loop[:6], loop[0]]))
        raise DataError(
            f"the pedigree has a loop: {labels[loop[0]]!r} is its own ancestor (descent: {chain})"
            if len(loop) <= 6
            else f"the pedigree has a loop of {len(loop)} animals through {labels[loop[0]]!r}"
        )
    return Pedigree(labels, _inverse(sires, dams, found.mendelian), 1.0 + found.inbreeding)


def _column(values: Any, name: str) -> pd.Series[Any]:
    """Read one column of a pedigree; empty texts are missing."""
    series = values if isinstance(values, pd.Series) else pd.Series(values)
    if isinstance(series.dtype, pd.CategoricalDtype):
        series = series.astype(series.cat.categories.dtype)
    series = series.reset_index(drop=True)
    if series.dtype.kind == "f" and series.notna().any():
        whole = series.dropna()
        if (whole != np.round(whole)).any():
            raise DataError(f"{name} contains fractions, which cannot identify animals", name)
        return series.astype("Int64")
    if series.dtype == object or pd.api.types.is_string_dtype(series.dtype):
        return series.mask(series.map(lambda value: isinstance(value, str) and not value.strip()))
    return series


def _with_founders(
    labels: pd.Index[Any], fathers: pd.Series[Any], mothers: pd.Series[Any]
) -> tuple[pd.Index[Any], Parents, Parents]:
    """Code parents, -1 for unknown ones; parents without a row of their own are founders."""
    if labels.dtype != object and str(labels.dtype) == "Int64":
        labels = labels.astype(np.int64)
    for parents, name in ((fathers, "sire"), (mothers, "dam")):
        known = parents.dropna()
        if len(known) and pd.api.types.is_numeric_dtype(known) != pd.api.types.is_numeric_dtype(
            labels
        ):
            raise DataError(
                f"{name} and id are of different types ({known.dtype} and {labels.dtype}); make "
                "both text or both numbers",
                name,
            )
    listed = pd.unique(pd.concat([fathers.dropna(), mothers.dropna()], ignore_index=True))
    extra = pd.Index(listed)
    if len(extra):
        extra = extra[labels.get_indexer(extra) < 0]
    for i in [i for i, label in enumerate(extra) if is_placeholder(label)]:
        raise DataError(
            f"{named(extra, [i])} occurs as a parent but has no row of its own; if it "
            "stands for parents that are unknown, make it missing (None or NaN) in sire and dam, "
            "else give it a row"
        )
    if len(extra):
        labels = extra.astype(labels.dtype).append(labels)
    codes = []
    for parents in (fathers, mothers):
        gaps = parents.isna().to_numpy()
        place = np.full(len(labels), -1, dtype=np.int32)
        found = labels.get_indexer(pd.Index(parents[~gaps])).astype(np.int32)
        place[len(extra) :][~gaps] = found
        codes.append(place)
    return labels, codes[0], codes[1]


def is_placeholder(label: Any) -> bool:
    """Return whether a parent's name is what pedigrees write for unknown ones."""
    if isinstance(label, str):
        return label.strip().lower() in PLACEHOLDERS
    return bool(label <= 0)


def _inverse(sire: Parents, dam: Parents, mendelian: NDArray[np.float64]) -> Triangle:
    """Add up Henderson's contributions (1, -1/2, -1/2) (1, -1/2, -1/2)' / d of each animal."""
    from scipy.sparse import coo_array, csc_array

    n = len(sire)
    own = np.arange(n, dtype=np.int32)
    weight = 1.0 / mendelian
    rows: list[Parents] = [own]
    columns: list[Parents] = [own]
    values = [weight]
    for parent in (sire, dam):
        known = parent >= 0
        p, w = parent[known], weight[known]
        rows += [np.maximum(p, own[known]), p]
        columns += [np.minimum(p, own[known]), p]
        values += [-0.5 * w, 0.25 * w]
    both = (sire >= 0) & (dam >= 0)
    rows.append(np.maximum(sire, dam)[both])
    columns.append(np.minimum(sire, dam)[both])
    values.append(0.25 * weight[both])
    entries = (np.concatenate(values), (np.concatenate(rows), np.concatenate(columns)))
    lower = csc_array(coo_array(entries, shape=(n, n)))
    lower.sum_duplicates()
    lower.sort_indices()
    return lower.indptr.astype(np.int64), lower.indices.astype(np.int32), lower.data
