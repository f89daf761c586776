"""The folder that a long run writes to: finished parts, and what it needs to resume."""

from __future__ import annotations

import contextlib
import json
import os
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, Self
from zipfile import BadZipFile

import numpy as np
import pandas as pd

from .._caller import warn_caller
from ..errors import DataError, RanefError, RanefWarning
from ..inference.hypotheses.multiple import benjamini_hochberg, storey
from ..models.batch.blocks import Progress
from ..models.batch.estimate import NOT_RUN, BatchEstimate
from ..parallel.writing import HOLDER, Lock
from .parts import Part
from .response_files import need_pyarrow
from .tables import by_column

__all__ = ["TABLES", "BatchFolder", "read_plan"]

#: The tables of a batch. A part is done when its last one is written.
TABLES = ("tests", "table", "fits")
PLAN, PARTIAL = "run.json", "partial.npz"
#: Columns that need the p-values of all parts.
ADJUSTED = {"p_bh": benjamini_hochberg, "q_storey": storey}
#: Seconds between two copies of a part that is not finished, and the share of a run's time that
#: copies may take.
SAVE_SECONDS, SAVE_SHARE = 2.0, 0.05


class BatchFolder:
    """Parts of a run on disk.

    Parameters
    ----------
    path : str
        The folder; made if it is not there.
    plan : mapping of str to JSON values
        All that decides what the results are. A folder with another plan is refused.

    Raises
    ------
    DataError
        If the folder cannot be written to, holds something else, or another run.
    """

    def __init__(self, path: Any, plan: Mapping[str, Any]):
        need_pyarrow()
        self.path = os.fspath(path)
        self.plan = json.loads(json.dumps(plan))
        self.damaged: list[str] = []
        self.met = self.kept = 0
        self._due = time.perf_counter() + SAVE_SECONDS
        with self.writing():
            os.makedirs(self.path, exist_ok=True)
            self._lock = Lock(self.path)
            try:
                found = read_plan(self.path)
                if found is None:
                    self._start()
                else:
                    self._compare(found)
                self.complete = bool(found and found["complete"])
                self._write_plan(complete=self.complete)
            except BaseException:
                self._lock.release()
                raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._lock.release()

    # ------------------------------------------------------------------ existing parts

    def digest(self, index: int) -> str | None:
        """Return the digest of the values that a part was made from; None if it is not done."""
        found = None
        for name in TABLES:
            file = self.part(name, index)
            if not os.path.exists(file):
                return None
            found = self._footer(file) if is_whole(file) else None
            if found is None:
                self.damaged.append(file)
                warn_caller(RanefWarning(f"{file!r} is damaged; its fits are made again"))
                return None
        return found

    def part(self, table: str, index: int) -> str:
        """Name the file of a part."""
        return os.path.join(self.path, table, f"part-{index:06d}.parquet")

    @staticmethod
    def _footer(file: str) -> str | None:
        """Read the digest that a part carries, None where the file cannot be read."""
        from pyarrow import ArrowException, parquet

        try:
            metadata = parquet.read_schema(file).metadata or {}
        except (OSError, ArrowException):
            return None
        digest = metadata.get(b"ranef")
        return None if digest is None else digest.decode()

    # ------------------------------------------------------------------ parts

    def unfinished(self, parts: Iterable[Part], line: Progress) -> Iterator[Part]:
        """Skip parts that are done, and fill in what an earlier run did of the others."""
        for part in parts:
            self.met += 1
            digest, done = part.digest(), self.digest(part.index)
            if done is None:
                restored = self.restore(part.index, part.estimate, digest)
                self.kept += restored
                line.advance(restored)
                part.after = self.saver(part.index, part.estimate, digest)
                yield part
            elif done == digest:
                self.kept += len(part.labels)
                line.advance(len(part.labels))
            else:
                raise DataError(
                    f"the responses {part.labels[0]!r} to {part.labels[-1]!r} differ from those "
                    f"that out={self.path!r} was made from; use another folder"
                )

    def keep(self, part: Part, tables: Callable[[], Mapping[str, pd.DataFrame]]) -> None:
        """Write a part, as tables where it is done."""
        if part.is_done:
            self.write(part.index, tables(), part.digest())
        else:
            part.estimate.blank()
            self.save(part.index, part.estimate, part.digest())

    def write(self, index: int, tables: Mapping[str, pd.DataFrame], digest: str) -> None:
        """Write a finished part."""
        with self.writing():
            if self.complete:  # a part of a finished run was damaged
                self._write_plan(complete=False)
            for name in TABLES:
                os.makedirs(os.path.join(self.path, name), exist_ok=True)
                self._write(self.part(name, index), tables[name], digest)
            self._remove(PARTIAL)

    def save(self, index: int, estimate: BatchEstimate, digest: str, name: str = PARTIAL) -> None:
        """Save the finished share of a part, in numpy's format."""
        file, began = os.path.join(self.path, name), time.perf_counter()
        with self.writing():
            with open(file + ".new", "wb") as stream:
                np.savez(stream, index=index, digest=np.array(digest), **estimate.arrays())  # type: ignore[arg-type]
            os.replace(file + ".new", file)
        ended = time.perf_counter()
        self._due = ended + max(SAVE_SECONDS, (ended - began) / SAVE_SHARE)

    def saver(
        self, index: int, estimate: BatchEstimate, digest: str, name: str = PARTIAL
    ) -> Callable[[], None]:
        """Return a function that saves the finished share of a part from time to time."""

        def save() -> None:
            if time.perf_counter() > self._due:
                self.save(index, estimate, digest, name)

        return save

    def restore(self, index: int, estimate: BatchEstimate, digest: str, name: str = PARTIAL) -> int:
        """Fill in what an earlier run did of a part; return the number of fits."""
        try:
            with np.load(os.path.join(self.path, name), allow_pickle=False) as saved:
                if int(saved["index"]) != index or str(saved["digest"]) != digest:
                    return self._other(name)
                arrays = {name: saved[name] for name in estimate.arrays()}
        except DataError:
            raise
        except (OSError, ValueError, KeyError, EOFError, BadZipFile):
            return 0
        if any(arrays[name].shape != array.shape for name, array in estimate.arrays().items()):
            return 0
        for name, array in estimate.arrays().items():
            array[:] = arrays[name]
        return int((estimate.outcome != NOT_RUN).sum())

    def _other(self, name: str) -> int:
        """Skip the remains of another part; a setting of a study must be the same."""
        if name == PARTIAL:
            return 0
        raise DataError(
            f"{name!r} in out={self.path!r} was made from other data or parameters; use another "
            "folder, or delete this one to start over"
        )

    def finish(self, empty: str) -> None:
        """Adjust the p-values over all parts and mark the run as complete; ``empty`` if none."""
        if not self.met:
            raise DataError(empty)
        if self.complete:
            return
        with self.writing():
            for table in ("table", "tests"):
                self._adjust(table, self.met)
            self._write_plan(complete=True)

    def _adjust(self, table: str, count: int) -> None:
        """Add the columns of adjusted p-values to the parts of a table."""
        from pyarrow import parquet

        columns = ADJUSTED if table == "table" else {"p_bh": benjamini_hochberg}
        names = self.plan["terms"] if table == "table" else self.plan["joint"]
        files = [self.part(table, i) for i in range(count)]
        read = [parquet.read_table(f, columns=["pvalue"])["pvalue"].to_numpy() for f in files]
        p = np.concatenate([np.empty(0), *read]).reshape(-1, max(len(names), 1))
        adjusted = {name: by_column(adjust, p) for name, adjust in columns.items()}
        start = 0
        for file, values in zip(files, read, strict=True):
            rows = slice(start, start + len(values))
            start = rows.stop
            frame = parquet.read_table(file).to_pandas()
            for name, column in adjusted.items():
                frame[name] = column.ravel()[rows]
            self._write(file, frame, self._footer(file) or "")

    # ------------------------------------------------------------------ files

    def _write(self, file: str, frame: pd.DataFrame, digest: str) -> None:
        """Write a table under a temporary name and then rename it: all or nothing."""
        import pyarrow as pa
        from pyarrow import parquet

        table = pa.Table.from_pandas(frame, preserve_index=False)
        table = table.replace_schema_metadata({**(table.schema.metadata or {}), b"ranef": digest})
        try:
            parquet.write_table(table, file + ".new", write_page_checksum=True)
            os.replace(file + ".new", file)
        except BaseException:
            with contextlib.suppress(OSError):
                os.remove(file + ".new")
            raise

    def _write_plan(self, *, complete: bool) -> None:
        self.complete = complete
        file = os.path.join(self.path, PLAN)
        with open(file + ".new", "w", encoding="utf-8") as stream:
            json.dump({"complete": complete, **self.plan}, stream, indent=1)
        os.replace(file + ".new", file)

    def _remove(self, name: str) -> None:
        with contextlib.suppress(FileNotFoundError):
            os.remove(os.path.join(self.path, name))

    def _start(self) -> None:
        """Refuse a folder that contains anything else."""
        held = sorted(name for name in os.listdir(self.path) if name != HOLDER)
        if held:
            raise DataError(
                f"out={self.path!r} contains {held[0]!r} and no run of ranef; use an empty or "
                "a new folder"
            )

    def _compare(self, found: Mapping[str, Any]) -> None:
        """Refuse a folder of another run."""
        for name in {**self.plan, **found}:
            old, new = found.get(name), self.plan.get(name)
            if name != "complete" and old != new:
                raise DataError(
                    f"out={self.path!r} contains a run with another {name}: {shown(old)} there and "
                    f"{shown(new)} here; use another folder, or delete this one to start over"
                )

    @contextlib.contextmanager
    def writing(self) -> Iterator[None]:
        """State which folder cannot be written to, and that finished parts are kept."""
        import pyarrow as pa

        try:
            yield
        except (OSError, pa.ArrowException) as error:
            raise RanefError(
                f"out={self.path!r} cannot be written to: {error}. Finished fits are kept; "
                "the same call continues from them"
            ) from error


def is_whole(file: str) -> bool:
    """Return whether every page of a file can be read and is what was written."""
    from pyarrow import ArrowException, parquet

    try:
        parquet.read_table(file, page_checksum_verification=True)
    except (OSError, ArrowException):
        return False
    return True


def read_plan(path: str) -> dict[str, Any] | None:
    """Read the plan of the run in a folder, None where there is none."""
    file = os.path.join(path, PLAN)
    try:
        with open(file, encoding="utf-8") as stream:
            return dict(json.load(stream))
    except FileNotFoundError:
        return None
    except ValueError as error:
        raise DataError(f"{file!r} cannot be read: {error}") from None


def shown(value: Any) -> str:
    """Show a value of a plan, shortened."""
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= 80 else text[:77] + "..."
