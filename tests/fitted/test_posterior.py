"""Posteriors of models: against quadrature, and what they refuse."""

import pickle
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import scipy

import ranef
from ranef.fitted.posterior import prepare

HALF, POINT = ranef.HalfT(3, 0, 60), ranef.Point(25.0)
SLEEP = {
    "Subject": ranef.HalfT(3, 0, {"Intercept": 60, "Days": 20}),
    "correlation": ranef.LKJ(2),
    "residual": HALF,
    "fixed": ranef.Normal(sd={"Intercept": 100, "Days": 50}, mean={"Intercept": 250, "Days": 0}),
}
#: Means and standard deviations by quadrature over the four covariance parameters with NumPy and
#: SciPy, exact to 1e-3 posterior standard deviations.
SLEEP_MOMENTS = {
    "Intercept": (251.4041, 7.4365),
    "Days": (10.4552, 1.7135),
    "sd_Intercept|Subject": (26.9018, 6.7679),
    "cor_Intercept.Days|Subject": (0.0700, 0.2732),
    "sd_Days|Subject": (6.5256, 1.4847),
    "sigma": (25.8924, 1.5509),
}
SLEEP_EFFECTS = {("308", "Days"): (9.2010, 2.8757), ("309", "Intercept"): (-40.0526, 14.4538)}


@pytest.fixture(scope="module")
def sleep():
    data = ranef.datasets.load("sleepstudy")
    return ranef.lmer("Reaction ~ Days + (1 + Days | Subject)", data)


@pytest.fixture(scope="module")
def posterior(sleep):
    return sleep.sample(1000, seed=4, prior=SLEEP)


def close(table, moments, ess):
    """Whether means and standard deviations are within 4.5 Monte Carlo errors."""
    for name, (mean, sd) in moments.items():
        assert abs(table.loc[name, "mean"] - mean) < 4.5 * sd / np.sqrt(ess), name
        assert abs(table.loc[name, "sd"] / sd - 1.0) < 9.0 / np.sqrt(ess), name


def test_moments_are_those_of_quadrature(posterior):
    table = posterior.table()
    assert list(table.columns) == ["mean", "sd", "lower", "median", "upper", "rhat", "ess"]
    assert list(table.index) == list(SLEEP_MOMENTS)
    assert (table["ess"] > 2000).all()
    assert posterior.reliable
    close(table, SLEEP_MOMENTS, 2000)


def test_random_effects_are_those_of_quadrature(posterior):
    effects = posterior.ranef()
    for (level, column), (mean, sd) in SLEEP_EFFECTS.items():
        frame = effects["Subject"]
        at, j = frame.index.get_loc(level), list(frame.columns).index(column)
        assert abs(frame.iloc[at, j] - mean) < 4.5 * sd / np.sqrt(4000)
        assert np.sqrt(effects.cov["Subject"][at, j, j]) == pytest.approx(sd, rel=0.05)


@pytest.mark.filterwarnings("ignore::ranef.ConvergenceWarning")
def test_a_binomial_posterior_is_that_of_importance_sampling():
    """Moments by importance sampling with 2^19 Sobol points and adaptive quadrature (NumPy)."""
    cbpp = ranef.datasets.load("cbpp")
    model = ranef.glmer(
        "cbind(incidence, size - incidence) ~ period + (1 | herd)", cbpp, family="binomial"
    )
    others = [name for name in model.params.index if name != "Intercept"]
    normal = ranef.Normal(sd={"Intercept": 5.0, **dict.fromkeys(others, 2.5)})
    prior = {"herd": ranef.HalfT(3, 0, 2.5), "fixed": normal}
    found = model.sample(300, chains=2, warmup=300, seed=2, prior=prior)
    moments = dict(
        zip(
            ["Intercept", *others, "sd_Intercept|herd"],
            [
                (-1.4306, 0.2624),
                (-0.9751, 0.3077),
                (-1.1142, 0.3277),
                (-1.5711, 0.4277),
                (0.7616, 0.2255),
            ],
            strict=True,
        )
    )
    table = found.table()
    close(table, moments, table["ess"].min())
    effects = found.ranef()
    assert effects["herd"].loc["1"].iloc[0] == pytest.approx(0.6022, abs=0.1)
    assert np.sqrt(effects.cov["herd"][0, 0, 0]) == pytest.approx(0.4167, rel=0.18)


def test_the_same_seed_gives_the_same_draws(sleep, posterior):
    again = sleep.sample(1000, seed=4, prior=SLEEP)
    pd.testing.assert_frame_equal(again.draws, posterior.draws)
    other = sleep.sample(1000, seed=5, prior=SLEEP)
    assert not np.allclose(other.draws, posterior.draws)


def test_it_can_be_pickled(posterior):
    other = pickle.loads(pickle.dumps(posterior))
    pd.testing.assert_frame_equal(other.table(), posterior.table())
    pd.testing.assert_frame_equal(other.ranef()["Subject"], posterior.ranef()["Subject"])


def test_it_prints_its_priors_and_a_verdict(posterior):
    text = repr(posterior)
    assert "LKJ(eta=2)" in text
    assert "The chains agree" in text
    assert "<table" in posterior._repr_html_()


WRONG = [
    ({"Group": HALF}, ranef.ModelError, "grouping factors"),
    ({"Subject": ranef.HalfT(3, 0, {"Intercept": 1.0})}, ranef.ModelError, "no scale for 'Days'"),
    (
        {"Subject": ranef.HalfT(3, 0, {"Intercept": 1.0, "Days": 1.0, "x": 1.0})},
        ranef.ModelError,
        "'x'",
    ),
    ({"Subject": 3.0}, ValueError, "HalfT"),
    ({"Subject": ranef.HalfT}, ValueError, "HalfT"),
    ({"fixed": HALF}, ValueError, "Normal"),
    ({"fixed": ranef.Normal(sd={"x": 1.0})}, ranef.ModelError, "'x'"),
    ({"correlation": HALF}, ValueError, "LKJ"),
    ({"correlation": ranef.LKJ(2), "random": ranef.InverseWishart(4)}, ranef.ModelError, "whole"),
    ({"residual": ranef.LKJ(2)}, ValueError, "residual"),
    ({"residual": ranef.HalfT(3, 0, {"a": 1.0})}, ValueError, "one scale"),
    ({"residual": ranef.Point("a")}, ValueError, "Point"),
    ({"dispersion": HALF}, ranef.ModelError, "dispersion"),
    (3.0, ValueError, "mapping"),
    ("strong", ValueError, "weak"),
]


@pytest.mark.parametrize(("prior", "error", "words"), WRONG)
def test_a_prior_that_does_not_fit_is_refused(sleep, prior, error, words):
    with pytest.raises(error, match=words):
        sleep.sample(10, seed=1, prior=prior)


@pytest.mark.parametrize(
    "arguments",
    [{"draws": 0}, {"draws": 1.5}, {"chains": 0}, {"warmup": -1}, {"draws": True}, {"seed": "a"}],
)
def test_settings_are_checked(sleep, arguments):
    with pytest.raises(ValueError, match=next(iter(arguments))):
        sleep.sample(**{"seed": 1, **arguments})


@pytest.mark.parametrize(
    "values", [(0, 0, 1), (3, np.inf, 1), (3, 0, 0), (3, 0, -1), ("a", 0, 1), (3, 0, {"a": 0})]
)
def test_a_half_t_is_checked(values):
    with pytest.raises(ValueError, match="HalfT"):
        ranef.HalfT(*values)


def test_two_groups_and_a_flat_prior_are_improper():
    rng = np.random.default_rng(1)
    data = pd.DataFrame({"g": np.repeat(["a", "b"], 8), "y": rng.normal(size=16)})
    data["y"] += 2.0 * (data["g"] == "b")
    model = ranef.lmer("y ~ 1 + (1 | g)", data)
    with pytest.raises(ranef.ModelError, match=r"sd_Intercept\|g grows"):
        model.sample(50, seed=1, prior={"g": None})
    assert model.sample(200, seed=1).table().loc["sd_Intercept|g", "mean"] > 0.0


def test_too_few_draws_are_told(sleep):
    with pytest.warns(ranef.ConvergenceWarning, match="Too few|Coarse|Not to be used"):
        sleep.sample(3, chains=1, seed=1, prior=SLEEP)


@pytest.fixture(scope="module")
def counts():
    rng = np.random.default_rng(2)
    g = np.repeat(np.arange(8), 10)
    data = pd.DataFrame({"x": rng.normal(size=80), "g": g.astype(str)})
    mu = np.exp(0.8 + 0.4 * data["x"] + rng.normal(0.0, 0.5, 8)[g])
    data["k"] = rng.poisson(mu) * (rng.random(80) < 0.75)
    model = ranef.glmer("k ~ x + (1 | g)", data, family="poisson", zero="~ 1")
    return data, model


@pytest.mark.filterwarnings("ignore::ranef.ConvergenceWarning")
def test_a_model_of_several_parts_has_a_posterior(counts):
    data, model = counts
    found = model.sample(150, chains=2, warmup=150, seed=1)
    table = found.table()
    assert list(table.index) == ["Intercept", "x", "zero:Intercept", "sd_Intercept|g"]
    # under weak priors close to the fit, in units of its errors
    assert abs(table.loc["x", "mean"] - model.params["x"]) < model.bse["x"]
    zero = model.zero_params["Intercept"]
    assert abs(table.loc["zero:Intercept", "mean"] - zero) < 2.0 * table.loc["zero:Intercept", "sd"]
    mean = found.predict()
    assert np.corrcoef(mean, model.predict())[0, 1] > 0.98
    assert found.simulate(5, seed=1).shape == (80, 5)
    assert (found.loo().pointwise["pareto_k"] < 0.7).mean() > 0.9
    assert found.ranef()["g"].shape == (8, 1)
    with pytest.raises(ranef.UnsupportedError, match="new rows"):
        found.predict(data, interval="prediction")


def test_the_prior_of_a_dispersion_moves_with_the_unit_of_the_response():
    rng = np.random.default_rng(3)
    d = pd.DataFrame({"g": np.arange(60) % 6, "x": rng.normal(size=60)})
    d["y"] = rng.normal(0.0, np.exp(0.5 * d["x"])) + rng.normal(size=6)[d["g"]]
    means = []
    for unit in (1.0, 1e6):
        model = ranef.glmer(
            "y ~ x + (1 | g)", d.assign(y=unit * d["y"]), family="gaussian", dispersion="~ x"
        )
        parts = model.parts
        found = prepare.other_parts(parts, parts.plan, SimpleNamespace(residual=None), False, {})
        means.append([one.mean for one in found])
    np.testing.assert_allclose(np.subtract(*means[::-1]), [np.log(1e6), 0.0], atol=1e-9)


def test_predictions_hold_everything_uncertain(sleep, posterior):
    data = ranef.datasets.load("sleepstudy")
    got = posterior.predict(data, interval="prediction", level=0.9)
    own = sleep.predict(data, interval="prediction", level=0.9)
    np.testing.assert_allclose(got["mean"], own["mean"], atol=2.5)
    width, other = got["upper"] - got["lower"], own["upper"] - own["lower"]
    assert 0.97 < float((width / other).median()) < 1.1
    new = pd.DataFrame({"Days": [5.0], "Subject": ["none such"]})
    wide = posterior.predict(new, interval="confidence", new_levels="population").iloc[0]
    known = posterior.predict(data.iloc[[5]], interval="confidence").iloc[0]
    assert wide["upper"] - wide["lower"] > 2.0 * (known["upper"] - known["lower"])
    with pytest.raises(ranef.DataError):
        posterior.predict(new)
    frame = posterior.predict(data.head(3), random="none", interval="confidence")
    beta = posterior.draws[["Intercept", "Days"]].to_numpy()
    assert frame["mean"].iloc[2] == pytest.approx(float((beta @ [1.0, 2.0]).mean()))


def exact_left_out(data, parts):
    """Log density of each part given the others, dense, by a grid over both sds."""
    X = np.column_stack([np.ones(len(data)), data["x"]])
    Z = (data["g"].to_numpy()[:, None] == np.unique(data["g"])).astype(float)
    grid = np.linspace(-4.0, 3.5, 30)
    whole, without = [], []
    for a in grid:
        for b in grid:
            sds = np.exp([a, b])
            prior = scipy.stats.t.logpdf(sds / 2.5, 3).sum() + a + b
            V = sds[0] ** 2 * Z @ Z.T + sds[1] ** 2 * np.eye(len(data))
            V += X @ np.diag([25.0, 6.25]) @ X.T
            r = data["y"].to_numpy() - 10.0
            whole.append(prior + log_normal(r, V))
            without.append([prior + log_normal(r[k], V[np.ix_(k, k)]) for k in parts])
    return scipy.special.logsumexp(whole) - scipy.special.logsumexp(without, axis=0)


def log_normal(r, V):
    L = np.linalg.cholesky(V)
    z = np.linalg.solve(L, r)
    return -0.5 * z @ z - np.log(np.diag(L)).sum() - 0.5 * len(r) * np.log(2.0 * np.pi)


def test_leave_one_out_is_that_of_exact_quadrature():
    rng = np.random.default_rng(6)
    g = np.repeat(np.arange(4), 4)
    data = pd.DataFrame({"x": rng.normal(size=16), "g": g.astype(str)})
    data["y"] = 10.0 + rng.normal(0.0, 1.5, 4)[g] + rng.normal(0.0, 1.0, 16)
    model = ranef.lmer("y ~ x + (1 | g)", data)
    normal = ranef.Normal(sd={"Intercept": 5.0, "x": 2.5}, mean={"Intercept": 10.0})
    half = ranef.HalfT(3, 0, 2.5)
    found = model.sample(seed=3, prior={"g": half, "residual": half, "fixed": normal})
    rows = [np.delete(np.arange(16), i) for i in range(16)]
    levels = [np.flatnonzero(g != level) for level in range(4)]
    want = exact_left_out(data, [*rows, *levels])
    np.testing.assert_allclose(found.loo().pointwise["elpd_loo"], want[:16], atol=0.06)
    np.testing.assert_allclose(found.loo("g").pointwise["elpd_loo"], want[16:], atol=0.12)
    assert 3.0 < found.loo().p_loo < 7.0  # two standard deviations, four effects, two coefficients
    with pytest.raises(ValueError, match="group must be"):
        found.loo("h")


def test_anything_else_is_derived(posterior):
    found = posterior.derive(lambda m: m.r2().marginal, 60)
    assert 0.1 < found.loc["statistic", "mean"] < 0.5
    means = posterior.derive(lambda m: m.params, 60)
    draws = posterior.draws[["Intercept", "Days"]]
    assert means.loc["Days", "mean"] == pytest.approx(draws["Days"].mean(), abs=0.7)
    with pytest.raises(ValueError, match="draws"):
        posterior.derive(lambda m: 1.0, 0)


def test_ranks_are_probabilities(posterior):
    ranks = posterior.ranks(column="Days")
    assert ranks["first"].sum() == pytest.approx(1.0)
    assert ranks["mean"].mean() == pytest.approx(9.5)
    assert ranks["mean"].idxmin() == "308"
    with pytest.raises(ValueError, match="column must be"):
        posterior.ranks(column="x")


def test_arviz_takes_the_draws(posterior):
    data = posterior.to_arviz()
    assert data.posterior["ranef|Subject"].shape == (4, 1000, 18, 2)
    assert data.log_likelihood["Reaction"].shape == (4, 1000, 180)
    mean = float(data.posterior["Days"].mean())
    assert mean == pytest.approx(posterior.table().loc["Days", "mean"])


def test_a_missing_extra_is_told_with_its_command(monkeypatch):
    from ranef.inference.posterior import extras

    monkeypatch.setattr(extras, "import_module", _missing)
    with pytest.raises(ImportError, match=r"pip install 'ranef\[bayes\]'"):
        extras.array_stats()


def _missing(name):
    raise ImportError(name)


def test_cross_products_have_a_posterior_without_rows(posterior):
    data = ranef.datasets.load("sleepstudy")
    model = ranef.lmer("Reaction ~ Days + (1 + Days | Subject)", iter([data[:100], data[100:]]))
    found = model.sample(1000, seed=4, prior=SLEEP)
    close(found.table(), SLEEP_MOMENTS, 2000)
    assert found.ranef()["Subject"].shape == (18, 2)
    with pytest.raises(ranef.UnsupportedError, match="rows"):
        found.predict()


def test_figures_are_drawn(posterior):
    from matplotlib import pyplot

    assert len(posterior.plot.trace(["Days", "sigma"]).axes) == 2
    assert len(posterior.plot.density().axes) == 6
    assert len(posterior.plot.intervals().get_yticklabels()) == 5
    assert "replicates" in [t.get_text() for t in posterior.plot.ppc(seed=1).get_legend().texts]
    with pytest.raises(ValueError, match="no parameter"):
        posterior.plot.trace(["x"])
    pyplot.close("all")


def test_calibration_of_an_intercept_model():
    """Ranks of the truth among draws are uniform where data come from the prior."""
    rng, ranks = np.random.default_rng(11), []
    half = ranef.HalfT(3, 0, 1.0)
    prior = {
        "random": half,
        "residual": half,
        "fixed": ranef.Normal(sd={"Intercept": 2.0}),
    }
    g = np.repeat(np.arange(5), 4)
    import warnings

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ranef.RanefWarning)
        for i in range(50):
            sd, sigma, mean = *np.abs(rng.standard_t(3, 2)), rng.normal(0.0, 2.0)
            y = mean + rng.normal(0.0, sd, 5)[g] + rng.normal(0.0, sigma, 20)
            model = ranef.lmer("y ~ 1 + (1 | g)", pd.DataFrame({"g": g.astype(str), "y": y}))
            drawn = model.sample(100, chains=1, warmup=200, seed=i, prior=prior).draws
            ranks.append((drawn < [mean, sd, sigma]).mean().to_numpy())
    ranks = np.array(ranks)
    # of 50 uniform numbers the mean is 0.5 and the sd 0.289, with errors of 0.041 and 0.018
    assert (np.abs(ranks.mean(axis=0) - 0.5) < 0.13).all()
    assert (np.abs(ranks.std(axis=0) - 0.289) < 0.06).all()


def test_replicates_from_the_prior_have_its_moments(sleep, posterior):
    drawn = posterior.simulate(4000, seed=1, of="prior")
    first = drawn[0]  # Days = 0: 250 + N(0, 100) + half t effects and residuals
    assert abs(np.median(first) - 250.0) < 4.5 * 1.2533 * 140.0 / np.sqrt(4000)
    # medians of |x|: of N(0, 100^2) alone 67; with effects and residuals wider
    assert 70.0 < np.median(np.abs(first - 250.0)) < 110.0
    flat = sleep.sample(400, seed=1, prior={"Subject": HALF})
    with pytest.raises(ranef.ModelError, match="'Intercept' is flat"):
        flat.simulate(5, of="prior")
    with pytest.raises(ValueError, match="of must be"):
        posterior.simulate(5, of="priors")


def test_correlations_drawn_from_their_prior_are_those_of_lkj():
    from ranef.inference.posterior.coordinates import correlation_root
    from ranef.inference.posterior.from_prior import _partial

    root, _ = correlation_root(_partial(2.0, 4, 20_000, np.random.default_rng(1)), 4)
    R = root @ root.transpose(0, 2, 1)
    for i, j in ((1, 0), (3, 1), (3, 2)):  # beta(eta + k/2 - 1): variance 1 / (2 eta + k - 1)
        assert R[:, i, j].var() == pytest.approx(1.0 / 7.0, rel=0.04)
