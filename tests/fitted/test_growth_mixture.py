"""Growth mixtures against densities that are written out, known limits and simulated classes."""

import pickle

import numpy as np
import pandas as pd
import pytest
import scipy

import ranef
from conftest import OPTIMUM
from ranef import _core

ROLES = {"time": "t", "groups": "id"}


def simulated(seed=0, shares=(0.6, 0.4), units=60, curves=((10.0, 0.2), (13.0, 1.3)), sd=0.0):
    """Rows of two classes of lines; some times are missed."""
    rng = np.random.default_rng(seed)
    k = rng.choice(len(shares), units, p=shares)
    t = np.tile(np.arange(6.0), units)
    g = np.repeat(np.arange(units), 6)
    beta = np.array(curves)[k][g]
    y = beta[:, 0] + beta[:, 1] * t + sd * rng.normal(size=units)[g] + rng.normal(size=len(t))
    d = pd.DataFrame({"id": [f"u{i:03d}" for i in g], "t": t, "y": y, "class": k[g]})
    return d[rng.uniform(size=len(d)) > 0.1].reset_index(drop=True)


@pytest.fixture(scope="module")
def overlapping():
    """Classes that no group is certain of."""
    return simulated(3, units=40, curves=((0.0, 0.0), (1.0, 0.5)), sd=0.8)


def dense_llf(d, shares, beta, sigma, psi):
    """Log-likelihood from multivariate normal densities."""
    total = 0.0
    starts = np.flatnonzero(d["id"].ne(d["id"].shift()).to_numpy())
    t, y = (np.split(d[name].to_numpy(), starts[1:]) for name in ("t", "y"))
    for at, values in zip(t, y, strict=True):
        X = np.vander(at, len(beta[0]), increasing=True)
        logs = []
        for share, b, s, p in zip(shares, beta, sigma, psi, strict=True):
            V = X[:, : len(p)] @ p @ X[:, : len(p)].T + s**2 * np.eye(len(X))
            left = values - X @ b
            logdet = np.linalg.slogdet(2.0 * np.pi * V)[1]
            logs.append(np.log(share) - 0.5 * (logdet + left @ np.linalg.solve(V, left)))
        total += np.logaddexp.reduce(logs)
    return total


@pytest.mark.parametrize("random", ["none", "intercept", "linear"])
def test_the_likelihood_is_that_of_the_densities(overlapping, random):
    model = ranef.growth_mixture("y", overlapping, random=random, **ROLES)
    r = {"none": 0, "intercept": 1, "linear": 2}[random]
    psi = [np.zeros((1, 1))] * 2 if not r else [v.to_numpy() for v in model.varcorr.values()]
    dense = dense_llf(overlapping, model.shares, model.params.to_numpy().T, model.sigma, psi)
    assert model.llf == pytest.approx(dense, abs=1e-8)
    assert model.npar == 1 + 4 + 2 * (1 + r * (r + 1) // 2)


@pytest.mark.parametrize("variances", ["free", "equal"])
def test_no_other_search_ends_higher(overlapping, variances):
    """A quasi-Newton search of the dense likelihood, begun beside the estimates."""
    model = ranef.growth_mixture("y", overlapping, random="intercept", variances=variances, **ROLES)
    free = variances == "free"

    def value(p):
        share = scipy.special.expit(p[0])
        sigma, tau = (np.exp(p[5:7]), p[7:9]) if free else (np.exp(p[[5, 5]]), p[[6, 6]])
        psi = [np.array([[a**2]]) for a in tau]
        return -dense_llf(overlapping, (share, 1 - share), p[1:5].reshape(2, 2), sigma, psi)

    tau = np.sqrt([v.iloc[0, 0] for v in model.varcorr.values()])
    sds = [*np.log(model.sigma), *tau] if free else [np.log(model.sigma[1]), tau[0]]
    at = np.array([scipy.special.logit(model.shares[1]), *model.params.to_numpy().T.ravel(), *sds])
    assert -value(at) == pytest.approx(model.llf, abs=1e-8)
    gradient = scipy.optimize.approx_fprime(at, value, 1e-6)
    assert np.abs(gradient).max() < 2e-3
    start = at + 0.05 * np.random.default_rng(0).normal(size=len(at))
    found = scipy.optimize.minimize(value, start, method="BFGS", options={"maxiter": 30})
    assert -found.fun < model.llf + 1e-6
    assert -found.fun == pytest.approx(model.llf, abs=1e-2)


def test_one_class_is_the_mixed_model():
    sleep = ranef.datasets.load("sleepstudy")
    roles = {"time": "Days", "groups": "Subject", "classes": 1}
    model = ranef.growth_mixture("Reaction", sleep, random="linear", **roles)
    lmer = ranef.lmer("Reaction ~ Days + (Days | Subject)", sleep, reml=False)
    assert model.llf == pytest.approx(lmer.llf, abs=1e-7)
    np.testing.assert_allclose(model.params[1], lmer.params, rtol=OPTIMUM)
    np.testing.assert_allclose(model.bse[1], lmer.bse, rtol=1e-4)
    np.testing.assert_allclose(model.varcorr[1], lmer.varcorr["Subject"], rtol=1e-3)
    assert model.entropy == 1.0
    plain = ranef.growth_mixture("Reaction", sleep, **roles)
    ols = ranef.feols("Reaction ~ Days", sleep)
    np.testing.assert_allclose(plain.params[1], ols.params, rtol=1e-10)
    assert plain.sigma[1] == pytest.approx(np.sqrt(np.mean(ols.resid**2)), rel=1e-8)


def test_counts_solve_their_score_equations():
    rng = np.random.default_rng(2)
    d = simulated(2)
    rate = np.exp(np.where(d["class"] == 1, 1.4 + 0.3 * d["t"], 0.6 + 0.05 * d["t"]))
    d["n"] = rng.poisson(rate)
    model = ranef.growth_mixture("n", d, family="poisson", **ROLES)
    mu = np.exp(
        model.params.loc["intercept"].to_numpy() + np.outer(d["t"], model.params.loc["slope"])
    )
    weight = model.posterior.loc[d["id"]].to_numpy()
    score = [
        weight * (d[["n"]].to_numpy() - mu) * x[:, None]
        for x in (1.0 + 0 * d["t"].to_numpy(), d["t"].to_numpy())
    ]
    assert np.abs([s.sum(axis=0) for s in score]).max() < 1e-3
    assert model.npar == 5
    assert model.sigma.empty
    logs = scipy.stats.poisson(mu).logpmf(d[["n"]].to_numpy())
    by = pd.DataFrame(logs).groupby(d["id"].to_numpy(), sort=False).sum().to_numpy()
    llf = scipy.special.logsumexp(by + np.log(model.shares.to_numpy()), axis=1).sum()
    assert model.llf == pytest.approx(llf, abs=1e-8)
    np.testing.assert_allclose(model.curves([2.0]), np.exp([model.params.T @ [1.0, 2.0]]))


def test_classes_are_recovered():
    d = simulated(5, units=100)
    model = ranef.growth_mixture("y", d, **ROLES)
    true = d.groupby("id", sort=False)["class"].first()
    assert (model.assigned.to_numpy() == true.to_numpy() + 1).mean() > 0.98
    assert list(model.posterior.index) == list(pd.unique(d["id"]))
    assert np.abs((model.params - np.array([[10.0, 13.0], [0.2, 1.3]])) / model.bse).max().max() < 3
    assert model.starts["best"] == model.starts["all"] == 50
    assert list(model.counts.index) == [1, 2]
    assert model.counts.sum() == 100
    assert model.certainty.min() > 0.95


def test_numbers_of_classes_side_by_side():
    several = ranef.growth_mixture("y", simulated(6, shares=(1.0,)), classes=(1, 2), **ROLES)
    assert several.best.classes == 1
    assert "one class is enough" in repr(several)
    two = ranef.growth_mixture("y", simulated(5), classes=[1, 2, 3], **ROLES)
    assert two.best.classes == 2
    table = two.table
    assert list(table.index) == [1, 2, 3]
    for k, model in two.models.items():
        assert table.loc[k, "bic"] == pytest.approx(
            -2 * model.llf + model.npar * np.log(model.nobs)
        )
        p = np.maximum(model.posterior.to_numpy(), 1e-300)
        assert model.icl == pytest.approx(model.bic - 2.0 * np.sum(p * np.log(p)))
    assert np.all(np.diff(table["llf"]) > -1e-6)


def test_the_bootstrap_ratio_tells_two_classes_from_one():
    one = ranef.growth_mixture("y", simulated(6, shares=(1.0,), units=40), **ROLES)
    found = one.bootstrap_test(39, starts=4, seed=1, progress=False)
    assert found.pvalue > 0.1
    assert found.pvalue == (1 + np.sum(found.simulated >= found.statistic)) / (
        1 + len(found.simulated)
    )
    two = ranef.growth_mixture("y", simulated(5, units=40), **ROLES)
    strong = two.bootstrap_test(19, starts=4, seed=1, progress=False)
    assert strong.pvalue == 1 / 20
    again = two.bootstrap_test(19, starts=4, seed=1, workers=3, progress=False)
    np.testing.assert_array_equal(again.simulated, strong.simulated)
    assert "2 classes against 1" in repr(strong)
    with pytest.raises(ValueError, match="fewer than one class"):
        two.update(classes=1).bootstrap_test(5)


def test_a_class_without_variance_is_never_the_best():
    """Three groups that lie on one line exactly: the likelihood has no bound there."""
    d = simulated(8, shares=(1.0,), units=30)
    exact = d["id"].isin(["u003", "u011", "u020"])
    d.loc[exact, "y"] = 9.0 + 0.5 * d["t"]
    model = ranef.growth_mixture("y", d, seed=1, **ROLES)
    assert model.starts["degenerate"] > 0
    assert model.sigma.min() > 0.1
    assert np.isfinite(model.llf)
    assert "degenerate" in str(model)
    equal = ranef.growth_mixture("y", d, variances="equal", **ROLES)
    assert equal.starts["degenerate"] == 0


def test_units_and_origins_do_not_matter():
    d = simulated(3, units=50, curves=((0.0, 0.0), (1.0, 0.5)))
    model = ranef.growth_mixture("y", d, random="intercept", **ROLES)
    other = d.assign(y=1e6 * d["y"] + 3e7, t=2008.0 + d["t"])
    moved = ranef.growth_mixture("y", other, random="intercept", **ROLES)
    assert moved.llf + len(d) * np.log(1e6) == pytest.approx(model.llf, abs=1e-6)
    np.testing.assert_allclose(
        moved.params.loc["slope"], 1e6 * model.params.loc["slope"], rtol=1e-4
    )
    np.testing.assert_allclose(moved.posterior, model.posterior, atol=1e-4)
    np.testing.assert_allclose(moved.bse.loc["slope"], 1e6 * model.bse.loc["slope"], rtol=1e-3)


def test_the_same_for_any_number_of_workers_and_after_pickling():
    d = simulated(5)
    models = [ranef.growth_mixture("y", d, workers=n, **ROLES) for n in (1, 3)]
    pd.testing.assert_frame_equal(models[0].params, models[1].params, rtol=0, atol=0)
    again = pickle.loads(pickle.dumps(models[0]))
    pd.testing.assert_frame_equal(again.bse, models[0].bse)
    assert "class 2: slope" in str(again)
    assert "<table" in again._repr_html_()
    assert models[0].update(shape="quadratic").npar == 9
    shuffled = d.sample(frac=1.0, random_state=1)
    assert ranef.growth_mixture("y", shuffled, **ROLES).llf == pytest.approx(models[0].llf)


def test_rows_with_missing_values_are_told():
    d = simulated(5)
    d.loc[3, "y"] = np.nan
    with pytest.warns(ranef.DroppedRowsWarning):
        model = ranef.growth_mixture("y", d, **ROLES)
    assert model.nobs == len(d) - 1


def test_hostile_input():
    d = simulated(5)
    for wrong in (0, 1.5, True, "two"):
        with pytest.raises(ValueError, match="classes must be a positive integer"):
            ranef.growth_mixture("y", d, classes=wrong, **ROLES)
    with pytest.raises(ranef.ModelError, match="need more than 60 groups"):
        ranef.growth_mixture("y", d, classes=60, **ROLES)
    with pytest.raises(ValueError, match="shape must be"):
        ranef.growth_mixture("y", d, shape="cubic", **ROLES)
    with pytest.raises(ValueError, match="has factors that shape"):
        ranef.growth_mixture("y", d, random="quadratic", **ROLES)
    with pytest.raises(ValueError, match="growth_mixture does not fit"):
        ranef.growth_mixture("y", d, family="binomial", **ROLES)
    with pytest.raises(ranef.UnsupportedError, match="random='none'"):
        ranef.growth_mixture("y", d.assign(y=1), family="poisson", random="linear", **ROLES)
    with pytest.raises(ranef.DataError, match="counts"):
        ranef.growth_mixture("y", d, family="poisson", **ROLES)
    with pytest.raises(ranef.DataError, match="more than once"):
        ranef.growth_mixture("y", pd.concat([d, d.iloc[[4]]]), **ROLES)
    with pytest.raises(ranef.DataError, match="in every row"):
        ranef.growth_mixture("y", d.assign(y=2.0), **ROLES)
    with pytest.raises(ranef.DataError, match="time is numeric"):
        ranef.growth_mixture("y", d.assign(t="t" + d["t"].astype(str)), **ROLES)
    with pytest.raises(ranef.ModelError, match="different times"):
        ranef.growth_mixture("y", d[d["t"] < 2.0], shape="quadratic", **ROLES)
    with pytest.raises(ranef.ModelError, match="without error"):
        ranef.growth_mixture("y", d.assign(y=3.0 + d["t"]), **ROLES)
    with pytest.raises(ranef.UnsupportedError, match="nothing varies"):
        ranef.growth_mixture("y", d, **ROLES).varcorr  # noqa: B018


def test_a_class_that_empties_is_told():
    """Two groups of rows and seven classes of counts: no start keeps them all apart."""
    d = simulated(9, units=12)
    with pytest.raises(ranef.ModelError, match=r"no start of 6 kept 9 classes"):
        ranef.growth_mixture("y", d, classes=9, starts=6, **ROLES)


def test_a_figure_has_a_curve_for_each_class():
    pyplot = pytest.importorskip("matplotlib.pyplot")
    d = simulated(5)
    model = ranef.growth_mixture("y", d, **ROLES)
    axis = model.plot(most=10)
    texts = [text.get_text() for text in axis.get_legend().get_texts()]
    assert texts == [f"class {k} ({share:.0%})" for k, share in model.shares.items()]
    several = ranef.growth_mixture("y", d, classes=(1, 2), **ROLES)
    line = several.plot().lines[0]
    np.testing.assert_allclose(line.get_ydata(), several.table["bic"])
    pyplot.close("all")


def test_the_core_refuses_arrays_that_do_not_fit():
    X, y = np.asfortranarray(np.ones((6, 1))), np.arange(6.0)
    team = _core.Team(1)
    with pytest.raises(ValueError, match="span"):
        _core.Mixture(X, y, [0, 3], 2)
    with pytest.raises(ValueError, match="not increasing"):
        _core.Mixture(X, y, [0, 3, 3, 6], 2)
    core = _core.Mixture(X, y, [0, 3, 6], 2)
    with pytest.raises(ValueError, match="no such class"):
        core.fit(np.asfortranarray([[2], [0]], np.int32), team)
    with pytest.raises(ValueError, match="not one row a unit"):
        core.fit(np.zeros((3, 1), np.int32, order="F"), team)
    with pytest.raises(ValueError, match="not one value a parameter"):
        core.density(np.zeros(3))
