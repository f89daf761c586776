"""Smooth terms of fitted models against mgcv 1.8-41 (R 4.2.2) and against dense algebra.

Figures of mgcv: gam(..., method="REML") with converged smoothing parameters, on the frame below,
which R makes by the same lines.
"""

import pickle

import numpy as np
import pandas as pd
import pytest
from scipy import stats

import ranef
from ranef.errors import DataError, RanefWarning, RankWarning, UnsupportedError
from ranef.inference.smooths.tests import weighted_tail


@pytest.fixture(scope="module")
def frame():
    i = np.arange(1, 151)
    noise = (i * 0.8191725133961645) % 1 + (i * 0.6710436067037893) % 1 - 1
    d = pd.DataFrame(
        {
            "x": ((i * 0.6180339887498949) % 1).round(3),
            "z": (3 * ((i * 0.7548776662466927) % 1) - 1).round(3),
            "h": (24 * ((i * 0.5698402909980532) % 1)).round(2),
            "w": np.sin(3 * i).round(3),
            "f": np.array(["a", "b", "c"])[i % 3],
            "g": np.array(list("abcdefghijk"))[i * i % 11],
        }
    )
    level = pd.factorize(d.g, sort=True)[0] + 1
    d["y"] = (
        np.sin(5 * d.x) + 0.4 * d.z**2 + (d.f == "b") * d.x + 0.3 * (level % 3)
        + 0.3 * d.w * np.cos(d.h * np.pi / 12) + noise
    ).round(3)  # fmt: skip
    d["n"] = np.floor(np.exp(0.4 * d.y) + 0.5 * (1 + noise))
    d["k"] = (d.y > 1).astype(int)
    d["y2"] = np.exp(d.y / 2).round(3)
    return d


#: Formula, edf and reference df of each term, sigma, first two fitted values: mgcv's.
GAUSSIAN = [
    ("y ~ s(x)", [4.296624], [5.29057], 0.717090444, [0.9156398, 1.6500589]),
    ("y ~ s(x, bs='cr', k=7)", [4.094221], [4.86219], 0.716512565, [0.90608128, 1.646428]),
    ("y ~ s(x, bs='ps', k=9, m=(2, 1))", [4.214245], [8], 0.715804862, [0.90100732, 1.6271363]),
    ("y ~ s(x, z, k=15)", [11.55542], [13.2799], 0.635121555, [1.2916263, 1.191472]),
    ("y ~ s(h, bs='cc', k=7, knots=(0, 24)) + s(z)", [0, 2.504289], [None, 3.11935],
     0.887728502, [1.2600828, 0.77749923]),
    ("y ~ f + s(x, by=f, k=6) + s(z, by=w, k=5)", [3.020523, 3.082052, 3.464649, 2],
     [3.65206, 3.71945, 4.10192, 2], 0.681797582, [1.3068026, 1.7243721]),
    ("y ~ te(x, z)", [12.71106], [15.8863], 0.59232668, [1.1581867, 1.4702738]),
    ("y ~ ti(x) + ti(z) + ti(x, z, k=4)", [3.596043, 2.927507, 1], [3.90294, 3.43393, 1],
     0.590368534, [1.1972022, 1.4153115]),
    ("y ~ t2(x, z, k=4)", [9.456318], [10.4665], 0.59197406, [1.0992651, 1.4834485]),
    # one of the data sets on which mgcv's directions without a penalty are not left to rounding
    ("y ~ s(z, g, bs='fs', k=4)", [12.77272], [None], 0.823924218, [1.3645944, 0.94260738]),
    ("y ~ s(z, k=5) + s(g, bs='re') + s(g, w, bs='re')", [2.459716, 4.056958, 0],
     [2.96794, None, None], 0.828382487, [1.5149396, 0.81475168]),
]  # fmt: skip


@pytest.mark.filterwarnings("ignore::ranef.SingularFitWarning")
@pytest.mark.parametrize(("formula", "edf", "ref_df", "sigma", "fitted"), GAUSSIAN)
def test_linear_models_are_those_of_mgcv(frame, formula, edf, ref_df, sigma, fitted):
    model = ranef.lmer(formula, frame)
    table = model.smooths
    np.testing.assert_allclose(table["edf"], edf, rtol=2e-5, atol=2e-5)
    for ours, theirs in zip(table["ref_df"], ref_df, strict=True):
        assert theirs is None or ours == pytest.approx(theirs, rel=5e-5)
    np.testing.assert_allclose(model.sigma, sigma, rtol=1e-6)
    np.testing.assert_allclose(model.fittedvalues[:2], fitted, rtol=1e-5)


@pytest.mark.parametrize(
    ("formula", "family", "edf", "fitted"),
    [
        ("n ~ s(x) + s(g, bs='re')", "poisson", [2.436286, 1.507123], [1.6396185, 2.0097978]),
        ("k ~ te(x, z, k=4) + f", "binomial", [9.318445], [0.79817494, 0.78253007]),
    ],
)
def test_generalised_models_are_those_of_mgcv(frame, formula, family, edf, fitted):
    model = ranef.glmer(formula, frame, family=family, reml=True)
    np.testing.assert_allclose(model.smooths["edf"], edf, rtol=1e-4)
    np.testing.assert_allclose(model.fittedvalues[:2], fitted, rtol=1e-4)


def test_the_restricted_likelihood_of_a_generalised_model(frame):
    # mgcv 1.8-41 and glmmTMB 1.1.5 (REML=TRUE) on cbpp, period + (1 | herd): -93.1990671011
    cbpp = ranef.datasets.load("cbpp")
    formula = "cbind(incidence, size - incidence) ~ period + (1 | herd)"
    model = ranef.glmer(formula, cbpp, family="binomial", reml=True)
    assert model.llf == pytest.approx(-93.1990671011, abs=1e-6)
    np.testing.assert_allclose(model.varcorr["herd"].iloc[0, 0] ** 0.5, 0.6818673, rtol=1e-5)
    # mgcv's: the errors at the estimated variance
    np.testing.assert_allclose(model.bse, [0.2357518, 0.3039704, 0.3241294, 0.4250581], rtol=1e-5)
    with pytest.raises(ValueError, match="nagq=1"):
        ranef.glmer(formula, cbpp, family="binomial", reml=True, nagq=5)
    with pytest.raises(UnsupportedError, match="prior"):
        ranef.glmer(formula, cbpp, family="binomial", reml=True, prior="weak")


def test_errors_and_tests_of_a_curve(frame):
    """Standard errors are mgcv's; its p-values: 3.141e-07 and 2.324e-06 of two levels."""
    model = ranef.lmer("y ~ f + s(x, by=f, k=6) + s(z, by=w, k=5)", frame)
    limits = model.predict(frame.head(2), interval="confidence")
    se = (limits["upper"] - limits["mean"]) / 1.959963984540054
    np.testing.assert_allclose(se, [0.16912101, 0.18213428], rtol=1e-5)
    pvalues = model.smooths["pvalue"]
    np.testing.assert_allclose(
        np.log10(pvalues.iloc[:2]), np.log10([3.141e-07, 2.324e-06]), atol=0.2
    )
    assert pvalues.iloc[3] == pytest.approx(0.978, abs=0.005)


def test_a_curve_is_the_dense_posterior(frame):
    """fit and se by (C'C + P)^-1 of all columns, and the sum of terms is the prediction."""
    model = ranef.lmer("y ~ w + s(x, k=7) + (1 | g)", frame)
    parts = model.parts
    design, e = parts.design, parts.estimate
    Zg = np.eye(design.random[0].n_levels)[design.random[0].codes] * e.lambda_[0][0, 0]
    Zs = design.z(design.random[1]) @ e.lambda_[1]
    C = np.hstack([design.X, Zg, Zs])
    P = np.diag([0.0] * 3 + [1.0] * (C.shape[1] - 3))
    V = np.linalg.inv(C.T @ C + P)
    coefs = V @ C.T @ design.y
    own = [2, *range(C.shape[1] - Zs.shape[1], C.shape[1])]
    curve = model.smooth("s(x)", frame)
    np.testing.assert_allclose(curve["fit"], C[:, own] @ coefs[own], atol=1e-8)
    variance = np.einsum("ij,jk,ik->i", C[:, own], V[np.ix_(own, own)], C[:, own])
    np.testing.assert_allclose(curve["se"], e.sigma * np.sqrt(variance), rtol=1e-8)
    F = V @ C.T @ C
    assert model.smooths.loc["s(x)", "edf"] == pytest.approx(np.diag(F)[own].sum(), rel=1e-8)
    twice = (2 * F - F @ F)[own, own].sum()
    assert model.smooths.loc["s(x)", "ref_df"] == pytest.approx(twice, rel=1e-8)
    whole = curve["fit"] + frame["w"] * model.params["w"] + model.params["Intercept"]
    np.testing.assert_allclose(model.predict(frame, random="none"), whole, atol=1e-8)


def test_the_likelihood_is_that_of_the_mixed_model(frame):
    """-2 restricted log-likelihood by V = Z Lambda^2 Z' + I, at the estimate."""
    model = ranef.lmer("y ~ te(x, z, k=4) + (1 | g)", frame)
    design, e = model.parts.design, model.parts.estimate
    V = np.eye(design.n_obs)
    for term, factor in zip(design.random, e.lambda_, strict=True):
        Z = np.einsum("nl,ns->nls", np.eye(term.n_levels)[term.codes], design.z(term) @ factor)
        Z = Z.reshape(design.n_obs, -1)
        V += Z @ Z.T
    X, y, n = design.X, design.y, design.n_obs
    inverse = np.linalg.inv(V)
    XVX = X.T @ inverse @ X
    r = y - X @ np.linalg.solve(XVX, X.T @ inverse @ y)
    nu = n - X.shape[1]
    found = np.linalg.slogdet(V)[1] + np.linalg.slogdet(XVX)[1]
    found += nu * (1 + np.log(2 * np.pi * (r @ inverse @ r) / nu))
    assert model.llf == pytest.approx(-0.5 * found, abs=1e-7)
    assert model.npar == 4 + 2 + 1 + 1  # 1, x, z, xz; two of te, one of g, sigma


def test_derivatives_and_bands(frame):
    model = ranef.lmer("y ~ s(x, bs='cr', k=8)", frame)
    h = 1e-3
    at = np.linspace(0.1, 0.9, 9)
    ends = [model.smooth("s(x)", {"x": at + s * h})["fit"] for s in (1, -1)]
    slope = model.smooth("s(x)", {"x": at}, derivative="x")
    np.testing.assert_allclose(slope["fit"], (ends[0] - ends[1]) / (2 * h), atol=1e-3)
    pointwise = model.smooth("s(x)", interval="pointwise")
    wide = model.smooth("s(x)", interval="simultaneous")
    half = (pointwise["upper"] - pointwise["fit"]) / pointwise["se"]
    np.testing.assert_allclose(half, 1.959963984540054)
    ratio = ((wide["upper"] - wide["fit"]) / wide["se"]).to_numpy()
    assert np.ptp(ratio) < 1e-9
    assert 2.4 < ratio[0] < 3.3
    assert list(wide.columns) == ["x", "fit", "se", "lower", "upper"]
    repeated = model.smooth("s(x)", interval="simultaneous", seed=0)
    pd.testing.assert_frame_equal(wide, repeated)


def test_simultaneous_bands_cover_the_whole_curve():
    """Of 120 samples of a known curve, about 95 in 100 bands hold all of it."""
    rng = np.random.default_rng(5)
    x = np.sort(rng.uniform(size=200))
    truth = np.sin(2 * np.pi * x)
    inside = []
    for _ in range(120):
        data = pd.DataFrame({"x": x, "y": truth + rng.normal(0, 0.4, 200)})
        band = ranef.lmer("y ~ s(x, k=15, bs='cr')", data).smooth(
            "s(x)", data, interval="simultaneous"
        )
        at = truth - truth.mean()
        inside.append(bool(((band["lower"] < at) & (at < band["upper"])).all()))
    assert 0.87 < np.mean(inside) < 0.995


def test_a_model_with_smooths_is_a_model_like_others(frame):
    model = ranef.lmer("y ~ w + s(x, k=6) + (1 | g)", frame)
    assert list(model.varcorr) == ["g"]
    assert model.ngroups == {"g": 6}
    assert list(model.ranef()) == ["g"]
    text = str(model)
    assert "Smooth terms" in text
    assert "s(x)[x]" not in text
    assert list(model.anova().index) == ["w"]
    again = pickle.loads(pickle.dumps(model))
    pd.testing.assert_frame_equal(model.smooths, again.smooths)
    np.testing.assert_allclose(again.predict(frame.head(3)), model.predict(frame.head(3)))
    assert model.update(". ~ . - s(x)").smooths.empty
    assert list(model.update(". ~ . + s(z, k=5)").smooths.index) == ["s(x)", "s(z)"]
    refitted = model.refit(frame["y"] * 2)
    np.testing.assert_allclose(refitted.smooths["edf"], model.smooths["edf"], rtol=1e-4)
    # new responses have the curve, and new effects of groups
    draws = model.simulate(300, seed=1).mean(axis=1)
    np.testing.assert_allclose(draws, model.predict(random="none"), atol=0.25)
    table = ranef.anova(model.update(". ~ . - s(x)"), model)
    assert table["npar"].tolist() == [4, 6]
    with pytest.raises(UnsupportedError, match="predict"):
        ranef.emmeans(model, "w")


def test_random_none_keeps_curves_and_leaves_groups_out(frame):
    model = ranef.lmer("y ~ s(x, k=6) + s(x, g, bs='fs', k=4) + (1 | f)", frame)
    alone = model.predict(frame.head(4), random="none")
    curve = model.params["Intercept"] + model.smooth("s(x)", frame.head(4))["fit"]
    np.testing.assert_allclose(alone, curve)
    own = model.smooth("s(x,g)", frame.head(4))["fit"]
    np.testing.assert_allclose(model.predict(frame.head(4), random=["s(x,g)"]), curve + own)


def test_a_singular_smooth_is_a_straight_line_without_a_warning():
    data = pd.DataFrame({"x": np.linspace(0, 1, 60)})
    data["y"] = 2 * data.x + np.where(np.arange(60) % 2, 0.1, -0.1)
    model = ranef.lmer("y ~ s(x, k=6)", data)
    assert model.smooths["edf"].iloc[0] == pytest.approx(1.0, abs=1e-4)
    assert not model.is_singular
    assert model.warnings == ()


def test_what_is_said(frame):
    with pytest.warns(RanefWarning, match="add f to the formula"):
        ranef.lmer("y ~ s(x, by=f, k=5)", frame)
    model = ranef.lmer("y ~ s(x, k=5)", frame)
    with pytest.warns(RanefWarning, match="'x' of 2 new rows lies outside 0.005 to 0.997"):
        model.predict(pd.DataFrame({"x": [0.5, 1.5, -1.0]}))
    with pytest.raises(ValueError, match="did you mean 's\\(x\\)'"):
        model.smooth("s(X)")
    with pytest.raises(ValueError, match="derivative must be"):
        model.smooth("s(x)", derivative="z")
    with pytest.raises(UnsupportedError, match="smooth term"):
        ranef.feols("y ~ s(x)", frame)
    with pytest.raises(DataError, match="only 2 distinct values"):
        ranef.lmer("y ~ s(k)", frame)
    with pytest.warns(RankWarning):
        ranef.lmer("y ~ x + s(x, k=5)", frame)


def test_nested_smooths_share_their_straight_lines(frame):
    # mgcv drops what s(x, z) repeats of s(x) as well: the same fit
    model = ranef.lmer("y ~ s(x, k=5, bs='cr') + s(x, z, k=12)", frame)
    assert model.warnings == ()
    assert list(model.params.index) == ["Intercept", "s(x)[x]", "s(x,z)[z]"]


def test_tails_of_weighted_sums_of_squares():
    rng = np.random.default_rng(0)
    squares = rng.standard_normal((1_000_000, 3)) ** 2
    weights = np.array([2.0, 1.0, 0.02])
    drawn = (squares @ weights > 5.0).mean()
    assert weighted_tail(weights, 5.0) == pytest.approx(drawn, abs=0.0015)
    scale = rng.chisquare(12, 1_000_000) / 12
    drawn = (squares @ weights > 5.0 * scale).mean()
    assert weighted_tail(weights, 5.0, 12.0) == pytest.approx(drawn, abs=0.0015)
    assert weighted_tail(np.ones(4), 60.0) == pytest.approx(stats.chi2.sf(60, 4), rel=1e-9)
    assert weighted_tail(np.ones(4), 12.0, 30.0) == pytest.approx(stats.f.sf(3, 4, 30), rel=1e-9)
    many = np.linspace(1.0, 2.0, 200)  # by the saddlepoint
    drawn = (rng.standard_normal((40_000, 200)) ** 2 @ many > 330.0).mean()
    assert weighted_tail(many, 330.0) == pytest.approx(drawn, abs=0.007)


def test_figures_of_smooths(frame):
    from matplotlib import pyplot

    model = ranef.lmer("y ~ f + s(x, k=6) + te(x, z, k=4) + s(z, g, bs='fs', k=4)", frame)
    drawn = model.plot.smooths()
    titles = [axis.get_title(loc="left") for axis in drawn]
    assert titles == ["s(x)", "te(x,z)", "s(z,g)"]
    pyplot.close(drawn.figure)
    own, axis = pyplot.subplots()
    assert model.plot.smooths("s(x)", axes=[axis]).figure is own
    assert "edf" in axis.get_ylabel()
    pyplot.close(own)
    with pytest.raises(ValueError, match="terms must be among"):
        model.plot.smooths("s(q)")
    with pytest.raises(UnsupportedError, match="smooth terms"):
        ranef.lmer("y ~ x + (1 | g)", frame).plot.smooths()
