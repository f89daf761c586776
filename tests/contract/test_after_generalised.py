"""What follows a fit, on every kind of generalised model: an answer, or a refusal in words.

A cell is a function and a model. It works when it returns finite numbers, and is refused when it
raises an error of ranef whose words are long enough to say what to do. Anything else fails.
"""

import warnings

import numpy as np
import pandas as pd
import pytest

import ranef

QUIET = {"seed": 1, "progress": False}


def counts():
    """Counts, shares, amounts and categories of twelve groups."""
    rng = np.random.default_rng(11)
    g = np.repeat(np.arange(12), 10)
    a = np.where(rng.random(g.size) < 0.5, "no", "yes")
    x = rng.normal(size=g.size)
    eta = 0.6 + 0.4 * x + 0.5 * (a == "yes") + 0.6 * rng.normal(size=12)[g]
    mu, p = np.exp(eta), 1.0 / (1.0 + np.exp(-eta))
    share = rng.beta(6.0 * p, 6.0 * (1.0 - p))
    won = rng.binomial(8, share)
    return pd.DataFrame(
        {
            "g": g,
            "a": a,
            "x": x,
            "row": np.arange(g.size),
            "n": rng.poisson(mu * rng.gamma(3.0, 1 / 3.0, g.size)),
            "z": np.where(rng.random(g.size) < 0.3, 0, rng.poisson(mu)),
            "share": share,
            "edges": np.where(share > 0.93, 1.0, np.where(share < 0.2, 0.0, share)),
            "won": won,
            "lost": 8 - won,
            "amount": np.where(rng.random(g.size) < 0.2, 0.0, rng.gamma(2.0, mu / 2.0)),
            "time": rng.gamma(2.0, mu / 2.0),
            "o": np.digitize(eta + rng.logistic(size=g.size), [0.0, 1.5]),
        }
    )


CBPP = "cbind(incidence, size - incidence) ~ period + (1 | herd)"
FITS = {
    "cbpp": lambda d: ranef.glmer(CBPP, ranef.datasets.load("cbpp"), family="binomial"),
    "row effects": lambda d: ranef.glmer("n ~ x + a + (1 | g) + (1 | row)", d, family="poisson"),
    "negative binomial": lambda d: ranef.glmer(
        "n ~ x + a + (1 | g)", d, family="negative_binomial"
    ),
    "zeros": lambda d: ranef.glmer("z ~ x + a + (1 | g)", d, family="poisson", zero="~ a"),
    "hurdle": lambda d: ranef.glmer(
        "z ~ x + a + (1 | g)", d, family="truncated_poisson", zero="~ a"
    ),
    "dispersion": lambda d: ranef.glmer(
        "n ~ x + a + (1 | g)", d, family="nbinom1", dispersion="~ a"
    ),
    "beta": lambda d: ranef.glmer("share ~ x + a + (1 | g)", d, family="beta"),
    "betabinomial": lambda d: ranef.glmer(
        "cbind(won, lost) ~ x + a + (1 | g)", d, family="betabinomial"
    ),
    "tweedie": lambda d: ranef.glmer("amount ~ x + a + (1 | g)", d, family="tweedie"),
    "ordered beta": lambda d: ranef.glmer("edges ~ x + a + (1 | g)", d, family="ordered_beta"),
    "constant zeros": lambda d: ranef.glmer(
        "z ~ x + a + (1 | g)", d, family="negative_binomial", zero="~ 1"
    ),
    "gamma": lambda d: ranef.glmer("time ~ x + a + (1 | g)", d, family="gamma", link="log"),
    "ordinal": lambda d: ranef.clmm("o ~ x + a + (1 | g)", d),
    "feglm": lambda d: ranef.feglm("n ~ x + a", d, family="poisson", absorb="g"),
    "feols": lambda d: ranef.feols("time ~ x + a", d, absorb="g"),
}


def variable(model):
    return "period" if "period" in model.call.formula else "a"


def number(model):
    return "x" if variable(model) == "a" else "period"


def smaller(model):
    return model.update(f". ~ . - {variable(model)}")


CALLS = {
    "coef_table": lambda m: m.coef_table(),
    "conf_int": lambda m: m.conf_int(),
    "conf_int boot": lambda m: m.conf_int("boot", n=4, **QUIET),
    "profile": lambda m: m.profile().conf_int(),
    "bootstrap": lambda m: m.bootstrap(3, **QUIET).replicates,
    "influence": lambda m: m.influence(progress=False).table,
    **{
        f"robust {k}": lambda m, k=k: m.robust(k).coef_table() for k in ("CR0", "CR1", "CR2", "CR3")
    },
    "ranova": lambda m: m.ranova().iloc[1:][["npar", "chisq", "df", "pvalue"]],
    "anova terms": lambda m: m.anova(),
    "anova 1": lambda m: m.anova(1),
    "anova 2": lambda m: m.anova(2),
    "anova of models": lambda m: ranef.anova(smaller(m), m).iloc[1:][["npar", "chisq", "df"]],
    "compare": lambda m: ranef.compare(smaller(m), m).table[["npar", "aic", "delta"]],
    "average": lambda m: ranef.average([smaller(m), m]).table,
    "pbtest": lambda m: ranef.pbtest(m, smaller(m), n=3, **QUIET).pvalue,
    "test": lambda m: m.test(np.eye(len(m.params))[-1:]).pvalue,
    "all_fit": lambda m: ranef.all_fit(m, ["ranef"]).table[["above_best"]],
    "converge": lambda m: ranef.converge(m).model.llf,
    "multistart": lambda m: ranef.multistart(m, n=2).criterion,
    "bias_check": lambda m: ranef.bias_check(m, n=3, progress=False)[["estimate", "mean"]],
    "surface": lambda m: m.surface(),
    "diagnose": lambda m: ranef.diagnose(m, simulations=0).codes,
    "doctor": lambda m: ranef.doctor(m).table,
    "checklist": lambda m: ranef.checklist(m).table,
    "caic": lambda m: m.caic(progress=False).caic,
    "r2": lambda m: m.r2().marginal,
    "r2 observation": lambda m: m.r2(scale="observation").conditional,
    "icc": lambda m: m.icc().adjusted,
    "icc observation": lambda m: m.icc(scale="observation").adjusted,
    "variance_decomposition": lambda m: m.variance_decomposition()[["variance", "share"]],
    "r2_table": lambda m: ranef.r2_table(m, cross_validated=False).table[["r2"]],
    "part_r2": lambda m: ranef.part_r2(m, progress=False).table,
    "in_units": lambda m: m.in_units(w="2 * x").llf,
    "predict": lambda m: m.predict(),
    "predict integrate": lambda m: m.predict(random="integrate"),
    "simulate": lambda m: m.simulate(2, seed=1),
    "simulated_residuals": lambda m: m.simulated_residuals(19, **QUIET).uniformity().pvalue,
    "resid": lambda m: m.resid,
    "augment": lambda m: m.augment().select_dtypes("number"),
    "tidy": lambda m: m.tidy()["estimate"],
    "glance": lambda m: m.glance()[["nobs"]],
    "emmeans": lambda m: ranef.emmeans(m, variable(m)).frame,
    "emmeans response": lambda m: ranef.emmeans(m, variable(m), type="response").frame,
    "emmeans mean": lambda m: ranef.emmeans(m, variable(m), type="mean").frame,
    "emmeans prob": lambda m: ranef.emmeans(m, variable(m), type="prob").frame,
    "contrasts": lambda m: ranef.emmeans(m, variable(m)).contrast("pairwise").frame,
    "emtrends": lambda m: ranef.emtrends(m, [], number(m)).frame,
    "joint_tests": lambda m: ranef.joint_tests(m).select_dtypes("number").drop(columns="den_df"),
    "cross_validate groups": lambda m: ranef.cross_validate(
        m, "new_groups", group=groups(m), folds=3, **QUIET
    ).table[["rmse", "elpd"]],
    "cross_validate rows": lambda m: ranef.cross_validate(m, "new_rows", folds=3, **QUIET).table[
        ["rmse"]
    ],
    "power": lambda m: ranef.power(m, m.params.index[-1], n=4, **QUIET).table[["power"]],
    "simulate_study": lambda m: ranef.simulate_study(m, n=4, **QUIET).table[["mean"]],
    "selection_stability": lambda m: ranef.selection_stability([smaller(m), m], 3, **QUIET).table,
    "rlrt": lambda m: ranef.rlrt(m).pvalue,
    "overdispersion": lambda m: m.overdispersion().ratio,
    "wild_bootstrap": lambda m: m.wild_bootstrap(m.params.index[-1], **QUIET).pvalue,
}

#: Cells that are refused in words; every other one works, and one that begins to leaves the list.
REFUSED = {
    "cbpp": [
        "emmeans mean",
        "emmeans prob",
        "emtrends",
        "in_units",
        "rlrt",
        "selection_stability",
        "wild_bootstrap",
    ],
    "row effects": [
        "emmeans mean",
        "emmeans prob",
        "rlrt",
        "selection_stability",
        "wild_bootstrap",
    ],
    "negative binomial": [
        "caic",
        "emmeans mean",
        "emmeans prob",
        "rlrt",
        "selection_stability",
        "wild_bootstrap",
    ],
    "zeros": [
        "average",
        "caic",
        "doctor",
        "emmeans prob",
        "icc",
        "overdispersion",
        "part_r2",
        "power",
        "r2",
        "rlrt",
        "selection_stability",
        "simulate_study",
        "variance_decomposition",
        "wild_bootstrap",
    ],
    "hurdle": [
        "average",
        "caic",
        "doctor",
        "emmeans prob",
        "icc",
        "overdispersion",
        "part_r2",
        "power",
        "r2",
        "rlrt",
        "selection_stability",
        "simulate_study",
        "variance_decomposition",
        "wild_bootstrap",
    ],
    "dispersion": [
        "average",
        "caic",
        "doctor",
        "emmeans prob",
        "overdispersion",
        "part_r2",
        "power",
        "rlrt",
        "selection_stability",
        "simulate_study",
        "wild_bootstrap",
    ],
    "beta": [
        "average",
        "caic",
        "doctor",
        "emmeans prob",
        "overdispersion",
        "part_r2",
        "power",
        "rlrt",
        "selection_stability",
        "simulate_study",
        "wild_bootstrap",
    ],
    "betabinomial": [
        "average",
        "caic",
        "doctor",
        "emmeans prob",
        "overdispersion",
        "part_r2",
        "power",
        "rlrt",
        "selection_stability",
        "simulate_study",
        "wild_bootstrap",
    ],
    "tweedie": [
        "average",
        "caic",
        "doctor",
        "emmeans prob",
        "overdispersion",
        "part_r2",
        "power",
        "rlrt",
        "selection_stability",
        "simulate_study",
        "wild_bootstrap",
    ],
    "ordered beta": [
        "average",
        "caic",
        "doctor",
        "emmeans prob",
        "icc",
        "overdispersion",
        "part_r2",
        "power",
        "r2",
        "rlrt",
        "selection_stability",
        "simulate_study",
        "variance_decomposition",
        "wild_bootstrap",
    ],
    "constant zeros": [
        "average",
        "caic",
        "doctor",
        "emmeans prob",
        "overdispersion",
        "part_r2",
        "power",
        "rlrt",
        "selection_stability",
        "simulate_study",
        "wild_bootstrap",
    ],
    "gamma": [
        "caic",
        "emmeans mean",
        "emmeans prob",
        "rlrt",
        "selection_stability",
        "wild_bootstrap",
    ],
    "ordinal": [
        "augment",
        "average",
        "caic",
        "doctor",
        "emmeans mean",
        "emmeans response",
        "icc observation",
        "overdispersion",
        "part_r2",
        "power",
        "r2 observation",
        "resid",
        "rlrt",
        "selection_stability",
        "simulate_study",
        "wild_bootstrap",
    ],
    "feglm": [
        "all_fit",
        "anova 1",
        "anova 2",
        "anova of models",
        "anova terms",
        "average",
        "bias_check",
        "bootstrap",
        "caic",
        "checklist",
        "conf_int boot",
        "converge",
        "doctor",
        "emmeans mean",
        "emmeans prob",
        "icc",
        "icc observation",
        "in_units",
        "influence",
        "multistart",
        "overdispersion",
        "part_r2",
        "pbtest",
        "power",
        "predict integrate",
        "profile",
        "r2",
        "r2 observation",
        "r2_table",
        "ranova",
        "rlrt",
        "robust CR0",
        "robust CR1",
        "robust CR2",
        "robust CR3",
        "selection_stability",
        "simulate",
        "simulate_study",
        "surface",
        "variance_decomposition",
        "wild_bootstrap",
    ],
    "feols": [
        "all_fit",
        "anova 1",
        "anova 2",
        "anova of models",
        "anova terms",
        "average",
        "bias_check",
        "bootstrap",
        "caic",
        "checklist",
        "conf_int boot",
        "converge",
        "doctor",
        "emmeans mean",
        "emmeans prob",
        "icc",
        "icc observation",
        "in_units",
        "influence",
        "multistart",
        "overdispersion",
        "part_r2",
        "pbtest",
        "power",
        "predict integrate",
        "profile",
        "r2",
        "r2 observation",
        "r2_table",
        "ranova",
        "rlrt",
        "robust CR0",
        "robust CR1",
        "robust CR2",
        "robust CR3",
        "selection_stability",
        "simulate",
        "simulate_study",
        "surface",
        "variance_decomposition",
        "wild_bootstrap",
    ],
}


def groups(model):
    return "herd" if variable(model) == "period" else "g"


def numbers(found):
    """Every number of a result; NaN is a missing answer."""
    if isinstance(found, pd.DataFrame | pd.Series):
        frame = found.to_frame() if isinstance(found, pd.Series) else found
        return frame.select_dtypes("number").to_numpy(dtype=float)
    if isinstance(found, float | int | np.ndarray | np.floating):
        return np.asarray(found, dtype=float)
    return np.zeros(0)


@pytest.fixture(scope="module")
def models():
    data = counts()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ranef.RanefWarning)
        return {name: fit(data) for name, fit in FITS.items()}


def outcome(model, call):
    """Return "works", or "refused: ..." with the words, or what is wrong."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            found = call(model)
        except Exception as error:
            known = isinstance(error, ranef.RanefError) or type(error) is ValueError
            known |= "has no argument" in str(error)
            return f"refused: {error}" if known and len(str(error)) > 25 else f"bare: {error!r}"
    values = numbers(found)
    return f"NaN: {found}" if np.isnan(values).any() else "works"


@pytest.mark.parametrize("name", FITS)
def test_every_cell_works_or_says_why_not(models, name):
    found = {what: outcome(models[name], call) for what, call in CALLS.items()}
    assert {k: v for k, v in found.items() if not v.startswith(("works", "refused"))} == {}
    assert sorted(k for k, v in found.items() if v != "works") == REFUSED[name]
