"""Batches of counts and shares: each fit is glmer's own, and has all that batches have."""

import warnings
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import scipy

import ranef

GROUPS, ROWS = 12, 15


@pytest.fixture(scope="module")
def cells():
    rng = np.random.default_rng(5)
    g = np.repeat(np.arange(GROUPS), ROWS)
    return pd.DataFrame(
        {
            "g": [f"d{i}" for i in g],
            "x": rng.normal(size=g.size),
            "case": rng.integers(0, 2, g.size),
            "depth": np.exp(0.5 * rng.normal(size=g.size)),
        }
    )


@pytest.fixture(scope="module")
def counts(cells):
    rng = np.random.default_rng(6)
    g = cells["g"].str[1:].astype(int).to_numpy()
    out = np.empty((len(cells), 12))
    for j in range(out.shape[1]):
        sd, size = rng.uniform(0.2, 0.8), rng.uniform(1.0, 6.0)
        mean = cells["depth"] * np.exp(
            rng.uniform(-0.5, 2.0) + 0.3 * cells["x"] + sd * rng.normal(size=GROUPS)[g]
        )
        out[:, j] = rng.negative_binomial(size, size / (size + mean))
    return out


def quiet(f, *args, **options):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ranef.RanefWarning)
        return f(*args, **options)


@pytest.mark.parametrize("family", ["negative_binomial", "poisson", "binomial", "gamma"])
def test_each_fit_is_that_of_glmer(cells, counts, family):
    Y, link = counts, None
    if family == "binomial":
        Y = (counts > np.median(counts, axis=0)).astype(float)
    if family == "gamma":
        Y, link = counts + 0.5, "log"
    batch = ranef.fit_many("~ x + case + (1 | g)", cells, Y, family=family, link=link)
    assert (batch.fits["status"] == "converged").all()
    tests = batch.table.set_index(["response", "term"])
    for j in range(0, Y.shape[1], 3):
        one = quiet(
            ranef.glmer, "y ~ x + case + (1 | g)", cells.assign(y=Y[:, j]), family=family, link=link
        )
        row = batch.fits.iloc[j]
        assert row["llf"] == pytest.approx(one.llf, abs=1e-6)
        assert row["sd_Intercept|g"] == pytest.approx(
            np.sqrt(one.varcorr["g"].iloc[0, 0]), abs=1e-4
        )
        np.testing.assert_allclose(tests.loc[j, "estimate"], one.params, atol=1e-5)
        np.testing.assert_allclose(tests.loc[j, "se"], one.bse, rtol=1e-4)
        if "dispersion" in row:
            assert row["dispersion"] == pytest.approx(one.dispersion, rel=1e-3)
        whole = quiet(batch.fit, j)
        assert type(whole) is ranef.GeneralizedLinearMixedModel
        assert whole.llf == pytest.approx(one.llf, abs=1e-6)


def test_slopes_and_crossed_groups(cells, counts):
    cells = cells.assign(batch=np.arange(len(cells)) % 7)
    for formula in ("~ x + (x | g)", "~ x + (1 | g) + (1 | batch)"):
        batch = ranef.fit_many(formula, cells, counts[:, :4], family="poisson")
        for j in range(4):
            one = quiet(ranef.glmer, "y " + formula, cells.assign(y=counts[:, j]), family="poisson")
            assert batch.fits["llf"][j] == pytest.approx(one.llf, abs=1e-6)


def test_size_factors_are_an_offset(cells, counts):
    formula = "~ x + (1 | g)"
    by_name = ranef.fit_many(
        formula, cells, counts[:, :3], family="poisson", size_factors="depth"
    ).fits
    log = np.log(cells["depth"])
    by_offset = ranef.fit_many(formula, cells, counts[:, :3], family="poisson", offset=log).fits
    pd.testing.assert_frame_equal(by_name, by_offset)
    both = ranef.fit_many(
        formula, cells, counts[:, :3], family="poisson", size_factors="depth", offset=-log
    ).fits
    neither = ranef.fit_many(formula, cells, counts[:, :3], family="poisson").fits
    np.testing.assert_allclose(both["llf"], neither["llf"], rtol=1e-10)
    sizes = cells["depth"].to_numpy().copy()
    sizes[:2] = 0.0
    with pytest.raises(ranef.DataError, match="above zero; they are not in 2 rows"):
        ranef.fit_many(formula, cells, counts, family="poisson", size_factors=sizes)
    with pytest.raises(ValueError, match="pass family="):
        ranef.fit_many(formula, cells, counts, size_factors="depth")


def test_what_cannot_be_fitted_is_a_row_with_its_status(cells, counts):
    Y = counts[:, :7].copy()
    Y[:, 0] = 0.0  # no counts
    Y[:, 1] = 0.0
    Y[3, 1] = 1.0  # one count
    Y[:, 2] = -1.0
    Y[:, 3] += 0.5  # not whole
    Y[:5, 4] = np.nan
    Y[:, 5] = np.nan
    batch = ranef.fit_many("~ x + (1 | g)", cells, Y, family="negative_binomial")
    status = batch.status.tolist()
    assert status[0] == "explained"
    assert status[2:4] == ["out of range", "out of range"]
    assert status[5:] == ["missing", "converged"]
    assert np.isnan(batch.fits["llf"][[0, 2, 3, 5]]).all()
    assert batch.fits["nobs"][4] == len(cells) - 5
    one = ranef.glmer(
        "y ~ x + (1 | g)", cells.assign(y=Y[:, 4]).iloc[5:], family="negative_binomial"
    )
    assert batch.fits["llf"][4] == pytest.approx(one.llf, abs=1e-6)


@pytest.mark.parametrize("kind", ["csr_matrix", "csc_array", "coo_matrix"])
def test_sparse_responses_are_those_of_dense_ones(cells, counts, kind):
    dense = ranef.fit_many("~ x + (1 | g)", cells, counts, family="poisson")
    sparse = getattr(scipy.sparse, kind)(counts)
    found = ranef.fit_many("~ x + (1 | g)", cells, sparse, family="poisson")
    pd.testing.assert_frame_equal(found.fits, dense.fits)
    pd.testing.assert_frame_equal(found.table, dense.table)
    linear = ranef.fit_many("~ x + (1 | g)", cells, sparse)
    pd.testing.assert_frame_equal(linear.fits, ranef.fit_many("~ x + (1 | g)", cells, counts).fits)
    with pytest.raises(ranef.DataError, match="pass a value for each row"):
        ranef.fit_many("~ x + (1 | g)", cells, sparse.T, family="poisson")


def test_annotated_data_have_names(cells, counts):
    names = [f"gene{j}" for j in range(counts.shape[1])]
    for X in (scipy.sparse.csr_matrix(counts), counts):
        data = SimpleNamespace(X=X, var_names=pd.Index(names))
        batch = ranef.fit_many("~ x + (1 | g)", cells, data, family="poisson")
        assert batch.fits["response"].tolist() == names
    assert quiet(batch.fit, "gene3").nobs == len(cells)


def test_results_do_not_depend_on_workers_or_place(cells, counts):
    formula = "~ x + (1 | g)"
    one = ranef.fit_many(formula, cells, counts, family="negative_binomial", workers=1).fits
    two = ranef.fit_many(formula, cells, counts, family="negative_binomial", workers=2).fits
    pd.testing.assert_frame_equal(one, two)
    back = ranef.fit_many(formula, cells, counts[:, ::-1], family="negative_binomial").fits
    np.testing.assert_array_equal(back["llf"][::-1], one["llf"])
    with ThreadPoolExecutor(2) as pool:
        spread = ranef.fit_many(
            formula, cells, counts, family="negative_binomial", executor=pool
        ).fits
    pd.testing.assert_frame_equal(spread, one)


def test_a_run_goes_on_where_it_was_stopped(cells, counts, tmp_path):
    pytest.importorskip("pyarrow")
    formula = "~ x + (1 | g)"
    call = {"family": "poisson", "out": tmp_path / "run"}
    stored = ranef.fit_many(formula, cells, counts, **call)
    whole = ranef.fit_many(formula, cells, counts, family="poisson")
    np.testing.assert_allclose(stored.fits["llf"], whole.fits["llf"], rtol=1e-12)
    again = ranef.fit_many(formula, cells, counts, **call)
    np.testing.assert_array_equal(again.fits["llf"], stored.fits["llf"])
    with pytest.raises(ranef.RanefError, match="family"):
        ranef.fit_many(formula, cells, counts, family="negative_binomial", out=tmp_path / "run")


def test_hypotheses_and_adjusted_pvalues(cells, counts):
    batch = ranef.fit_many(
        "~ x + case + (1 | g)",
        cells,
        counts[:, :4],
        family="poisson",
        tests=["x - case = 0.1", "x = 0, case = 0"],
    )
    one = quiet(
        ranef.glmer, "y ~ x + case + (1 | g)", cells.assign(y=counts[:, 2]), family="poisson"
    )
    table = batch.table.set_index(["response", "term"])
    expected = one.test("x - case = 0.1")
    assert table.loc[(2, "x - case = 0.1"), "pvalue"] == pytest.approx(expected.pvalue, rel=1e-3)
    joint = one.test("x = 0, case = 0")
    assert batch.tests["F"][2] == pytest.approx(joint.F, rel=1e-4)
    assert batch.tests["pvalue"][2] == pytest.approx(joint.pvalue, rel=1e-3)
    assert np.isinf(table["df"]).all()
    assert {"p_bh", "q_storey"} <= set(table.columns)


def test_what_there_is_not(cells, counts):
    formula = "~ x + (1 | g)"
    with pytest.raises(ranef.UnsupportedError, match="normal ones"):
        ranef.fit_many(formula, cells, counts, family="poisson", ddf="satterthwaite")
    with pytest.raises(ranef.UnsupportedError, match="link='log'"):
        ranef.fit_many(formula, cells, counts + 1.0, family="gamma")
    with pytest.raises(TypeError, match="one name for all fits"):
        ranef.fit_many(formula, cells, counts, family=["poisson"] * counts.shape[1])
    with pytest.raises(ranef.UnsupportedError, match="trials, one column"):
        ranef.fit_many(formula, cells, counts, family="poisson", weights=np.ones(counts.shape))
    batch = ranef.fit_many(formula, cells, counts[:, :2], family="poisson")
    with pytest.raises(ranef.UnsupportedError, match="the poisson family has none"):
        batch.moderated()


@pytest.mark.parametrize("formula", ["~ dose + (1 | g)", "~ dose + (dose | g)"])
@pytest.mark.parametrize("family", ["negative_binomial", "poisson", "binomial", "gamma"])
def test_rows_that_repeat_are_fitted_as_one(cells, family, formula):
    rng = np.random.default_rng(8)
    cells = cells.assign(dose=rng.integers(0, 3, len(cells)) / 2.0)
    cells["trials"] = rng.integers(1, 5, len(cells)).astype(float)
    eta = 1.0 + cells["dose"] * 0.3 + rng.normal(size=GROUPS)[cells["g"].str[1:].astype(int)]
    mean, n, options = np.exp(eta), len(cells), {}
    y = rng.negative_binomial(3, 3 / (3 + mean), n).astype(float)
    if family == "gamma":
        y, options = rng.gamma(2.0, mean / 2.0), {"link": "log"}
    if family == "binomial":
        options = {"weights": "trials"}
        y = rng.binomial(cells["trials"].astype(int), 1 / (1 + np.exp(1 - eta))) / cells["trials"]
    Y = np.column_stack([y, y])
    Y[:4, 1] = np.nan
    batch = ranef.fit_many(formula, cells, Y, family=family, **options)
    for j in range(2):
        one = quiet(ranef.glmer, "y " + formula, cells.assign(y=Y[:, j]), family=family, **options)
        assert batch.fits["llf"][j] == pytest.approx(one.llf, abs=1e-8)
        table = batch.table[batch.table["response"] == j]
        np.testing.assert_allclose(table["estimate"], one.params, atol=1e-7)
        np.testing.assert_allclose(table["se"], one.bse, rtol=1e-4)


def test_few_distinct_rows_are_found():
    from ranef import _core

    n = 600
    codes = np.repeat(np.arange(6), 100).astype(np.int32)
    for x, distinct in ((np.arange(n) % 4, 24), (np.arange(n) / 3.0, n)):
        core = _core.GlmmBatch(
            n,
            [np.asarray(x, dtype=float)],
            [-1, 0],
            [(codes, 6, [-1], [0])],
            np.ones(n),
            np.zeros(n),
            "poisson",
            "log",
        )
        assert core.n_distinct == distinct
