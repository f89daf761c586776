"""What follows a generalised fit of any kind, against brute force and known limits."""

import warnings

import numpy as np
import pandas as pd
import pytest
import scipy

import ranef

CBPP = "cbind(incidence, size - incidence) ~ period + (1 | herd)"


@pytest.fixture(scope="module")
def cbpp():
    return ranef.datasets.load("cbpp")


@pytest.fixture(scope="module")
def model(cbpp):
    return ranef.glmer(CBPP, cbpp, family="binomial")


@pytest.fixture(scope="module")
def counts():
    rng = np.random.default_rng(3)
    g = np.repeat(np.arange(20), 10)
    x = rng.normal(size=g.size)
    mean = np.exp(0.8 + 0.4 * x + 0.6 * rng.normal(size=20)[g])
    y = rng.negative_binomial(2.0, 2.0 / (2.0 + mean))
    zeros = np.where(rng.random(g.size) < 0.3, 0, rng.poisson(3.0 * mean))
    o = np.digitize(0.8 * x + 1.2 * rng.normal(size=20)[g] + rng.logistic(size=g.size), [-0.5, 1.0])
    site = np.char.add("s", (g % 5).astype(str))
    return pd.DataFrame({"g": g.astype(str), "site": site, "x": x, "y": y, "z": zeros, "o": o})


@pytest.fixture(scope="module")
def models(cbpp, model, counts):
    return {
        "binomial": model,
        "poisson": ranef.glmer("y ~ x + (1 | g)", counts, family="poisson"),
        "negative_binomial": ranef.glmer("y ~ x + (1 | g)", counts, family="negative_binomial"),
        "zeros": ranef.glmer("z ~ x + (1 | g)", counts, family="poisson", zero="~ 1"),
        "ordinal": ranef.clmm("o ~ x + (1 | g)", counts),
    }


KINDS = pytest.mark.parametrize(
    "kind", ["binomial", "poisson", "negative_binomial", "zeros", "ordinal"]
)


def log_likelihood_of_herds(cbpp, parameters):
    """Log-likelihood of each herd by 80-point quadrature of its own, (herds,)."""
    *beta, sd = parameters
    nodes, weights = np.polynomial.hermite_e.hermegauss(80)
    X = np.column_stack([np.ones(len(cbpp)), *(cbpp["period"] == p for p in "234")])
    out = []
    for herd in cbpp["herd"].unique():
        own = (cbpp["herd"] == herd).to_numpy()
        eta = (X[own] @ np.array(beta))[:, None] + sd * nodes
        y, m = cbpp["incidence"].to_numpy()[own], cbpp["size"].to_numpy()[own]
        rows = scipy.stats.binom.logpmf(y[:, None], m[:, None], scipy.special.expit(eta))
        out.append(scipy.special.logsumexp(rows.sum(axis=0), b=weights / weights.sum()))
    return np.array(out)


def test_the_sandwich_is_that_of_the_likelihood_by_clusters(cbpp):
    """CR0 from differences of the marginal likelihood, integrated anew, with no part of ranef."""
    model = ranef.glmer(CBPP, cbpp, family="binomial", nagq=25)
    at = np.r_[model.params, float(model.theta.iloc[0])]
    h = 1e-4

    def moved(*steps):
        x = at.copy()
        for j, size in steps:
            x[j] += size
        return log_likelihood_of_herds(cbpp, x)

    k = len(at)
    scores = np.column_stack([(moved((j, h)) - moved((j, -h))) / (2 * h) for j in range(k)])
    H = np.zeros((k, k))
    for i in range(k):
        for j in range(k):
            parts = [a * b * moved((i, a * h), (j, b * h)).sum() for a in (1, -1) for b in (1, -1)]
            H[i, j] = -sum(parts) / (4 * h * h)
    V = np.linalg.inv(H)
    expected = np.sqrt(np.diag(V @ scores.T @ scores @ V))[:-1]
    np.testing.assert_allclose(model.robust("CR0").bse, expected, rtol=1e-3)
    many = len(scores) / (len(scores) - 1.0)
    np.testing.assert_allclose(model.robust("CR1").bse, expected * np.sqrt(many), rtol=1e-3)


@KINDS
def test_cr3_is_close_to_the_jackknife_and_larger_than_the_others(models, kind):
    model = models[kind]
    errors = {name: model.robust(name).bse for name in ("CR0", "CR1", "CR2", "CR3")}
    assert (errors["CR0"] < errors["CR2"]).all()
    assert (errors["CR2"] < errors["CR3"]).all()
    left = model.influence(refit=True).dfbeta
    jackknife = np.sqrt((left**2).sum())
    np.testing.assert_allclose(errors["CR3"][left.columns], jackknife, rtol=0.25)


@KINDS
def test_deletions_in_one_step_are_close_to_refits(models, kind):
    model = models[kind]
    near, far = model.influence(), model.influence(refit=True)
    assert near.table["leverage"].sum() == pytest.approx(model.npar, rel=1e-3)
    both = near.params.loc[far.params.index]
    moved = (both - far.params) / model.bse[both.columns]
    assert np.abs(moved).max().max() < 0.2
    assert far.top(1)[0] in near.top(3)


def test_a_deletion_is_the_fit_to_the_other_rows(models, counts):
    model = models["poisson"]
    far = model.influence(refit=True)
    alone = ranef.glmer("y ~ x + (1 | g)", counts[counts["g"] != "7"], family="poisson")
    np.testing.assert_allclose(far.params.loc["7"], alone.params, rtol=1e-6)


def test_groups_that_are_not_clusters(models, counts):
    rng = np.random.default_rng(8)
    site = rng.integers(0, 8, len(counts))
    counts = counts.assign(site=site, y=rng.poisson(counts["y"] * np.exp(rng.normal(size=8)[site])))
    model = ranef.glmer("y ~ x + (1 | g) + (1 | site)", counts, family="poisson")
    by_row = model.influence("rows")
    assert len(by_row.table) == len(counts)
    worst = by_row.top(1)[0]
    rest = ranef.glmer("y ~ x + (1 | g) + (1 | site)", counts.drop(index=worst), family="poisson")
    np.testing.assert_allclose(by_row.params.loc[worst], rest.params, atol=0.03)
    crossed = ranef.glmer("y ~ x + (1 | g)", counts.assign(h=counts.index % 7), family="poisson")
    with pytest.raises(ranef.ModelError, match="nested"):
        crossed.robust("CR0", cluster="h")


def test_a_group_without_which_nothing_can_be_fitted():
    """All successes are in one group: without it there is nothing to explain."""
    y = np.zeros(60)
    y[:6] = 1.0
    g = np.repeat(list("abcdef"), 10)
    d = pd.DataFrame({"y": y, "g": g, "x": np.random.default_rng(1).normal(size=60)})
    model = ranef.glmer("y ~ x + (1 | g)", d, family="binomial")
    found = model.influence(refit=True)
    assert found.params.loc["a"].isna().all()
    assert found.params.drop(index="a").notna().all(axis=None)


@KINDS
def test_ranova_compares_with_the_model_without_the_term(models, kind):
    table = models[kind].ranova()
    assert table["npar"].tolist() == [models[kind].npar, models[kind].npar - 1]
    assert table["chisq"].iloc[1] > 0.0


def test_ranova_of_known_models(model):
    # R 4.2.2: logLik(glm(cbind(incidence, size - incidence) ~ period, binomial, cbpp)) -99.02933;
    # logLik(clm(rating ~ temp + contact, data = wine)) -86.49192
    assert model.ranova()["llf"].iloc[1] == pytest.approx(-99.02933, abs=2e-4)


@KINDS
def test_the_bootstrap_counts_what_fails_and_can_be_repeated(models, kind):
    model = models[kind]
    found = model.bootstrap(6, seed=4, progress=False)
    assert list(found.replicates.columns) == list(model.parts.numbers())
    again = model.bootstrap(6, seed=4, workers=2, progress=False)
    pd.testing.assert_frame_equal(found.replicates, again.replicates)
    own = model.bootstrap(3, seed=1, statistic=lambda m: m.llf, progress=False)
    assert own.estimate["statistic"] == pytest.approx(model.llf)
    with pytest.raises(ranef.UnsupportedError, match="parametric"):
        model.bootstrap(5, "wild")


def test_a_bootstrap_whose_fits_fail_says_so():
    """Draws without a category cannot be fitted by the same model."""
    o = np.tile([0, 0, 0, 0, 0, 1, 1, 1, 1, 1], 6)
    o[3] = 2
    d = pd.DataFrame({"o": o, "g": np.repeat(np.arange(6), 10), "x": np.arange(60) % 7})
    with pytest.warns(ranef.SingularFitWarning):
        model = ranef.clmm("o ~ x + (1 | g)", d)
    found = model.bootstrap(12, seed=1, progress=False)
    assert 0 < found.failed < 12
    assert "categories" in found.message
    assert found.replicates.isna().all(axis=1).sum() == found.failed


def test_intervals_by_the_bootstrap_of_every_parameter(models):
    wide = models["binomial"].conf_int("boot", n=20, seed=1, progress=False)
    assert list(wide.index[:2]) == ["sd_Intercept|herd", "Intercept"]


# ------------------------------------------------------------------ means over levels


@KINDS
def test_integrated_means_are_those_of_many_simulated_levels(models, kind):
    model = models[kind]
    draws = model.simulate(3000, seed=2)
    found = model.predict(random="integrate")
    if kind == "ordinal":
        shares = np.stack([(draws == j).mean(axis=1) for j in range(3)], axis=1)
        assert np.abs(shares - found.to_numpy()).max() < 0.06
        assert np.abs(shares - found.to_numpy()).mean() < 0.01
        np.testing.assert_allclose(found.sum(axis=1), 1.0, rtol=1e-12)
        return
    assert np.mean(draws) == pytest.approx(np.mean(found), rel=0.03)
    assert (np.abs(draws.mean(axis=1) - found) < 5.0 * draws.std(axis=1) / np.sqrt(3000)).all()


def test_an_integrated_mean_of_counts_has_a_closed_form(models, counts):
    model = models["poisson"]
    half = 0.5 * float(model.varcorr["g"].iloc[0, 0])
    found = model.predict(counts.head(5), random="integrate")
    np.testing.assert_allclose(
        found, model.predict(counts.head(5), random="none") * np.exp(half), rtol=1e-9
    )
    with pytest.raises(ranef.UnsupportedError, match="bootstrap"):
        model.predict(random="integrate", interval="confidence")


def test_an_integrated_mean_of_random_zeros_and_slopes(counts):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ranef.RanefWarning)
        model = ranef.glmer("z ~ x + (x | g)", counts, family="poisson", zero="~ 1 + (1 | site)")
    draws = model.simulate(4000, seed=3)
    found = model.predict(random="integrate")
    assert (np.abs(draws.mean(axis=1) - found) < 5.0 * draws.std(axis=1) / np.sqrt(4000)).all()


# ------------------------------------------------------------------ units


@KINDS
def test_other_units_are_the_same_model(models, kind):
    model = models[kind]
    if kind == "binomial":
        with pytest.raises(ranef.DataError, match="no units"):
            model.in_units(when="2 * period")
        return
    again = model.in_units(w="100 + x / 8")
    assert again.llf == pytest.approx(model.llf, abs=1e-6)
    assert again.params["w"] == pytest.approx(8.0 * model.params["x"], rel=1e-4)
    with pytest.raises(ValueError, match="nothing to convert"):
        model.in_units(w="2 * nothing")


def test_units_in_which_the_model_means_something_else(counts):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ranef.RanefWarning)
        model = ranef.glmer("y ~ x + (0 + x | g)", counts, family="poisson")
    with pytest.raises(ranef.ModelError, match="something else"):
        model.in_units(w="x + 5")


# ------------------------------------------------------------------ comparisons and second opinions


def test_the_conditional_aic_of_counts_and_of_shares():
    rng = np.random.default_rng(4)
    g = np.repeat(np.arange(8), 6)
    d = pd.DataFrame({"g": g, "y": rng.poisson(np.exp(1.0 + 0.5 * rng.normal(size=8)[g]))})
    model = ranef.glmer("y ~ 1 + (1 | g)", d, family="poisson")
    found = model.caic(progress=False)
    # brute force: the same sum by refits from the beginning
    df = 0.0
    for i in np.flatnonzero(d["y"] > 0):
        less = d["y"].to_numpy(dtype=float).copy()
        less[i] -= 1.0
        df += d["y"][i] * (model.parts.estimate.eta[i] - model.refit(less).parts.estimate.eta[i])
    assert found.df == pytest.approx(df, abs=1e-4)
    assert found.cll == pytest.approx(
        scipy.stats.poisson.logpmf(d["y"], model.fittedvalues).sum(), rel=1e-9
    )
    assert 1.0 < found.df < 9.0
    with pytest.raises(ranef.UnsupportedError, match="negative binomial"):
        ranef.glmer("y ~ 1 + (1 | g)", d.assign(y=d["y"] ** 2), family="negative_binomial").caic()


def test_the_conditional_aic_of_trials_is_that_of_the_single_ones():
    rng = np.random.default_rng(6)
    g = np.repeat(np.arange(6), 2)
    p = scipy.special.expit(1.0 * rng.normal(size=6)[g])
    d = pd.DataFrame({"g": g, "a": rng.binomial(5, p)}).assign(b=lambda d: 5 - d["a"])
    rows = [
        {"g": row.g, "y": float(k < row.a)} for row in d.itertuples(index=False) for k in range(5)
    ]
    whole = ranef.glmer("cbind(a, b) ~ 1 + (1 | g)", d, family="binomial").caic(progress=False)
    single = ranef.glmer("y ~ 1 + (1 | g)", pd.DataFrame(rows), family="binomial")
    assert whole.df == pytest.approx(single.caic(progress=False).df, abs=1e-4)


@KINDS
def test_other_searches_find_the_same_optimum(models, kind):
    model = models[kind]
    table = ranef.all_fit(model, ["ranef", "L-BFGS-B"]).table
    assert (table["above_best"] < 1e-5).all()
    found = ranef.multistart(model, n=3)
    assert found.reached == 1.0
    assert found.criterion == pytest.approx(-2.0 * model.llf)
    assert ranef.converge(model).model is model


@KINDS
def test_a_search_that_stopped_is_brought_to_its_end(models, counts, cbpp, kind):
    model = models[kind]
    data = cbpp if kind == "binomial" else counts
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ranef.RanefWarning)
        short = model.update(data=data, control=ranef.Control(max_steps=1))
    trail = ranef.converge(short)
    assert trail.model.llf == pytest.approx(model.llf, abs=1e-5)


@KINDS
def test_how_far_standard_deviations_are_off(models, kind):
    table = ranef.bias_check(models[kind], n=8, progress=False)
    assert list(table.columns) == ["estimate", "mean", "monte_carlo", "ratio", "zero", "corrected"]
    assert len(table) == 1


@KINDS
def test_a_bootstrap_test_of_nested_models(models, counts, cbpp, kind):
    model = models[kind]
    small = model.update(". ~ . - period" if kind == "binomial" else ". ~ . - x")
    found = ranef.pbtest(model, small, n=9, seed=1, progress=False)
    assert found.statistic == pytest.approx(2.0 * (model.llf - small.llf), rel=1e-6)
    assert found.table["draws"].item() == 9
    with pytest.raises(ranef.ModelError, match="larger model first"):
        ranef.pbtest(small, model, n=9)


def test_what_does_not_know_related_levels_says_so(counts):
    levels = pd.Index(counts["g"].unique())
    A = pd.DataFrame(0.5 * np.eye(len(levels)) + 0.5, index=levels, columns=levels)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ranef.RanefWarning)
        model = ranef.glmer("y ~ x + (1 | g)", counts, family="poisson", covariance={"g": A})
    for call in (model.robust, model.influence, model.ranova):
        with pytest.raises(ranef.UnsupportedError, match="known covariance"):
            call()
    with pytest.raises(ranef.UnsupportedError, match="simulate"):
        model.predict(random="integrate")


def test_influence_of_the_group_that_holds_all_successes():
    """Nothing can be fitted without it: unknown, not zero."""
    rng = np.random.default_rng(1)
    d = pd.DataFrame({"g": np.repeat(np.arange(8), 10), "x": rng.normal(size=80)})
    d["won"] = ((d["g"] == 0) & (rng.random(80) < 0.6)).astype(int)
    model = ranef.glmer("won ~ x + (1 | g)", d, family="binomial")
    for refit in (False, True):
        table = model.influence(refit=refit).table
        assert table.loc[[0], ["cooks_distance", "covratio"]].isna().all(axis=None)
        assert np.isfinite(table.drop(index=0)).all(axis=None)
        assert table["leverage"].idxmax() == 0
