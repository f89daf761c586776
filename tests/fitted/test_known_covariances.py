"""Models of known covariances and of several members a row, from the fit to what follows it."""

import pickle

import numpy as np
import pandas as pd
import pytest

import ranef

LINES = [f"L{i:02d}" for i in range(30)]


@pytest.fixture(scope="module")
def kinship():
    rng = np.random.default_rng(5)
    markers = rng.normal(size=(30, 60))
    K = markers @ markers.T / 60 + 0.05 * np.eye(30)
    return pd.DataFrame(K, LINES, LINES)


@pytest.fixture(scope="module")
def data(kinship):
    rng = np.random.default_rng(6)
    n = 120
    line = rng.integers(0, 24, n)  # six lines have no records
    a = np.linalg.cholesky(kinship.to_numpy()) @ rng.normal(size=30) * 1.2
    t1, t2 = rng.integers(0, 9, n), rng.integers(0, 9, n)
    teacher, slope = rng.normal(size=(2, 9))
    w = rng.uniform(0.2, 0.8, n)
    x = rng.normal(size=n)
    eta = 0.5 * x + a[line] + w * teacher[t1] + (1.0 - w) * teacher[t2]
    eta += x * (w * slope[t1] + (1.0 - w) * slope[t2])
    names = np.array([f"T{i}" for i in range(9)])
    return pd.DataFrame(
        {
            "y": 10.0 + eta + rng.normal(size=n),
            "count": rng.poisson(np.exp(0.3 + 0.5 * eta)),
            "x": x,
            "line": np.array(LINES)[line],
            "plot": np.array(LINES)[line],
            "t1": names[t1],
            "t2": names[t2],
            "w1": w,
            "w2": 1.0 - w,
        }
    )


@pytest.fixture(scope="module")
def model(data, kinship):
    return ranef.lmer("y ~ x + (1 | line) + (1 | plot)", data, covariance={"line": kinship})


@pytest.fixture(scope="module")
def joint(data):
    return ranef.lmer("y ~ x + (1 + x || mm(t1, t2, weights=(w1, w2)))", data)


def dense(y, X, parts, variances, reml):
    """-2 log-likelihood at given variances, the residual's last; parts are Z K Z'."""
    V = sum(v * part for v, part in zip(variances, [*parts, np.eye(len(y))], strict=True))
    inverse = np.linalg.inv(V)
    information = X.T @ inverse @ X
    residual = y - X @ np.linalg.solve(information, X.T @ inverse @ y)
    nu = len(y) - (X.shape[1] if reml else 0)
    value = nu * np.log(2.0 * np.pi) + np.linalg.slogdet(V)[1] + residual @ inverse @ residual
    return value + (np.linalg.slogdet(information)[1] if reml else 0.0)


def search(y, X, parts, reml):
    """Lowest -2 log-likelihood over log variances, by a search that knows nothing of the model."""
    from scipy.optimize import minimize

    def value(logs):
        return dense(y, X, parts, np.exp(logs), reml)

    found = minimize(value, np.zeros(len(parts) + 1), method="BFGS", options={"gtol": 1e-7})
    return found.fun, np.exp(found.x)


@pytest.mark.parametrize("reml", [True, False])
def test_known_covariance_against_a_dense_search(model, data, kinship, reml):
    Z = pd.get_dummies(data["line"]).reindex(columns=LINES, fill_value=False).to_numpy(float)
    X = np.column_stack([np.ones(len(data)), data["x"]])
    parts = [Z @ kinship.to_numpy() @ Z.T, Z @ Z.T]
    found = model if reml else model.update(reml=False)
    value, variances = search(data["y"].to_numpy(), X, parts, reml)
    assert -2.0 * found.llf == pytest.approx(value, abs=1e-6)
    assert found.varcorr["line"].iloc[0, 0] == pytest.approx(variances[0], rel=1e-3)
    assert found.sigma**2 == pytest.approx(variances[2], rel=1e-3)


def test_members_against_a_dense_search(joint, data):
    levels = sorted({*data["t1"], *data["t2"]})
    both = [pd.get_dummies(data[t]).reindex(columns=levels).to_numpy(float) for t in ("t1", "t2")]
    Z = sum(
        w[:, None] * part for w, part in zip(data[["w1", "w2"]].to_numpy().T, both, strict=True)
    )
    x = data["x"].to_numpy()
    X = np.column_stack([np.ones(len(data)), x])
    value, variances = search(data["y"].to_numpy(), X, [Z @ Z.T, x[:, None] * (Z @ Z.T) * x], True)
    assert -2.0 * joint.llf == pytest.approx(value, abs=1e-5)
    found = np.diag(joint.varcorr["mm(t1, t2)"])
    np.testing.assert_allclose(found, np.where(variances[:2] < 1e-4, 0.0, variances[:2]), rtol=2e-3)


def test_every_label_has_an_effect(model, kinship):
    effects = model.ranef()
    assert effects["line"].index.tolist() == LINES
    assert effects.cov["line"].shape == (30, 1, 1)
    unseen = effects["line"].iloc[24:, 0]
    assert (unseen.abs() > 1e-6).all()
    assert (effects.cov["line"][:, 0, 0] < model.varcorr["line"].iloc[0, 0] * 2.0).all()
    assert len(effects["plot"]) == 24
    assert model.npar == 5


def test_the_same_by_precision_and_in_another_order(model, data, kinship):
    order = LINES[::-1]
    Q = np.linalg.inv(kinship.loc[order, order].to_numpy())
    again = model.update(covariance={"line": ranef.Precision(0.5 * (Q + Q.T), order)})
    assert again.llf == pytest.approx(model.llf, abs=1e-8)
    mixed = model.update(covariance={"line": kinship.loc[order]})
    assert mixed.llf == pytest.approx(model.llf, abs=1e-8)


def identity(levels):
    return pd.DataFrame(np.eye(len(levels)), levels, levels)


def test_identity_is_an_ordinary_term():
    sleep = ranef.datasets.load("sleepstudy")
    eye = {"Subject": identity(sorted(set(sleep["Subject"])))}
    plain = ranef.lmer("Reaction ~ Days + (Days | Subject)", sleep)
    known = plain.update(covariance=eye)
    assert known.llf == pytest.approx(-0.5 * 1743.628272, abs=1e-5)  # lme4 1.1-31
    np.testing.assert_allclose(known.varcorr["Subject"], plain.varcorr["Subject"], rtol=1e-4)
    for ddf in ("satterthwaite", "kenward-roger"):
        np.testing.assert_allclose(known.coef_table(ddf), plain.coef_table(ddf), rtol=1e-4)
    theirs = plain.conf_int("profile", progress=False)
    np.testing.assert_allclose(known.conf_int("profile", progress=False), theirs, rtol=1e-3)


def test_blocks_of_families_give_a_sparse_inverse(data):
    names = [f"L{i:02d}" for i in range(30)]
    A = np.kron(np.eye(10), 0.5 * np.eye(3) + 0.5)
    frame = pd.DataFrame(A, names, names)
    model = ranef.lmer("y ~ x + (1 | line)", data, covariance={"line": frame})
    known = model.parts.design.random[0].known
    assert len(known.triangle[2]) == 10 * 6
    np.testing.assert_allclose(known.precision.toarray(), np.linalg.inv(A), atol=1e-12)


# ------------------------------------------------------------------ members


def test_a_missing_member_is_no_membership(data):
    gaps = data.assign(t2=data["t2"].where(data.index % 3 > 0))
    gaps["w1"] = np.where(gaps["t2"].isna(), 1.0, gaps["w1"])
    gaps["w2"] = np.where(gaps["t2"].isna(), np.nan, gaps["w2"])  # not looked at
    model = ranef.lmer("y ~ x + (1 | mm(t1, t2, weights=(w1, w2)))", gaps)
    assert model.nobs == len(data)
    filled = gaps.assign(t2=gaps["t2"].fillna("T0"), w2=gaps["w2"].fillna(0.0))
    same = model.update(data=filled)
    assert model.llf == pytest.approx(same.llf, abs=1e-8)


def test_without_weights_members_share_one(data):
    half = data.assign(w1=0.5, w2=0.5)
    model = ranef.lmer("y ~ x + (1 | mm(t1, t2))", data)
    assert model.llf == pytest.approx(
        ranef.lmer("y ~ x + (1 | mm(t1, t2, weights=(w1, w2)))", half).llf, abs=1e-9
    )


def test_weights_that_do_not_sum_to_one_are_told(data):
    with pytest.warns(ranef.RanefWarning, match=r"weights of mm\(t1, t2\) .* in 120 of 120 rows"):
        ranef.lmer("y ~ x + (1 | mm(t1, t2, weights=(w1, w2)))", data.assign(w2=0.9))


def test_update_keeps_members(joint):
    smaller = joint.update(". ~ . - x")
    assert "weights=(w1, w2)" in smaller.call.formula
    assert smaller.npar == joint.npar - 1


@pytest.mark.parametrize(
    ("term", "message"),
    [
        ("mm(t1)", "joins two columns or more"),
        ("mm()", "is empty"),
        ("mm(t1, t1)", "'t1' twice"),
        ("mm(t1, t2, weight=(w1, w2))", "no argument 'weight'"),
        ("mm(t1, t2, weights=(w1,))", "2 members and 1 weight;"),
        ("mm(t1, 3)", "names of columns, not '3'"),
    ],
)
def test_what_mm_refuses(data, term, message):
    with pytest.raises(ranef.FormulaError, match=message):
        ranef.lmer(f"y ~ x + (1 | {term})", data)


# ------------------------------------------------------------------ what follows a fit


@pytest.mark.parametrize("name", ["model", "joint"])
def test_after_the_fit(name, request, data):
    fit = request.getfixturevalue(name)
    assert "Groups" in str(fit.summary())
    again = pickle.loads(pickle.dumps(fit))
    np.testing.assert_allclose(
        again.ranef()["line" if name == "model" else "mm(t1, t2)"],
        fit.ranef()["line" if name == "model" else "mm(t1, t2)"],
    )
    np.testing.assert_allclose(fit.predict(data), fit.fittedvalues)
    new = data.head(7).drop(columns="y")
    table = fit.predict(new, interval="confidence")
    np.testing.assert_allclose(table["mean"], fit.fittedvalues[:7])
    assert (table["upper"] > table["lower"]).all()
    whole = fit.predict(new, interval="prediction", random="none")
    assert (whole["upper"] - whole["lower"] > table["upper"] - table["lower"]).all()
    assert fit.refit(fit.simulate(seed=1)[:, 0]).converged
    assert fit.bootstrap(4, seed=1, progress=False).failed == 0
    profile = fit.conf_int("profile", progress=False)
    assert (profile["lower"] <= profile["upper"]).all()
    assert fit.design.Z.shape[0] == len(data)
    fitted = fit.design.X.to_numpy() @ fit.params + fit.design.Z @ np.concatenate(
        [frame.to_numpy().ravel() for frame in fit.ranef().values()]
    )
    np.testing.assert_allclose(fitted, fit.fittedvalues)


def test_levels_of_a_without_records_are_predicted(model, data):
    new = data.head(2).assign(line=["L28", "L29"])
    fixed = model.predict(new, random=["plot"])
    found = model.predict(new, random="all")
    np.testing.assert_allclose(found - fixed, model.ranef()["line"].loc[["L28", "L29"]].iloc[:, 0])
    with pytest.raises(ranef.DataError, match="'L99'"):
        model.predict(new.assign(line="L99"))
    unknown = model.predict(new.assign(line="L99"), new_levels="population")
    np.testing.assert_allclose(unknown, fixed)


def test_simulated_responses_have_the_covariance(model, data, kinship):
    draws = model.simulate(4000, seed=2)
    Z = pd.get_dummies(data["line"]).reindex(columns=LINES, fill_value=False).to_numpy(float)
    V = model.varcorr["line"].iloc[0, 0] * Z @ kinship.to_numpy() @ Z.T
    V += model.varcorr["plot"].iloc[0, 0] * Z @ Z.T + model.sigma**2 * np.eye(len(data))
    assert np.abs(np.cov(draws) - V).max() < 8.0 * V.max() / np.sqrt(4000)


def test_heritability(model):
    found = model.heritability()
    parts = [model.varcorr[g].iloc[0, 0] for g in ("line", "plot")] + [model.sigma**2]
    assert found.loc["line", "estimate"] == pytest.approx(parts[0] / sum(parts))
    assert found.index.tolist() == ["line", "plot", "residual"]


def test_heritability_error_is_that_of_the_likelihood(data, kinship):
    """By differences of the dense REML criterion in the variances and the delta method."""
    model = ranef.lmer("y ~ x + (1 | line)", data, covariance={"line": kinship})
    Z = pd.get_dummies(data["line"]).reindex(columns=LINES, fill_value=False).to_numpy(float)
    X = np.column_stack([np.ones(len(data)), data["x"]])
    part, y = Z @ kinship.to_numpy() @ Z.T, data["y"].to_numpy()
    at = np.array([model.varcorr["line"].iloc[0, 0], model.sigma**2])

    def value(v):
        return dense(y, X, [part], v, True)

    h = 1e-3 * at
    H = np.empty((2, 2))
    for i in range(2):
        for j in range(2):
            a, b = np.eye(2)[i] * h, np.eye(2)[j] * h
            H[i, j] = value(at + a + b) - value(at + a - b) - value(at - a + b) + value(at - a - b)
            H[i, j] /= 4.0 * h[i] * h[j]
    slope = np.array([at[1], -at[0]]) / at.sum() ** 2
    expected = np.sqrt(slope @ (2.0 * np.linalg.inv(H)) @ slope)
    assert model.heritability().loc["line", "se"] == pytest.approx(expected, rel=1e-3)


@pytest.mark.parametrize(
    "question",
    [
        lambda m: m.caic(),
        lambda m: m.bootstrap(4, "cases"),
        lambda m: m.bootstrap(4, "residual"),
        lambda m: m.influence(),
        lambda m: ranef.cross_validate(m, group=next(iter(m.ngroups)), progress=False),
        lambda m: m.robust(),
        lambda m: m.r2("sgv"),
        lambda m: ranef.rlrt(m),
        lambda m: ranef.diagnose(m),
    ],
)
@pytest.mark.parametrize("name", ["model", "joint"])
def test_what_independent_levels_are_needed_for_refuses(name, question, request):
    with pytest.raises((ranef.UnsupportedError, ranef.ModelError), match=r"line|mm"):
        question(request.getfixturevalue(name))


# ------------------------------------------------------------------ what is refused


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda K: {"lines": K}, "not a grouping factor .* did you mean 'line'"),
        (lambda K: {"line": K.iloc[3:, 3:]}, "no row for 3 of the 24 levels of line: 'L00', 'L01'"),
        (lambda K: {"line": K - 2.0}, "not positive definite: 1 eigenvalue is negative"),
        (lambda K: {"line": K.to_numpy()}, "does not say whose rows they are"),
        (lambda K: {"line": K.iloc[:, :5]}, "30 rows and 5 columns"),
        (lambda K: {"line": K.reset_index(drop=True)}, "labelled differently"),
        (lambda K: {"line": K.where(K < 9, np.nan) * np.nan}, "missing or infinite"),
        (lambda K: {"line": K + np.triu(np.ones(30), 1)}, "not symmetric"),
        (lambda K: K, "covariance is a mapping"),
        (lambda K: {"line": K.rename(index={"L01": "L00"})}, "'L00' repeat"),
    ],
)
def test_covariances_that_are_none(data, kinship, change, message):
    with pytest.raises(ranef.DataError, match=message):
        ranef.lmer("y ~ x + (1 | line)", data, covariance=change(kinship))


def test_duplicates_are_named(data, kinship):
    twins = kinship.copy()
    twins.loc["L05"] = twins.loc["L04"]
    twins["L05"] = twins["L04"]
    with pytest.raises(ranef.DataError, match=r"singular.*'L04', 'L05'"):
        ranef.lmer("y ~ x + (1 | line)", data, covariance={"line": twins})


def test_chunks_are_refused(data, kinship, tmp_path):
    data.to_parquet(tmp_path / "rows.parquet")
    with pytest.raises(ranef.UnsupportedError, match="rows in memory"):
        ranef.lmer("y ~ x + (1 | line)", tmp_path / "rows.parquet", covariance={"line": kinship})
    with pytest.raises(ranef.UnsupportedError, match="rows in memory"):
        ranef.lmer("y ~ x + (1 | mm(t1, t2))", tmp_path / "rows.parquet")


# ------------------------------------------------------------------ counts


@pytest.fixture(scope="module")
def counts(data, kinship):
    text = "count ~ x + (1 | line) + (1 | mm(t1, t2, weights=(w1, w2)))"
    return ranef.glmer(text, data, family="poisson", covariance={"line": kinship})


def test_generalised_fit_is_an_optimum(counts):
    assert counts.converged
    assert counts.npar == 4
    assert counts.ranef()["line"].index.tolist() == LINES
    assert (counts.bse > 0.0).all()


def test_generalised_identity_is_an_ordinary_term():
    cbpp = ranef.datasets.load("cbpp")
    text = "cbind(incidence, size - incidence) ~ period + (1 | herd)"
    plain = ranef.glmer(text, cbpp, family="binomial")
    eye = {"herd": identity(plain.ranef()["herd"].index)}
    known = ranef.glmer(text, cbpp, family="binomial", covariance=eye)
    assert -2.0 * known.llf == pytest.approx(184.0526, abs=1e-4)  # lme4 1.1-31
    np.testing.assert_allclose(known.bse, plain.bse, rtol=1e-4)
    np.testing.assert_allclose(known.ranef().cov["herd"], plain.ranef().cov["herd"], rtol=1e-3)
    new = cbpp.head(5)
    theirs = plain.predict(new, interval="confidence")
    np.testing.assert_allclose(known.predict(new, interval="confidence"), theirs, rtol=1e-4)


def test_after_a_generalised_fit(counts, data):
    assert "Poisson" in str(counts.summary()) or "poisson" in str(counts.summary())
    np.testing.assert_allclose(counts.predict(data), counts.fittedvalues)
    assert pickle.loads(pickle.dumps(counts)).llf == counts.llf
    assert counts.simulate(2, seed=1).shape == (len(data), 2)
    assert counts.update(". ~ . - x").npar == 3
    table = counts.predict(data.head(3), interval="confidence")
    assert (table["upper"] > table["lower"]).all()


@pytest.mark.parametrize("options", [{"nagq": 5}, {"zero": "~ 1"}])
def test_what_generalised_models_refuse(data, kinship, options):
    with pytest.raises(ranef.UnsupportedError, match=r"nagq|covariance"):
        ranef.glmer(
            "count ~ x + (1 | line)",
            data,
            family="poisson",
            covariance={"line": kinship},
            **options,
        )


def test_members_of_binary_responses(data):
    half = data.assign(passed=(data["y"] > data["y"].median()).astype(int))
    text = "passed ~ x + (1 | mm(t1, t2, weights=(w1, w2)))"
    found = ranef.glmer(text, half, family="binomial")
    assert found.converged
    assert found.varcorr["mm(t1, t2)"].iloc[0, 0] > 0.0


@pytest.mark.parametrize("name", ["model", "joint"])
def test_kernels_of_independent_levels_are_not_used(name, request):
    """Studies know no covariance of levels, and say so."""
    fit = request.getfixturevalue(name)
    with pytest.raises(ranef.UnsupportedError, match=r"line|mm"):
        ranef.power(fit, "x", n=3, seed=1, progress=False)


def test_imputation_refuses_members(data):
    gaps = data.assign(x=data["x"].where(data.index > 4))
    with pytest.raises(ranef.UnsupportedError, match="mm"):
        ranef.impute("y ~ x + (1 | mm(t1, t2))", gaps, m=2, seed=1)
