"""Read a bundled data set; its factors have R's levels."""

from __future__ import annotations

from dataclasses import dataclass
from importlib.resources import files
from typing import Any

import numpy as np
import pandas as pd

from ..errors import DataError

__all__ = ["load", "names"]


@dataclass(frozen=True)
class _Factor:
    """A categorical column; without ``levels`` they come in numeric or else first-seen order."""

    levels: tuple[str, ...] = ()
    is_ordered: bool = False


def _words(text: str) -> tuple[str, ...]:
    """Split at the spaces."""
    return tuple(text.split())


_PLAIN = _Factor()
_ORDERED = _Factor(is_ordered=True)

#: Factors of each data set, by file name.
_CATALOGUE: dict[str, dict[str, _Factor]] = {
    "Dyestuff.csv": {"Batch": _PLAIN},
    "Dyestuff2.csv": {"Batch": _PLAIN},
    "InstEval.npz": {
        "s": _PLAIN,
        "d": _PLAIN,
        "studage": _ORDERED,
        "lectage": _ORDERED,
        "service": _PLAIN,
        "dept": _Factor(_words("15 5 10 12 6 7 4 8 9 14 1 3 11 2")),
    },
    "Machines.csv": {"Worker": _Factor(_words("6 2 4 1 3 5"), is_ordered=True), "Machine": _PLAIN},
    "Pastes.csv": {"batch": _PLAIN, "cask": _PLAIN, "sample": _PLAIN},
    "Penicillin.csv": {"plate": _PLAIN, "sample": _PLAIN},
    "cake.csv": {"replicate": _PLAIN, "recipe": _PLAIN, "temperature": _ORDERED},
    "cbpp.csv": {"herd": _PLAIN, "period": _PLAIN},
    "gpa_sim.csv": {
        "student": _PLAIN,
        "job": _Factor(("no job", "1 hour", "2 hours", "3 hours", "4 or more hours")),
        "sex": _Factor(("male", "female")),
        "admitted": _Factor(("no", "yes")),
    },
    "sleepstudy.csv": {"Subject": _PLAIN},
}
_FILES = {file.partition(".")[0]: file for file in _CATALOGUE}


def names() -> list[str]:
    """List the bundled data sets.

    Examples
    --------
    >>> import ranef.datasets
    >>> "sleepstudy" in ranef.datasets.names()
    True
    """
    return list(_FILES)


def load(name: str) -> pd.DataFrame:
    """Load a bundled data set.

    Parameters
    ----------
    name : str
        One of ``names()``; ``help(ranef.datasets)`` tells what each holds.

    Returns
    -------
    DataFrame
        A new frame on every call; factors are categoricals, numbers int64 or float64.

    Raises
    ------
    DataError
        When there is no such data set.

    Examples
    --------
    >>> import ranef.datasets
    >>> ranef.datasets.load("sleepstudy").head(2)
       Reaction  Days Subject
    0  249.5600     0     308
    1  258.7047     1     308
    """
    if name not in _FILES:
        raise _unknown(name)
    file = _FILES[name]
    frame = _read(file)
    for column, factor in _CATALOGUE[file].items():
        frame[column] = _categorical(frame[column], factor)
    return frame


def _read(file: str) -> pd.DataFrame:
    """Read the columns as int64, float64 or text."""
    with (files(__package__) / "data" / file).open("rb") as source:
        if file.endswith(".csv"):
            return pd.read_csv(source)
        with np.load(source) as columns:
            return pd.DataFrame({c: columns[c].astype(np.int64) for c in columns.files})


def _categorical(column: pd.Series[Any], factor: _Factor) -> pd.Categorical[Any]:
    """Turn labels into text in R's order of levels."""
    codes, values = pd.factorize(column.to_numpy(), sort=column.dtype.kind == "i")
    seen = pd.Index([str(value) for value in values])
    levels = pd.Index(factor.levels) if factor.levels else seen
    return pd.Categorical.from_codes(
        levels.get_indexer(seen)[codes], categories=levels, ordered=factor.is_ordered
    )


def _unknown(name: str) -> DataError:
    """Make the error for a name that is not in the catalogue, with the nearest that are in it."""
    from difflib import get_close_matches

    folded = {known.lower(): known for known in _FILES}
    near = [folded[match] for match in get_close_matches(str(name).lower(), folded, n=2)]
    hint = f"Did you mean {' or '.join(map(repr, near))}? " if near else ""
    return DataError(
        f"There is no data set {name!r}. {hint}The data sets are {', '.join(_FILES)}.",
        allowed=tuple(_FILES),
    )
