"""Groups of rows in parquet files: the same fits as in memory, however the rows lie."""

import warnings

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.dataset as ds
import pyarrow.parquet as pq
import pytest

import ranef
from ranef.batch import group_sources
from ranef.models.batch import estimate as batch_estimate

FORMULA = "y ~ x + kind + (1 | week)"
OPTIONS = {"tests": ["x = 1", "x = 0, Intercept = 0"], "progress": False, "workers": 1}


@pytest.fixture(scope="module")
def data():
    """Twenty stores of 30 to 60 rows; some lack a kind, one is constant, one has one week."""
    rng = np.random.default_rng(8)
    parts = []
    for store in range(20):
        n = int(rng.integers(30, 60))
        week = rng.integers(0, 6, n)
        part = pd.DataFrame(
            {
                "store": f"s{(7 * store) % 20:02d}",
                "region": store % 3,
                "week": week,
                "x": rng.normal(size=n),
                "kind": rng.choice(["a", "b", "c"] if store % 4 else ["a", "c"], n),
            }
        )
        part["y"] = 1 + part["x"] * store + rng.normal(size=6)[week] + rng.normal(size=n)
        parts.append(part)
    parts[4]["y"] = 3.0
    parts[9]["week"] = 1
    parts[13].loc[3, "y"] = np.nan
    return pd.concat(parts, ignore_index=True)


def fit(source, by="store", formula=FORMULA, **more):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ranef.DroppedRowsWarning)
        return ranef.fit_groups(formula, source, by, **{**OPTIONS, **more})


@pytest.fixture(scope="module")
def whole(data):
    return fit(data)


def same(found, whole):
    for name in ("table", "fits", "tests"):
        mine, other = getattr(found, name), getattr(whole, name)
        assert list(mine.drop(columns="message", errors="ignore")) == list(other)
        for column in other:
            a, b = mine[column].to_numpy(), other[column].to_numpy()
            if b.dtype.kind == "f":
                np.testing.assert_array_equal(a, b, err_msg=column)
            else:
                assert a.tolist() == b.tolist(), column


def lay(data, folder, how):
    """Write the rows sorted, in files by month, or partitioned by store."""
    folder.mkdir()
    if how == "sorted":
        ordered = pa.Table.from_pandas(data.sort_values("store", kind="stable"))
        pq.write_table(ordered, folder / "rows.parquet", row_group_size=100)
        return folder / "rows.parquet"
    if how == "scattered":
        for i in range(4):
            pq.write_table(
                pa.Table.from_pandas(data.iloc[i::4]), folder / f"{i}.parquet", row_group_size=50
            )
        return str(folder / "*.parquet")
    pq.write_to_dataset(pa.Table.from_pandas(data), folder / "d", partition_cols=["store"])
    if how == "partitioned":
        return folder / "d"
    return ds.dataset(folder / "d", partitioning="hive")


@pytest.mark.parametrize("how", ["sorted", "partitioned", "dataset", "scattered"])
def test_files_give_what_the_frame_gives(data, whole, tmp_path, monkeypatch, how):
    monkeypatch.setattr(group_sources, "BLOCK_ROWS", 150)
    source = lay(data, tmp_path / "rows", how)
    if how == "scattered":
        # Rows of a group come in another order than in the frame: sums differ in their last bits.
        with pytest.warns(ranef.RanefWarning, match=r"read \d+ times; sort the data by store"):
            found = fit(source)
        np.testing.assert_allclose(
            found.table["estimate"], whole.table["estimate"], rtol=1e-6, atol=1e-8
        )
        return
    found = fit(source)
    same(found, whole)
    assert found.messages == whole.messages
    stored = fit(source, out=tmp_path / "out")
    same(stored, whole)
    opened = ranef.StoredBatch(tmp_path / "out")
    same(opened, whole)
    with pytest.raises(ranef.RanefError, match=r"ranef\.lmer\(.*, data\["):
        opened.fit(0)
    told = stored.fits.set_index("store")["message"]
    assert [text for text in told if text] == list(whole.messages.values())
    assert found.fit("s04").llf == pytest.approx(stored.fit("s04").llf, abs=1e-9)
    assert found.fit("s04").nobs == (data["store"] == "s04").sum()


def test_a_frame_may_go_to_a_folder(data, whole, tmp_path, monkeypatch):
    monkeypatch.setattr(group_sources, "BLOCK_ROWS", 150)
    same(fit(data, out=tmp_path / "out"), whole)
    changed = data.assign(y=data["y"] + 1.0)
    with pytest.raises(ranef.DataError, match="another data"):
        fit(changed, out=tmp_path / "out")


@pytest.mark.parametrize("how", ["sorted", "frame"])
def test_an_interrupted_run_goes_on(data, whole, tmp_path, monkeypatch, how):
    monkeypatch.setattr(group_sources, "BLOCK_ROWS", 250)
    source = data if how == "frame" else lay(data, tmp_path / "rows", how)
    made, limit = [], [3]
    store = batch_estimate.BatchEstimate.store

    def counted(estimate, at, rows):
        store(estimate, at, rows)
        made.extend(rows.objective)
        limit[0] -= 1
        if limit[0] == 0:
            raise KeyboardInterrupt

    monkeypatch.setattr(batch_estimate.BatchEstimate, "store", counted)
    for _ in range(2):
        limit[0] = 3
        with pytest.warns(ranef.RanefWarning, match="goes on from there"):
            assert fit(source, out=tmp_path / "out").interrupted
    limit[0] = -1
    same(fit(source, out=tmp_path / "out"), whole)
    assert len(made) <= 22  # a fit of a group's own design that is interrupted is made again


def test_several_columns_and_missing_groups(data, tmp_path, monkeypatch):
    monkeypatch.setattr(group_sources, "BLOCK_ROWS", 150)
    gaps = data.assign(region=data["region"].where(data.index % 17 != 3).astype("Int64"))
    file = tmp_path / "rows.parquet"
    pq.write_table(pa.Table.from_pandas(gaps), file, row_group_size=200)
    whole = fit(gaps, ["region", "store"])
    with pytest.warns(ranef.DroppedRowsWarning, match=r"by \(\d+\)"):
        found = ranef.fit_groups(
            FORMULA, file, ["region", "store"], out=tmp_path / "out", **OPTIONS
        )
    same(found, whole)
    assert list(found.table)[:2] == ["region", "store"]


def test_groups_by_a_categorical_with_empty_levels(data, tmp_path):
    levels = ["s99", *sorted(set(data["store"])), "empty"]
    frame = data.assign(store=pd.Categorical(data["store"], levels))
    assert "empty" not in set(fit(frame).fits["store"])
    assert len(fit(frame)) == 20
    pq.write_table(pa.Table.from_pandas(frame), tmp_path / "c.parquet")
    assert fit(tmp_path / "c.parquet").fits["store"].tolist() == sorted(set(data["store"]))


def test_transformations_that_learn(data, tmp_path):
    formula = "y ~ scale(x) + (1 | week)"
    pq.write_table(pa.Table.from_pandas(data), tmp_path / "rows.parquet")
    whole = fit(data, formula=formula, tests=())
    same(fit(tmp_path / "rows.parquet", formula=formula, tests=()), whole)


def test_infinite_values_are_one_groups_matter(data, whole, tmp_path):
    bad = data.copy()
    bad.loc[bad.index[bad["store"] == "s03"][1], "x"] = np.inf
    pq.write_table(pa.Table.from_pandas(bad), tmp_path / "rows.parquet")
    for source in (bad, tmp_path / "rows.parquet"):
        found = fit(source)
        at = found.fits["store"].tolist().index("s03")
        assert found.status.iloc[at] == "error"
        assert "'x' is infinite" in found.messages[at]
        others = found.fits["store"] != "s03"
        np.testing.assert_array_equal(found.fits["llf"][others], whole.fits["llf"][others])
    stored = fit(bad, out=tmp_path / "out")
    assert "'x' is infinite" in stored.fits["message"][at]


def test_files_that_cannot_be_read_are_named(data, tmp_path):
    lay(data, tmp_path / "rows", "scattered")
    pattern = str(tmp_path / "rows" / "*.parquet")
    with pytest.raises(ranef.DataError, match="no column 'shop'"):
        fit(pattern, "shop")
    with pytest.raises(ranef.DataError, match="no parquet file"):
        fit(str(tmp_path / "none*.parquet"))
    file = tmp_path / "rows" / "2.parquet"
    part = pq.read_table(file)
    pq.write_table(part.drop_columns(["x"]), file)
    with pytest.raises(ranef.DataError, match=r"2\.parquet' has no column 'x', which other files"):
        fit(pattern)
    words = part.set_column(part.column_names.index("x"), "x", pa.array(["a"] * len(part)))
    pq.write_table(words, file)
    with pytest.raises(ranef.DataError, match=r"2\.parquet' cannot be read to its end"):
        fit(pattern)
    file.write_bytes(file.read_bytes()[:-9])
    with pytest.raises(ranef.DataError, match=r"2\.parquet"):
        fit(pattern)
