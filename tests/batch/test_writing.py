"""Results on disk: whole or not at all, one process at a time, and never over the data."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest

import ranef
from ranef.batch import folder as folders
from ranef.models.batch.blocks import Progress

SLEEP = ranef.datasets.load("sleepstudy")
Y = np.random.default_rng(1).normal(size=(180, 40))


def batch(out: Any) -> ranef.StoredBatch:
    """Run a batch into a folder."""
    found = ranef.fit_many("~ Days + (1 | Subject)", SLEEP, Y, out=out, progress=False)
    assert isinstance(found, ranef.StoredBatch)
    return found


@pytest.mark.parametrize("table", ["fits", "table"])
@pytest.mark.parametrize("damage", ["cut", "bits", "gone"])
def test_a_damaged_part_is_named_and_made_again(tmp_path: Path, table: str, damage: str) -> None:
    before = batch(tmp_path / "out")
    right = {name: getattr(before, name) for name in ("fits", "table", "tests")}
    (file,) = sorted((tmp_path / "out" / table).glob("*.parquet"))
    data = file.read_bytes()
    if damage == "gone":
        file.unlink()
    else:
        middle = 4 + (len(data) - 4) // 8
        flipped = data[:middle] + bytes(b ^ 255 for b in data[middle : middle + 8])
        file.write_bytes(data[:-40] if damage == "cut" else flipped + data[middle + 8 :])
    stored = ranef.StoredBatch(tmp_path / "out")
    if not (table == "fits" and damage == "gone"):  # without its last table a part is not there
        with pytest.raises(ranef.DataError, match=r"part-000000\.parquet' is damaged.*made again"):
            _ = getattr(stored, table)
    if damage == "gone":
        again = batch(tmp_path / "out")
    else:
        with pytest.warns(ranef.RanefWarning, match="is damaged; its fits are made again"):
            again = batch(tmp_path / "out")
    for name, frame in right.items():
        pd.testing.assert_frame_equal(getattr(again, name), frame)


HOLD = """
import sys, numpy as np, ranef
sleep = ranef.datasets.load("sleepstudy")
def blocks():
    yield np.zeros((180, 1)) + np.random.default_rng(1).normal(size=(180, 1))
    print("held", flush=True); sys.stdin.readline()
try:
    ranef.fit_many("~ Days + (1 | Subject)", sleep, blocks(), out=sys.argv[1], progress=False)
except BaseException as error:
    print(error)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="no locks of folders")
def test_a_second_process_is_told_who_holds_the_folder(tmp_path: Path) -> None:
    out = str(tmp_path / "out")
    first = subprocess.Popen(
        [sys.executable, "-c", HOLD, out],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert first.stdout is not None
    assert first.stdout.readline().strip() == "held"
    with pytest.raises(ranef.DataError, match=f"is being written by process {first.pid} on "):
        batch(out)
    first.kill()
    first.communicate()
    with pytest.raises(ranef.DataError, match="another"):  # free again: the plans are compared
        ranef.fit_many("~ 1 + (1 | Subject)", SLEEP, Y, out=out, progress=False)


def test_a_full_disk_leaves_nothing_and_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from pyarrow import parquet

    def full(*_: Any, **__: Any) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    model = ranef.lmer("Reaction ~ Days + (1 | Subject)", SLEEP)
    monkeypatch.setattr(parquet.ParquetWriter, "write_table", full)
    with pytest.raises(ranef.RanefError, match=r"No space left on device.*No partial file is left"):
        model.augment_chunks([SLEEP], out=tmp_path / "rows.parquet")
    assert not list(tmp_path.iterdir())


def test_chunks_that_fail_leave_no_file(tmp_path: Path) -> None:
    model = ranef.lmer("Reaction ~ Days + (1 | Subject)", SLEEP)
    broken = [SLEEP, SLEEP.drop(columns="Days")]
    with pytest.raises(ranef.DataError, match="'Days'"):
        model.augment_chunks(broken, out=tmp_path / "rows.parquet")
    assert not list(tmp_path.iterdir())
    assert model.augment_chunks([SLEEP, SLEEP], out=tmp_path / "rows.parquet") == 360
    assert [path.name for path in tmp_path.iterdir()] == ["rows.parquet"]


def test_the_data_are_never_written_over(tmp_path: Path) -> None:
    data = tmp_path / "data.parquet"
    SLEEP.to_parquet(data)
    before = data.read_bytes()
    model = ranef.lmer("Reaction ~ Days + (1 | Subject)", SLEEP)
    for source, out in ((data, data), (tmp_path, data), (tmp_path / "*.parquet", data)):
        with pytest.raises(ranef.DataError, match="among the data that are read"):
            model.augment_chunks(str(source), out=out)
    command = [sys.executable, "-m", "ranef", "fit", "Reaction ~ Days + (1 | Subject)"]
    done = subprocess.run(
        [*command, str(data), "--out", str(data)], capture_output=True, text=True, check=False
    )
    assert done.returncode != 0
    assert "among the data that are read" in done.stderr
    assert data.read_bytes() == before


def test_groups_without_random_effects_are_refused_in_words() -> None:
    with pytest.raises(ranef.ModelError, match=r"no random-effects term.*ranef\.lmlist"):
        ranef.fit_groups("Reaction ~ Days", SLEEP, by="Subject", progress=False)


def test_fits_of_an_unfinished_part_are_kept_and_counted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    advance = Progress.advance

    def stopped(self: Progress, count: int) -> None:
        advance(self, count)
        if self.done >= 10:
            raise KeyboardInterrupt

    monkeypatch.setattr(Progress, "advance", stopped)
    with pytest.warns(ranef.RanefWarning, match=r"interrupted after (\d+) of 40 fits"):
        first = batch(tmp_path / "out")
    assert first.kept == 0
    assert not first.complete
    monkeypatch.setattr(Progress, "advance", advance)
    again = batch(tmp_path / "out")
    assert 10 <= again.kept < 40
    assert again.complete
    assert batch(tmp_path / "out").kept == 40


@pytest.mark.parametrize(("cost", "pause"), [(0.01, 2.0), (1.0, 20.0)])
def test_copies_of_a_part_are_frequent_and_take_little_of_the_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, cost: float, pause: float
) -> None:
    clock, saved = [0.0], []

    def savez(*_: Any, **__: Any) -> None:
        clock[0] += cost
        saved.append(clock[0])

    monkeypatch.setattr(folders, "time", SimpleNamespace(perf_counter=lambda: clock[0]))
    monkeypatch.setattr(folders.np, "savez", savez)
    estimate: Any = SimpleNamespace(arrays=dict)
    with folders.BatchFolder(tmp_path / "out", {"function": "fit_many"}) as held:
        save = held.saver(0, estimate, "digest")
        while len(saved) < 3:
            save()
            clock[0] += 0.1
    assert saved[0] == pytest.approx(2.0 + cost, abs=0.11)
    assert np.diff(saved) == pytest.approx(pause + cost, abs=0.11)
