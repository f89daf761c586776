"""Scores of left-out rows for every kind of linear model, and their comparison."""

import numpy as np
import pandas as pd
import pytest
import scipy

import ranef


@pytest.fixture(scope="module")
def gpa():
    frame = ranef.datasets.load("gpa_sim").iloc[:180].copy()
    frame["student"] = frame["student"].astype(str)
    return frame


@pytest.fixture(scope="module")
def folds(gpa):
    rows = np.arange(len(gpa))
    part = pd.factorize(gpa["student"])[0] % 3
    return [(rows[part != k], rows[part == k]) for k in range(3)]


def normal(y, mean, sd):
    return scipy.stats.norm.logpdf(y, mean, sd)


def test_structured_residuals_are_scored_by_their_own_variances(gpa, folds):
    call = {"groups": "student", "time": "occasion", "corr": "ar1", "variance": "sex"}
    model = ranef.gls("gpa ~ occasion", gpa, **call)
    found = ranef.cross_validate(model, folds, progress=False)
    for k, (train, test) in enumerate(folds):
        fit = ranef.gls("gpa ~ occasion", gpa.iloc[train], **call)
        new = gpa.iloc[test]
        X = np.column_stack([np.ones(len(new)), new["occasion"]])
        sd = {
            s: fit.resid_sd[(gpa.iloc[train]["sex"] == s).to_numpy()].iloc[0]
            for s in gpa["sex"].unique()
        }
        own = new["sex"].astype(str).map({str(s): v for s, v in sd.items()}).to_numpy(dtype=float)
        cov = fit.predict(new, random="none", se=True)["se"].to_numpy() ** 2
        rows = found.rows[found.rows["fold"] == k]
        np.testing.assert_allclose(rows["mean"], X @ fit.params.to_numpy(), rtol=1e-9)
        np.testing.assert_allclose(rows["sd"], np.sqrt(own**2 + cov), rtol=1e-9)
        np.testing.assert_allclose(
            rows["log_score"], normal(new["gpa"], rows["mean"], rows["sd"]), rtol=1e-9
        )


def test_least_squares_are_scored_with_the_error_of_their_mean(gpa, folds):
    model = ranef.feols("gpa ~ occasion + sex", gpa)
    found = ranef.cross_validate(model, folds, progress=False)
    train, test = folds[1]
    D = [
        np.ones(len(gpa)),
        gpa["occasion"],
        gpa["sex"] == gpa["sex"].astype("category").cat.categories[1],
    ]
    X = np.column_stack(D).astype(float)
    y = gpa["gpa"].to_numpy()
    beta, rss = np.linalg.lstsq(X[train], y[train], rcond=None)[:2]
    sigma2 = float(rss[0]) / (len(train) - 3)
    inverse = np.linalg.inv(X[train].T @ X[train])
    sd = np.sqrt(sigma2 * (1.0 + np.einsum("ij,jk,ik->i", X[test], inverse, X[test])))
    rows = found.rows[found.rows["fold"] == 1]
    np.testing.assert_allclose(rows["mean"], X[test] @ beta, rtol=1e-9)
    np.testing.assert_allclose(rows["sd"], sd, rtol=1e-9)
    absorbed = ranef.feols("gpa ~ occasion", gpa, absorb="student")
    with pytest.raises(ranef.UnsupportedError, match="folds=10"):
        ranef.cross_validate(absorbed)
    new = ranef.cross_validate(absorbed, "new_rows", folds=4, seed=1, progress=False)
    assert new.table["rmse"].iloc[0] < found.table["rmse"].iloc[0]


def test_marginal_models_have_scores_of_means_alone(gpa):
    data = gpa.assign(high=(gpa["gpa"] > gpa["gpa"].median()).astype(int))
    model = ranef.gee("high ~ occasion", data, groups="student", family="binomial")
    found = ranef.cross_validate(model, folds=5, seed=3, progress=False)
    assert {"brier", "rmse"} <= set(found.table)
    assert not {"elpd", "log_score"} & set(found.table)
    rows = found.rows
    assert found.table["brier"].iloc[0] == pytest.approx(((rows["y"] - rows["mean"]) ** 2).mean())
    np.testing.assert_allclose(rows["sd"], np.sqrt(rows["mean"] * (1.0 - rows["mean"])), rtol=0.15)
    other = ranef.gee(
        "high ~ occasion + sex", data, groups="student", family="binomial", corr="independence"
    )
    ranked = ranef.compare(plain=model, sexed=other)
    for name, one in (("plain", model), ("sexed", other)):
        assert ranked.table.loc[name, "qic"] == pytest.approx(one.qic().qic)
    assert ranked.criterion == "qic"
    with pytest.raises(ranef.UnsupportedError, match="'qic'"):
        ranef.compare(model, other, by="bic")
    with pytest.raises(ranef.ModelError, match="no likelihood"):
        ranef.compare(model, ranef.feols("high ~ occasion", data))
    both = ranef.compare(
        plain=found, sexed=ranef.cross_validate(other, folds=5, seed=3, progress=False)
    )
    assert "by rmse" in repr(both)


def test_linear_models_of_all_kinds_are_ranked_by_one_likelihood(gpa):
    roles = {"groups": "student", "time": "occasion"}
    models = {
        "feols": ranef.feols("gpa ~ occasion", gpa),
        "gls": ranef.gls("gpa ~ occasion", gpa, **roles),
        "ar1": ranef.gls("gpa ~ occasion", gpa, corr="ar1", **roles),
        "mixed": ranef.lmer("gpa ~ occasion + (1 | student)", gpa),
        "same": ranef.gls("gpa ~ occasion", gpa, corr="exchangeable", **roles),
    }
    table = ranef.compare(models).table
    assert table.loc["feols", "llf"] == pytest.approx(table.loc["gls", "llf"], abs=1e-7)
    assert table.loc["mixed", "llf"] == pytest.approx(table.loc["same", "llf"], abs=1e-6)
    n, k, llf = 180, table.loc["ar1", "npar"], table.loc["ar1", "llf"]
    assert k == 4
    aicc = -2.0 * llf + 2.0 * k + 2.0 * k * (k + 1) / (n - k - 1)  # Hurvich and Tsai (1989)
    assert table.loc["ar1", "aicc"] == pytest.approx(aicc)
    with pytest.raises(ranef.UnsupportedError, match="conditional AIC"):
        ranef.compare(models["gls"], models["mixed"], by="caic")
    with pytest.raises(ranef.UnsupportedError, match="gee"):
        ranef.compare(models["gls"], models["mixed"], by="qic")


def test_expected_log_density_and_its_differences_have_standard_errors(gpa):
    level = ranef.lmer("gpa ~ occasion + (1 | student)", gpa)
    slope = ranef.lmer("gpa ~ occasion + (occasion | student)", gpa)
    first, second = (
        ranef.cross_validate(m, folds=6, seed=1, progress=False) for m in (level, slope)
    )
    sums = first.rows["log_score"].groupby(gpa["student"]).sum()
    assert first.table["elpd"].iloc[0] == pytest.approx(sums.sum())
    assert first.table["elpd_se"].iloc[0] == pytest.approx(np.sqrt(30) * sums.std(ddof=1))
    other = second.rows["log_score"].groupby(gpa["student"]).sum()
    found = ranef.compare(level=first, slope=second)
    best = found.table.index[0]
    gap = (other - sums) if best == "level" else (sums - other)
    assert found.table["difference"].iloc[1] == pytest.approx(gap.sum())
    assert found.table["difference_se"].iloc[1] == pytest.approx(np.sqrt(30) * gap.std(ddof=1))
    assert found.table["difference"].iloc[0] == 0.0
    assert "standard error" in repr(found)
    assert "<table" in found._repr_html_()
    with pytest.raises(ranef.ModelError, match="different schemes"):
        ranef.compare(level=first, slope=ranef.cross_validate(slope))
    with pytest.raises(ranef.ModelError, match="not both"):
        ranef.compare(first, level)
    with pytest.raises(ranef.ModelError, match="two or more"):
        ranef.compare(first)
    cut = gpa.iloc[:120]
    short = ranef.cross_validate(
        ranef.lmer("gpa ~ occasion + (1 | student)", cut), folds=6, seed=1, progress=False
    )
    with pytest.raises(ranef.ModelError, match="different rows"):
        ranef.compare(first, short)


def test_folds_dealt_repeatedly_are_averaged(gpa):
    model = ranef.lmer("gpa ~ occasion + (1 | student)", gpa)
    found = ranef.cross_validate(model, folds=3, repeats=4, seed=2, progress=False)
    assert len(found.rows) == 4 * 180
    assert found.table["folds"].iloc[0] == 12
    each = found.rows.assign(time=found.rows["fold"] // 3).groupby("time")["log_score"].sum()
    assert found.table["elpd"].iloc[0] == pytest.approx(each.mean())
    assert "4 times" in repr(found)
    for repeats in (0, 1.5, True, "2"):
        with pytest.raises(ValueError, match="repeats"):
            ranef.cross_validate(model, folds=3, repeats=repeats)
    with pytest.raises(ValueError, match="repeats"):
        ranef.cross_validate(model, repeats=3)


def test_groups_may_be_any_column(gpa):
    model = ranef.gls("gpa ~ occasion", gpa, groups="student", time="occasion", corr="ar1")
    found = ranef.cross_validate(model, group="student", folds=5, seed=1, progress=False)
    assert (found.rows.groupby(gpa["student"])["fold"].nunique() == 1).all()
    with pytest.raises(ValueError, match="column of the data"):
        ranef.cross_validate(model, group="studnt", folds=5)
    plain = ranef.feols("gpa ~ occasion", gpa)
    with pytest.raises(ranef.ModelError, match="name a column"):
        ranef.cross_validate(plain, folds=5)
    assert len(ranef.cross_validate(plain, group="student", folds=5, progress=False).rows) == 180
