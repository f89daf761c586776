"""Terms whose standard deviation is known, against dense normal densities and other limits."""

import numpy as np
import pandas as pd
import pytest
from scipy import optimize

import ranef
from ranef import Point


@pytest.fixture(scope="module")
def plates():
    return ranef.datasets.load("Penicillin")


@pytest.fixture(scope="module")
def pupils():
    """200 units of 6 rows, with a predictor that differs between units."""
    rng = np.random.default_rng(11)
    unit = np.repeat(np.arange(200), 6)
    x = rng.normal(size=1200) + rng.normal(size=200)[unit]
    y = 1.0 + 0.4 * x + rng.normal(size=200)[unit] + rng.normal(size=1200)
    return pd.DataFrame({"y": y, "x": x, "t": np.tile(np.arange(6.0), 200), "unit": unit})


def deviance(frame, sds, sigma, reml):
    """-2 log-likelihood of crossed intercepts by dense matrices."""
    y, n = frame["diameter"].to_numpy(float), len(frame)
    V = sigma**2 * np.eye(n)
    for group, sd in sds.items():
        Z = pd.get_dummies(frame[group]).to_numpy(float)
        V += sd**2 * Z @ Z.T
    L = np.linalg.cholesky(V)
    a, b = np.linalg.solve(L, np.ones(n)), np.linalg.solve(L, y)
    r = b - a * (a @ b) / (a @ a)
    fit = 2.0 * np.log(np.diag(L)).sum() + r @ r
    return fit + (n - reml) * np.log(2.0 * np.pi) + (np.log(a @ a) if reml else 0.0)


FORMULA = "diameter ~ 1 + (1 | plate) + (1 | sample)"


@pytest.mark.parametrize("reml", [True, False])
def test_the_rest_is_at_the_best_that_dense_matrices_find(plates, reml):
    model = ranef.lmer(FORMULA, plates, reml=reml, prior={"plate": Point(1.5)})
    best = optimize.minimize(
        lambda x: deviance(plates, {"plate": 1.5, "sample": np.exp(x[0])}, np.exp(x[1]), reml),
        [0.5, -0.5],
        method="Nelder-Mead",
        options={"xatol": 1e-7, "fatol": 1e-9},
    )
    assert -2.0 * model.llf == pytest.approx(best.fun, abs=1e-7)
    assert model.sigma == pytest.approx(np.exp(best.x[1]), rel=1e-5)
    assert np.sqrt(model.varcorr["plate"].iloc[0, 0]) == pytest.approx(1.5, rel=1e-12)
    assert model.converged
    assert not model.is_singular
    assert model.npar == ranef.lmer(FORMULA, plates).npar - 1


@pytest.mark.parametrize("reml", [True, False])
def test_all_that_is_known_leaves_nothing_to_search(plates, reml):
    known = {"plate": Point(1.5), "sample": Point(2.0), "residual": Point(0.6)}
    model = ranef.lmer(FORMULA, plates, reml=reml, prior=known)
    dense = deviance(plates, {"plate": 1.5, "sample": 2.0}, 0.6, reml)
    assert -2.0 * model.llf == pytest.approx(dense, abs=1e-8)
    assert model.npar == 1
    assert model.coef_table()["df"].iloc[0] == np.inf


def test_at_the_estimate_nothing_moves(plates):
    free = ranef.lmer(FORMULA, plates)
    sd = float(np.sqrt(free.varcorr["plate"].iloc[0, 0]))
    model = ranef.lmer(FORMULA, plates, prior={"plate": Point(sd)})
    assert model.llf == pytest.approx(free.llf, abs=1e-9)
    assert model.sigma == pytest.approx(free.sigma, rel=1e-6)


def test_large_values_are_fixed_effects_and_small_ones_none(pupils):
    within = ranef.feols("y ~ x + t", pupils, absorb="unit").params["x"]
    pooled = ranef.feols("y ~ x + t", pupils).params["x"]
    for sd, limit, near in ((1e4, within, 1e-6), (1e-5, pooled, 1e-6)):
        prior = {"unit": Point(sd), "residual": Point(1.0)}
        found = ranef.lmer("y ~ x + t + (1 | unit)", pupils, prior=prior).params["x"]
        assert found == pytest.approx(limit, abs=near)
    between = ranef.lmer("y ~ x + t + (1 | unit)", pupils).params["x"]
    assert min(within, pooled) < between < max(within, pooled)


def test_a_generalised_model_holds_it_too():
    cbpp = ranef.datasets.load("cbpp")
    formula = "incidence / size ~ period + (1 | herd)"
    free = ranef.glmer(formula, cbpp, family="binomial", weights="size")
    sd = float(np.sqrt(free.varcorr["herd"].iloc[0, 0]))
    same = free.update(prior={"herd": Point(sd)})
    assert same.llf == pytest.approx(free.llf, abs=1e-9)
    assert same.npar == free.npar - 1
    assert (same.bse < free.bse).all()  # the variance is not in doubt
    for nagq in (0, 1, 7):
        model = free.update(prior={"herd": Point(2.0)}, nagq=nagq)
        assert np.sqrt(model.varcorr["herd"].iloc[0, 0]) == pytest.approx(2.0, rel=1e-9)
        assert model.converged
        assert model.llf < free.llf


def test_laplace_at_a_known_sd_is_the_profile_of_the_free_model():
    cbpp = ranef.datasets.load("cbpp")
    free = ranef.glmer(
        "incidence / size ~ period + (1 | herd)", cbpp, family="binomial", weights="size"
    )
    upper = free.conf_int("profile", progress=False).loc["sd_Intercept|herd", "upper"]
    held = free.update(prior={"herd": Point(float(upper))})
    assert 2.0 * (free.llf - held.llf) == pytest.approx(3.841459, abs=1e-3)


def test_levels_as_many_as_rows_need_one_of_two_standard_deviations():
    frame = pd.DataFrame({"y": [1.0, 2.5, 0.3, 4.0, 2.2], "study": list("abcde")})
    model = ranef.lmer("y ~ 1 + (1 | study)", frame, prior={"study": Point(0.5)})
    total = np.sqrt(model.sigma**2 + 0.25)
    assert total == pytest.approx(frame["y"].std(ddof=1), rel=1e-6)
    with pytest.raises(ranef.ModelError, match="residual"):
        ranef.lmer("y ~ 1 + (1 | study)", frame)


@pytest.mark.parametrize(
    ("prior", "match"),
    [
        ({"plate": Point(0)}, "above zero"),
        ({"plate": Point("a")}, "above zero"),
        ({"plate": Point(float("nan"))}, "above zero"),
        ({"random": Point(1)}, "one term"),
        (Point(1), "one term"),
        ({"nobody": Point(1)}, "grouping factors"),
    ],
)
def test_what_makes_no_sense_is_said(plates, prior, match):
    with pytest.raises((ValueError, ranef.ModelError), match=match):
        ranef.lmer(FORMULA, plates, prior=prior)


def test_terms_of_several_columns_and_structures_are_refused():
    sleep = ranef.datasets.load("sleepstudy")
    with pytest.raises(ranef.ModelError, match="2 columns"):
        ranef.lmer("Reaction ~ Days + (Days | Subject)", sleep, prior={"Subject": Point(3)})
    with pytest.raises(ranef.ModelError, match="covariance structure"):
        ranef.lmer("Reaction ~ s(Days, k=5)", sleep, prior={"s(Days)": Point(3)})
    model = ranef.lmer("Reaction ~ Days + (1 | Subject)", sleep, prior={"Subject": Point(30)})
    with pytest.raises(ranef.UnsupportedError, match="known standard deviations"):
        model.coef_table("kenward-roger")
    with pytest.raises(ranef.UnsupportedError, match="prior"):
        model.conf_int("profile")


def test_joint_uncertainty_is_the_inverse_of_the_mixed_model_equations():
    """Henderson (1975); mgcv 1.9 has 13.27913 and 2.67273 for the uncorrelated model by REML."""
    sleep = ranef.datasets.load("sleepstudy")
    for bars in ("|", "||"):
        model = ranef.lmer(f"Reaction ~ Days + (Days {bars} Subject)", sleep)
        X = np.column_stack([np.ones(180), sleep["Days"]])
        codes = sleep["Subject"].astype("category").cat.codes.to_numpy()
        Z = np.zeros((180, 36))
        Z[np.arange(180), 2 * codes], Z[np.arange(180), 2 * codes + 1] = 1.0, sleep["Days"]
        W = np.hstack([X, Z]) / model.sigma
        M = W.T @ W
        M[2:, 2:] += np.kron(np.eye(18), np.linalg.inv(model.varcorr["Subject"].to_numpy()))
        C = np.linalg.inv(M)[2:, 2:]
        joint = model.ranef("joint")
        dense = np.array([C[2 * k : 2 * k + 2, 2 * k : 2 * k + 2] for k in range(18)])
        np.testing.assert_allclose(joint.cov["Subject"], dense, rtol=1e-10)
        pd.testing.assert_frame_equal(joint["Subject"], model.ranef()["Subject"])
        assert (np.linalg.eigvalsh(dense - model.ranef().cov["Subject"]) > 0.0).all()
    sds = np.sqrt(np.diag(joint.cov["Subject"][0]))
    np.testing.assert_allclose(sds, [13.27913, 2.67273], atol=3e-5)


def test_joint_uncertainty_of_other_models(plates):
    known = pd.DataFrame(np.eye(6) + 0.2, list("ABCDEF"), list("ABCDEF"))
    model = ranef.lmer("diameter ~ 1 + (1 | sample)", plates, covariance={"sample": known})
    n = len(plates)
    Z = pd.get_dummies(plates["sample"]).to_numpy(float)
    W = np.hstack([np.ones((n, 1)), Z]) / model.sigma
    M = W.T @ W
    M[1:, 1:] += np.linalg.inv(known.to_numpy()) / model.varcorr["sample"].iloc[0, 0]
    found = model.ranef("joint").cov["sample"][:, 0, 0]
    np.testing.assert_allclose(found, np.diag(np.linalg.inv(M))[1:], rtol=1e-8)
    counts = ranef.datasets.load("cbpp")
    generalised = ranef.glmer(
        "incidence / size ~ period + (1 | herd)", counts, family="binomial", weights="size"
    )
    both = [generalised.ranef(kind).cov["herd"][:, 0, 0] for kind in ("conditional", "joint")]
    assert (both[1] > both[0]).all()
    with pytest.raises(ValueError, match="uncertainty"):
        generalised.ranef("jointly")
    sleep = ranef.datasets.load("sleepstudy")
    gls = ranef.gls("Reaction ~ Days + (1 | Subject)", sleep, variance="~ Days")
    with pytest.raises(ranef.UnsupportedError, match="one linear predictor"):
        gls.ranef("joint")
