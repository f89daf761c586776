"""Rows of equal design made one inside DuckDB give the fit of the single rows."""

import warnings

import numpy as np
import pandas as pd
import pytest

import ranef
from ranef.chunks import query as cross_products_query
from ranef.chunks import source as cross_products_source

duckdb = pytest.importorskip("duckdb")

FORMULAS = [
    "y ~ kind + (1 | pupil) + (1 | rater)",
    "y ~ kind * day + (1 + day | rater)",
    "y ~ 1 + (0 + kind || rater) + (1 | pupil / kind)",
]


@pytest.fixture(scope="module")
def rows():
    """Rows of which few are distinct, some incomplete; a response far from zero."""
    rng = np.random.default_rng(5)
    n = 20_000
    data = pd.DataFrame(
        {
            "kind": rng.choice(["low", "mid", "top"], n),
            "pupil": rng.integers(0, 40, n),
            "rater": rng.choice([f"r{i}" for i in range(12)], n),
            "day": rng.integers(0, 4, n),
            "x": rng.normal(size=n),
            "w": rng.uniform(0.5, 2.0, n),
        }
    )
    data["y"] = 1e8 + rng.normal(size=40)[data["pupil"]] + 0.2 * data["day"] + rng.normal(size=n)
    data["y"] += rng.normal(size=12)[data["rater"].str[1:].astype(int)]
    data.loc[[3, 5], "y"] = np.nan
    data.loc[[5, 9], "kind"] = None
    return data


def quietly(call, *args, **kwargs):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return call(*args, **kwargs)


def assert_same(model, whole):
    assert model.nobs == whole.nobs
    assert model.llf == pytest.approx(whole.llf, rel=1e-9)
    assert ((model.params - whole.params) / whole.bse).abs().max() < 1e-5
    np.testing.assert_allclose(model.bse, whole.bse, rtol=1e-5)
    assert model.sigma == pytest.approx(whole.sigma, rel=1e-8)
    assert model.ngroups == whole.ngroups


@pytest.mark.parametrize("formula", FORMULAS)
@pytest.mark.parametrize("weights", [None, "w"])
def test_the_fit_is_that_of_the_single_rows(rows, formula, weights, monkeypatch):
    taken = []
    add = cross_products_query.add_collapsed
    monkeypatch.setattr(
        cross_products_source, "add_collapsed", lambda *a: taken.append(1) or add(*a)
    )
    relation = duckdb.from_df(rows)
    model = quietly(ranef.lmer, formula, relation, weights=weights)
    assert taken
    assert_same(model, quietly(ranef.lmer, formula, rows, weights=weights))


def test_rows_that_are_left_out_are_counted(rows):
    with pytest.warns(ranef.DroppedRowsWarning, match=r"3 of 20000 rows .* kind \(2\), y \(2\)"):
        ranef.lmer(FORMULAS[0], duckdb.from_df(rows))
    bad = rows.assign(w=-1.0)
    with pytest.raises(ranef.DataError, match="above zero"):
        ranef.lmer(FORMULAS[0], duckdb.from_df(bad), weights="w")
    bad = rows.assign(y=np.where(rows.index == 8, np.inf, rows["y"]))
    with pytest.raises(ranef.DataError, match="'y' is infinite"):
        ranef.lmer(FORMULAS[0], duckdb.from_df(bad))


@pytest.mark.parametrize(
    "formula", ["y ~ x + (1 | pupil)", "np.log(y) ~ kind + (1 | pupil)", "y ~ kind + (1 | id)"]
)
def test_rows_that_do_not_repeat_are_read_as_they_are(rows, formula, monkeypatch):
    data = rows.assign(id=np.arange(len(rows)) // 2 * 7)
    monkeypatch.setattr(cross_products_source, "add_collapsed", lambda *a: pytest.fail("collapsed"))
    assert_same(
        quietly(ranef.lmer, formula, duckdb.from_df(data)), quietly(ranef.lmer, formula, data)
    )
