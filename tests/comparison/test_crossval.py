"""Schemes of cross-validation: what is left out, what the fits may know."""

from __future__ import annotations

import functools

import numpy as np
import pandas as pd
import polars as pl
import pytest

import ranef

FORMULA = "gpa ~ occasion + sex + (1 | student)"


@functools.cache
def data():
    frame = ranef.datasets.load("gpa_sim").iloc[:240].copy()
    frame["student"] = frame["student"].cat.remove_unused_categories()
    return frame


@functools.cache
def model():
    return ranef.lmer(FORMULA, data())


def by_hand(train, test, formula=FORMULA, **options):
    """Predictions of one fold by a fit that only sees the training rows."""
    fit = ranef.lmer(formula, data().iloc[train], **options)
    return fit.predict(data().iloc[test], new_levels="population", interval="prediction")


def test_a_splitter_is_refitted_on_its_training_rows():
    rng = np.random.default_rng(5)
    order = rng.permutation(240)
    pairs = [(np.sort(order[80:]), np.sort(order[:80])), (np.sort(order[:80]), np.sort(order[80:]))]
    found = ranef.cross_validate(model(), pairs)
    for k, (train, test) in enumerate(pairs):
        expected = by_hand(train, test)
        rows = found.rows[found.rows["fold"] == k]
        assert list(rows.index) == list(data().index[test])
        np.testing.assert_allclose(rows["mean"], expected["mean"], rtol=1e-9)
        np.testing.assert_allclose(
            rows["sd"] * 1.959963984540054, expected["upper"] - expected["mean"], rtol=1e-9
        )
        np.testing.assert_array_equal(rows["y"], data()["gpa"].iloc[test])
    assert "student in 2 of 2 folds" in repr(found)


def test_formulas_learn_from_training_rows_only():
    formula = "gpa ~ scale(occasion) + (1 | student)"
    train, test = np.flatnonzero(data()["occasion"] < 3), np.flatnonzero(data()["occasion"] >= 3)
    found = ranef.cross_validate(ranef.lmer(formula, data()), [(train, test)])
    expected = by_hand(train, test, formula)
    np.testing.assert_allclose(found.rows["mean"], expected["mean"], rtol=1e-9)


def test_a_scikit_learn_splitter_gets_the_groups():
    class LeavePartOut:
        def split(self, X, y, groups):
            assert len(X) == len(groups) == 240
            yield np.flatnonzero(groups % 2 == 0), np.flatnonzero(groups % 2 == 1)

    found = ranef.cross_validate(model(), LeavePartOut())
    assert found.table["rows"].iloc[0] == 120
    assert "the scores are for new groups" in repr(found)


def test_forecasts_know_the_past_only():
    found = ranef.cross_validate(model(), "forecast", time="occasion")
    assert found.folds["rows"].tolist() == [40, 40, 40]
    for k, t in enumerate([3, 4, 5]):
        past = np.flatnonzero(data()["occasion"] < t)
        now = np.flatnonzero(data()["occasion"] == t)
        np.testing.assert_allclose(
            found.rows.loc[found.rows["fold"] == k, "mean"], by_hand(past, now)["mean"], rtol=1e-9
        )


def test_parts_of_groups_keep_groups_together():
    found = ranef.cross_validate(model(), folds=4, seed=3)
    folds = found.rows["fold"].groupby(data()["student"], observed=True).nunique()
    assert set(folds) == {1}
    assert found.rows["fold"].value_counts().tolist() == [60] * 4
    again = ranef.cross_validate(model(), folds=4, seed=3)
    pd.testing.assert_frame_equal(found.table, again.table)


def test_parts_of_rows_cover_every_row_once():
    found = ranef.cross_validate(model(), "new_rows", folds=5, seed=2)
    assert sorted(found.rows.index) == sorted(data().index)
    closed = ranef.cross_validate(model(), "new_rows")
    assert found.table["rmse"].iloc[0] == pytest.approx(closed.table["rmse"].iloc[0], rel=0.05)


def test_new_groups_are_harder_than_new_rows():
    groups, rows = (
        ranef.cross_validate(model(), s).table["rmse"].iloc[0] for s in ("new_groups", "new_rows")
    )
    assert groups > 1.1 * rows


@pytest.mark.filterwarnings("ignore::ranef.DroppedRowsWarning")
def test_weights_and_missing_rows_go_with_their_rows():
    frame = data().assign(
        w=np.linspace(0.5, 2.0, 240), hole=data()["occasion"].mask(np.arange(240) % 50 == 7)
    )
    by_name, by_array = (
        ranef.lmer("gpa ~ hole + (1 | student)", frame, weights=w)
        for w in ("w", frame["w"].to_numpy())
    )
    one = ranef.cross_validate(by_name, "new_rows", folds=3, seed=1)
    two = ranef.cross_validate(by_array, "new_rows", folds=3, seed=1)
    assert len(one.rows) == 235
    pd.testing.assert_frame_equal(one.rows, two.rows)


@pytest.mark.parametrize("kind", ["polars", "dict"])
def test_other_frames_are_cut_alike(kind):
    frame = data()[["gpa", "occasion", "sex"]].assign(
        sex=data()["sex"].astype(str), student=data()["student"].astype(str)
    )
    other = pl.DataFrame(frame.to_dict("list")) if kind == "polars" else frame.to_dict("list")
    results = [
        ranef.cross_validate(ranef.lmer(FORMULA, d), "new_rows", folds=3, seed=1).table
        for d in (frame, other)
    ]
    pd.testing.assert_frame_equal(*results)


# ------------------------------------------------------------------ refusals


def test_overlapping_folds_are_refused():
    with pytest.raises(ranef.ModelError, match="5 rows both in train and in test"):
        ranef.cross_validate(model(), [(np.arange(100), np.arange(95, 240))])


@pytest.mark.parametrize(
    ("scheme", "options", "message"),
    [
        ("old_groups", {}, "scheme must be"),
        (7, {}, "scheme must be"),
        ([], {}, "no folds"),
        ([(np.arange(10), np.arange(500, 510))], {}, "outside 0 to 239"),
        ([(np.arange(10), [])], {}, "no test rows"),
        ("forecast", {}, "time="),
        ("new_rows", {"folds": 1}, "between 2 and 240"),
        ("forecast", {"folds": 3, "time": "occasion"}, "folds goes with"),
        ("new_groups", {"group": "school"}, "group must be .student."),
    ],
)
def test_bad_schemes_are_refused(scheme, options, message):
    with pytest.raises(ValueError, match=message):
        ranef.cross_validate(model(), scheme, **options)


def test_several_grouping_factors_need_a_choice():
    crossed = ranef.lmer(
        "diameter ~ 1 + (1 | plate) + (1 | sample)", ranef.datasets.load("Penicillin")
    )
    with pytest.raises(ValueError, match="grouping factors plate, sample"):
        ranef.cross_validate(crossed)


def test_a_fold_that_cannot_be_fitted_is_named():
    female = data()["sex"] == "female"
    with pytest.raises(ranef.ModelError, match="fold 1 of 1"):
        ranef.cross_validate(model(), [(np.flatnonzero(~female), np.flatnonzero(female))])


def test_what_is_no_mixed_model_is_refused():
    with pytest.raises(ranef.ModelError, match="given a str"):
        ranef.cross_validate("model")
