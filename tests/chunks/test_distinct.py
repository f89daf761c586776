"""glmer of data in chunks: their distinct rows, counted, have the likelihood of all."""

import subprocess
import sys

import numpy as np
import pandas as pd
import pytest
import scipy

import ranef
from ranef.chunks import distinct

pa = pytest.importorskip("pyarrow")


def data(n=6000, seed=2):
    rng = np.random.default_rng(seed)
    g, h = rng.integers(0, 40, n), rng.integers(0, 15, n)
    frame = pd.DataFrame({"g": g, "h": [f"h{i}" for i in h], "x": rng.integers(0, 4, n) / 4.0})
    frame["c"] = rng.choice(["p", "q", "r"], n)
    eta = 0.3 + 0.5 * frame["x"] - 0.4 * (frame["c"] == "q") + 0.6 * rng.normal(size=40)[g]
    frame["b"] = rng.binomial(1, scipy.special.expit(eta))
    frame["n"] = rng.poisson(np.exp(eta - 0.5))
    frame["k"] = rng.negative_binomial(2.0, 2.0 / (2.0 + np.exp(eta)))
    frame["e"] = rng.choice([1.0, 2.0], n)
    frame["beside"] = rng.normal(size=n)  # no part of any model
    return frame


FRAME = data()
MODELS = {
    "binomial": ("b ~ x + c + (1 | g)", {"family": "binomial"}),
    "quadrature": ("b ~ x + c + (1 | g)", {"family": "binomial", "nagq": 7}),
    "crossed": ("b ~ x + (1 | g) + (1 | h)", {"family": "binomial", "link": "probit"}),
    "poisson": ("n ~ x * c + offset(log(e)) + (x | g)", {"family": "poisson"}),
    "offset": ("n ~ x + (1 | g)", {"family": "poisson", "offset": "x"}),
    "weights": ("n ~ x + (1 | g)", {"family": "poisson", "weights": "e"}),
    "negative binomial": ("k ~ x + (1 | g)", {"family": "negative_binomial"}),
}


@pytest.fixture(scope="module")
def file(tmp_path_factory):
    path = tmp_path_factory.mktemp("rows") / "rows.parquet"
    FRAME.to_parquet(path, row_group_size=1000)
    return str(path)


@pytest.mark.filterwarnings("ignore::ranef.errors.SingularFitWarning")
@pytest.mark.parametrize("name", MODELS)
def test_a_file_has_the_fit_of_its_rows(file, name):
    formula, options = MODELS[name]
    whole, read = ranef.glmer(formula, FRAME, **options), ranef.glmer(formula, file, **options)
    assert read.llf == pytest.approx(whole.llf, abs=1e-6)
    np.testing.assert_allclose(read.params, whole.params, rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(read.bse, whole.bse, rtol=1e-4)
    assert read.nobs == whole.nobs == len(FRAME)
    assert (read.aic, read.bic) == pytest.approx((whole.aic, whole.bic), abs=1e-5)
    assert read.df_resid == whole.df_resid
    assert read.ngroups == whole.ngroups
    assert read.parts.design.n_obs < len(FRAME)
    assert f"kept as {read.parts.design.n_obs:,} distinct" in str(read)
    new = FRAME.head(20)
    np.testing.assert_allclose(read.predict(new), whole.predict(new), rtol=1e-3)
    if len(read.parts.design.random) == 1:
        np.testing.assert_allclose(read.robust("CR2").bse, whole.robust("CR2").bse, rtol=1e-3)


def test_chunks_of_any_kind_are_read_once(file):
    expected = ranef.glmer("b ~ c + (1 | g)", FRAME, family="binomial").llf
    pieces = [FRAME[start : start + 700] for start in range(0, len(FRAME), 700)]
    for source in (pieces, iter(pieces), lambda: iter(pieces), pa.dataset.dataset(file)):
        model = ranef.glmer("b ~ c + (1 | g)", source, family="binomial")
        assert model.llf == pytest.approx(expected, abs=1e-6)


def test_missing_values_are_counted(file):
    holes = FRAME.assign(x=np.where(np.arange(len(FRAME)) % 100 == 0, np.nan, FRAME["x"]))
    with pytest.warns(ranef.DroppedRowsWarning, match=r"missing in x \(60\)"):
        model = ranef.glmer("b ~ x + (1 | g)", [holes[:3000], holes[3000:]], family="binomial")
    assert model.nobs == len(FRAME) - 60
    with pytest.raises(ranef.DataError, match="'x': 60"):
        ranef.glmer("b ~ x + (1 | g)", [holes], family="binomial", missing="raise")


@pytest.mark.parametrize(
    "call",
    [
        lambda m: m.fittedvalues,
        lambda m: m.residuals("pearson"),
        lambda m: m.simulate(),
        lambda m: m.bootstrap(2, progress=False),
        lambda m: m.refit(np.zeros(3)),
        lambda m: m.r2(),
        lambda m: m.icc(),
        lambda m: m.caic(),
        lambda m: m.variance_decomposition(),
        lambda m: m.simulated_residuals(9),
        lambda m: ranef.bias_check(m, 2, progress=False),
    ],
)
def test_what_is_of_single_rows_is_refused(file, call):
    model = ranef.glmer("b ~ x + (1 | g)", file, family="binomial")
    with pytest.raises(ranef.UnsupportedError, match="distinct rows only"):
        call(model)


def pieces(frame):
    return [frame[start : start + 700] for start in range(0, len(frame), 700)]


def test_a_column_of_the_name_of_a_function_is_no_column_of_the_model():
    holes = FRAME.assign(log=np.where(FRAME.index % 5 == 0, np.nan, 1.0), p=np.nan)
    formula = 'n ~ log(1 + x) + I(c == "p") + (1 | g)'
    whole = ranef.glmer(formula, FRAME, family="poisson")
    read = ranef.glmer(formula, pieces(holes), family="poisson")
    assert read.nobs == len(FRAME)
    assert read.llf == pytest.approx(whole.llf, abs=1e-6)


def test_missing_values_that_an_expression_takes_care_of_are_kept():
    holes = FRAME.assign(x=FRAME["x"].where(FRAME.index % 5 > 0))
    whole = ranef.glmer("n ~ x.isna() + (1 | g)", holes, family="poisson")
    read = ranef.glmer("n ~ x.isna() + (1 | g)", pieces(holes), family="poisson")
    assert read.nobs == len(FRAME)
    assert read.llf == pytest.approx(whole.llf, abs=1e-6)


@pytest.mark.parametrize("wrong", [-1.0, 0.0, np.inf])
def test_one_wrong_weight_is_not_hidden_in_a_sum(wrong):
    frame = FRAME.assign(e=np.where(FRAME.index == 3, wrong, FRAME["e"]))
    with pytest.raises(ranef.DataError, match="'e' is not in 1 row of a chunk"):
        ranef.glmer("n ~ x + (1 | g)", pieces(frame), family="poisson", weights="e")


@pytest.mark.parametrize("formula", ["n ~ x + e + (1 | g)", "n ~ x + offset(log(e)) + (1 | g)"])
def test_weights_may_be_a_predictor_too(formula):
    whole = ranef.glmer(formula, FRAME, family="poisson", weights="e")
    read = ranef.glmer(formula, pieces(FRAME), family="poisson", weights="e")
    assert read.llf == pytest.approx(whole.llf, abs=1e-6)
    np.testing.assert_allclose(read.params, whole.params, rtol=1e-6)


@pytest.mark.parametrize(
    "expr", ["scale(x)", "I(x - x.mean())", "I(x - x.groupby(g).transform('mean'))", "I(x.rank())"]
)
def test_what_depends_on_all_rows_is_refused(expr):
    with pytest.raises(ranef.UnsupportedError, match="needs all rows at once"):
        ranef.glmer(f"n ~ {expr} + (1 | g)", pieces(FRAME), family="poisson")


def test_criteria_are_compared_though_models_keep_other_rows():
    formulas = ["n ~ x + (1 | g)", "n ~ x + c + (1 | g)"]
    whole = [ranef.glmer(f, FRAME, family="poisson") for f in formulas]
    read = [ranef.glmer(f, pieces(FRAME), family="poisson") for f in formulas]
    expected = ranef.compare(*whole).table
    for pair in (read, [read[0], whole[1]]):
        found = ranef.compare(*pair).table
        np.testing.assert_allclose(found["aic"], expected["aic"], atol=1e-5)
    with pytest.raises(ranef.UnsupportedError, match=r"ranef\.compare"):
        ranef.anova(*read)
    moved = FRAME.assign(n=FRAME["n"] + (FRAME.index == 5))
    other = ranef.glmer(formulas[1], pieces(moved), family="poisson")
    with pytest.raises(ranef.ModelError, match="other values of n"):
        ranef.compare(read[0], other)
    with pytest.raises(ranef.ModelError, match="rests on 5000 rows"):
        ranef.compare(read[0], ranef.glmer(formulas[1], [FRAME[:5000]], family="poisson"))


def test_figures_about_the_fit_are_of_all_rows():
    whole = ranef.glmer("n ~ x + c + (1 | g)", FRAME, family="poisson")
    read = ranef.glmer("n ~ x + c + (1 | g)", pieces(FRAME), family="poisson")
    assert read.glance().iloc[0].to_dict() == pytest.approx(whole.glance().iloc[0].to_dict())
    sizes = FRAME["g"].value_counts()
    rows = read.influence().table["rows"]
    assert (rows == sizes[rows.index]).all()
    with pytest.raises(ranef.UnsupportedError, match="distinct rows only"):
        read.predict()


def test_rows_that_do_not_repeat_are_refused_before_memory_runs_out(monkeypatch, file):
    monkeypatch.setattr(distinct, "MOST_DISTINCT", 500)
    with pytest.raises(ranef.DataError, match="'beside' has the most values"):
        ranef.glmer("b ~ beside + (1 | g)", file, family="binomial")


def test_trials_and_empty_data_are_refused(file):
    with pytest.raises(ranef.UnsupportedError, match="one trial a row"):
        ranef.glmer("b ~ x + (1 | g)", file, family="binomial", weights="e")
    with pytest.raises(ranef.UnsupportedError, match="one trial a row"):
        ranef.glmer("cbind(b, n) ~ x + (1 | g)", file, family="binomial")
    with pytest.raises(ranef.DataError, match="no row"):
        ranef.glmer("b ~ x + (1 | g)", [FRAME[:0]], family="binomial")
    with pytest.raises(ranef.UnsupportedError, match="frame"):
        ranef.glmer("b ~ x + (1 | g)", file, family="betabinomial")


MEASURED = """
import resource, sys
import ranef
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
model = ranef.glmer("b ~ x + c + (1 | g)", sys.argv[1], family="binomial")
print(model.nobs, (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024)
"""


def test_memory_does_not_grow_with_the_rows(tmp_path):
    """A file of 3 million rows, 120 MB as numbers alone, is read in less than it would take."""
    import pyarrow.parquet as pq

    path = tmp_path / "large.parquet"
    whole = data(300_000).drop(columns=["h", "n", "k", "e"])
    table = pa.Table.from_pandas(whole, preserve_index=False)
    with pq.ParquetWriter(path, table.schema) as writer:
        for _ in range(10):
            writer.write_table(table, row_group_size=100_000)
    done = subprocess.run(
        [sys.executable, "-c", MEASURED, str(path)], capture_output=True, text=True, check=True
    )
    nobs, megabytes = map(float, done.stdout.split())
    assert nobs == 3_000_000
    assert megabytes < 40.0
