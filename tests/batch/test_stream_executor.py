"""Folders that are written while an executor fits: the same bytes, whoever fits and goes on."""

import warnings
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from functools import partial
from multiprocessing import get_context

import numpy as np
import pandas as pd
import pytest

import ranef
from ranef.batch import group_sources, responses
from ranef.batch import parts as batch_parts
from ranef.models.batch import blocks as batch_blocks

FORMULA = "~ Days + (1 | Subject)"
OPTIONS = {"tests": ["Days = 1", "Intercept = 0, Days = 0"], "progress": False}

threads = partial(ThreadPoolExecutor, 2)
processes = partial(ProcessPoolExecutor, 2, mp_context=get_context("spawn"))


@pytest.fixture(scope="module")
def sleep():
    return ranef.datasets.load("sleepstudy")


@pytest.fixture(scope="module")
def Y(sleep):
    """Seventy responses; a gap, a constant, one without values, an infinite one."""
    rng = np.random.default_rng(3)
    Y = sleep["Reaction"].to_numpy()[:, None] + rng.normal(size=(len(sleep), 70)) * 40
    Y[:7, 3] = np.nan
    Y[:, 11] = 2.0
    Y[:, 23] = np.nan
    Y[4, 31] = np.inf
    return pd.DataFrame(Y, columns=[f"g{i}" for i in range(70)])


@pytest.fixture(autouse=True)
def _small_blocks(monkeypatch):
    monkeypatch.setattr(responses, "block_size", lambda n_rows: 25)
    monkeypatch.setattr(group_sources, "BLOCK_ROWS", 1200)


@pytest.fixture(scope="module")
def stores():
    """Forty stores; one has one level of a factor, one an infinite value, one a single week."""
    rng = np.random.default_rng(8)
    n = 4000
    data = pd.DataFrame(
        {
            "store": rng.integers(0, 40, n),
            "week": rng.integers(0, 12, n),
            "price": rng.normal(size=n),
            "kind": rng.choice(["a", "b"], n),
        }
    )
    data["sales"] = data["price"] + rng.normal(size=12)[data["week"]] + rng.normal(size=n)
    data.loc[data["store"] == 5, "kind"] = "a"
    data.loc[data.index[data["store"] == 9][0], "price"] = np.inf
    data.loc[data["store"] == 20, "week"] = 3
    data.loc[[17, 400], "price"] = np.nan
    return data


def many(sleep, Y, **options):
    return ranef.fit_many(FORMULA, sleep, Y, **OPTIONS, **options)


def groups(data, **options):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ranef.DroppedRowsWarning)
        return ranef.fit_groups(
            "sales ~ price + kind + (1 | week)", data, "store", progress=False, **options
        )


def same_files(found, expected):
    names = sorted(file.relative_to(expected) for file in expected.rglob("*.*"))
    assert names == sorted(file.relative_to(found) for file in found.rglob("*.*"))
    for name in names:
        assert (found / name).read_bytes() == (expected / name).read_bytes(), name


def same_tables(found, expected):
    for name in ("table", "tests", "fits"):
        mine, other = getattr(found, name), getattr(expected, name)
        pd.testing.assert_frame_equal(mine[list(other)], other, check_exact=True)


def interrupt_after(monkeypatch, count, owner, name):
    """Stand in for the keyboard: interrupt when a method has been called so many times."""
    calls = []
    method = getattr(owner, name)

    def told(self, *arguments):
        method(self, *arguments)
        calls.append(1)
        if len(calls) == count:
            raise KeyboardInterrupt

    monkeypatch.setattr(owner, name, told)


@pytest.mark.parametrize("executor", [threads, processes])
@pytest.mark.parametrize("kind", ["matrix", "file", "iterator"])
def test_responses_give_the_same_files(sleep, Y, tmp_path, executor, kind):
    Y.to_parquet(tmp_path / "Y.parquet")
    source = {
        "matrix": lambda: Y,
        "file": lambda: str(tmp_path / "Y.parquet"),
        "iterator": lambda: iter([Y.iloc[:, :40], Y.iloc[:, 40:41], Y.iloc[:, 41:]]),
    }[kind]
    many(sleep, source(), out=tmp_path / "here")
    stored = many(sleep, source(), out=tmp_path / "there", executor=executor)
    assert stored.complete
    same_files(tmp_path / "there", tmp_path / "here")
    same_tables(many(sleep, source(), executor=executor), many(sleep, Y))


def test_own_weights_go_with_their_responses(sleep, Y, tmp_path):
    W = np.random.default_rng(1).uniform(0.5, 2.0, Y.shape)
    whole = many(sleep, Y, weights=W)
    same_tables(many(sleep, Y, weights=W, executor=threads), whole)
    same_tables(many(sleep, Y, weights=W, executor=threads, out=tmp_path / "out"), whole)


@pytest.mark.parametrize("executor", [threads, processes])
def test_groups_give_the_same_files(stores, tmp_path, executor):
    whole = groups(stores)
    groups(stores, out=tmp_path / "here")
    groups(stores, out=tmp_path / "there", executor=executor)
    same_files(tmp_path / "there", tmp_path / "here")
    found = groups(stores, executor=executor)
    same_tables(found, whole)
    assert found.messages == whole.messages
    assert set(found.messages) >= {9, 20}
    assert found.fit(3).llf == whole.fit(3).llf
    stores.to_parquet(tmp_path / "stores.parquet", row_group_size=1000)
    of_files = groups(str(tmp_path / "stores.parquet"), out=tmp_path / "files", executor=executor)
    assert len(of_files.fits) == 40
    same_tables(of_files, whole)


@pytest.mark.parametrize("pieces", [1, 5, 17, 40])
def test_an_interrupted_run_goes_on_with_or_without_an_executor(
    sleep, Y, stores, tmp_path, monkeypatch, pieces
):
    many(sleep, Y, out=tmp_path / "Y")
    groups(stores, out=tmp_path / "stores")
    for name, fit in (("Y", partial(many, sleep, Y)), ("stores", partial(groups, stores))):
        for goes_on in (None, threads):
            out = tmp_path / f"{name}-{goes_on is None}"
            with monkeypatch.context() as patch:
                interrupt_after(patch, pieces, batch_parts.Part, "take")
                with pytest.warns(ranef.RanefWarning, match="goes on from there"):
                    stopped = fit(out=out, executor=threads)
            assert stopped.interrupted
            assert not stopped.complete
            stored = fit(out=out, executor=goes_on)
            assert stored.complete
            same_files(out, tmp_path / name)


def test_a_run_without_an_executor_goes_on_with_one(sleep, Y, tmp_path, monkeypatch):
    monkeypatch.setattr(batch_blocks, "BLOCK_SECONDS", 0.0)  # a fit at a time
    many(sleep, Y, out=tmp_path / "whole")
    with monkeypatch.context() as patch:
        interrupt_after(patch, 31, batch_blocks.Progress, "advance")
        with pytest.warns(ranef.RanefWarning, match="goes on from there"):
            many(sleep, Y, out=tmp_path / "out", workers=1)
    assert (tmp_path / "out" / "partial.npz").exists()
    many(sleep, Y, out=tmp_path / "out", executor=threads)
    same_files(tmp_path / "out", tmp_path / "whole")


def test_an_interrupt_in_memory_keeps_what_has_come(sleep, Y, monkeypatch):
    whole = many(sleep, Y)
    with monkeypatch.context() as patch:
        interrupt_after(patch, 20, batch_parts.Part, "take")
        with pytest.warns(ranef.RanefWarning, match="the others have the status 'not run'"):
            stopped = many(sleep, Y, executor=threads)
    assert stopped.interrupted
    done = (stopped.status != "not run").to_numpy()
    assert 25 < done.sum() < 70
    columns = ["nobs", "sigma", "llf", "status"]
    pd.testing.assert_frame_equal(
        stopped.fits.loc[done, columns], whole.fits.loc[done, columns], check_exact=True
    )


def test_blocks_before_one_that_cannot_be_read_are_written(sleep, Y, tmp_path):
    def blocks():
        yield Y.iloc[:, :30]
        yield Y.iloc[:, 30:60]
        yield Y.iloc[:100, 60:]

    with pytest.raises(ranef.DataError, match="block 3"):
        many(sleep, blocks, out=tmp_path / "out", executor=threads)
    assert len(ranef.StoredBatch(tmp_path / "out").fits) == 60
