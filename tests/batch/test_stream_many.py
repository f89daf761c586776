"""Responses from files and iterators, results in folders, and runs that go on."""

import os
import pathlib
import re
import signal
import subprocess
import sys
import warnings

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.dataset as ds
import pyarrow.parquet as pq
import pytest

import ranef
from ranef.batch import responses
from ranef.models.batch import blocks as batch_blocks
from ranef.models.batch import estimate as batch_estimate

FORMULA = "~ Days + (1 | Subject)"
OPTIONS = {
    "ddf": "residual",
    "tests": ["Days = 1", "Intercept = 0, Days = 0"],
    "progress": False,
    "workers": 1,
}


@pytest.fixture(scope="module")
def sleep():
    return ranef.datasets.load("sleepstudy")


@pytest.fixture(scope="module")
def Y(sleep):
    """Fifty responses; a gap, a constant, one without values, an infinite one."""
    rng = np.random.default_rng(3)
    Y = sleep["Reaction"].to_numpy()[:, None] + rng.normal(size=(len(sleep), 50)) * 40
    Y[:7, 3] = np.nan
    Y[:, 11] = 2.0
    Y[:, 23] = np.nan
    Y[4, 31] = np.inf
    return pd.DataFrame(Y, columns=[f"g{i}" for i in range(50)])


@pytest.fixture
def small_blocks(monkeypatch):
    monkeypatch.setattr(responses, "block_size", lambda n_rows: 8)


@pytest.fixture(scope="module")
def whole(sleep, Y):
    return ranef.fit_many(FORMULA, sleep, Y, **OPTIONS)


def same(found, whole):
    """The tables are equal to the last bit."""
    for name in ("table", "fits", "tests"):
        mine, other = getattr(found, name), getattr(whole, name)
        assert list(mine) == list(other)
        for column in other:
            a, b = mine[column].to_numpy(), other[column].to_numpy()
            if b.dtype.kind == "f":
                np.testing.assert_array_equal(a, b, err_msg=column)
            else:
                assert a.tolist() == b.tolist(), column
    assert found.status.tolist() == whole.status.tolist()
    pd.testing.assert_frame_equal(
        found.moderated(), whole.moderated(), check_dtype=False, rtol=1e-12
    )


def write(Y, path):
    pq.write_table(pa.Table.from_pandas(Y), path)
    return str(path)


def sources(Y, folder):
    """The same responses in every form that is read block by block."""
    one = write(Y, folder / "all.parquet")
    for i in range(3):
        write(Y.iloc[:, 20 * i : 20 * (i + 1)], folder / f"columns-{i}.parquet")
        write(Y.iloc[60 * i : 60 * (i + 1)], folder / f"rows-{i}.parquet")
    blocks = [Y.iloc[:, :13], Y.iloc[:, 13:14], Y.iloc[:, 14:]]
    return {
        "file": one,
        "path": pathlib.Path(one),
        "files of columns": str(folder / "columns-*.parquet"),
        "files of rows": str(folder / "rows-*.parquet"),
        "dataset": ds.dataset([str(folder / f"rows-{i}.parquet") for i in range(3)]),
        "iterator": iter(blocks),
        "function": lambda: iter(blocks),
        "mappings": ({n: b[n].to_numpy() for n in b} for b in blocks),
        "arrow": (pa.Table.from_pandas(b, preserve_index=False) for b in blocks),
    }


KINDS = ["file", "path", "files of columns", "files of rows", "dataset", "iterator", "function",
         "mappings", "arrow"]  # fmt: skip


@pytest.mark.parametrize("kind", KINDS)
def test_every_source_gives_what_the_matrix_gives(sleep, Y, whole, tmp_path, small_blocks, kind):
    source = sources(Y, tmp_path)
    same(ranef.fit_many(FORMULA, sleep, source[kind], **OPTIONS), whole)
    again = sources(Y, tmp_path)
    stored = ranef.fit_many(FORMULA, sleep, again[kind], out=tmp_path / "out", **OPTIONS)
    assert stored.complete
    assert len(stored) == 50
    same(stored, whole)
    same(ranef.StoredBatch(tmp_path / "out"), whole)


class Counter:
    """Stands in for the keyboard: interrupts after some blocks of work; counts fits."""

    def __init__(self, monkeypatch, after=None):
        self.made, self.blocks, self.after = [], 0, after
        store = batch_estimate.BatchEstimate.store

        def counted(estimate, at, rows):
            store(estimate, at, rows)
            self.made += rows.objective.tolist()
            self.blocks += 1
            if self.after is not None and self.blocks == self.after:
                raise KeyboardInterrupt

        monkeypatch.setattr(batch_estimate.BatchEstimate, "store", counted)


@pytest.mark.parametrize("kind", ["file", "matrix", "function"])
def test_an_interrupted_run_goes_on(sleep, Y, whole, tmp_path, small_blocks, monkeypatch, kind):
    """After every possible interrupt; nothing is lost, nothing fitted twice."""
    source = {**sources(Y, tmp_path), "matrix": Y}[kind]
    out = tmp_path / "out"
    counter = Counter(monkeypatch)
    for stop in (1, 1, 1) if kind == "function" else (1, 2, 1, 1, 2):
        counter.blocks, counter.after = 0, stop
        with pytest.warns(ranef.RanefWarning, match="goes on from there"):
            part = ranef.fit_many(FORMULA, sleep, source, out=out, **OPTIONS)
        assert part.interrupted
        assert not part.complete
    if kind != "function":
        assert "p_bh" not in part.table
    assert "unfinished" in repr(part)
    counter.after = None
    stored = ranef.fit_many(FORMULA, sleep, source, out=out, **OPTIONS)
    assert stored.complete
    same(stored, whole)
    assert len(counter.made) == 49  # one response has no values
    counter.made.clear()
    same(ranef.fit_many(FORMULA, sleep, source, out=out, **OPTIONS), whole)
    assert counter.made == []
    uninterrupted = tmp_path / "other"
    ranef.fit_many(FORMULA, sleep, source, out=uninterrupted, **OPTIONS)
    for file in sorted(uninterrupted.rglob("*.*")):
        assert file.read_bytes() == (out / file.relative_to(uninterrupted)).read_bytes(), file


def test_an_interrupt_within_a_part_keeps_its_fits(sleep, Y, whole, tmp_path, monkeypatch):
    """The block is never written before the end, but what was done of it is."""
    monkeypatch.setattr(batch_blocks, "BLOCK_SECONDS", 0.0)  # a fit at a time
    wide = pd.concat([Y, Y.add_prefix("h"), Y.add_prefix("i")], axis=1)
    counter = Counter(monkeypatch, after=70)
    with pytest.warns(ranef.RanefWarning, match="interrupted after"):
        ranef.fit_many(FORMULA, sleep, wide, out=tmp_path / "o", **OPTIONS)
    assert (tmp_path / "o" / "partial.npz").exists()
    before, counter.after = len(counter.made), None
    assert before > 60
    stored = ranef.fit_many(FORMULA, sleep, wide, out=tmp_path / "o", **OPTIONS)
    assert len(counter.made) == 147
    assert not (tmp_path / "o" / "partial.npz").exists()
    same(stored, ranef.fit_many(FORMULA, sleep, wide, **OPTIONS))


def test_another_run_is_refused(sleep, Y, tmp_path):
    out = tmp_path / "out"

    def run(formula=FORMULA, data=sleep, responses=Y, **more):
        return ranef.fit_many(formula, data, responses, out=out, **{**OPTIONS, **more})

    run()
    for change, word in [
        ({"formula": "~ Days + (Days | Subject)"}, "formula"),
        ({"reml": False}, "reml"),
        ({"ddf": "inf"}, "ddf"),
        ({"tests": ["Days = 2"]}, "hypotheses"),
        ({"data": sleep.assign(Days=sleep["Days"] + 1)}, "data"),
        ({"weights": np.ones(180)}, "weights"),
        ({"responses": Y.iloc[:, :7]}, "responses"),
        ({"responses": Y.rename(columns={"g4": "other"})}, "responses"),
        ({"control": ranef.Control(max_steps=3)}, "control"),
    ]:
        with pytest.raises(ranef.DataError, match=f"another {word}"):
            run(**change)
    changed = Y.copy()
    changed.iloc[5, 7] += 1e-9
    with pytest.raises(ranef.DataError, match="differ from those"):
        run(responses=changed)
    run(workers=2)


def test_changed_files_are_refused(sleep, Y, tmp_path):
    file = write(Y, tmp_path / "all.parquet")
    ranef.fit_many(FORMULA, sleep, file, out=tmp_path / "out", **OPTIONS)
    write(Y + 1.0, tmp_path / "all.parquet")
    with pytest.raises(ranef.DataError, match="another response files"):
        ranef.fit_many(FORMULA, sleep, file, out=tmp_path / "out", **OPTIONS)


def test_folders_that_cannot_be(sleep, Y, tmp_path, monkeypatch):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").write_text("precious")
    (tmp_path / "file").write_text("")
    with pytest.raises(ranef.DataError, match=r"contains 'thesis.txt' and no run"):
        ranef.fit_many(FORMULA, sleep, Y, out=tmp_path / "mine", **OPTIONS)
    for out in (tmp_path / "file", tmp_path / "file" / "below"):
        with pytest.raises(ranef.RanefError, match="cannot be written to"):
            ranef.fit_many(FORMULA, sleep, Y, out=out, **OPTIONS)
    with pytest.raises(ranef.DataError, match="contains no run"):
        ranef.StoredBatch(tmp_path / "mine")


def test_a_full_disk_stops_the_run_and_loses_nothing(
    sleep, Y, whole, tmp_path, small_blocks, monkeypatch
):
    written = pq.write_table

    def full(table, file, *args, **options):
        if "fits/part-000003" in str(file):
            pathlib.Path(file).write_bytes(b"PAR1 half a file")
            raise OSError(28, "No space left on device")
        written(table, file, *args, **options)

    monkeypatch.setattr(pq, "write_table", full)
    with pytest.raises(ranef.RanefError, match=r"No space left.*continues from them"):
        ranef.fit_many(FORMULA, sleep, Y, out=tmp_path / "out", **OPTIONS)
    monkeypatch.setattr(pq, "write_table", written)
    counter = Counter(monkeypatch)
    same(ranef.fit_many(FORMULA, sleep, Y, out=tmp_path / "out", **OPTIONS), whole)
    assert len(counter.made) == 49 - 23  # parts 0 to 2 stay; one of theirs has no values


def test_a_damaged_part_is_named_and_made_again(sleep, Y, whole, tmp_path, small_blocks):
    out = tmp_path / "out"
    ranef.fit_many(FORMULA, sleep, Y, out=out, **OPTIONS)
    part = out / "table" / "part-000002.parquet"
    part.write_bytes(part.read_bytes()[:-100])
    with pytest.warns(ranef.RanefWarning, match=r"table/part-000002.parquet' is damaged"):
        again = ranef.fit_many(FORMULA, sleep, Y, out=out, **OPTIONS)
    same(again, whole)


def test_truncated_responses_are_named(sleep, Y, tmp_path, small_blocks):
    source = sources(Y, tmp_path)
    bad = tmp_path / "columns-2.parquet"
    content = bad.read_bytes()
    bad.write_bytes(content[:-20])
    with pytest.raises(ranef.DataError, match=r"columns-2.parquet' cannot be read as parquet"):
        ranef.fit_many(FORMULA, sleep, source["files of columns"], **OPTIONS)
    # A hole in the middle shows only when its columns are read: what was done before stays.
    spoilt = bytearray(content)
    spoilt[200 : len(content) // 2] = bytes(len(content) // 2 - 200)
    bad.write_bytes(spoilt)
    with pytest.raises(ranef.DataError, match=r"columns-2.parquet' cannot be read to its end"):
        ranef.fit_many(FORMULA, sleep, source["files of columns"], out=tmp_path / "out", **OPTIONS)
    assert len(ranef.StoredBatch(tmp_path / "out")) == 40


def test_responses_that_do_not_fit_are_named(sleep, Y, tmp_path):
    def fails(responses, match, error=ranef.DataError, **options):
        with pytest.raises(error, match=match):
            ranef.fit_many(FORMULA, sleep, responses, **{**OPTIONS, **options})

    short = write(Y.iloc[:179], tmp_path / "short.parquet")
    fails(short, r"short.parquet' has 179 rows and the data have 180")
    text = write(Y.assign(who="a"), tmp_path / "text.parquet")
    fails(text, r"column 'who' of .*text.parquet' contains .*string, not numbers")
    fails(str(tmp_path / "nothing*.parquet"), "neither a file nor a column")
    fails("reaction", "did you mean 'Reaction'")
    fails(iter([]), "yielded no blocks")
    fails(iter([Y.iloc[:, :3], Y.iloc[:, 2:4]]), "block 2 of the responses has 'g2' a second time")
    fails(iter([Y.iloc[:, :3], Y.iloc[:9, 3:4]]), "block 2 of the responses: .* 9 rows")
    fails(Y.to_numpy()[:, :0], "no columns")
    fails(Y.iloc[:, :0], "no columns")
    fails(Y.to_numpy()[:100], "has 100 rows and the data have 180")
    fails(Y.to_numpy().T, "its transpose has as many")
    fails(pd.concat([Y, Y.iloc[:, :1]], axis=1), "'g0'")
    fails(["Reaction", "Reaction"], "'Reaction' more than once")
    fails(np.full((180, 2), "a"), "must be numbers")
    fails(
        pd.DataFrame({"day": pd.date_range("2020-01-01", periods=180)}), "'day' contains datetime"
    )
    fails(iter([Y]), "iterator", ranef.UnsupportedError, weights=np.ones((180, 50)))
    columns = Y.copy()
    columns.columns = ["Days", *columns.columns[1:]]
    found = ranef.fit_many(FORMULA, sleep, write(columns, tmp_path / "d.parquet"), **OPTIONS)
    assert "Days" not in found.status.index  # a column of the design is none of the responses


def test_kinds_of_numbers(sleep, tmp_path):
    rng = np.random.default_rng(0)
    frame = pd.DataFrame(
        {
            "int": rng.integers(0, 90, 180).astype(np.int16),
            "bool": rng.integers(0, 2, 180).astype(bool),
            "single": rng.normal(size=180).astype(np.float32),
            "gaps": pd.array([None, *rng.integers(0, 90, 179)], dtype="Int64"),
        }
    )
    expected = ranef.fit_many(FORMULA, sleep, frame.astype(float), **OPTIONS)
    assert expected.fits["nobs"].tolist() == [180, 180, 180, 179]
    same(ranef.fit_many(FORMULA, sleep, frame, **OPTIONS), expected)
    same(ranef.fit_many(FORMULA, sleep, write(frame, tmp_path / "k.parquet"), **OPTIONS), expected)
    for single in (frame["int"], frame["int"].to_numpy(), frame["int"].tolist()):
        one = ranef.fit_many(FORMULA, sleep, single, **OPTIONS)
        np.testing.assert_array_equal(one.fits["llf"], expected.fits["llf"][:1])
    one = ranef.fit_many(FORMULA, sleep, frame[["bool"]].to_numpy(), **OPTIONS)
    np.testing.assert_array_equal(one.fits["llf"], expected.fits["llf"][1:2])


def test_weights_in_a_matrix_and_full_fits(sleep, Y, tmp_path, small_blocks):
    W = np.random.default_rng(1).uniform(0.5, 2.0, size=Y.shape)
    whole = ranef.fit_many(FORMULA, sleep, Y, weights=W, **OPTIONS)
    stored = ranef.fit_many(FORMULA, sleep, Y, weights=W, out=tmp_path / "w", **OPTIONS)
    same(stored, whole)
    assert stored.fit("g20").llf == pytest.approx(whole.fits["llf"][20], abs=1e-6)
    file = write(Y, tmp_path / "all.parquet")
    stored = ranef.fit_many(FORMULA, sleep, file, out=tmp_path / "f", **OPTIONS)
    assert stored.fit("g3").nobs == 173
    assert stored.fit(3).llf == pytest.approx(stored.fits["llf"][3], abs=1e-6)
    with pytest.raises(ranef.RanefError, match="without its data") as caught:
        ranef.StoredBatch(tmp_path / "f").fit("g20")
    call = re.search(r"by (ranef\.lmer\(.*?\)), where data has", str(caught.value))[1]
    alone = eval(call, {"ranef": ranef, "data": sleep.assign(g20=np.asarray(Y)[:, 20])})
    assert alone.llf == pytest.approx(stored.fits["llf"][20], abs=1e-6)
    blocks = ranef.fit_many(FORMULA, sleep, iter([Y]), out=tmp_path / "i", **OPTIONS)
    with pytest.raises(ranef.RanefError, match=r"iterator.*Fit this one by ranef\.lmer"):
        blocks.fit(3)
    with pytest.raises(ranef.DataError, match="iterator"):
        ranef.fit_many(FORMULA, sleep, iter([Y]), **OPTIONS).fit(3)


def test_rows_of_the_design_that_are_missing(sleep, Y, tmp_path, small_blocks):
    gaps = sleep.assign(Days=sleep["Days"].where(np.arange(180) % 50 != 4))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        whole = ranef.fit_many(FORMULA, gaps, Y, **OPTIONS)
        stored = ranef.fit_many(FORMULA, gaps, Y, out=tmp_path / "o", **OPTIONS)
    assert set(whole.fits["nobs"]) == {176, 170, 0}
    same(stored, whole)


@pytest.mark.parametrize("ddf", ["satterthwaite", "inf"])
def test_without_hypotheses(sleep, Y, tmp_path, small_blocks, ddf):
    options = {"ddf": ddf, "progress": False, "workers": 1}
    whole = ranef.fit_many(FORMULA, sleep, Y, **options)
    same(ranef.fit_many(FORMULA, sleep, Y, out=tmp_path / "o", **options), whole)


KILLED = """
import sys, numpy as np, ranef
from ranef.batch import folder as batch_folder
from ranef.batch import responses
batch_folder.SAVE_SECONDS = 0.0
responses.block_size = lambda n_rows: 8_000
sleep = ranef.datasets.load("sleepstudy")
Y = sleep["Reaction"].to_numpy()[:, None] + np.random.default_rng(1).normal(size=(180, 24_000))
from ranef.models.batch import blocks as batch_blocks
advance = batch_blocks.Progress.advance
def tell(self, count):
    advance(self, count)
    print("go", self.done, flush=True)
batch_blocks.Progress.advance = tell
stored = ranef.fit_many("~ Days + (Days | Subject)", sleep, Y, out=sys.argv[1], workers=1,
                        progress=False)
print(stored.interrupted, len(stored.table) if stored.complete else -1)
"""


@pytest.mark.skipif(os.name == "nt", reason="interrupts are sent otherwise there")
@pytest.mark.parametrize("how", ["SIGINT", "SIGKILL"])
def test_a_stopped_process_goes_on(tmp_path, how):
    command = [sys.executable, "-W", "ignore", "-c", KILLED, str(tmp_path / "out")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        done = 0
        while done < 9_000:
            done = int(process.stdout.readline().split()[1])
        process.send_signal(getattr(signal, how))
        rest = process.communicate(timeout=30)[0]
        if how == "SIGINT":
            assert rest.split()[-2:] == ["True", "-1"]
    assert (tmp_path / "out" / "partial.npz").exists()
    again = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True)
    lines = again.stdout.splitlines()
    assert lines[-1].split() == ["False", "48000"]
    assert int(lines[1].split()[1]) > 8_001  # part 1 was not begun anew
