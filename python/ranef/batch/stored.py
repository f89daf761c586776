"""The results of many fits in a folder of parquet files."""

from __future__ import annotations

import glob
import os
from collections.abc import Callable
from typing import Any, ClassVar

import numpy as np
import pandas as pd

from .._caller import warn_caller
from .._html import Preformatted
from ..errors import DataError, RanefError, RanefWarning
from ..fitted.kinds import Model
from ..models.batch.blocks import Progress
from ..words.answers import Spoken
from .anew import single_call
from .folder import BatchFolder, read_plan
from .response_files import need_pyarrow
from .result import BatchResult, position
from .tables import Labels, WaldTests

__all__ = ["StoredBatch", "by_name", "opened"]


class StoredBatch(Spoken, Preformatted):
    """Results of :func:`ranef.fit_many` or :func:`ranef.fit_groups` that were written to a folder.

    Tables are read when they are asked for. Where they are larger than memory, read the files
    ``table/*.parquet``, ``fits/*.parquet`` and ``tests/*.parquet`` with any tool for parquet.

    Parameters
    ----------
    path : str or path
        The folder that was given as ``out``.

    Attributes
    ----------
    path : str
        The folder.
    interrupted : bool
        Whether the run was stopped from the keyboard; the same call with the same ``out`` continues
        it.
    complete : bool
        Whether all fits are finished and p-values adjusted over all of them.
    kept : int
        Fits that the call found finished, from an earlier run.

    Raises
    ------
    DataError
        If the folder does not contain a run.

    Examples
    --------
    >>> import tempfile, numpy as np, ranef
    >>> sleep = ranef.datasets.load("sleepstudy")
    >>> Y = np.random.default_rng(1).normal(size=(len(sleep), 100))
    >>> with tempfile.TemporaryDirectory() as out:
    ...     _ = ranef.fit_many("~ Days + (1 | Subject)", sleep, Y, out=out, progress=False)
    ...     len(ranef.StoredBatch(out).table)
    200
    """

    model_is: ClassVar[str] = "a single fit, such as batch.fit(name)"

    def __init__(
        self,
        path: Any,
        *,
        single: Callable[[Any], Model] | None = None,
        interrupted: bool = False,
        kept: int = 0,
        again: Callable[[], BatchResult] | None = None,
    ):
        need_pyarrow()
        self.path = os.fspath(path)
        plan = read_plan(self.path)
        if plan is None or plan["function"] not in ("fit_many", "fit_groups"):
            raise DataError(f"{self.path!r} contains no run of fit_many or fit_groups")
        self.interrupted, self.kept = interrupted, kept
        self.complete = bool(plan["complete"])
        self._plan = plan
        self._single = single
        self._again = again

    def __repr__(self) -> str:
        state = "complete" if self.complete else "unfinished"
        return f"<StoredBatch in {self.path!r}, {state}: {self.counts().to_dict()}>"

    def __len__(self) -> int:
        return int(self.counts().sum())

    def counts(self) -> pd.Series[int]:
        """Count the fits by status."""
        if not self._done():
            return pd.Series(dtype=np.int64)
        return self._read("fits", ["status"])["status"].value_counts()

    @property
    def status(self) -> pd.Series[Any]:
        """Status of each fit."""
        frame = self._read("fits", [*self._plan["key"], "status"])
        return pd.Series(frame["status"].to_numpy(), index=self._index(frame))

    @property
    def table(self) -> pd.DataFrame:
        """A row for each fit and test, as in ``BatchResult.table``."""
        return self._read("table")

    @property
    def tests(self) -> pd.DataFrame:
        """A row for each fit and hypothesis of several rows, as in ``BatchResult.tests``."""
        return self._read("tests")

    @property
    def fits(self) -> pd.DataFrame:
        """A row for each fit, as in ``BatchResult.fits``."""
        return self._read("fits")

    def moderated(self, *, progress: bool = True) -> pd.DataFrame:
        """Return ``table`` with variances or dispersions shrunk, as ``BatchResult.moderated``.

        Generalised models are fitted again, all of them in memory.
        """
        if self._plan.get("family"):
            return self._whole().moderated(progress=progress)
        fits, table = self._read("fits", [*self._plan["key"], "nobs", "sigma"]), self.table
        names = self._plan["terms"]
        estimate, se, df = (
            table[name].to_numpy().reshape(-1, len(names)) for name in ("estimate", "se", "df")
        )
        used = (~np.isnan(estimate[:, : self._plan["coefficients"]])).sum(axis=1)
        labels = Labels(tuple(self._plan["key"]), self._index(fits), tuple(names))
        return WaldTests(labels, names, estimate, se**2, df).moderated(
            fits["sigma"].to_numpy(), np.asarray(fits["nobs"] - used, dtype=np.float64)
        )

    def fit(self, which: Any) -> Model:
        """Fit one of the batch in full.

        Parameters
        ----------
        which : label or int
            The name of a response or group, or where no fit has that name, a position.

        Returns
        -------
        LinearMixedModel
            The full model, with all its methods.
        """
        if self._single is None:
            call = single_call(self._plan, self.status.index, which)
            if self._plan.get("responses") == "an iterator":
                raise RanefError(
                    "the responses came from an iterator, which cannot be read again. Fit this "
                    f"one by {call}"
                )
            raise RanefError(
                f"{self.path!r} was opened without its data. Fit this one by {call}. Or call "
                f"{self._plan['function']} again with the same arguments and out={self.path!r}: "
                "nothing is fitted twice, and what it returns has fit()"
            )
        return self._single(which)

    def _whole(self) -> BatchResult:
        """Fit the batch again, into memory."""
        if self._again is None:
            raise RanefError(
                "the dispersions of counts are moderated from the counts, without which this "
                "folder was opened; call fit_many again with the same arguments and the same out "
                "(responses from an iterator, and models of each group, are not moderated)"
            )
        return self._again()

    def _index(self, frame: pd.DataFrame) -> pd.Index[Any]:
        """Name the fits."""
        key = self._plan["key"]
        return pd.Index(frame[key[0]]) if len(key) == 1 else pd.MultiIndex.from_frame(frame[key])

    def _done(self) -> list[str]:
        """Name the parts that are done: ``fits`` is the table that is written last."""
        return sorted(glob.glob("part-*.parquet", root_dir=os.path.join(self.path, "fits")))

    def _read(self, table: str, columns: list[str] | None = None) -> pd.DataFrame:
        """Read the parts of a table that are done."""
        from pyarrow import concat_tables

        files = [os.path.join(self.path, table, part) for part in self._done()]
        if not files:
            raise DataError(f"{self.path!r} contains no finished part yet")
        parts = [read_part(file, columns) for file in files]
        if not self.complete:
            parts = [
                part.drop_columns([c for c in ("p_bh", "q_storey") if c in part.column_names])
                for part in parts
            ]
        frame: pd.DataFrame = concat_tables(parts, promote_options="permissive").to_pandas()
        return frame


def read_part(file: str, columns: list[str] | None) -> Any:
    """Read a part; where it is damaged, name it and say what to do."""
    from pyarrow import ArrowException, parquet

    try:
        return parquet.read_table(file, columns=columns, page_checksum_verification=True)
    except (OSError, ArrowException) as error:
        raise DataError(
            f"{file!r} is damaged ({str(error).splitlines()[0]}); call fit_many or fit_groups "
            "again with the same arguments and the same out: its fits are made again, the others "
            "stay"
        ) from error


def opened(
    folder: BatchFolder,
    single: Callable[[Any], Model] | None,
    line: Progress,
    again: Callable[[], BatchResult] | None = None,
) -> StoredBatch:
    """Open the folder of a run that has ended, and say so where it ended early."""
    if line.interrupted:
        of = "" if line.total is None else f" of {line.total}"
        warn_caller(
            RanefWarning(
                f"interrupted after {line.done}{of} {line.unit}; the same call with "
                f"out={folder.path!r} goes on from there"
            )
        )
    return StoredBatch(
        folder.path,
        single=single,
        interrupted=line.interrupted,
        kept=folder.kept,
        again=again,
    )


def by_name(names: pd.Index[Any], single: Callable[[int], Model]) -> Callable[[Any], Model]:
    """Let fits be asked for by name or position."""
    return lambda which: single(position(names, which))
