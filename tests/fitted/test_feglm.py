"""Counts and yes and no with absorbed factors, against dummy variables, enumeration and R."""

import itertools
import pickle
import warnings

import numpy as np
import pandas as pd
import pytest
import scipy

import ranef


def panel(seed=3, groups=40, times=7):
    rng = np.random.default_rng(seed)
    g = np.repeat(np.arange(groups), times)
    t = np.tile(np.arange(times), groups)
    level, season = rng.normal(size=groups), 0.3 * rng.normal(size=times)
    x = rng.normal(size=g.size) + 0.5 * level[g]
    c = rng.choice(list("abc"), g.size)
    eta = 0.2 + 0.5 * x + level[g] + season[t] + 0.4 * (c == "b")
    frame = pd.DataFrame({"g": g, "t": t, "x": x, "c": c, "e": rng.uniform(0.5, 2.0, g.size)})
    frame["n"] = rng.poisson(frame["e"] * np.exp(eta))
    frame["b"] = rng.binomial(1, scipy.special.expit(eta))
    frame["firm"] = frame["g"] // 4
    return frame.sample(frac=1.0, random_state=seed).reset_index(drop=True)


def dummies(frame, *factors):
    """Columns of x and c, and indicators: all of the first factor, all but one of the others."""
    own = np.column_stack([frame["x"], frame["c"] == "b", frame["c"] == "c"]).astype(float)
    blocks = [pd.get_dummies(frame[f], dtype=float).to_numpy() for f in factors]
    return np.column_stack([own, blocks[0], *(block[:, 1:] for block in blocks[1:])])


def newton(y, X, offset, mean, variance):
    """Maximum likelihood under a canonical link by plain Newton steps on a dense matrix."""
    beta = np.zeros(X.shape[1])
    for _ in range(60):
        eta = np.clip(X @ beta + offset, -30, 30)
        mu = mean(eta)
        step = np.linalg.solve(X.T @ (variance(mu)[:, None] * X), X.T @ (y - mu))
        beta = beta + np.clip(step, -2, 2)
        if np.abs(step).max() < 1e-12:
            break
    return beta, mu


def poisson(frame, *factors):
    X = dummies(frame, *factors)
    y, offset = frame["n"].to_numpy(float), np.log(frame["e"].to_numpy())
    return X, y, *newton(y, X, offset, np.exp, lambda mu: mu)


FRAME = panel()
VARIED = FRAME[FRAME.groupby("g")["n"].transform("sum") > 0]
COUNTS = "n ~ x + c + offset(np.log(e))"


def fit(frame=VARIED, absorb="g", **options):
    return ranef.feglm(COUNTS, frame, family="poisson", absorb=absorb, **options)


@pytest.mark.parametrize("factors", [("g",), ("g", "t")])
def test_counts_are_those_of_a_model_with_a_dummy_for_each_level(factors):
    X, y, beta, mu = poisson(VARIED, *factors)
    model = fit(absorb=list(factors))
    np.testing.assert_allclose(model.params, beta[:3], rtol=1e-8)
    np.testing.assert_allclose(model.fittedvalues, mu, rtol=1e-7)
    covariance = np.linalg.inv(X.T @ (mu[:, None] * X))
    np.testing.assert_allclose(model.cov_params(), covariance[:3, :3], rtol=1e-7)
    assert model.llf == pytest.approx(scipy.stats.poisson.logpmf(y, mu).sum(), abs=1e-7)
    assert model.npar == X.shape[1]
    assert model.converged


@pytest.mark.parametrize("factors", [("g",), ("g", "t")])
def test_errors_by_clusters_are_those_of_the_model_with_dummies(factors):
    X, y, _, mu = poisson(VARIED, *factors)
    bread = np.linalg.inv(X.T @ (mu[:, None] * X))
    for cluster in ("g", "firm"):
        codes = pd.factorize(VARIED[cluster])[0]
        sums = np.array([X[codes == k].T @ (y - mu)[codes == k] for k in range(codes.max() + 1)])
        cov = (bread @ sums.T @ sums @ bread)[:3, :3]
        model = fit(absorb=list(factors), cluster=cluster, vcov="CR0")
        np.testing.assert_allclose(model.cov_params(), cov, rtol=1e-6)
        count = len(sums)
        one = model.robust("CR1", cluster=cluster)
        np.testing.assert_allclose(one.cov_params(), cov * count / (count - 1), rtol=1e-6)
        assert (model.coef_table()["df"] == count - 1).all()
    rows = X * (y - mu)[:, None]
    hc0 = (bread @ rows.T @ rows @ bread)[:3, :3]
    np.testing.assert_allclose(fit(absorb=list(factors), vcov="HC0").cov_params(), hc0, rtol=1e-6)


def test_cr2_is_that_of_the_working_model_with_dummies():
    """Bell and McCaffrey's adjustment by dense square roots, variances 1 / weight."""
    X, y, _, mu = poisson(VARIED, "g")
    root = np.sqrt(mu)
    # whitened: columns and working residuals times the root of the weights
    A, e = root[:, None] * X, (y - mu) / root
    bread = np.linalg.inv(A.T @ A)
    H = A @ bread @ A.T
    codes = pd.factorize(VARIED["firm"])[0]
    meat = np.zeros_like(bread)
    for k in range(codes.max() + 1):
        at = np.flatnonzero(codes == k)
        values, vectors = np.linalg.eigh(np.eye(len(at)) - H[np.ix_(at, at)])
        power = np.where(values > 1e-9, np.maximum(values, 1e-9) ** -0.5, 0.0)
        s = A[at].T @ (vectors * power) @ vectors.T @ e[at]
        meat += np.outer(s, s)
    expected = (bread @ meat @ bread)[:3, :3]
    found = fit().robust("CR2", cluster="firm")
    np.testing.assert_allclose(found.cov_params(), expected, rtol=1e-6)


def enumerated(frame, columns, beta):
    """Conditional log-likelihood of all groups, summed over every way to place the successes."""
    total, chance = 0.0, np.zeros(len(frame))
    X, y, g = frame[columns].to_numpy(float), frame["b"].to_numpy(), frame["g"].to_numpy()
    eta = X @ beta
    for level in np.unique(g):
        at = np.flatnonzero(g == level)
        ways = list(itertools.combinations(at, int(y[at].sum())))
        weights = np.array([np.exp(eta[list(way)].sum()) for way in ways])
        total += eta[at] @ y[at] - np.log(weights.sum())
        for way, weight in zip(ways, weights, strict=True):
            chance[list(way)] += weight / weights.sum()
    return total, chance


def shares(frame):
    return frame.groupby("g")["b"].transform("mean")


MIXED = FRAME[(shares(FRAME) > 0) & (shares(FRAME) < 1)].reset_index(drop=True)


def test_yes_and_no_maximise_the_likelihood_given_the_sums():
    frame = MIXED.assign(z=MIXED["c"] == "b")
    model = ranef.feglm("b ~ x + z", frame, family="binomial", absorb="g")
    columns = frame.assign(z=frame["z"].astype(float))
    best = scipy.optimize.minimize(
        lambda beta: -enumerated(columns, ["x", "z"], beta)[0], np.zeros(2), tol=1e-12
    )
    np.testing.assert_allclose(model.params, best.x, atol=1e-5)
    llf, chance = enumerated(columns, ["x", "z"], model.params.to_numpy())
    assert model.llf == pytest.approx(llf, abs=1e-9)
    np.testing.assert_allclose(model.fittedvalues, chance, rtol=1e-9)
    sums = model.fittedvalues.groupby(frame["g"]).sum()
    np.testing.assert_allclose(sums, frame.groupby("g")["b"].sum(), rtol=1e-9)
    h = 1e-4
    steps = h * np.eye(2)
    at = [model.params.to_numpy() + a for a in (*steps, *-steps, 0.0)]
    bends = np.empty((2, 2))
    for i, j in itertools.product(range(2), repeat=2):
        corners = [
            enumerated(columns, ["x", "z"], at[-1] + s * steps[i] + r * steps[j])[0]
            for s in (1, -1)
            for r in (1, -1)
        ]
        bends[i, j] = (corners[0] - corners[1] - corners[2] + corners[3]) / (4 * h * h)
    np.testing.assert_allclose(model.cov_params(), np.linalg.inv(-bends), rtol=1e-4)


def test_pairs_are_a_logistic_regression_of_differences():
    """With two rows a group, one of them a success, the likelihood is that of differences."""
    rng = np.random.default_rng(8)
    first, second = rng.normal(size=(2, 300, 2))
    wins = rng.random(300) < scipy.special.expit((first - second) @ [0.8, -0.5])
    frame = pd.DataFrame(np.vstack([first, second]), columns=["x", "z"])
    frame["g"] = np.tile(np.arange(300), 2)
    frame["b"] = np.concatenate([wins, ~wins]).astype(int)
    model = ranef.feglm("b ~ x + z", frame, family="binomial", absorb="g")
    D = first - second
    beta, _ = newton(wins.astype(float), D, 0.0, scipy.special.expit, lambda mu: mu * (1.0 - mu))
    np.testing.assert_allclose(model.params, beta, rtol=1e-8)


def test_groups_of_any_size_have_a_likelihood():
    """Groups of 2,000 rows: e_k has more digits than a number; conditioning costs about 1 / n."""
    rng = np.random.default_rng(2)
    x, g = rng.normal(size=4000), np.repeat([0, 1], 2000)
    b = rng.binomial(1, scipy.special.expit(0.4 * x + g))
    frame = pd.DataFrame({"b": b, "x": x, "g": g})
    model = ranef.feglm("b ~ x", frame, family="binomial", absorb="g")
    plain = ranef.feglm("b ~ x + C(g)", frame, family="binomial")
    assert model.params["x"] == pytest.approx(plain.params["x"], rel=2e-3)
    assert model.bse["x"] == pytest.approx(plain.bse["x"], rel=2e-3)
    far = ranef.feglm("b ~ I(1000 * x)", frame, family="binomial", absorb="g")
    assert far.params.iloc[0] * 1000 == pytest.approx(model.params["x"], rel=1e-9)


@pytest.mark.parametrize("unit", [1e-8, 1e8])
def test_a_conditional_model_does_not_depend_on_the_units_of_one_column(unit):
    """Changing the unit of one of two columns divides its coefficient and errors by it."""
    frame = MIXED.assign(z=np.random.default_rng(1).normal(size=len(MIXED)))
    other = frame.assign(x=frame["x"] * unit)
    model = ranef.feglm("b ~ x + z", frame, family="binomial", absorb="g")
    scaled = ranef.feglm("b ~ x + z", other, family="binomial", absorb="g")
    back = np.array([unit, 1.0])
    np.testing.assert_allclose(scaled.params * back, model.params, rtol=1e-9)
    np.testing.assert_allclose(scaled.bse * back, model.bse, rtol=1e-9)
    for kind in ("CR0", "CR2", "CR3"):
        found, expected = scaled.robust(kind, "firm").bse, model.robust(kind, "firm").bse
        np.testing.assert_allclose(found * back, expected, rtol=1e-9)


def test_errors_by_groups_are_sandwiches_of_their_scores():
    model = ranef.feglm("b ~ x", MIXED, family="binomial", absorb="g", cluster="g", vcov="CR0")
    resid = MIXED["b"] - model.fittedvalues
    score = (MIXED["x"] * resid).groupby(MIXED["g"]).sum()
    bread = ranef.feglm("b ~ x", MIXED, family="binomial", absorb="g").cov_params().iloc[0, 0]
    assert model.bse["x"] == pytest.approx(bread * np.sqrt((score**2).sum()), rel=1e-9)
    wider = model.robust("CR0", cluster="firm")
    firms = (MIXED["x"] * resid).groupby(MIXED["firm"]).sum()
    assert wider.bse["x"] == pytest.approx(bread * np.sqrt((firms**2).sum()), rel=1e-9)
    sizes = [model.robust(kind, cluster="firm").bse["x"] for kind in ("CR0", "CR2", "CR3")]
    assert sizes == sorted(sizes)


def test_without_absorption_it_is_the_pooled_regression():
    X = np.column_stack([np.ones(len(FRAME)), FRAME["x"]])
    beta, mu = newton(
        FRAME["b"].to_numpy(float), X, 0.0, scipy.special.expit, lambda mu: mu * (1.0 - mu)
    )
    model = ranef.feglm("b ~ x", FRAME, family="binomial")
    np.testing.assert_allclose(model.params, beta, rtol=1e-9)
    np.testing.assert_allclose(
        model.cov_params(), np.linalg.inv(X.T @ ((mu * (1 - mu))[:, None] * X)), rtol=1e-8
    )
    gee = ranef.gee("b ~ x", FRAME, groups="g", family="binomial", corr="independence")
    np.testing.assert_allclose(model.robust("CR0", cluster="g").bse, gee.bse, rtol=1e-6)
    trials = FRAME.groupby(["g", "c"], as_index=False).agg(k=("b", "sum"), m=("b", "size"))
    whole = ranef.feglm("cbind(k, m - k) ~ c", trials, family="binomial")
    single = ranef.feglm("b ~ c", FRAME, family="binomial")
    np.testing.assert_allclose(whole.params, single.params, rtol=1e-8)
    np.testing.assert_allclose(whole.bse, single.bse, rtol=1e-8)


def test_levels_that_say_nothing_are_left_out_and_counted():
    frame = FRAME.assign(n=np.where(FRAME["g"] < 3, 0, FRAME["n"]))
    empty = int((frame.groupby("g")["n"].sum() == 0).sum())
    rows = int((frame.groupby("g")["n"].transform("sum") == 0).sum())
    with pytest.warns(ranef.DroppedRowsWarning, match=rf"{rows} rows .* \({empty} of g\)"):
        model = fit(frame)
    assert model.dropped == {"g": empty}
    kept = frame[frame.groupby("g")["n"].transform("sum") > 0]
    assert model.fittedvalues.index.equals(kept.index)
    np.testing.assert_allclose(model.params, fit(kept).params, rtol=1e-9)
    alike = int(FRAME.groupby("g")["b"].nunique().eq(1).sum())
    assert alike
    with pytest.warns(ranef.DroppedRowsWarning, match=rf"both successes and failures \({alike} of"):
        logit = ranef.feglm("b ~ x", FRAME, family="binomial", absorb="g")
    assert logit.ngroups == {"g": FRAME["g"].nunique() - alike}


def test_leaving_out_one_level_may_empty_another():
    frame = VARIED.assign(n=np.where((VARIED["t"] == 0) | (VARIED["g"] == 1), 0, VARIED["n"]))
    frame.loc[(frame["t"] == 0) & (frame["g"] == 1), "n"] = 5  # only here is t = 0 not empty
    frame = frame[~((frame["g"] == 1) & (frame["t"] > 0))]  # and there is no other row of g = 1
    frame.loc[frame["g"] == 1, "n"] = 0
    with pytest.warns(ranef.DroppedRowsWarning, match="of g, 1 of t"):
        model = fit(frame, absorb=["g", "t"])
    assert model.dropped["t"] == 1


def test_zeros_that_a_column_separates_are_left_out():
    frame = VARIED.assign(s=(VARIED["t"] == 2).astype(float))
    frame["n"] = np.where(frame["t"] == 2, 0, frame["n"])
    frame = frame[frame.groupby("g")["n"].transform("sum") > 0]
    rest = frame[frame["t"] != 2]
    count = int((frame["t"] == 2).sum())
    with (
        pytest.warns(ranef.RankWarning, match="'s' is constant"),
        pytest.warns(ranef.DroppedRowsWarning, match=f"{count} rows were left out: a column"),
    ):
        model = ranef.feglm("n ~ x + s", frame, family="poisson", absorb="g")
    assert np.isnan(model.params["s"])
    alone = ranef.feglm("n ~ x", rest, family="poisson", absorb="g")
    assert model.params["x"] == pytest.approx(alone.params["x"], rel=1e-8)
    assert model.bse["x"] == pytest.approx(alone.bse["x"], rel=1e-6)


def test_a_column_that_separates_within_groups_has_no_error():
    frame = MIXED.assign(s=MIXED["b"] * 1.0)
    frame.loc[frame["t"] > 4, "s"] = 0.5
    with pytest.warns(ranef.ConvergenceWarning, match="'s' separates"):
        model = ranef.feglm("b ~ x + s", frame, family="binomial", absorb="g")
    assert np.isnan(model.bse["s"])
    assert not model.converged


def test_effects_and_predictions_of_counts():
    model = fit(absorb=["g", "t"])
    effects = model.effects()
    eta = np.log(VARIED["e"]) + VARIED["x"] * model.params["x"]
    eta += VARIED["c"].map({"a": 0.0, "b": model.params.iloc[1], "c": model.params.iloc[2]})
    eta += VARIED["g"].map(effects["g"]) + VARIED["t"].map(effects["t"])
    np.testing.assert_allclose(np.exp(eta), model.fittedvalues, rtol=1e-7)
    new = VARIED.head(5).assign(x=0.0)
    expected = model.predict(new) * np.exp(model.params["x"])
    np.testing.assert_allclose(model.predict(new.assign(x=1.0)), expected, rtol=1e-9)
    with pytest.raises(ranef.DataError, match="new_levels"):
        model.predict(new.assign(g=999))
    assert model.predict(new.assign(g=999), new_levels="population").notna().all()


def test_a_conditional_model_predicts_differences_only():
    model = ranef.feglm("b ~ x", MIXED, family="binomial", absorb="g")
    with pytest.raises(ranef.UnsupportedError, match=r'kind="link"'):
        model.predict(MIXED)
    with pytest.raises(ranef.UnsupportedError, match=r"ranef\.glmer"):
        model.effects()
    link = model.predict(MIXED.assign(g=-1), kind="link")
    np.testing.assert_allclose(link, model.params["x"] * MIXED["x"], rtol=1e-12)


def test_coefficients_of_counts_are_not_biased_by_small_groups_and_keep_their_level():
    """Two rows a group; with a dummy a group a plain logit would double its coefficient."""
    rng = np.random.default_rng(11)
    g = np.repeat(np.arange(150), 2)
    covered = {"poisson": 0, "binomial": 0}
    estimates = {"poisson": [], "binomial": []}
    for _ in range(120):
        level = rng.normal(size=150)[g]
        x = rng.normal(size=300) + level
        eta = 0.5 * x + level
        frame = pd.DataFrame({"g": g, "x": x})
        for family in covered:
            y = (
                rng.poisson(np.exp(eta - 0.5))
                if family == "poisson"
                else rng.binomial(1, scipy.special.expit(eta))
            )
            with pytest.warns(ranef.DroppedRowsWarning):
                model = ranef.feglm("y ~ x", frame.assign(y=y), family=family, absorb="g")
            lower, upper = model.conf_int().loc["x"]
            covered[family] += lower <= 0.5 <= upper
            estimates[family].append(model.params["x"])
    for family, count in covered.items():
        assert 0.88 <= count / 120 <= 0.99
        error = np.std(estimates[family]) / np.sqrt(120)
        assert abs(np.mean(estimates[family]) - 0.5) < 4.0 * error + 0.02


BAD = {
    "several factors": (
        lambda d: ranef.feglm("b ~ x", d, family="binomial", absorb=["g", "t"]),
        "absorbs one factor",
    ),
    "trials": (
        lambda d: ranef.feglm("cbind(b, 2 - b) ~ x", d, family="binomial", absorb="g"),
        "a row for each",
    ),
    "random effects": (
        lambda d: ranef.feglm("n ~ x + (1 | g)", d, family="poisson"),
        "no random effects",
    ),
    "absorbed in the formula": (
        lambda d: ranef.feglm("n ~ x | g", d, family="poisson"),
        'absorb="g"',
    ),
    "another family": (
        lambda d: ranef.feglm("n ~ x", d, family="gamma"),
        "poisson",
    ),
    "negative counts": (
        lambda d: ranef.feglm("n ~ x", d.assign(n=d["n"] - 5), family="poisson", absorb="g"),
        "poisson response",
    ),
    "halves": (
        lambda d: ranef.feglm("n ~ x", d.assign(n=d["n"] + 0.5), family="poisson", absorb="g"),
        "counts 0, 1, 2",
    ),
    "constant within groups": (
        lambda d: ranef.feglm("n ~ firm", d, family="poisson", absorb="g"),
        "constant within g",
    ),
    "no column": (lambda d: ranef.feglm("n ~ 1", d, family="poisson", absorb="g"), "no column"),
    "no variation": (
        lambda d: ranef.feglm("b ~ x", d.assign(b=d["g"] % 2), family="binomial", absorb="g"),
        "no level of g has both",
    ),
    "rows of a conditional likelihood": (
        lambda d: ranef.feglm("b ~ x", d, family="binomial", absorb="g", vcov="HC1"),
        "CR1",
    ),
    "clusters that cut": (
        lambda d: ranef.feglm("b ~ x", d, family="binomial", absorb="g", cluster="t"),
        "cut through",
    ),
}


@pytest.mark.parametrize("name", BAD)
@pytest.mark.filterwarnings("ignore::ranef.errors.RanefWarning")
def test_what_cannot_be_fitted_is_refused_in_words(name):
    call, words = BAD[name]
    with pytest.raises((ranef.RanefError, ValueError), match=words):
        call(FRAME)


def test_words_of_others_lead_here():
    for word in ("fepois", "clogit", "ConditionalLogit", "ppmlhdfe", "PanelOLS"):
        with pytest.raises(AttributeError, match=r"ranef\.fe(glm|ols)"):
            getattr(ranef, word)
    with pytest.raises(TypeError, match=r"ranef\.feglm"):
        ranef.feols("n ~ x", FRAME, family="poisson")
    with pytest.raises(TypeError, match="absorb="):
        ranef.feglm("n ~ x", FRAME, family="poisson", groups="g")


def test_a_pickled_model_keeps_its_errors():
    model = fit(cluster="firm")
    again = pickle.loads(pickle.dumps(model))
    pd.testing.assert_frame_equal(again.coef_table(), model.coef_table())


def test_large_groups_have_the_likelihood_that_convolution_finds():
    rng = np.random.default_rng(12)
    g = np.repeat([0, 1, 2], [400, 150, 30])
    x = rng.normal(size=g.size)
    shift = np.array([1.5, -3.0, 0.0])[g]
    frame = pd.DataFrame({"g": g, "x": x})
    frame["b"] = (rng.random(g.size) < scipy.special.expit(shift + 0.7 * x)).astype(float)
    model = ranef.feglm("b ~ x", frame, family="binomial", absorb="g")

    def convolved(beta):
        total = 0.0
        for _, part in frame.groupby("g"):
            k, eta = int(part["b"].sum()), beta * part["x"].to_numpy()
            p, chance = scipy.special.expit(shift[part.index[0]] + eta), np.ones(1)
            for q in p:
                chance = np.convolve(chance, [1.0 - q, q])
            y = part["b"].to_numpy()
            total += np.where(y == 1.0, np.log(p), np.log1p(-p)).sum() - np.log(chance[k])
        return total

    best, h = float(model.params["x"]), 1e-3
    assert model.llf == pytest.approx(convolved(best), abs=1e-9)
    slope = (convolved(best + 1e-4) - convolved(best - 1e-4)) / 2e-4
    assert slope == pytest.approx(0.0, abs=1e-6)
    bend = (2.0 * convolved(best) - convolved(best - h) - convolved(best + h)) / h**2
    assert model.bse["x"] == pytest.approx(bend**-0.5, rel=1e-4)
    sums = model.fittedvalues.groupby(frame["g"]).sum()
    np.testing.assert_allclose(sums, frame.groupby("g")["b"].sum(), rtol=1e-12)


@pytest.mark.parametrize("family", ["poisson", "binomial"])
def test_a_column_far_from_zero_has_its_coefficient(family):
    frame = MIXED[MIXED.groupby("g")["n"].transform("sum") > 0]
    frame = frame.assign(far=frame["x"] + 1e8, group=frame["g"] + 1e8)
    y = "n" if family == "poisson" else "b"
    near = ranef.feglm(f"{y} ~ x", frame, family=family, absorb="g")
    far = ranef.feglm(f"{y} ~ far", frame, family=family, absorb="g")
    np.testing.assert_allclose(far.params, near.params, rtol=1e-6)
    np.testing.assert_allclose(far.bse, near.bse, rtol=1e-6)
    with pytest.raises(ranef.ModelError, match="'group' is constant within g"):
        ranef.feglm(f"{y} ~ group", frame, family=family, absorb="g")
    linear = [ranef.feols(f"n ~ {x}", frame, absorb="g").params for x in ("x", "far")]
    np.testing.assert_allclose(linear[1], linear[0], rtol=1e-6)


@pytest.mark.parametrize("absorb", [None, "g"])
def test_frequencies_are_rows_that_repeat(absorb):
    frame = FRAME[FRAME.groupby("g")["n"].transform("sum") > 0]
    frame = frame.assign(w=np.random.default_rng(4).integers(1, 4, len(frame)))
    long = frame.loc[frame.index.repeat(frame["w"])].reset_index(drop=True)
    call = {"family": "poisson", "absorb": absorb}
    short = ranef.feglm("n ~ x", frame, weights="w", **call)
    whole = ranef.feglm("n ~ x", long, **call)
    assert short.df_resid == whole.df_resid
    for name in ("llf", "aic", "bic"):
        assert getattr(short, name) == pytest.approx(getattr(whole, name), rel=1e-10)
    for kind in ("HC0", "HC1", "HC2", "HC3"):
        np.testing.assert_allclose(short.robust(kind).bse, whole.robust(kind).bse, rtol=1e-8)
    for kind in ("CR0", "CR1", "CR1S", "CR2", "CR3"):
        errors = [m.robust(kind, cluster="firm", ssc="fixest").bse for m in (short, whole)]
        np.testing.assert_allclose(*errors, rtol=1e-8)


def test_levels_that_were_left_out_have_no_effect_and_do_not_shift_the_others():
    frame = FRAME.assign(n=FRAME["n"].where(FRAME["g"] != 3, 0))
    with pytest.warns(ranef.DroppedRowsWarning):
        model = ranef.feglm("n ~ x", frame, family="poisson", absorb="g")
    known = frame.iloc[model.parts.design.rows]
    np.testing.assert_allclose(model.predict(known), model.fittedvalues, rtol=1e-10)
    with pytest.raises(ranef.DataError, match=r"left out of the fit.*'3'"):
        model.predict(frame)
    found = model.predict(frame, kind="link", new_levels="population")[frame["g"] == 3]
    effects = model.effects()["g"]
    mean = effects.loc[known["g"]].mean()  # over the rows
    x = frame.loc[frame["g"] == 3, "x"]
    np.testing.assert_allclose(found, mean + model.params["x"] * x, rtol=1e-10)


def test_criteria_rank_whole_likelihoods_and_conditional_ones_apart():
    frame = FRAME[FRAME.groupby("g")["n"].transform("sum") > 0]
    pooled = ranef.feglm("n ~ x", frame, family="poisson")
    within = ranef.feglm("n ~ x", frame, family="poisson", absorb="g")
    mixed = ranef.glmer("n ~ x + (1 | g)", frame, family="poisson")
    table = ranef.compare(pooled=pooled, within=within, mixed=mixed).table
    mean = np.exp(pooled.params["Intercept"] + pooled.params["x"] * frame["x"])
    llf = scipy.stats.poisson.logpmf(frame["n"], mean).sum()
    assert table.loc["pooled", "llf"] == pytest.approx(llf, abs=1e-8)
    assert table.loc["within", "npar"] == 1 + frame["g"].nunique()
    assert table.loc["mixed", "aic"] == pytest.approx(mixed.aic)
    one, two = (
        ranef.feglm(f"b ~ {x}", MIXED, family="binomial", absorb="g") for x in ("x", "x + c")
    )
    assert ranef.compare(one=one, two=two).table.loc["one", "npar"] == 1
    whole = ranef.feglm("b ~ x", MIXED, family="binomial")
    with pytest.raises(ranef.ModelError, match="given the number of successes of each g"):
        ranef.compare(whole, one)
    with pytest.raises(ranef.ModelError, match=r"ranef.glmer, ranef.feglm, or of ranef.clmm"):
        ranef.compare(pooled, ranef.lmer("n ~ x + (1 | g)", frame))


@pytest.mark.parametrize("absorb", [None, "g"])
def test_left_out_rows_are_scored_by_the_distribution_at_their_means(absorb):
    frame = FRAME[FRAME.groupby("g")["n"].transform("sum") > 2].reset_index(drop=True)
    model = ranef.feglm("n ~ x + offset(np.log(e))", frame, family="poisson", absorb=absorb)
    found = ranef.cross_validate(model, "new_rows", folds=5, seed=2)
    fold = found.rows["fold"].sort_index().to_numpy()
    score = found.rows["log_score"].sort_index()
    for k in (0, 4):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ranef.RanefWarning)
            part = model.update(data=frame[fold != k])
        mean = part.predict(frame[fold == k], new_levels="population")
        want = scipy.stats.poisson.logpmf(frame.loc[fold == k, "n"], mean)
        np.testing.assert_allclose(score[fold == k], want, rtol=1e-8)
    groups = ranef.cross_validate(model, "new_groups", group="g", folds=3, seed=1)
    assert {"log_score", "deviance", "coverage95"} <= set(groups.table.columns)
    conditional = ranef.feglm("b ~ x", MIXED, family="binomial", absorb="g")
    with pytest.raises(ranef.UnsupportedError, match="no probabilities of new rows"):
        ranef.cross_validate(conditional, "new_rows", folds=3)
