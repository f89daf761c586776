"""Models fitted from chunks against the same rows in memory."""

import pickle
import warnings
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pandas as pd
import pytest

import ranef

# The same sums in another order: the criterion agrees to rounding, estimates to its square root
# in units of their standard errors.
CRITERION = 1e-8
ESTIMATE = 1e-6


def quietly(call, *args, **options):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return call(*args, **options)


@pytest.fixture(scope="module")
def rows():
    """Pupils and raters crossed, classes within schools, weights, a year, a factor."""
    rng = np.random.default_rng(4)
    n = 3000
    data = pd.DataFrame(
        {
            "pupil": rng.integers(0, 150, n) * 7,
            "rater": rng.choice([f"r{i}" for i in range(23)], n),
            "school": rng.choice(list("ABCDEFGH"), n),
            "room": rng.integers(1, 5, n),
            "year": 2000.0 + np.arange(n) // 300,
            "x": rng.normal(size=n),
            "kind": rng.choice(["low", "mid", "top"], n),
            "w": rng.uniform(0.5, 2.0, n),
            "o": rng.normal(size=n),
        }
    )
    effect = rng.normal(size=(1100, 2))[data["pupil"]]
    data["y"] = (
        1e4 + effect[:, 0] + (1 + effect[:, 1]) * data["x"] + 0.3 * data["year"]
        + rng.normal(size=23)[data["rater"].str[1:].astype(int)]
        + rng.normal(size=(99, 9))[data["school"].map(ord), data["room"]]
        + rng.normal(size=n)
    )  # fmt: skip
    data.loc[[5, 77], "x"] = np.nan
    data.loc[[77, 900], "rater"] = None
    return data


FORMULAS = [
    "y ~ x + year + kind + (1 + x | pupil)",
    "y ~ x * kind + (1 | pupil) + (1 | rater)",
    "y ~ year + (1 | rater) + (1 + x | pupil)",
    "y ~ x + (1 | school / room) + (1 | rater)",
    "y ~ x + (1 + year || pupil) + (0 + kind | rater)",
    "np.log(y - 9500) ~ 0 + np.exp(x) + C(room) + (1 | pupil)",
]


def pieces(data, size=170):
    return [data[start : start + size] for start in range(0, len(data), size)]


def assert_same(model, whole):
    assert model.nobs == whole.nobs
    assert model.ngroups == whole.ngroups
    assert model.llf == pytest.approx(whole.llf, abs=CRITERION * abs(whole.llf))
    assert list(model.params.index) == list(whole.params.index)
    assert ((model.params - whole.params) / whole.bse).abs().max() < ESTIMATE
    np.testing.assert_allclose(model.bse, whole.bse, rtol=1e-5)
    assert model.sigma == pytest.approx(whole.sigma, rel=ESTIMATE)
    for group, effects in whole.ranef().items():
        found = model.ranef()[group]
        assert list(found.index) == list(effects.index)
        np.testing.assert_allclose(found, effects, atol=1e-4 * whole.sigma)


@pytest.mark.parametrize("formula", FORMULAS)
def test_chunks_equal_the_whole(rows, formula):
    whole = quietly(ranef.lmer, formula, rows)
    assert_same(quietly(ranef.lmer, formula, pieces(rows)), whole)


def test_weights_and_offset(rows):
    formula, options = FORMULAS[1], {"weights": "w", "offset": "o", "reml": False}
    whole = quietly(ranef.lmer, formula, rows, **options)
    assert_same(quietly(ranef.lmer, formula, pieces(rows), **options), whole)


@pytest.mark.parametrize("formula", FORMULAS[1:4])
def test_sums_of_parts_equal_the_whole(rows, formula):
    schema = {"kind": ["low", "mid", "top"]} if "kind" in formula else None
    shuffled = rows.sample(frac=1.0, random_state=3)
    parts = []
    for piece in pieces(shuffled, 800):
        part = ranef.CrossProducts(formula, schema)
        for chunk in pieces(piece, 300):
            part.add(chunk)
        parts.append(pickle.loads(pickle.dumps(part)))
    total = parts[0] + parts[1] + (parts[2] + parts[3])
    whole = quietly(ranef.lmer, formula, rows)
    assert_same(quietly(total.fit), whole)
    backwards = parts[3] + (parts[2] + parts[0]) + parts[1]
    assert_same(quietly(backwards.fit), whole)
    assert total.n_read == len(rows)


def test_a_fit_does_not_change_when_rows_are_added_later(rows):
    sums = ranef.CrossProducts(FORMULAS[2])
    sums.add(rows[:1500])
    first = quietly(sums.fit)
    llf, effects = first.llf, first.ranef()["pupil"].copy()
    second = quietly(sums.add(rows[1500:]).fit)
    assert_same(second, quietly(ranef.lmer, FORMULAS[2], rows))
    assert first.llf == llf
    again = pickle.loads(pickle.dumps(first))
    pd.testing.assert_frame_equal(again.ranef()["pupil"], effects)
    assert again.ranef().cov["rater"].shape == (23, 1, 1)
    assert_same(first, quietly(ranef.lmer, FORMULAS[2], rows[:1500]))


def test_predictions_need_rows_that_are_given(rows):
    model = quietly(ranef.lmer, FORMULAS[3], pieces(rows))
    whole = quietly(ranef.lmer, FORMULAS[3], rows)
    new = rows.dropna()[:50]
    np.testing.assert_allclose(model.predict(new), whole.predict(new), atol=1e-4)
    for ask in ("resid", "fittedvalues"):
        with pytest.raises(ranef.UnsupportedError, match="holds no rows"):
            getattr(model, ask)
    with pytest.raises(ranef.UnsupportedError, match="holds no rows"):
        model.refit(np.zeros(model.nobs))
    with pytest.raises(ranef.UnsupportedError, match="holds no rows"):
        model.simulate()
    assert "holds" not in str(model.summary())


def test_a_response_that_sums_cannot_resolve_is_refused(rows):
    data = rows.dropna().assign(y=lambda d: 1e4 * d["y"].mean() + d["y"])
    with pytest.raises(ranef.ModelError, match="Keep the intercept"):
        ranef.lmer("y ~ 0 + kind + (1 | pupil)", pieces(data))
    whole = quietly(ranef.lmer, "y ~ kind + (1 | pupil)", data)
    assert_same(quietly(ranef.lmer, "y ~ kind + (1 | pupil)", pieces(data)), whole)


def test_aliased_columns_are_found(rows):
    data = rows.dropna().assign(z=lambda d: 3 * d["x"] - 2, twin=lambda d: d["kind"])
    formula = "y ~ x + z + kind + twin + (1 | pupil)"
    whole = quietly(ranef.lmer, formula, data)
    model = quietly(ranef.lmer, formula, pieces(data))
    assert (model.params.isna() == whole.params.isna()).all()
    assert model.params.isna().sum() == 3
    assert model.llf == pytest.approx(whole.llf, abs=CRITERION * abs(whole.llf))
    notes = [str(w) for w in model.warnings if isinstance(w, ranef.RankWarning)]
    assert notes == [str(w) for w in whole.warnings if isinstance(w, ranef.RankWarning)]


def test_missing_rows_are_counted(rows):
    with pytest.warns(ranef.DroppedRowsWarning, match=r"3 of 3000 rows .* x \(2\), rater \(2\)"):
        ranef.lmer("y ~ x + (1 | rater) + (1 | pupil)", pieces(rows))
    with pytest.raises(ranef.DataError, match="missing values"):
        ranef.lmer("y ~ x + (1 | rater)", pieces(rows), missing="raise")
    gone = rows[:100].assign(y=np.nan)
    whole = quietly(ranef.lmer, FORMULAS[3], rows)
    assert quietly(ranef.lmer, FORMULAS[3], [rows, gone]).llf == pytest.approx(whole.llf)


# ------------------------------------------------------------------ sources


@pytest.fixture(scope="module")
def folder(rows, tmp_path_factory):
    """Three parquet files of the rows."""
    place = tmp_path_factory.mktemp("rows")
    for i, piece in enumerate(pieces(rows, 1000)):
        piece.assign(unused=1.0).to_parquet(place / f"part{i}.parquet")
    return place


def source(kind, folder, rows):
    if kind == "folder":
        return str(folder)
    if kind == "pattern":
        return str(folder / "*.parquet")
    if kind == "dataset":
        return pytest.importorskip("pyarrow.dataset").dataset(folder)
    if kind == "lazy":
        return pytest.importorskip("polars").scan_parquet(folder / "*.parquet")
    if kind == "relation":
        return pytest.importorskip("duckdb").read_parquet(str(folder / "*.parquet"))
    if kind == "iterator":
        return iter(pieces(rows))
    if kind == "function":
        return lambda: iter(pieces(rows))
    return pieces(rows)


KINDS = ["folder", "pattern", "dataset", "lazy", "relation", "iterator", "function", "list"]


@pytest.mark.parametrize("kind", KINDS)
def test_every_source_gives_the_same_fit(rows, folder, kind, monkeypatch):
    for module in ("files", "query", "source"):
        monkeypatch.setattr(f"ranef.chunks.{module}.CHUNK_ROWS", 400)
    whole = quietly(ranef.lmer, FORMULAS[1], rows)
    assert_same(quietly(ranef.lmer, FORMULAS[1], source(kind, folder, rows)), whole)


def test_a_broken_file_is_named(folder, tmp_path):
    whole = (folder / "part0.parquet").read_bytes()
    broken = tmp_path / "broken.parquet"
    broken.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(ranef.DataError, match=r"broken\.parquet"):
        ranef.lmer(FORMULAS[0], str(broken))
    with pytest.raises(ranef.DataError, match="no file"):
        ranef.lmer(FORMULAS[0], str(tmp_path / "none*.parquet"))


def broken(folder, tmp_path, change):
    """Copies of two files of the rows, the second one changed."""
    first = pd.read_parquet(folder / "part0.parquet")
    first.to_parquet(tmp_path / "part0.parquet")
    second = pd.read_parquet(folder / "part1.parquet")
    change(second).to_parquet(tmp_path / "part1.parquet", row_group_size=100)
    return tmp_path / "part1.parquet"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda d: d.drop(columns="x"), r"part1\.parquet' has no column 'x'"),
        (lambda d: d.assign(x="t"), r"part1\.parquet' has .*string in column 'x'"),
        (lambda d: d.assign(pupil=d["pupil"].astype(str)), r"part1\.parquet' has .* 'pupil'"),
    ],
)
def test_a_file_with_other_columns_or_types_is_named(folder, tmp_path, change, message):
    broken(folder, tmp_path, change)
    with pytest.raises(ranef.DataError, match=message):
        ranef.lmer(FORMULAS[0], tmp_path)
    with pytest.raises(ranef.DataError, match=message), ThreadPoolExecutor(1) as pool:
        ranef.lmer(FORMULAS[0], tmp_path, executor=pool)


def test_types_that_mean_the_same_may_differ(folder, tmp_path):
    broken(folder, tmp_path, lambda d: d.assign(kind=d["kind"].astype("category")))
    model = quietly(ranef.lmer, FORMULAS[0], tmp_path)
    whole = pd.concat([pd.read_parquet(folder / f"part{i}.parquet") for i in range(2)])
    assert_same(model, quietly(ranef.lmer, FORMULAS[0], whole))


def test_a_file_that_is_damaged_inside_is_named(folder, tmp_path):
    file = broken(folder, tmp_path, lambda d: d)
    data = bytearray(file.read_bytes())
    data[4000:40000] = b"x" * 36000
    file.write_bytes(data)
    with pytest.raises(ranef.DataError, match=r"part1\.parquet' cannot be read to the end"):
        ranef.lmer(FORMULAS[0], tmp_path)
    file.write_bytes(data[:5000])
    with pytest.raises(ranef.DataError, match=r"part1\.parquet' cannot be read"):
        ranef.lmer(FORMULAS[0], tmp_path)


@pytest.mark.parametrize("formula", FORMULAS[3:5])
def test_residuals_come_in_chunks(rows, folder, tmp_path, formula, monkeypatch):
    monkeypatch.setattr("ranef.chunks.files.CHUNK_ROWS", 400)
    model = quietly(ranef.lmer, formula, folder, weights="w", offset="o")
    out = tmp_path / "residuals.parquet"
    assert model.augment_chunks(folder, out) == len(rows)
    assert [path.name for path in tmp_path.iterdir()] == [out.name]
    found = pd.read_parquet(out)
    whole = quietly(ranef.lmer, formula, rows, weights="w", offset="o").augment()
    names = [".fitted", ".resid", ".fixed", ".wtres"]
    np.testing.assert_allclose(found.loc[whole.index, names], whole[names], atol=1e-4)
    left_out = found.index.difference(whole.index)
    assert found.loc[left_out, ".resid"].isna().all()
    first = next(model.augment_chunks(pieces(rows)))
    assert len(first) == 170


# ------------------------------------------------------------------ chunks that do not fit


def test_chunks_that_do_not_fit_are_refused_whole(rows):
    formula = FORMULAS[1]
    good, late = rows[:1500], rows[1500:].copy()
    sums = ranef.CrossProducts(formula).add(good)
    bad = {
        "no column 'x'": late.drop(columns="x"),
        "'kind' has the level 'new'": late.assign(kind="new"),
        "numeric in the fit": late.assign(x="a"),
        "'kind' has the level": late.assign(kind=1.0),
        "grouping column 'pupil'": late.assign(pupil=late["pupil"].astype(str)),
        "infinite": late.assign(x=np.inf),
        "not numeric": late.assign(y="a"),
    }
    for message, chunk in bad.items():
        with pytest.raises(ranef.DataError, match=message):
            sums.add(chunk)
    assert sums.n_obs == good.dropna().shape[0]
    assert_same(quietly(sums.add(late).fit), quietly(ranef.lmer, formula, rows))


def test_a_level_that_comes_late_is_learned_in_the_first_of_two_passes(rows):
    data = rows.sort_values("kind")
    whole = quietly(ranef.lmer, FORMULAS[0], data)
    assert_same(quietly(ranef.lmer, FORMULAS[0], pieces(data, 500)), whole)
    with pytest.raises(ranef.DataError, match="kind"):
        ranef.lmer(FORMULAS[0], iter(pieces(data, 500)))
    sums = ranef.CrossProducts(FORMULAS[0], {"kind": ["low", "mid", "top"]})
    for chunk in pieces(data, 500):
        sums.add(chunk)
    assert_same(quietly(sums.fit), whole)


def test_groups_may_come_one_by_one(rows):
    data = rows.sort_values("pupil")
    whole = quietly(ranef.lmer, "y ~ x + (1 | pupil)", data)
    chunks = [chunk for _, chunk in data.groupby("pupil")]
    assert_same(quietly(ranef.lmer, "y ~ x + (1 | pupil)", iter(chunks)), whole)


def test_what_cannot_be_done_in_chunks_is_refused(rows):
    for expr in ("scale(x)", "I(x - x.mean())", "I(x / np.max(x))", "x.rank()"):
        with pytest.raises(ranef.UnsupportedError, match="needs all rows at once"):
            ranef.lmer(f"y ~ {expr} + (1 | pupil)", pieces(rows))
    with pytest.raises(ranef.UnsupportedError, match="weights must be a column's name"):
        ranef.lmer("y ~ x + (1 | pupil)", pieces(rows), weights=np.ones(len(rows)))
    with pytest.raises(ranef.UnsupportedError, match="a prior needs rows"):
        ranef.lmer("y ~ x + (1 | pupil)", pieces(rows), prior="weak")
    with pytest.raises(ranef.DroppedRowsWarning):
        quietly(ranef.lmer, "y ~ x + (1 | pupil)", pieces(rows), strict=True)
    with pytest.raises(ranef.DataError, match="only one level, 'A'"):
        ranef.lmer("y ~ x + (1 | school)", pieces(rows[rows["school"] == "A"]))
    with pytest.raises(ranef.ModelError, match="needs one"):
        ranef.lmer("y ~ x", pieces(rows))
    with pytest.raises(ranef.DataError, match="no rows were added"):
        ranef.CrossProducts("y ~ x + (1 | pupil)").fit()
    with pytest.raises(ranef.DataError, match="do not add up"):
        ranef.CrossProducts("y ~ x + (1 | g)") + ranef.CrossProducts("y ~ z + (1 | g)")
    a = ranef.CrossProducts(FORMULAS[0]).add(rows[rows["kind"] != "top"])
    b = ranef.CrossProducts(FORMULAS[0]).add(rows)
    with pytest.raises(ranef.DataError, match="same schema"):
        a + b
    with pytest.raises(ranef.DataError, match="schema names 'z'"):
        ranef.CrossProducts(FORMULAS[0], {"z": [1]}).add(rows)
