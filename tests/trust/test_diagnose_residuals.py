"""What diagnose finds in predictors, responses and residuals, and the code that it proposes."""

import warnings
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import ranef
from ranef.inference.diagnosis.predictors import inflation
from ranef.inference.residuals import scores

DETECTIONS = Path(__file__).parents[1] / "data" / "detections.csv"


def frame(seed=1, groups=40, rows=6):
    rng = np.random.default_rng(seed)
    g = np.repeat(np.arange(groups), rows)
    n = g.size
    data = pd.DataFrame({"g": g, "t": np.tile(np.arange(rows), groups), "x": rng.normal(size=n)})
    data["y"] = 5.0 + data["x"] + rng.normal(size=groups)[g] + rng.normal(size=n)
    return data


def quietly(make):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ranef.RanefWarning)
        return make()


def run(finding, model, data):
    """Execute a finding's line of code."""
    return quietly(lambda: eval(finding.fix, {"ranef": ranef, "model": model, "data": data}))


def diagnosed(formula, data):
    model = quietly(lambda: ranef.lmer(formula, data))
    return model, ranef.diagnose(model, simulations=59)


def test_a_right_model_has_no_finding_and_says_what_was_looked_at():
    _, found = diagnosed("y ~ x + t + (1 | g)", frame())
    assert found.codes == []
    text = repr(found)
    assert text.startswith("Nothing found.")
    assert "Looked at: rows, groups" in text.replace("\n", " ")
    assert "Not looked at: places in space" in text
    assert "Looked at" in found._repr_html_()
    _, without = diagnosed("y ~ x + t + (1 | g)", frame())
    assert "outliers" in without.looked_at[-1]
    model = ranef.lmer("y ~ x + t + (1 | g)", frame())
    assert "simulations=0" in repr(ranef.diagnose(model, simulations=0))


def test_inflation_of_variances_is_that_of_regressions_of_each_predictor():
    data = frame()
    rng = np.random.default_rng(2)
    data["z"] = data["x"] + 0.3 * rng.normal(size=len(data))
    data["f"] = np.where(data["z"] + rng.normal(size=len(data)) > 0, "a", "b")
    design = ranef.feols("y ~ x + z + f", data).parts.design
    found = inflation(design)
    X = np.column_stack([data["x"], data["z"], data["f"] == "b"]).astype(float)
    for j, name in enumerate(["x", "z", "f"]):
        rest = np.column_stack([np.ones(len(X)), np.delete(X, j, axis=1)])
        left = X[:, j] - rest @ np.linalg.lstsq(rest, X[:, j], rcond=None)[0]
        share = left @ left / ((X[:, j] - X[:, j].mean()) ** 2).sum()
        assert found[name][0] == pytest.approx(1.0 / share, rel=1e-8)
    crossed = ranef.feols("y ~ x * z + I(x ** 2) + f", data).parts.design
    again = inflation(crossed)
    assert {name: value[0] for name, value in again.items()} == pytest.approx(
        {name: value[0] for name, value in found.items()}
    )


def test_collinear_predictors_are_found():
    data = frame()
    data["z"] = data["x"] + 0.01 * np.random.default_rng(2).normal(size=len(data))
    _, found = diagnosed("y ~ x + z + (1 | g)", data)
    assert np.corrcoef(data["x"], data["z"])[0, 1] > 0.9999
    assert found.find("collinear").severity == "warning"
    assert "collinear" in ranef.diagnose("y ~ x + z + (1 | g)", data).codes


#: car 3.1-3, vif(lm(CountDetections ~ .)) without Unit, Day and FalseDetections: GVIF and df, as
#: m-clark.github.io prints them in "Convergence Problems" (2020, revised 2025).
VIF = {
    "SUR.ID": (1.200902, 2),
    "tm": (1.066227, 1),
    "ValidDetections": (2.708644, 1),
    "replicate": (1.057540, 1),
    "Area": (5.795510, 1),
    "R.det": (2.393891, 1),
    "c.receiver.depth": (8.674740, 1),
    "c.tm.depth": (13.438407, 1),
    "c.temp": (2.956315, 1),
    "c.wind": (3.041363, 1),
    "c.distance": (2.065335, 1),
}


def test_inflation_of_a_published_data_set_is_that_of_car():
    data = pd.read_csv(DETECTIONS, dtype={"SUR.ID": str, "replicate": str})
    formula = "CountDetections ~ " + " + ".join(f"`{name}`" for name in VIF)
    found = inflation(ranef.feols(formula, data).parts.design)
    assert {name: df for name, (_, df) in found.items()} == {n: df for n, (_, df) in VIF.items()}
    for name, (expected, _) in VIF.items():
        assert found[name][0] == pytest.approx(expected, abs=1e-6)
    told = ranef.diagnose(f"{formula} + (1 | tm)", data).find("collinear").evidence
    assert "c.tm.depth 13.44, c.receiver.depth 8.67, Area 5.80" in told


@pytest.mark.parametrize(
    ("code", "make"),
    [
        ("outliers", lambda d, rng: d["y"] + 60.0 * (np.arange(len(d)) == 17)),
        ("curvature", lambda d, rng: d["y"] + d["x"] ** 2),
        ("unequal-variance", lambda d, rng: d["y"] + rng.normal(size=len(d)) * np.exp(d["x"])),
        ("serial-correlation", None),
        ("effects-correlated", lambda d, rng: d["y"] + 2.0 * d.groupby("g")["x"].transform("mean")),
    ],
)
def test_what_is_wrong_is_found_and_its_fix_runs(code, make):
    data, rng = frame(), np.random.default_rng(3)
    if code == "effects-correlated":
        data["x"] += rng.normal(size=40)[data["g"]]
    if make is None:
        e = rng.normal(size=(40, 6))
        for t in range(1, 6):
            e[:, t] += 0.9 * e[:, t - 1]
        data["y"] = data["x"] + e.ravel()
    else:
        data["y"] = make(data, rng)
    model, found = diagnosed("y ~ x + t + (1 | g)", data)
    assert found.find(code) is not None, found.codes
    if found.find(code).fix:
        run(found.find(code), model, data)
    assert set(found.codes) <= {code, "influential-group", "few-levels"}


def test_fixes_mend_what_was_found():
    data, rng = frame(), np.random.default_rng(5)
    spread = np.exp(0.8 * data["x"])
    data["y"] = (
        5.0 + 0.5 * data["t"] + rng.normal(size=40)[data["g"]] + spread * rng.normal(size=240)
    )
    model, found = diagnosed("y ~ x + t + (1 | g)", data)
    assert found.find("unequal-variance").fix.endswith('variance="~ x")')
    mended = run(found.find("unequal-variance"), model, data)
    assert mended.llf > model.llf + 20.0
    assert "unequal-variance" not in ranef.diagnose(mended, simulations=59).codes


def test_responses_that_are_no_measures_are_named():
    data, rng = frame(), np.random.default_rng(5)
    data["yes"] = (data["y"] > 5.0).astype(int)
    data["n"] = rng.poisson(np.exp(0.5 + 0.5 * data["x"]))
    data["rating"] = np.clip(np.round(data["y"] - 2.0), 1, 5)
    for response, code in (
        ("yes", "binary-response"),
        ("n", "count-response"),
        ("rating", "ordered-response"),
    ):
        formula = f"{response} ~ x + (1 | g)"
        before = ranef.diagnose(formula, data)
        assert code in before.codes
        if before.find(code).fix:
            assert run(before.find(code), None, data).nobs == len(data)
    assert not {"count-response", "binary-response"} & set(
        diagnosed("y ~ x + (1 | g)", data)[1].codes
    )


def test_an_exposure_that_was_not_logged_is_found():
    data, rng = frame(), np.random.default_rng(6)
    data["years"] = rng.uniform(1.0, 30.0, len(data))
    data["n"] = rng.poisson(data["years"] * np.exp(-1.0 + 0.3 * data["x"]))
    for made in (
        lambda: ranef.glmer("n ~ x + offset(years) + (1 | g)", data, family="poisson"),
        lambda: ranef.glmer("n ~ x + (1 | g)", data, family="poisson", offset="years"),
    ):
        model = quietly(made)
        finding = ranef.diagnose(model, simulations=0).find("unlogged-offset")
        better = run(finding, model, data)
        assert better.llf > model.llf + 100.0
        assert "unlogged-offset" not in ranef.diagnose(better, simulations=0).codes


def test_an_effect_of_each_row_of_counts_is_no_error():
    data, rng = frame(groups=20), np.random.default_rng(7)
    data["n"] = rng.poisson(np.exp(0.5 + data["x"] + 0.5 * rng.normal(size=len(data))))
    data["row"] = np.arange(len(data))
    model = quietly(lambda: ranef.glmer("n ~ x + (1 | g) + (1 | row)", data, family="poisson"))
    assert "effects-as-many-as-rows" not in ranef.diagnose(model, simulations=0).codes


def test_models_of_every_kind_can_be_asked():
    data = frame()
    data["y"] += np.random.default_rng(8).normal(size=len(data)) * data["t"]
    growth = quietly(lambda: ranef.growth("y", data, time="t", groups="g"))
    finding = ranef.diagnose(growth, simulations=39).find("unequal-variance")
    assert finding.fix == 'model.update(residuals="free")'
    assert run(finding, growth, data).llf > growth.llf + 5.0
    for model in (
        ranef.gls("y ~ x + t", data, groups="g", time="t", corr="ar1"),
        ranef.feols("y ~ x + t", data),
        ranef.gee("y ~ x + t", data, groups="g"),
    ):
        found = ranef.diagnose(model, simulations=39)
        assert "unequal-variance" in found.codes
        for one in found:
            if one.fix:
                run(one, model, data)


def test_names_with_dots_and_reserved_words_run():
    data = frame().rename(columns={"x": "a.b", "g": "class"})
    data["y"] += data["a.b"] ** 2
    model, found = diagnosed("y ~ `a.b` + (1 | `class`)", data)
    assert "curvature" in found.codes
    for one in found:
        if one.fix:
            run(one, model, data)


def test_scores_have_the_distributions_they_are_compared_with():
    # A t with m - 1 degrees of freedom, chi-squared, and Gumbel: shares below 0.05 of right ones.
    rng = np.random.default_rng(9)
    below = np.zeros(3)
    for _ in range(2000):
        own = rng.normal(size=60)
        below += [
            scores.score(own[0], own[1:]).pvalue < 0.05,
            scores.quadratic(*_halves(rng.chisquare(8.0, 60))).pvalue < 0.05,
            scores.extreme(*_halves(rng.gumbel(size=60))).pvalue < 0.05,
        ]
    assert ((below / 2000 > 0.035) & (below / 2000 < 0.07)).all(), below / 2000


def _halves(values):
    return float(values[0]), values[1:]


def test_rows_of_one_time_get_no_fix_that_cannot_run():
    data, rng = frame(), np.random.default_rng(3)
    e = rng.normal(size=(40, 6))
    for t in range(1, 6):
        e[:, t] += 0.9 * e[:, t - 1]
    data["y"] = data["x"] + e.ravel()
    data.loc[5, "t"] = data.loc[4, "t"]
    _, found = diagnosed("y ~ x + t + (1 | g)", data)
    assert found.find("serial-correlation").fix == ""
