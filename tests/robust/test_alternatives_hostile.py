"""Data that have no answer, for least squares, estimating equations and their neighbours."""

import copy
import pickle

import numpy as np
import pandas as pd
import pytest

import ranef


def _frame():
    rng = np.random.default_rng(1)
    d = pd.DataFrame({"g": np.repeat(np.arange(30), 6), "t": np.tile(np.arange(6), 30)})
    d["x"] = rng.normal(size=len(d))
    d["k"] = np.resize(["a", "b", "c"], len(d))
    d["z"] = (d["g"] % 4).astype(float)
    d["y"] = d["x"] + rng.normal(size=30)[d["g"]] + rng.normal(size=len(d))
    return d


@pytest.mark.parametrize(
    ("column", "response", "who"),
    [("x", lambda d: (d["x"] > 0).astype(int), "'x' separates"),
     ("k", lambda d: (d["k"] == "a").astype(int), r"'k\[T.b\]' and 'k\[T.c\]' separate ")],
)  # fmt: skip
def test_separation_names_the_columns_and_gives_no_errors(column, response, who):
    d = _frame().assign(b=response)
    with pytest.warns(ranef.ConvergenceWarning, match=f"no finite coefficients.*{who}"):
        model = ranef.gee(f"b ~ {column}", d, groups="g", family="binomial")
    assert model.bse.isna().all()
    assert model.pvalues.isna().all()
    assert "NOT solved" in str(model.summary())
    with pytest.raises(ranef.ModelError, match="no finite estimates"):
        model.robust("CR2")
    with pytest.raises(ranef.ModelError, match="no finite estimates"):
        model.robust("naive")


def test_a_level_without_counts_is_named():
    d = _frame().assign(c=lambda d: np.where(d["k"] == "b", 0, 1 + d["t"]))
    with pytest.warns(ranef.ConvergenceWarning, match=r"counts run to 0.*'k\[T.b\]' separates"):
        ranef.gee("c ~ k", d, groups="g", family="poisson", corr="independence")


@pytest.mark.parametrize(
    ("family", "value"), [("poisson", 0), ("binomial", 0), ("binomial", 1), ("gaussian", 3.5)]
)
def test_a_response_that_does_not_vary(family, value):
    with pytest.raises(ranef.DataError, match=f"is {value:g} in every row"):
        ranef.gee("c ~ x", _frame().assign(c=value), groups="g", family=family)


def test_equal_counts_of_unequal_exposure_are_a_fit():
    d = _frame().assign(c=1, e=lambda d: np.log(1.0 + d["t"]))
    model = ranef.gee("c ~ x", d, groups="g", family="poisson", offset="e", corr="independence")
    assert model.converged


def test_a_response_without_noise():
    d = _frame().assign(v=lambda d: 2.0 * d["x"])
    with pytest.raises(ranef.ModelError, match="reproduce the response exactly"):
        ranef.gee("v ~ x", d, groups="g")
    with pytest.raises(ranef.ModelError, match="reproduce the response exactly"):
        ranef.random_effects_gls("v ~ x", d, groups="g")
    assert "exact up to rounding" in str(ranef.feols("v ~ x", d))
    assert "exact up to rounding" in str(ranef.feols("v ~ x", d.assign(v=3.0)))


def test_absorbed_factors_that_explain_the_response():
    with pytest.raises(ranef.ModelError, match="absorbing g explains 'z' completely"):
        ranef.feols("z ~ x", _frame(), absorb="g")
    sums = _frame().assign(v=lambda d: d["z"] + d["t"])
    with pytest.raises(ranef.ModelError, match="absorbing g and t explains 'v' completely"):
        ranef.feols("v ~ x", sums, absorb=["g", "t"])


def test_singletons_are_named():
    d = _frame()
    d.loc[:6, "g"] = np.arange(100, 107)
    found = ranef.feols("y ~ x", d, absorb="g", cluster="g")
    assert found.singletons == {"g": 7}
    assert "g 100, 101, 102, 103, 104 and 2 more occur in one row" in str(found.summary())


def test_a_bar_in_the_formula_of_least_squares_points_to_absorb():
    with pytest.raises(ranef.FormulaError, match="absorb="):
        ranef.feols("y ~ x | g", _frame())


def test_few_groups_are_said():
    few = ranef.gee("y ~ x", _frame(), groups="z")
    assert "too small with 4 groups" in str(few.summary())
    assert "too small" not in str(ranef.gee("y ~ x", _frame(), groups="g", vcov="naive").summary())


def test_rows_left_out_are_said_by_every_approach():
    d = _frame()
    d.loc[3:5, "x"] = np.nan
    with pytest.warns(ranef.DroppedRowsWarning, match="3 of 180 rows"):
        side = ranef.approaches("y ~ x", d, "g")
    assert "3 of 180 rows" in str(side)
    assert "3 of 180 rows" in side._repr_html_()


@pytest.mark.parametrize(
    "make",
    [
        lambda d: ranef.feols("y ~ x", d, absorb=["g", "t"], cluster="g"),
        lambda d: ranef.feols("y ~ x", d).robust("CR2", cluster="g"),
        lambda d: ranef.feols("y ~ x", d).robust("CR1", cluster=["g", "t"]),
        lambda d: ranef.gee("y ~ x", d, groups="g", time="t", corr="ar1"),
        lambda d: ranef.gee("y ~ x", d, groups="g").robust("jackknife"),
        lambda d: ranef.within_between("y ~ x", d, "g"),
        lambda d: ranef.random_effects_gls("y ~ x", d, groups="g", time="t"),
        lambda d: ranef.lmlist("y ~ x", d, "g"),
        lambda d: ranef.approaches("y ~ x", d, "g"),
    ],
)
def test_results_survive_pickles_and_copies_and_show_in_a_notebook(make):
    result = make(_frame())
    html = result._repr_html_()
    for other in (pickle.loads(pickle.dumps(result)), copy.deepcopy(result)):
        assert repr(other) == repr(result)
        assert other._repr_html_() == html
    assert html.startswith("<h3>")


def test_intervals_of_the_mean_use_the_degrees_of_freedom_of_the_clusters():
    d = _frame()
    model = ranef.feols("y ~ x", d, cluster="z")
    at = model.predict(pd.DataFrame({"x": [0.0]}), interval="confidence").iloc[0]
    want = model.conf_int().loc["Intercept"]
    assert [at["lower"], at["upper"]] == pytest.approx([want["lower"], want["upper"]], rel=1e-9)


def test_between_within_tests_by_the_degrees_of_freedom_of_its_mixed_model():
    found = ranef.within_between("y ~ x + z", _frame(), "g")
    pd.testing.assert_frame_equal(found.coef_table(), found.model.coef_table())


def test_more_contrasts_than_clusters_carry():
    d = _frame().assign(o=lambda d: d["g"] % 4)
    model = ranef.feols("y ~ C(t) + x", d)
    with pytest.raises(ranef.ModelError, match="5 contrasts is singular: 4 clusters"):
        model.robust("CR2", cluster="o").wald_test("C(t)")


@pytest.mark.parametrize("weights", [None, "w"])
def test_fits_of_groups_are_those_of_each_group_alone(weights):
    d = _frame().sample(frac=0.7, random_state=0)
    d["w"] = np.random.default_rng(0).uniform(0.5, 2.0, len(d))
    d.loc[d["g"] == 3, "x"] = 1.5  # tells no slope
    d = d[(d["g"] != 4) | (d.groupby("g").cumcount() == 0)]  # a single row
    fits = ranef.lmlist("y ~ x", d, "g", weights=weights)
    coef, bse, ssr, df = fits.coef(), fits.bse(), 0.0, 0
    for g, rows in d.groupby("g"):
        X = np.column_stack([np.ones(len(rows)), rows["x"]])
        half = np.ones(len(rows)) if weights is None else np.sqrt(rows["w"].to_numpy())
        beta, _, rank, _ = np.linalg.lstsq(half[:, None] * X, half * rows["y"], rcond=1e-8)
        resid = half * (rows["y"].to_numpy() - X @ beta)
        ssr, df = ssr + resid @ resid, df + len(rows) - rank
        if rank == 2:
            np.testing.assert_allclose(coef.loc[g], beta, rtol=1e-9)
            unscaled = np.diag(np.linalg.inv((half[:, None] * X).T @ (half[:, None] * X)))
            np.testing.assert_allclose(bse.loc[g], fits.sigma * np.sqrt(unscaled), rtol=1e-9)
        else:
            assert coef.loc[g].isna().all()
    assert fits.df_resid == df
    assert fits.sigma == pytest.approx(np.sqrt(ssr / df), rel=1e-9)
