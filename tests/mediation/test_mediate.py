"""Mediation against products of coefficients, predictions, dense densities and simulation."""

import numpy as np
import pandas as pd
import pytest
import scipy

import ranef

ASK = {"treatment": "x", "mediator_name": "m", "seed": 1, "progress": False}


def simulated(seed=0, groups=60, size=8, of_groups=False):
    """Rows of groups: m on x, y on m, x and x m, with a moderator w of two values."""
    rng = np.random.default_rng(seed)
    g = np.repeat(np.arange(groups), size)
    x = rng.integers(2, size=groups)[g] if of_groups else rng.integers(2, size=len(g))
    w = rng.integers(2, size=len(g))
    slopes = rng.multivariate_normal([0.0, 0.0], [[0.15, 0.08], [0.08, 0.1]], groups)[g]
    m = 0.3 + (0.6 + slopes[:, 0]) * x + 0.5 * rng.normal(size=groups)[g] + rng.normal(size=len(g))
    y = 1.0 + (0.5 + slopes[:, 1]) * m + 0.3 * x + 0.4 * x * m + 0.2 * w
    y = y + 0.5 * rng.normal(size=groups)[g] + rng.normal(size=len(g))
    names = [f"g{i:02d}" for i in g]
    return pd.DataFrame({"g": names, "x": x, "w": w, "m": m, "y": y})


@pytest.fixture(scope="module")
def rows():
    return simulated()


@pytest.fixture(scope="module")
def pair(rows):
    return ranef.lmer("m ~ x + w + (1 | g)", rows), ranef.lmer("y ~ m + x + w + (1 | g)", rows)


def test_linear_models_give_the_product_and_its_distribution(pair):
    """The interval against quadrature of the distribution of a product of two normals."""
    effects = ranef.mediate(*pair, **ASK)
    (a, sa), (b, sb) = ((m.params[k], m.bse[k]) for m, k in zip(pair, "xm", strict=True))
    table = effects.table()
    assert list(table.columns) == ["estimate", "se", "lower", "upper"]
    assert table.loc["indirect", "estimate"] == pytest.approx(a * b, rel=1e-10)
    assert table.loc["direct", "estimate"] == pytest.approx(pair[1].params["x"], rel=1e-10)
    assert table.loc["total", "estimate"] == pytest.approx(a * b + pair[1].params["x"], rel=1e-10)
    se = np.sqrt(a**2 * sb**2 + b**2 * sa**2 + sa**2 * sb**2)
    assert table.loc["indirect", "se"] == pytest.approx(se, rel=0.02)

    def cdf(value):
        z = np.linspace(-8.0, 8.0, 4001)
        first = a + sa * z
        inner = scipy.stats.norm.cdf(np.sign(first) * (value / first - b) / sb)
        return np.trapezoid(inner * scipy.stats.norm.pdf(z), z)

    for name, p in (("lower", 0.025), ("upper", 0.975)):
        limit = scipy.optimize.brentq(lambda v, p=p: cdf(v) - p, a * b - 8 * se, a * b + 8 * se)
        assert table.loc["indirect", name] == pytest.approx(limit, abs=0.06 * se)
    ninety = effects.table(level=0.9)
    assert (ninety["upper"] < table["upper"]).all()


def counterfactual(mediator, outcome, rows, t, of):
    """Mean outcome from the models' own predictions."""
    m = mediator.predict(rows.assign(x=of), random="none")
    return np.mean(outcome.predict(rows.assign(x=t, m=np.asarray(m)), random="none"))


@pytest.mark.parametrize("formula", ["y ~ m * x + w + (1 | g)", "y ~ m * x * w + (1 | g)"])
def test_interactions_are_differences_of_predictions(rows, formula):
    mediator = ranef.lmer("m ~ x * w + (1 | g)", rows)
    outcome = ranef.lmer(formula, rows)
    table = ranef.mediate(mediator, outcome, **ASK).table()["estimate"]
    mean = {(t, s): counterfactual(mediator, outcome, rows, t, s) for t in (0, 1) for s in (0, 1)}
    assert table["indirect control"] == pytest.approx(mean[0, 1] - mean[0, 0], rel=1e-9)
    assert table["indirect treated"] == pytest.approx(mean[1, 1] - mean[1, 0], rel=1e-9)
    assert table["direct control"] == pytest.approx(mean[1, 0] - mean[0, 0], rel=1e-9)
    assert table["direct treated"] == pytest.approx(mean[1, 1] - mean[0, 1], rel=1e-9)
    assert table["total"] == pytest.approx(mean[1, 1] - mean[0, 0], rel=1e-9)
    assert table["indirect"] + table["direct"] == pytest.approx(table["total"], rel=1e-9)


def test_a_moderator_at_a_value(rows):
    mediator = ranef.lmer("m ~ x * w + (1 | g)", rows)
    outcome = ranef.lmer("y ~ m + x + w + (1 | g)", rows)
    found = [ranef.mediate(mediator, outcome, at={"w": w}, **ASK).estimates for w in (0, 1)]
    b = outcome.params["m"]
    assert found[0]["indirect"] == pytest.approx(mediator.params["x"] * b)
    moved = mediator.params["x"] + mediator.params["x:w"]
    assert found[1]["indirect"] == pytest.approx(moved * b)


def test_labels_of_the_treatment_and_other_contrasts(rows, pair):
    plain = ranef.mediate(*pair, **ASK)
    named = rows.assign(x=np.where(rows["x"] == 1, "treat", "control"))
    models = [ranef.lmer(f, named) for f in ("m ~ x + w + (1 | g)", "y ~ m + x + w + (1 | g)")]
    labels = ranef.mediate(*models, **ASK)
    np.testing.assert_allclose(labels.estimates, plain.estimates, rtol=1e-8)
    back = ranef.mediate(*models, contrast=("treat", "control"), **ASK)
    assert back.estimates["indirect"] == pytest.approx(-plain.estimates["indirect"])
    double = ranef.mediate(*pair, contrast=(0, 2), **ASK)
    assert double.estimates["total"] == pytest.approx(2 * plain.estimates["total"])
    two = rows.assign(m=np.where(rows["m"] > 0.5, "high", "low"))
    with pytest.raises(ValueError, match="contrast names 'other'"):
        ranef.mediate(*models, contrast=("treat", "other"), **ASK)
    assert two["m"].nunique() == 2


# ------------------------------------------------------------------ generalised models


def draws_of(mediator, outcome, m_of, y_of, n=200):
    """Counterfactual means by brute force: random effects and mediators are drawn."""
    rng = np.random.default_rng(0)
    out = {}
    for t in (0, 1):
        for s in (0, 1):
            total = [np.mean(y_of(t, m_of(s, rng), rng)) for _ in range(n)]
            out[t, s] = np.mean(total), np.std(total) / np.sqrt(n)
    return out


@pytest.fixture(scope="module")
def generalised():
    d = simulated(4, groups=80)
    rng = np.random.default_rng(1)
    d["bin"] = (d["m"] + rng.logistic(size=len(d)) > 0.5).astype(int)
    d["count"] = rng.poisson(np.exp(0.1 + 0.3 * d["m"]))
    d["ybin"] = (d["y"] + rng.logistic(size=len(d)) > 1.5).astype(int)
    return d


CASES = {
    "normal": "m",
    "binary": "bin",
    "count": "count",
}


@pytest.mark.parametrize(
    ("kind", "linear"),
    [("binary", True), ("count", True), ("normal", False), ("binary", False), ("count", False)],
)
def test_means_over_random_effects_and_mediators(generalised, kind, linear):
    d, name = generalised, CASES[kind]
    family = {"binary": "binomial", "count": "poisson"}.get(kind)
    formula = f"{name} ~ x + w + (1 | g)"
    mediator = ranef.lmer(formula, d) if family is None else ranef.glmer(formula, d, family=family)
    formula = f"{'y' if linear else 'ybin'} ~ {name} * x + w + (1 | g)"
    outcome = ranef.lmer(formula, d) if linear else ranef.glmer(formula, d, family="binomial")
    ask = {**ASK, "mediator_name": name, "draws": 2}
    found = ranef.mediate(mediator, outcome, **ask).estimates
    sds = [np.sqrt(model.varcorr["g"].iloc[0, 0]) for model in (mediator, outcome)]

    def eta_of(model, frame):
        how = {} if isinstance(model, ranef.LinearMixedModel) else {"kind": "link"}
        return np.asarray(model.predict(frame, random="none", **how))

    of_m = [eta_of(mediator, d.assign(x=s)) for s in (0, 1)]
    of_y = [[eta_of(outcome, d.assign(x=t, **{name: m})) for m in (0, 1)] for t in (0, 1)]

    def m_of(s, rng):
        eta = of_m[s] + sds[0] * rng.normal(size=len(d))
        if kind == "normal":
            return eta + mediator.sigma * rng.normal(size=len(d))
        if kind == "binary":
            return rng.uniform(size=len(d)) < scipy.special.expit(eta)
        return rng.poisson(np.exp(eta))

    def y_of(t, m, rng):
        eta = of_y[t][0] + m * (of_y[t][1] - of_y[t][0])
        if linear:
            return eta
        return scipy.special.expit(eta + sds[1] * rng.normal(size=len(d)))

    brute = draws_of(mediator, outcome, m_of, y_of)
    error = 4.0 * np.sqrt(2.0) * max(se for _, se in brute.values())
    for row, (one, two) in {
        "indirect control": ((0, 1), (0, 0)),
        "indirect treated": ((1, 1), (1, 0)),
        "direct control": ((1, 0), (0, 0)),
        "direct treated": ((1, 1), (0, 1)),
    }.items():
        assert found[row] == pytest.approx(brute[one][0] - brute[two][0], abs=error), row
    assert error < 0.02


# ------------------------------------------------------------------ within and between


def contextual(seed=3, groups=120, size=8, of_groups=False):
    """Effects within groups (0.5, 0.4) differ from those between (1.0, 0.9)."""
    rng = np.random.default_rng(seed)
    g = np.repeat(np.arange(groups), size)
    xb = rng.normal(size=groups)[g]
    xw = 0.0 if of_groups else rng.normal(size=len(g))
    mb = 1.0 * xb + 0.6 * rng.normal(size=groups)[g]
    mw = 0.5 * xw + rng.normal(size=len(g))
    y = 0.9 * mb + 0.4 * mw + 0.2 * xb + 0.1 * xw + 0.4 * rng.normal(size=groups)[g]
    y = y + rng.normal(size=len(g))
    return pd.DataFrame({"g": g, "x": xb + xw, "m": mb + mw, "y": y, "xb": xb})


@pytest.mark.parametrize("form", ["hybrid", "mundlak"])
def test_effects_within_and_between_groups(form):
    d = contextual()
    mediator = ranef.within_between("m ~ x", d, "g", form=form)
    outcome = ranef.within_between("y ~ m + x", d, "g", form=form)
    effects = ranef.mediate(mediator, outcome, **ASK)
    hybrid = [ranef.within_between(f, d, "g").params for f in ("m ~ x", "y ~ m + x")]
    for part, true in (("within", 0.5 * 0.4), ("between", 0.9)):
        found = effects.table().loc[f"indirect {part}"]
        product = hybrid[0][f"x {part}"] * hybrid[1][f"m {part}"]
        assert found["estimate"] == pytest.approx(product, rel=1e-6)
        assert abs(found["estimate"] - true) < 3 * found["se"]
        direct = effects.estimates[f"direct {part}"]
        assert direct == pytest.approx(hybrid[1][f"x {part}"], rel=1e-6)
    gap = effects.estimates["indirect between"] - effects.estimates["indirect within"]
    assert effects.estimates["indirect difference"] == pytest.approx(gap)
    alone = ranef.mediate(mediator, outcome, part="within", **ASK)
    assert alone.estimates["a"] == pytest.approx(effects.estimates["a within"])


def test_a_treatment_of_groups_works_between_only():
    d = contextual(of_groups=True)
    outcome = ranef.within_between("y ~ m + x", d, "g")
    mediator = ranef.lmer("m ~ x + (1 | g)", d)
    effects = ranef.mediate(mediator, outcome, **ASK)
    product = mediator.params["x"] * outcome.params["m between"]
    assert effects.estimates["indirect"] == pytest.approx(product)
    assert list(effects.estimates.index)[:3] == ["a", "b", "indirect"]
    mixed = ranef.mediate(mediator, ranef.lmer("y ~ m + x + (1 | g)", d), **ASK)
    assert "works between only" in repr(mixed)
    with pytest.raises(ranef.DataError, match="constant within g, so it can have no effect"):
        ranef.mediate(mediator, outcome, part="within", **ASK)


def test_treatment_and_mediator_of_groups():
    """2-2-1: the mediator's model is fitted to one row a group."""
    d = contextual(of_groups=True)
    d["m"] = d.groupby("g")["m"].transform("mean")
    small = d.groupby("g", as_index=False)[["x", "m"]].first()
    mediator = ranef.feols("m ~ x", small)
    outcome = ranef.lmer("y ~ m + x + (1 | g)", d)
    effects = ranef.mediate(mediator, outcome, **ASK)
    product = mediator.params["x"] * outcome.params["m"]
    assert effects.estimates["indirect"] == pytest.approx(product)
    split = ranef.within_between("y ~ m + x", d, "g")
    with pytest.raises(ranef.DataError, match="'m' is constant within g"):
        ranef.mediate(mediator, split, part="within", **ASK)
    between = ranef.mediate(mediator, split, part="between", **ASK)
    assert between.estimates["indirect"] == pytest.approx(product, rel=1e-5)
    wide = ranef.mediate(mediator, outcome, method="bootstrap", draws=20, **ASK)
    assert wide.failed == 0


# ------------------------------------------------------------------ joint model


def test_the_joint_model_is_that_of_its_density():
    d = simulated(5, groups=30)
    mediator = ranef.lmer("m ~ x + (x | g)", d, reml=False)
    outcome = ranef.lmer("y ~ m + x + (m | g)", d, reml=False)
    effects = ranef.mediate(mediator, outcome, joint=True, **ASK)
    fit = effects.joint
    total, beta, p = 0.0, fit.side.beta, fit.n_mediator
    for _, part in d.groupby("g", sort=False):
        n, one = len(part), np.ones(len(part))
        x, m, y = (part[k].to_numpy(float) for k in ("x", "m", "y"))
        X = scipy.linalg.block_diag(np.c_[one, x], np.c_[one, m, x])
        Z = scipy.linalg.block_diag(np.c_[one, x], np.c_[one, m])
        noise = np.repeat(fit.sigma.to_numpy() ** 2, n)
        V = Z @ fit.slopes.to_numpy() @ Z.T + np.diag(noise)
        mean = X @ beta[:-1]
        total += scipy.stats.multivariate_normal(mean, V).logpdf(np.r_[m, y])
    assert fit.llf == pytest.approx(total, abs=1e-6)
    assert fit.llf > mediator.llf + outcome.llf
    cov = fit.slopes.loc["mediator: x", "outcome: m"]
    assert beta[-1] == cov
    a, b = beta[1], beta[p + 1]
    assert effects.estimates["indirect"] == pytest.approx(a * b + cov)
    apart = ranef.mediate(mediator, outcome, **ASK)
    assert "joint=True" in repr(apart)


def test_the_joint_model_needs_slopes(rows, pair):
    with pytest.raises(ranef.ModelError, match="does not vary by g"):
        ranef.mediate(*pair, joint=True, **ASK)
    mediator = ranef.lmer("m ~ x + (x | g)", rows)
    plain = ranef.feols("y ~ m + x", rows)
    with pytest.raises(ranef.UnsupportedError, match=r"two models of ranef\.lmer"):
        ranef.mediate(mediator, plain, joint=True, **ASK)


# ------------------------------------------------------------------ intervals


def test_the_bootstrap_of_groups(pair):
    ask = {**ASK, "method": "bootstrap", "draws": 60}
    one, three = (ranef.mediate(*pair, workers=n, **ask) for n in (1, 3))
    pd.testing.assert_frame_equal(one.draws, three.draws)
    normal = ranef.mediate(*pair, **ASK).table()
    ratio = one.table()["se"] / normal["se"]
    assert ratio.between(0.6, 1.6).all()
    assert "60 resamples" in repr(one)


def test_seeds_and_text(pair):
    one, same, other = (ranef.mediate(*pair, **{**ASK, "seed": s}) for s in (1, 1, 2))
    pd.testing.assert_frame_equal(one.draws, same.draws)
    assert not one.draws.equals(other.draws)
    assert "<table" in one._repr_html_()
    assert "x on y through m" in repr(one)


def test_a_figure_shows_the_intervals(pair):
    pyplot = pytest.importorskip("matplotlib.pyplot")
    effects = ranef.mediate(*pair, **ASK)
    axis = effects.plot()
    labels = [label.get_text() for label in axis.get_yticklabels()]
    assert labels == ["indirect", "direct", "total"]
    line = next(
        line for line in axis.lines if len(line.get_xdata()) == 2 and line.get_linewidth() == 2
    )
    limits = effects.table().loc["indirect", ["lower", "upper"]]
    np.testing.assert_allclose(line.get_xdata(), limits)
    pyplot.close("all")


# ------------------------------------------------------------------ bad input


def test_hostile_input(rows, pair):
    mediator, outcome = pair
    with pytest.raises(ValueError, match="is not a column"):
        ranef.mediate(*pair, **{**ASK, "treatment": "z"})
    with pytest.raises(ValueError, match="does not use the mediator"):
        ranef.mediate(mediator, ranef.lmer("y ~ x + (1 | g)", rows), **ASK)
    with pytest.raises(ValueError, match="does not use the treatment"):
        ranef.mediate(ranef.lmer("m ~ w + (1 | g)", rows), outcome, **ASK)
    curved = ranef.lmer("y ~ m + I(m ** 2) + x + (1 | g)", rows)
    with pytest.raises(ranef.UnsupportedError, match="not linear in 'm'"):
        ranef.mediate(mediator, curved, **ASK)
    with pytest.raises(ranef.ModelError, match="is a str"):
        ranef.mediate("m ~ x", outcome, **ASK)
    with pytest.raises(ValueError, match="method must be"):
        ranef.mediate(*pair, method="delta", **ASK)
    with pytest.raises(ValueError, match="draws must be a whole number"):
        ranef.mediate(*pair, draws=1, **ASK)
    with pytest.raises(ranef.ModelError, match="split columns"):
        ranef.mediate(*pair, part="within", **ASK)
    with pytest.raises(ValueError, match="contrast is"):
        ranef.mediate(*pair, contrast=(1, 1), **ASK)
    for wrong in (np.nan, "high"):
        with pytest.raises(ValueError, match="contrast takes numbers for 'x'"):
            ranef.mediate(*pair, contrast=(0, wrong), **ASK)
    with pytest.raises(ValueError, match="at= is for moderators"):
        ranef.mediate(*pair, at={"m": 1.0}, **ASK)


def test_a_mediator_that_is_another_variable(rows, pair):
    other = rows.assign(m2=3.0 * rows["m"], m3=rows["m"] - 1.0, m4=rows["w"] + 0.1 * rows["m"])
    mediator = ranef.lmer("m ~ x + (1 | g)", other)
    ask = {"treatment": "x", "seed": 1, "progress": False}
    with pytest.raises(ValueError, match="in different units"):
        ranef.mediate(
            mediator, ranef.lmer("y ~ m2 + x + (1 | g)", other), mediator_name="m2", **ask
        )
    with pytest.raises(ValueError, match="is another variable"):
        ranef.mediate(
            mediator, ranef.lmer("y ~ m4 + x + (1 | g)", other), mediator_name="m4", **ask
        )
    moved = ranef.mediate(
        mediator, ranef.lmer("y ~ m3 + x + (1 | g)", other), mediator_name="m3", **ask
    )
    plain = ranef.mediate(mediator, ranef.lmer("y ~ m + x + (1 | g)", other), **ASK)
    assert moved.estimates["indirect"] == pytest.approx(plain.estimates["indirect"])
    means = other.assign(mb=other.groupby("g")["m"].transform("mean"))
    between = ranef.mediate(
        mediator, ranef.lmer("y ~ mb + x + (1 | g)", means), mediator_name="mb", **ask
    )
    assert "mb is the mean of the mediator by g" in repr(between)


def test_rows_that_differ_are_told(rows):
    gaps = rows.assign(y=rows["y"].where(np.arange(len(rows)) % 7 > 0))
    with pytest.warns(ranef.DroppedRowsWarning):
        outcome = ranef.lmer("y ~ m + x + (1 | g)", gaps)
    effects = ranef.mediate(ranef.lmer("m ~ x + (1 | g)", gaps), outcome, **ASK)
    assert "used 480 rows and the outcome's 411" in repr(effects)
