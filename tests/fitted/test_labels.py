"""Labels decide, never the place alone: every public argument that takes a pandas object."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pytest

import ranef

ORDER = np.random.default_rng(17).permutation(180)


def frame() -> pd.DataFrame:
    """Rows with names, a binary and a count column."""
    sleep = ranef.datasets.load("sleepstudy").copy()
    sleep.index = pd.Index([f"r{i}" for i in range(180)])
    rng = np.random.default_rng(3)
    return sleep.assign(
        b=(sleep["Reaction"] > 300) * 1,
        w=rng.uniform(0.5, 2.0, 180),
        o=rng.normal(size=180),
        k=rng.permutation(np.arange(180) % 12),
        k1=rng.integers(1, 6, 180),
    )


DATA = frame()
LMER = ranef.lmer("Reaction ~ Days + (1 | Subject)", DATA)
GLMER = ranef.glmer("b ~ Days + (1 | Subject)", DATA, family="binomial")
GEE = ranef.gee("Reaction ~ Days", DATA, groups="Subject")
FEOLS = ranef.feols("Reaction ~ Days", DATA)
PANEL = ranef.random_effects_gls("Reaction ~ Days", DATA, groups="Subject")
WITHIN = ranef.within_between("Reaction ~ Days + w", DATA, groups="Subject")
Y = pd.DataFrame({"a": DATA["Reaction"], "c": DATA["Reaction"] + DATA["o"]})
W = pd.DataFrame({"a": DATA["w"], "c": 1.0 / DATA["w"]})


def many(**options: Any) -> float:
    """Fit a batch and tell its fits in one number."""
    given = {"responses": Y, "progress": False, **options}
    batch = ranef.fit_many("~ Days + (1 | Subject)", DATA, **given)
    return float(batch.fits["llf"].sum())


def se(result: Any) -> float:
    """Tell a table of coefficients in one number."""
    return float(result.coef_table().loc["Days", "se"])


#: An argument with a value for each row: a column, and what comes out of it.
BY_ROW: dict[str, tuple[str, Callable[[Any], float]]] = {
    "lmer weights": (
        "w",
        lambda v: ranef.lmer("Reaction ~ Days + (1 | Subject)", DATA, weights=v).llf,
    ),
    "lmer offset": (
        "o",
        lambda v: ranef.lmer("Reaction ~ Days + (1 | Subject)", DATA, offset=v).llf,
    ),
    "glmer weights": (
        "k1",
        lambda v: ranef.glmer("b ~ Days + (1 | Subject)", DATA, family="binomial", weights=v).llf,
    ),
    "glmer offset": (
        "o",
        lambda v: ranef.glmer("b ~ Days + (1 | Subject)", DATA, family="binomial", offset=v).llf,
    ),
    "gls weights": (
        "w",
        lambda v: ranef.gls("Reaction ~ Days", DATA, groups="Subject", weights=v).llf,
    ),
    "gls offset": (
        "o",
        lambda v: ranef.gls("Reaction ~ Days", DATA, groups="Subject", offset=v).llf,
    ),
    "gee weights": (
        "w",
        lambda v: se(ranef.gee("Reaction ~ Days", DATA, groups="Subject", weights=v)),
    ),
    "gee offset": (
        "o",
        lambda v: se(ranef.gee("Reaction ~ Days", DATA, groups="Subject", offset=v)),
    ),
    "feols weights": ("w", lambda v: se(ranef.feols("Reaction ~ Days", DATA, weights=v))),
    "feols offset": ("o", lambda v: se(ranef.feols("Reaction ~ Days", DATA, offset=v))),
    "lmlist weights": (
        "w",
        lambda v: float(
            ranef.lmlist("Reaction ~ Days", DATA, groups="Subject", weights=v).coef()["Days"].sum()
        ),
    ),
    "within_between weights": (
        "w",
        lambda v: float(
            ranef.within_between("Reaction ~ Days", DATA, groups="Subject", weights=v).params.sum()
        ),
    ),
    "fit_many weights": ("w", lambda v: many(weights=v)),
    "fit_many offset": ("o", lambda v: many(offset=v)),
    "fit_many responses": ("Reaction", lambda v: many(responses=v)),
    "lmer refit": ("Reaction", lambda v: LMER.refit(v).llf),
    "glmer refit": ("b", lambda v: GLMER.refit(v).llf),
    "lmer robust": ("Subject", lambda v: se(LMER.robust(cluster=v))),
    "gee robust": ("Subject", lambda v: se(GEE.robust(cluster=v))),
    "feols robust": ("k", lambda v: se(FEOLS.robust(cluster=v))),
    "panel robust": ("Subject", lambda v: se(PANEL.robust(cluster=v))),
    "within_between robust": (
        "Subject",
        lambda v: float(WITHIN.robust(cluster=v).coef_table()["se"].sum()),
    ),
    "lmer wild_bootstrap": (
        "Subject",
        lambda v: LMER.wild_bootstrap("Days", cluster=v, seed=1, draws=99).statistic,
    ),
    "feols wild_bootstrap": (
        "k",
        lambda v: FEOLS.wild_bootstrap("Days", cluster=v, seed=1, draws=99).statistic,
    ),
    "glmer predict trials": (
        "k1",
        lambda v: float(GLMER.predict(DATA, interval="prediction", trials=v)["upper"].sum()),
    ),
}


@pytest.mark.parametrize("name", BY_ROW)
def test_a_series_of_other_labels_is_refused(name: str) -> None:
    column, result = BY_ROW[name]
    series = DATA[column]
    right = result(series.to_numpy())
    assert result(series) == right
    with pytest.raises(ranef.DataError, match="same labels in another order"):
        result(series.iloc[ORDER])
    with pytest.raises(ranef.DataError, match="index of"):
        result(series.set_axis(range(1000, 1180)))


#: Arguments with a value for each name: a labelled object, the same by position, what comes out.
MIDDLE = pd.Index(["Intercept", "Days"])
BY_NAME: dict[str, tuple[Any, Any, Callable[[Any], float]]] = {
    "lmer test": (
        pd.Series({"Days": 1.0, "Intercept": 0.04}),
        [0.04, 1.0],
        lambda v: float(LMER.test(v).F),
    ),
    "lmer test, rows": (
        [pd.Series({"Days": 1.0, "Intercept": 0.0}), pd.Series({"Intercept": 1.0})],
        np.array([[0.0, 1.0], [1.0, 0.0]]),
        lambda v: float(LMER.test(v).F),
    ),
    "lmer test, frame": (
        pd.DataFrame({"Days": [1.0], "Intercept": [0.04]}),
        [[0.04, 1.0]],
        lambda v: float(LMER.test(v).F),
    ),
    "feols wald_test": (
        pd.Series({"Days": 1.0, "Intercept": 0.04}),
        [0.04, 1.0],
        lambda v: float(FEOLS.wald_test(v)["F"].iloc[0]),
    ),
    "gee wald_test": (
        pd.DataFrame({"Days": [1.0], "Intercept": [0.04]}),
        [[0.04, 1.0]],
        lambda v: float(GEE.wald_test(v)["F"].iloc[0]),
    ),
    "robust wald_test": (
        pd.Series({"Days": 1.0, "Intercept": 0.04}),
        [0.04, 1.0],
        lambda v: float(FEOLS.robust(cluster="Subject").wald_test(v)["F"].iloc[0]),
    ),
    "panel wald_test": (
        pd.Series({"Days": 1.0, "Intercept": 0.04}),
        [0.04, 1.0],
        lambda v: float(PANEL.wald_test(v)["F"].iloc[0]),
    ),
    "fit_many tests": (
        [pd.Series({"Days": 1.0, "Intercept": 0.04})],
        [np.array([0.04, 1.0])],
        lambda v: float(
            ranef.fit_many("~ Days + (1 | Subject)", DATA, Y, tests=v, progress=False)
            .table.query("term == 'test 1'")["t"]
            .sum()
        ),
    ),
    "fit_many weights": (W[["c", "a"]], W.to_numpy(), lambda v: many(weights=v)),
    "fit_many weights, list": ([W["c"], W["a"]], W.to_numpy(), lambda v: many(weights=v)),
    "fit_many responses, list": ([Y["a"], Y["c"]], Y.to_numpy(), lambda v: many(responses=v)),
}


@pytest.mark.parametrize("name", BY_NAME)
def test_labels_of_names_are_followed(name: str) -> None:
    labelled, placed, result = BY_NAME[name]
    assert result(labelled) == pytest.approx(result(placed), rel=1e-13)


def test_labels_that_are_no_coefficients_are_refused() -> None:
    with pytest.raises(ValueError, match="'Dayz'"):
        LMER.test(pd.Series({"Dayz": 1.0}))
    with pytest.raises(ValueError, match="label twice"):
        FEOLS.wald_test(pd.Series([1.0, 2.0], index=["Days", "Days"]))


def test_a_working_correlation_follows_its_labels() -> None:
    times = np.arange(10)
    R = pd.DataFrame(0.5 ** np.abs(times[:, None] ** 1.5 - times**1.5), times, times)
    turned = R.iloc[::-1, ::-1]
    fits = [
        ranef.gee("Reaction ~ Days", DATA, groups="Subject", time="Days", corr=corr).params
        for corr in (R.to_numpy(), R, turned)
    ]
    assert fits[0].equals(fits[1])
    assert fits[0].equals(fits[2])
    other = R.set_axis(range(5, 15)).set_axis(range(5, 15), axis=1)
    with pytest.raises(ValueError, match="labelled by"):
        ranef.gee("Reaction ~ Days", DATA, groups="Subject", time="Days", corr=other)


def test_coding_matrices_follow_the_labels_of_their_rows() -> None:
    data = DATA.assign(f=np.array(["a", "b", "c"])[np.arange(180) % 3])
    coding = pd.DataFrame([[1.0, 0.0], [0.0, 2.0], [-1.0, -2.0]], index=["a", "b", "c"])
    fits = [
        ranef.lmer("Reaction ~ f + (1 | Subject)", data, contrasts={"f": c}).params.to_numpy()
        for c in (coding.to_numpy(), coding, coding.iloc[::-1])
    ]
    assert (fits[0] == fits[1]).all()
    assert (fits[0] == fits[2]).all()


def test_several_clusters_as_series_are_those_of_the_columns() -> None:
    by_columns = se(FEOLS.robust("CR1", cluster=["Subject", "k"]))
    assert se(FEOLS.robust("CR1", cluster=[DATA["Subject"], DATA["k"]])) == by_columns
    assert se(FEOLS.robust("CR1", cluster=DATA[["Subject", "k"]])) == by_columns
    with pytest.raises(ranef.DataError, match="another order"):
        FEOLS.robust("CR1", cluster=[DATA["Subject"], DATA["k"].iloc[ORDER]])


def test_values_for_the_rows_of_the_fit_are_checked_by_their_labels() -> None:
    holes = DATA.assign(Reaction=DATA["Reaction"].where(np.arange(180) % 7 > 0))
    with pytest.warns(ranef.DroppedRowsWarning):
        model = ranef.feols("Reaction ~ Days", holes)
    used = holes.dropna()
    right = se(model.robust(cluster=holes["Subject"]))
    assert se(model.robust(cluster=used["Subject"])) == right
    with pytest.raises(ranef.DataError, match="another order"):
        model.robust(cluster=used["Subject"].iloc[::-1])


def test_folds_may_be_masks_and_no_other_numbers() -> None:
    mask = np.arange(180) % 2 == 0
    by_place = [(np.flatnonzero(mask), np.flatnonzero(~mask))]
    right = ranef.cross_validate(LMER, by_place, progress=False).rows
    assert ranef.cross_validate(LMER, [(mask, ~mask)], progress=False).rows.equals(right)
    with pytest.raises(ValueError, match="positions of rows"):
        ranef.cross_validate(LMER, [(mask[:9], ~mask[:9])], progress=False)
