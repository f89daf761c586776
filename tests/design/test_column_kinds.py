"""What a column is does not depend on how its values are kept."""

import datetime
import decimal
import gc
import gzip
import pickle
import uuid
import warnings

import numpy as np
import pandas as pd
import pytest

import ranef
from contract.test_surface import FITS, data
from ranef.design.grouped import build_grouped, group_term
from ranef.design.snapshot import held_bytes, snapshot
from ranef.design.times import times_of
from ranef.errors import DataError, RanefWarning
from ranef.formula import parse

G = np.repeat(np.arange(15), 8)
DAY = pd.Timestamp("2020-01-01")


def rows():
    """Rows of 15 groups."""
    rng = np.random.default_rng(0)
    frame = pd.DataFrame({"g": G, "x": rng.normal(size=len(G))})
    frame["y"] = frame.x + rng.normal(size=15)[G] + rng.normal(size=len(G))
    return frame


KINDS = {
    "uint64 above 2^63": G.astype(np.uint64) + np.uint64(2**63 + 11),
    "int64 up to its end": np.int64(2**63 - 1) - G,
    "2^60 on": np.int64(2**60) + G,
    "wider than 64 bits": pd.Series([int(v) + 2**70 for v in G], dtype=object),
    "Decimal": [decimal.Decimal(int(v)) / 7 for v in G],
    "big-endian": G.astype(">i4"),
    "big-endian float": G.astype(">f8"),
    "half": G.astype(np.float16),
    "date": [datetime.date(2020, 1, 1) + datetime.timedelta(int(v)) for v in G],
    "timestamp": DAY + pd.to_timedelta(G, unit="D"),
    "with a time zone": (DAY + pd.to_timedelta(G, unit="D")).tz_localize("UTC"),
    "duration": pd.to_timedelta(G, unit="h"),
    "period": pd.PeriodIndex(DAY + pd.to_timedelta(G, unit="D"), freq="D"),
    "bytes": [b"k%02d" % v for v in G],
    "time of day": [datetime.time(int(v)) for v in G],
    "nullable": pd.array(G, dtype="Int64"),
    "interval": pd.IntervalIndex.from_arrays(G, G + 1),
    "UUID": [uuid.UUID(int=int(v)) for v in G],
    "categories that are dates": pd.Categorical(DAY + pd.to_timedelta(G, unit="D")),
}


@pytest.fixture(scope="module")
def right():
    """The fit with groups 0, 1, 2, ..."""
    return ranef.lmer("y ~ x + (1 | g)", rows())


@pytest.mark.parametrize("kind", KINDS)
def test_groups_of_any_kind_in_memory_and_in_chunks(kind, right):
    frame = rows().assign(g=KINDS[kind])
    model = ranef.lmer("y ~ x + (1 | g)", frame)
    np.testing.assert_allclose(model.llf, right.llf, rtol=1e-12)
    np.testing.assert_allclose(model.predict(frame), model.fittedvalues, rtol=1e-10)
    half = len(G) // 2
    parts = [
        rows().iloc[part].assign(g=pd.Series(KINDS[kind]).array[part])
        for part in (slice(0, half), slice(half, None))
        if "endian" not in kind
    ]
    if parts:
        chunked = ranef.lmer("y ~ x + (1 | g)", parts, progress=False)
        np.testing.assert_allclose(chunked.llf, right.llf, rtol=1e-9)
        assert chunked.ngroups["g"] == 15


@pytest.mark.parametrize("kind", ["Int128", "UInt64", "Decimal", "Date", "Duration"])
def test_groups_and_numbers_of_polars(kind, right):
    pl = pytest.importorskip("polars")
    dtype = pl.Decimal(10, 2) if kind == "Decimal" else getattr(pl, kind)
    frame = pl.from_pandas(rows()).with_columns(pl.col("g").cast(dtype))
    model = ranef.lmer("y ~ x + (1 | g)", frame)
    np.testing.assert_allclose(model.llf, right.llf, rtol=1e-12)
    if kind in ("Int128", "UInt64", "Decimal"):
        slope = ranef.feols("y ~ g", frame).params["g"]
        np.testing.assert_allclose(slope, ranef.feols("y ~ g", rows()).params["g"], rtol=1e-12)


def term(labels):
    """The term of a time column of these labels."""
    frame = pd.DataFrame({"y": np.arange(len(labels), dtype=float), "t": labels})
    return group_term(build_grouped(parse("y ~ 1"), frame, ["t"]), "t")


@pytest.mark.parametrize(
    ("labels", "times"),
    [
        ([0, 1, 4], [0, 1, 4]),
        (["0", "1", "4"], [0, 1, 4]),
        (["V8", "V9", "V10"], [1, 2, 3]),
        (["week 2", "week 10", "week 18"], [1, 2, 3]),
        (["early", "late", "middle"], [1, 2, 3]),
        (pd.Categorical(["a", "b", "d"], categories=list("abcd")), [1, 2, 4]),
        (pd.Categorical(["d", "b", "a"], categories=list("dcba")), [1, 3, 4]),
        ([datetime.date(2020, 1, 1), datetime.date(2020, 1, 3)], [0, 2]),
        (pd.to_datetime(["2020-01-01 00:00", "2020-01-03 12:00"]), [0, 2.5]),
        (pd.PeriodIndex(["2020-01", "2020-03"], freq="M"), [0, 60]),
        (pd.to_timedelta(["1D", "36h"]), [0, 0.5]),
        ([decimal.Decimal("0.5"), decimal.Decimal("2")], [0.5, 2]),
    ],
)
def test_times_keep_order_and_distance(labels, times):
    np.testing.assert_allclose(times_of(term(labels), warn=True), times)


def test_gaps_in_numbered_text_are_told():
    with pytest.warns(RanefWarning, match="'V4' follows 'V2' at once"):
        times_of(term(["V0", "V1", "V2", "V4"]), warn=True)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        times_of(term(["V0", "V1", "V2", "V4"]))


CSV = {
    "comma": (",", ".", "t.csv"),
    "semicolon and decimal comma": (";", ",", "t.csv"),
    "tabs": ("\t", ".", "t.tsv"),
    "packed": (",", ".", "t.csv.gz"),
}


@pytest.mark.filterwarnings("ignore:.*rows were dropped")
@pytest.mark.parametrize("style", CSV)
@pytest.mark.parametrize("gap", ["", "NA", "NaN", "null"])
def test_csv_files_are_read_as_they_are_written(style, gap, tmp_path):
    pytest.importorskip("pyarrow")
    separator, point, name = CSV[style]
    frame = rows().assign(g=[f"s{v:02d}" for v in G], c=np.where(G % 2, "u", "v"))
    frame["g"] = frame.g.where(np.arange(len(G)) % 9 != 0)
    frame["c"] = frame.c.where(np.arange(len(G)) % 13 != 0)
    path = tmp_path / name
    frame.to_csv(path, sep=separator, decimal=point, na_rep=gap, index=False)
    right = ranef.lmer("y ~ x + c + (1 | g)", pd.read_csv(path, sep=separator, decimal=point))
    model = ranef.lmer("y ~ x + c + (1 | g)", str(path), progress=False)
    assert model.nobs == right.nobs < len(G)
    assert model.ngroups == right.ngroups
    np.testing.assert_allclose(model.llf, right.llf, rtol=1e-8)


@pytest.mark.parametrize("name", ["t.xlsx", "t.csv.zip", "t.parquet.gz", "t.json"])
def test_files_that_cannot_be_read_say_what_to_do(name, tmp_path):
    pytest.importorskip("pyarrow")
    path = tmp_path / name
    path.write_bytes(gzip.compress(b"a,b\n1,2\n"))
    with pytest.raises(DataError, match=r"pandas|compressed"):
        ranef.lmer("a ~ 1 + (1 | b)", str(path), progress=False)


def test_a_number_in_a_condition_is_a_number_in_reference_grids():
    rng = np.random.default_rng(2)
    frame = pd.DataFrame(
        {"x": rng.integers(0, 10, 300), "f": np.array(list("abc"))[np.arange(300) % 3]}
    )
    frame["g"] = np.arange(300) % 20
    frame["y"] = 2.0 * frame.x + 5.0 * (frame.x > 4) + rng.normal(size=300)
    frame["y"] += rng.normal(size=20)[frame.g]
    model = ranef.lmer("y ~ f * I(x > 4) + x + (1 | g)", frame)
    means = ranef.emmeans(model, "f").frame.emmean.to_numpy()
    at = pd.DataFrame({"f": list("abc"), "x": frame.x.mean()})
    np.testing.assert_allclose(means, model.predict(at, random="none"), rtol=1e-10)
    # beside the jump the slope is that of the line, not of the jump
    frame["x"] = frame.x - frame.x.mean() + 4.0 - 1e-6
    beside = ranef.lmer("y ~ f * I(x > 4) + x + (1 | g)", frame)
    slope = ranef.emtrends(beside, [], "x").frame.trend.iloc[0]
    np.testing.assert_allclose(slope, beside.params["x"], rtol=1e-7)


def spoil(frame):
    """Do to a frame what a caller may do after a fit."""
    frame.index = frame.index[::-1]
    frame["y"] = 0.0
    frame.iloc[:50, frame.columns.get_loc("x")] = 1e6
    for name in list(frame.columns):
        del frame[name]


def test_a_snapshot_shares_until_the_caller_changes_the_table():
    frame = rows()
    before = frame.copy(deep=True)
    kept = snapshot(frame)
    assert np.shares_memory(kept["x"].to_numpy(), frame["x"].to_numpy())
    assert held_bytes(kept) >= 3 * 8 * len(G)
    spoil(frame)
    pd.testing.assert_frame_equal(kept, before)
    columns = {"x": np.arange(3.0), "s": ["a", "b", "c"]}
    held = snapshot(columns)
    columns["x"][:] = 7.0
    columns["s"].clear()
    np.testing.assert_array_equal(held["x"], [0.0, 1.0, 2.0])
    assert held["s"] == ["a", "b", "c"]
    assert snapshot("rows.parquet") == "rows.parquet"
    assert snapshot(None) is None


@pytest.mark.parametrize(
    "fit",
    [
        lambda d: ranef.lmer("y ~ x + (1 | g)", d),
        lambda d: ranef.glmer("b ~ x + (1 | g)", d, family="binomial"),
        lambda d: ranef.feols("y ~ x", d, absorb="g"),
        lambda d: ranef.gee("y ~ x", d, groups="g"),
        lambda d: ranef.gls("y ~ x", d, groups="g", time="t", corr="ar1"),
        lambda d: ranef.random_effects_gls("y ~ x", d, groups="g"),
    ],
    ids=["lmer", "glmer", "feols", "gee", "gls", "random_effects_gls"],
)
def test_what_becomes_of_the_frame_changes_no_model(fit, right):
    frame = rows()
    frame["t"] = np.arange(len(G)) % 8
    frame["b"] = (frame.y > frame.y.median()).astype(int)
    kept = frame.copy(deep=True)
    model = fit(frame)
    calls = {
        "robust": lambda m: m.robust("CR2", cluster="g").coef_table().to_numpy(),
        "augment": lambda m: m.augment().select_dtypes("number").to_numpy(),
        "emmeans": lambda m: ranef.emmeans(m, []).frame.to_numpy(),
    }
    calls = {name: call for name, call in calls.items() if works(call, model)}
    before = {name: call(model) for name, call in calls.items()}
    spoil(frame)
    for name, call in calls.items():
        np.testing.assert_array_equal(call(model), before[name], err_msg=name)
    fresh = fit(kept)
    for name, call in calls.items():
        np.testing.assert_allclose(call(fresh), before[name], rtol=1e-9, err_msg=name)
    assert calls


@pytest.mark.parametrize("name", ["LinearMixedModel", "GeneralizedLinearMixedModel", "GLSModel"])
def test_columns_are_not_put_beside_rows_that_were_dropped(name):
    frame = data()
    model = FITS[name](frame)
    params, fitted = model.params.copy(), model.fittedvalues.copy()
    whole = model.augment()
    assert len(model.update(data=frame[10:]).augment()) == len(frame) - 10
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of a pandas that will not drop in place any more
        frame.drop(index=frame.index[:10], inplace=True)
    with pytest.raises(ranef.DataError, match=rf"{len(frame)} of {len(frame) + 10} are left"):
        model.augment()
    pd.testing.assert_series_equal(model.params, params)
    pd.testing.assert_series_equal(model.fittedvalues, fitted)
    assert len(pickle.loads(pickle.dumps(model)).augment()) == len(whole)
    del frame
    gc.collect()
    pd.testing.assert_frame_equal(model.augment(), whole)


def works(call, model):
    """Tell whether a model has a method."""
    try:
        call(model)
    except Exception:
        return False
    return True
