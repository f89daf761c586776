"""Growth curves from wide data, with paths of their own, as mixed models, in lavaan's syntax."""

import numpy as np
import pandas as pd
import pytest
import scipy

import ranef
from conftest import OPTIMUM

ROLES = {"time": "occasion", "groups": "student"}


@pytest.fixture(scope="module")
def gpa():
    d = ranef.datasets.load("gpa_sim")
    d["female"] = (d["sex"] == "female").astype(float)
    rng = np.random.default_rng(3)
    d["lib"] = 2.0 + 0.5 * d["occasion"] + rng.normal(size=len(d))
    d["gpa"] = d["gpa"] + 0.05 * d["lib"]
    return d


@pytest.fixture(scope="module")
def wide(gpa):
    out = gpa.pivot(index="student", columns="occasion", values=["gpa", "lib"])
    out.columns = [f"{name}_{t}" for name, t in out.columns]
    female = gpa.groupby("student", observed=True)["female"].first()
    return out.assign(female=female).reset_index()


WAVES = [f"gpa_{t}" for t in range(6)]


def normal_llf(values, mean, cov):
    """Log-likelihood of rows with gaps, unit by unit."""
    total = 0.0
    for row, centre in zip(values, np.broadcast_to(mean, values.shape), strict=True):
        seen = np.isfinite(row)
        if seen.any():
            part = scipy.stats.multivariate_normal(centre[seen], cov[np.ix_(seen, seen)])
            total += part.logpdf(row[seen])
    return total


# ------------------------------------------------------------------ covariates that vary in time


def test_covariates_that_vary_in_time_are_columns_of_the_mixed_model(gpa):
    curve = ranef.growth("gpa", gpa, covariates="female", time_varying="lib", **ROLES)
    lmer = ranef.lmer("gpa ~ occasion * female + lib + (occasion | student)", gpa, reml=False)
    assert curve.llf == pytest.approx(lmer.llf, abs=1e-8)
    assert curve.params["path(lib)"] == pytest.approx(lmer.params["lib"], rel=OPTIMUM)
    assert curve.bse["path(lib)"] == pytest.approx(lmer.bse["lib"], rel=OPTIMUM)
    assert curve.params["slope ~ female"] == pytest.approx(lmer.params["occasion:female"], rel=1e-4)
    np.testing.assert_allclose(curve.predict(), lmer.fittedvalues, rtol=1e-6)
    with pytest.raises(ranef.ModelError, match="a model of lib at every"):
        curve.fit  # noqa: B018
    with pytest.raises(ranef.ModelError, match="implied moments"):
        curve.implied()
    assert "no measures of fit" in str(curve)


def test_a_path_for_each_occasion(gpa):
    curve = ranef.growth("gpa", gpa, time_varying="lib", paths="free", **ROLES)
    lmer = ranef.lmer("gpa ~ occasion + lib:C(occasion) + (occasion | student)", gpa, reml=False)
    assert curve.llf == pytest.approx(lmer.llf, abs=1e-8)
    for t in range(6):
        value = lmer.params[f"lib:C(occasion)[{t}]"]
        assert curve.params[f"path(lib, {t})"] == pytest.approx(value, rel=1e-4)
    assert curve.equate().same


def test_what_varies_and_what_does_not_is_told(gpa):
    with pytest.raises(ranef.DataError, match="Give one that varies as time_varying="):
        ranef.growth("gpa", gpa, covariates="lib", **ROLES)
    with pytest.raises(ranef.DataError, match="pass it as covariates="):
        ranef.growth("gpa", gpa, time_varying="female", **ROLES)
    with pytest.raises(ValueError, match="as time_varying; it is one of them"):
        ranef.growth("gpa", gpa, covariates="lib", time_varying="lib", **ROLES)
    with pytest.raises(ValueError, match="is the time of the curve"):
        ranef.growth("gpa", gpa, time_varying="occasion", **ROLES)
    words = gpa.assign(lib=np.where(gpa["lib"] > 3, "much", "little"))
    with pytest.raises(ranef.UnsupportedError, match="code its levels"):
        ranef.growth("gpa", words, time_varying="lib", paths="free", **ROLES)
    assert "path(lib[T.much])" in ranef.growth("gpa", words, time_varying="lib", **ROLES).params
    with pytest.raises(ranef.UnsupportedError, match="known shape"):
        ranef.growth("gpa", gpa, time_varying="lib", shape="basis", **ROLES)


# ------------------------------------------------------------------ covariates by factor


def test_covariates_of_the_intercept_only(gpa):
    curve = ranef.growth("gpa", gpa, covariates={"intercept": ["female", "highgpa"]}, **ROLES)
    formula = "gpa ~ occasion + female + highgpa + (occasion | student)"
    lmer = ranef.lmer(formula, gpa, reml=False)
    assert curve.llf == pytest.approx(lmer.llf, abs=1e-8)
    assert "slope ~ female" not in curve.params
    assert ranef.equate(lmer, curve).same
    some = {"intercept": ["female", "highgpa"], "slope": "female"}
    mixed = ranef.growth("gpa", gpa, covariates=some, **ROLES)
    names = ["intercept ~ female", "intercept ~ highgpa", "slope ~ female"]
    assert [n for n in mixed.params.index if "~" in n] == names
    more = ranef.lmer("gpa ~ occasion * female + highgpa + (occasion | student)", gpa, reml=False)
    assert mixed.llf == pytest.approx(more.llf, abs=1e-8)
    means = mixed.implied().mean
    np.testing.assert_allclose(means[:6].mean(), gpa["gpa"].mean(), rtol=1e-6)
    assert mixed.update(covariates="female").params["slope ~ female"]
    with pytest.raises(ValueError, match="is not a factor"):
        ranef.growth("gpa", gpa, covariates={"quadratic": "female"}, **ROLES)
    with pytest.raises(ranef.UnsupportedError, match="give it to the intercept too"):
        ranef.growth("gpa", gpa, covariates={"slope": "female"}, **ROLES)


def test_missing_covariates_of_the_intercept_only(gpa):
    """Against the normal density of outcomes and covariates, of what was observed."""
    gaps = gpa.assign(highgpa=gpa["highgpa"].where(gpa["student"].astype(int) % 4 > 0))
    given = {"intercept": "highgpa"}
    model = ranef.growth("gpa", gaps, covariates=given, missing="fiml", **ROLES)
    assert "slope ~ highgpa" not in model.params
    p = model.params
    values = gaps.pivot(index="student", columns="occasion", values="gpa").to_numpy()
    own = gaps.groupby("student", observed=True)["highgpa"].first().to_numpy()
    curve = np.column_stack([np.ones(6), np.arange(6.0)])
    gamma, phi = np.array([p["intercept ~ highgpa"], 0.0]), p["Var(highgpa)"]
    psi = np.array(
        [
            [p["Var(intercept)"], p["Cov(intercept, slope)"]],
            [p["Cov(intercept, slope)"], p["Var(slope)"]],
        ]
    )
    alpha = p[["intercept", "slope"]].to_numpy() + gamma * p["Mean(highgpa)"]
    top = curve @ (psi + phi * np.outer(gamma, gamma)) @ curve.T + p["Var(residual)"] * np.eye(6)
    side = (curve @ gamma * phi)[:, None]
    cov = np.block([[top, side], [side.T, np.array([[phi]])]])
    mean = np.append(curve @ alpha, p["Mean(highgpa)"])
    whole = np.column_stack([values, own])
    assert model.llf == pytest.approx(normal_llf(whole, mean, cov), abs=1e-7)
    both = ranef.growth("gpa", gaps, covariates="highgpa", missing="fiml", **ROLES)
    assert both.npar == model.npar + 1
    assert both.llf > model.llf
    again = pd.concat([gaps, gaps.iloc[[4]]])
    with pytest.raises(ranef.DataError, match="more than once"):
        ranef.growth("gpa", again, covariates=given, missing="fiml", **ROLES)


# ------------------------------------------------------------------ latent basis


def test_a_latent_basis_is_the_optimum_of_its_density(gpa):
    """Against a search of the dense likelihood."""
    blank = gpa.assign(gpa=gpa["gpa"].where(np.arange(len(gpa)) % 11 > 0))
    model = ranef.growth("gpa", blank, shape="basis", **ROLES)
    values = blank.pivot(index="student", columns="occasion", values="gpa").to_numpy()

    def llf(p):
        curve = np.column_stack([np.ones(6), np.r_[0.0, p[6:10], 1.0]])
        psi = np.array([[p[2], p[3]], [p[3], p[4]]])
        cov = curve @ psi @ curve.T + p[5] * np.eye(6)
        return normal_llf(values, curve @ p[:2], cov)

    at = model.params.to_numpy()
    assert list(model.params.index[6:]) == [f"loading({t})" for t in range(1, 5)]
    assert model.llf == pytest.approx(llf(at), abs=1e-7)
    step = 1e-4 * model.bse.to_numpy()
    eye = np.eye(len(at))
    slopes = [(llf(at + s * e) - llf(at - s * e)) / 2e-4 for s, e in zip(step, eye, strict=True)]
    assert np.abs(slopes).max() < 2e-3
    line = ranef.growth("gpa", blank.dropna(subset=["gpa"]), **ROLES)
    assert model.llf > line.llf
    assert model.npar == line.npar + 4
    covered = ranef.growth("gpa", gpa, shape="basis", covariates="female", **ROLES)
    assert "slope ~ female" in covered.params
    with pytest.raises(ranef.ModelError, match="between the first time and the last"):
        ranef.growth("gpa", gpa[gpa["occasion"] < 2], shape="basis", **ROLES)


@pytest.mark.parametrize("arguments", [{"shape": "basis"}, {"missing": "fiml"}])
def test_units_do_not_reach_joint_fits(gpa, arguments):
    plain = ranef.growth("gpa", gpa, covariates="highgpa", **arguments, **ROLES)
    other = gpa.assign(gpa=1e6 * gpa["gpa"] + 1e7, highgpa=1e-3 * gpa["highgpa"])
    moved = ranef.growth("gpa", other, covariates="highgpa", **arguments, **ROLES)
    assert plain.converged
    assert moved.converged
    slope = "slope ~ highgpa"
    assert moved.params[slope] == pytest.approx(1e9 * plain.params[slope], rel=1e-4, abs=1e5)
    assert moved.bse["slope"] == pytest.approx(1e6 * plain.bse["slope"], rel=1e-4)
    shift = 1200 * np.log(1e6) + 200 * np.log(1e-3)
    assert moved.llf + shift == pytest.approx(plain.llf, abs=1e-6)


def test_updates_go_to_the_right_model(gpa):
    line = ranef.growth("gpa", gpa, **ROLES)
    basis = line.update(shape="basis")
    assert basis.llf > line.llf
    assert "loading(1)" in basis.params
    assert basis.update(shape="linear").llf == pytest.approx(line.llf, abs=1e-6)
    assert "gpa_1" in basis.lavaan()
    with pytest.raises(ranef.UnsupportedAttributeError, match="mixed models"):
        basis.equate  # noqa: B018


# ------------------------------------------------------------------ wide data


def test_wide_data_are_the_long_ones(gpa, wide):
    long = ranef.growth("gpa", gpa, covariates="female", **ROLES)
    for how in ({}, {"time": range(6)}, {"time": {w: i for i, w in enumerate(WAVES)}}):
        curve = ranef.growth(WAVES, wide, covariates="female", **how)
        pd.testing.assert_series_equal(curve.params, long.params, rtol=1e-6)
    named = ranef.growth(WAVES, wide, groups="student")
    assert named.ngroups == {"student": 200}
    assert named.update(shape="quadratic").npar == 7
    both = ranef.growth("gpa", gpa, time_varying="lib", **ROLES)
    own = {"lib": [f"lib_{t}" for t in range(6)]}
    curve = ranef.growth(WAVES, wide, time_varying=own)
    pd.testing.assert_series_equal(curve.params, both.params, rtol=1e-6)
    blank = wide.assign(gpa_3=wide["gpa_3"].where(np.arange(200) > 20))
    with pytest.warns(ranef.DroppedRowsWarning):
        some = ranef.growth(WAVES, blank)
    assert some.nobs == 1200 - 21


def test_waves_with_gaps_or_out_of_order_are_told(wide, gpa):
    with pytest.warns(ranef.RanefWarning, match="gaps: their times are taken to be 0, 1, 3, 5"):
        gaps = ranef.growth(["gpa_0", "gpa_1", "gpa_3", "gpa_5"], wide)
    assert list(gaps.occasions) == [0, 1, 3, 5]
    long = ranef.growth("gpa", gpa[gpa["occasion"].isin([0, 1, 3, 5])], **ROLES)
    assert gaps.llf == pytest.approx(long.llf, abs=1e-8)
    with pytest.warns(ranef.RanefWarning, match="out of order"):
        turned = ranef.growth(WAVES[::-1], wide)
    assert turned.params["slope"] == pytest.approx(ranef.growth(WAVES, wide).params["slope"])


def test_hostile_wide_data(wide, gpa):
    with pytest.raises(ranef.DataError, match="no column 'gpa_9'"):
        ranef.growth(["gpa_0", "gpa_9"], wide)
    with pytest.raises(ranef.DataError, match="for two waves"):
        ranef.growth([*WAVES, "gpa_5"], wide)
    with pytest.raises(ranef.DataError, match="have the same time"):
        ranef.growth(WAVES, wide, time=[0, 1, 1, 3, 4, 5])
    with pytest.raises(ValueError, match="at least two waves"):
        ranef.growth(["gpa_0"], wide)
    with pytest.raises(ValueError, match="does not end in a number"):
        ranef.growth(["gpa_0", "female"], wide)
    with pytest.raises(ValueError, match="has 2 values for 6 columns"):
        ranef.growth(WAVES, wide, time=[0, 1])
    with pytest.raises(ValueError, match="whose times are numbers"):
        ranef.growth(WAVES, wide, time="occasion")
    with pytest.raises(ValueError, match="6 waves"):
        ranef.growth(WAVES, wide, time_varying={"lib": ["lib_0"]})
    with pytest.raises(ValueError, match="names the column of each wave"):
        ranef.growth(WAVES, wide, time_varying="lib")
    with pytest.raises(ranef.DataError, match="one row for each unit"):
        ranef.growth(WAVES, wide.assign(student=1), groups="student")
    names = wide["student"].where(np.arange(len(wide)) > 1)
    with pytest.raises(ranef.DataError, match="'student' is missing in 2 rows"):
        ranef.growth(WAVES, wide.assign(student=names), groups="student")
    with pytest.raises(ranef.DataError, match="'gpa_1' is a wave of the outcome and is not"):
        ranef.growth(WAVES, wide.assign(gpa_1="high"), groups="student")
    with pytest.raises(ValueError, match="names a column of long data"):
        ranef.growth("gpa", gpa, groups="student")


# ------------------------------------------------------------------ the two views


@pytest.mark.parametrize("shape", ["intercept", "linear", "quadratic"])
@pytest.mark.parametrize("residuals", ["equal", "free"])
def test_a_curve_is_a_mixed_model(gpa, shape, residuals):
    random = "linear" if shape == "quadratic" else shape
    curve = ranef.growth(
        "gpa", gpa, shape=shape, random=random, residuals=residuals, covariates="sex", **ROLES
    )
    found = curve.equate()
    assert found.same, found
    assert list(found.table.index) == [*curve.params.index, "log-likelihood"]
    assert (found.table["difference"].abs() < 1e-4).all()
    assert "one model" in repr(found)


def test_models_that_differ_are_told_apart(gpa):
    curve = ranef.growth("gpa", gpa, covariates="female", **ROLES)
    reml = ranef.lmer("gpa ~ occasion * female + (occasion | student)", gpa)
    found = ranef.equate(reml, curve)
    assert not found.same
    assert "reml=False" in repr(found)
    assert found.table.loc["slope", "difference"] == pytest.approx(0.0, abs=1e-8)
    other = ranef.lmer("gpa ~ occasion + highgpa + (1 | student)", gpa, reml=False)
    found = ranef.equate(other, curve)
    assert "not in the mixed model: intercept ~ female" in repr(found)
    assert "not in the curve: highgpa" in repr(found)
    assert np.isnan(found.table.loc["Var(slope)", "difference"])
    with pytest.raises(ranef.ModelError, match="same rows"):
        ranef.equate(ranef.lmer("gpa ~ occasion + (1 | student)", gpa[:600]), curve)
    with pytest.raises(ranef.ModelError, match="growth curve"):
        ranef.equate(reml, reml)
    with pytest.raises(ranef.ModelError, match=r"ranef\.lmer or"):
        ranef.equate(curve, curve)


CURVES = [
    {},
    {"residuals": "free", "covariates": "female"},
    {"shape": "quadratic", "random": "linear"},
    {"shape": "intercept"},
    {"random": "intercept", "covariates": {"intercept": "female"}},
]


@pytest.mark.parametrize("arguments", CURVES)
def test_lavaans_syntax_comes_back_as_the_same_model(gpa, wide, arguments):
    curve = ranef.growth("gpa", gpa, **arguments, **ROLES)
    again = ranef.growth(curve.lavaan(), wide)
    assert again.llf == pytest.approx(curve.llf, abs=1e-8)
    assert again.npar == curve.npar


@pytest.mark.parametrize("paths", ["equal", "free"])
def test_paths_in_lavaans_syntax(gpa, wide, paths):
    curve = ranef.growth("gpa", gpa, time_varying="lib", paths=paths, **ROLES)
    again = ranef.growth(curve.lavaan(), wide)
    assert again.llf == pytest.approx(curve.llf, abs=1e-8)
    assert list(again.params.index) == list(curve.params.index)


def test_the_syntax_is_lavaans(gpa):
    text = ranef.growth("gpa", gpa, covariates="female", random="intercept", **ROLES).lavaan()
    lines = text.split("\n")
    assert lines[0].startswith("intercept =~ 1*gpa_0 + 1*gpa_1")
    assert lines[1].startswith("slope =~ 0*gpa_0 + 1*gpa_1 + 2*gpa_2")
    assert "slope ~~ 0*slope" in lines
    assert "gpa_0 ~~ rv*gpa_0" in lines
    assert "slope ~ female" in lines


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("i =~ 1*gpa_0 + 1*gpa_1\ns =~ 0*gpa_0 + 1*gpa_2", "not measured by"),
        ("i =~ 2*gpa_0 + 1*gpa_1", "is not an intercept"),
        ("i =~ 1*gpa_0 + 1*gpa_1\ngpa_0 ~~ gpa_1", "do not covary"),
        ("i =~ 1*gpa_0 + 1*gpa_1\ns =~ 0*gpa_0 + 1*gpa_1\ni ~~ 0*s", "covary here"),
        ("i =~ 1*gpa_0 + 1*gpa_1\ngpa_0 ~ lib_0", "every wave"),
        ("i =~ 1*gpa_0 + 1*gpa_1\ni ~ 0.5*female", "cannot be fixed"),
        ("i =~ 1*gpa_0 + 1*gpa_1\ni ~~ 0.3*i", "cannot be fixed"),
        ("i =~ 1*gpa_0 + 1*gpa_1\ngpa_0 ~~ 0.2*gpa_0\ngpa_1 ~~ 0.2*gpa_1", "cannot be fixed"),
        ("i =~ 1*gpa_0 + 1*gpa_1\ns =~ 0*gpa_0 + 1*gpa_1\ns ~ i", "factors covary here"),
    ],
)
def test_what_is_no_curve_of_ranef_is_refused(wide, text, message):
    with pytest.raises(ranef.UnsupportedError, match=message):
        ranef.growth(text, wide)


def test_a_line_that_is_not_of_the_syntax(wide):
    with pytest.raises(ranef.FormulaError, match="not a line of lavaan's model syntax"):
        ranef.growth("i =~ 1*gpa_0\nwhat is this", wide)


# ------------------------------------------------------------------ several outcomes, cohorts


def test_parallel_processes_are_one_model_of_stacked_outcomes():
    """Two outcomes whose levels and slopes covary: the density of both, unit by unit."""
    rng = np.random.default_rng(5)
    units, times = 60, np.arange(4.0)
    root = rng.normal(size=(4, 4))
    b = rng.multivariate_normal([1.0, 0.5, -1.0, 0.2], 0.3 * root @ root.T + 0.1 * np.eye(4), units)
    rows = [
        pd.DataFrame(
            {
                "id": np.repeat(np.arange(units), 4),
                "time": np.tile(times, units),
                "outcome": name,
                "value": (
                    b[:, [j]] + b[:, [j + 1]] * times + sd * rng.normal(size=(units, 4))
                ).ravel(),
            }
        )
        for j, name, sd in ((0, "anxiety", 0.5), (2, "sleep", 0.8))
    ]
    long = pd.concat(rows, ignore_index=True)
    terms = "0 + outcome + outcome:time"
    model = ranef.gls(
        f"value ~ {terms} + ({terms} | id)", long, groups="id", variance="outcome", reml=False
    )
    psi = model.varcorr["id"]
    assert psi.shape == (4, 4)
    curve = np.column_stack([np.ones(4), times])
    Z = np.zeros((8, 4))
    Z[:4, [0, 2]], Z[4:, [1, 3]] = curve, curve
    sds = model.variances["sd"][["anxiety", "sleep"]].to_numpy()
    cov = Z @ psi.to_numpy() @ Z.T + np.diag(np.repeat(sds**2, 4))
    values = long.pivot(index="id", columns=["outcome", "time"], values="value").to_numpy()
    mean = Z @ model.params.to_numpy()
    assert model.llf == pytest.approx(normal_llf(values, mean, cov), abs=1e-7)
    alone = [ranef.growth("value", part, time="time", groups="id") for part in rows]
    assert model.llf > sum(curve.llf for curve in alone)


def test_cohorts_that_follow_each_other_are_one_curve_in_age(gpa):
    """Three cohorts of three ages each: ages that no group has together."""
    cohort = gpa["student"].astype(int) % 3
    age = 12 + gpa["occasion"]
    kept = gpa.assign(age=age)[(gpa["occasion"] >= cohort) & (gpa["occasion"] <= cohort + 2)]
    curve = ranef.growth("gpa", kept, time="age", groups="student")
    lmer = ranef.lmer("gpa ~ age + (age | student)", kept, reml=False)
    assert curve.llf == pytest.approx(lmer.llf, abs=1e-7)
    assert curve.params["slope"] == pytest.approx(lmer.params["age"], rel=1e-5)
    assert len(curve.occasions) == 5
    with pytest.raises(ranef.ModelError):
        curve.fit  # noqa: B018
    assert "no measures of fit" in str(curve)
