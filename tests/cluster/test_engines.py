"""Cross products and batches on pools and on real local clusters of Dask, Ray and Spark.

The sums are those of one process up to the rounding of their order: criteria agree to one part in
10^12 and estimates to 10^-7 standard errors, which is how far the search goes. The same parts
summed on another engine give the same bits.
"""

import os
import re
import shutil
import signal
import time
import warnings
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from functools import partial
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import ranef
from ranef.batch import parts as batch_parts
from ranef.chunks import files as cross_products_files

pytestmark = pytest.mark.filterwarnings(
    "ignore::DeprecationWarning",
    "ignore:PySpark does not yet fully support pandas:FutureWarning",
)

FORMULA = "y ~ x + kind + (1 + x | pupil) + (1 | rater)"
PLAIN = "y ~ x + (1 | pupil) + (1 | rater)"
GROUPS = "y ~ x + (1 | pupil)"

pool = partial(ProcessPoolExecutor, 2, mp_context=get_context("spawn"))


@pytest.fixture(scope="module")
def rows():
    """A few thousand rows, some incomplete, with a level of a predictor that comes late."""
    rng = np.random.default_rng(11)
    n = 6000
    data = pd.DataFrame(
        {
            "x": rng.normal(size=n),
            "kind": np.where(np.arange(n) > 5000, "top", rng.choice(["low", "mid"], n)),
            "pupil": rng.integers(0, 400, n),
            "rater": [f"r{i}" for i in rng.integers(0, 25, n)],
            "store": rng.integers(0, 12, n),
        }
    )
    effect = rng.normal(size=(400, 2))[data["pupil"]]
    data["y"] = 20 + effect[:, 0] + (1 + 0.5 * effect[:, 1]) * data["x"] + rng.normal(size=n)
    data.loc[[3, 4000], "x"] = np.nan
    return data


@pytest.fixture(scope="module")
def folder(rows, tmp_path_factory):
    """The rows as parquet, two files of several row groups."""
    place = tmp_path_factory.mktemp("rows")
    for i in range(2):
        part = rows[3000 * i : 3000 * (i + 1)]
        part.to_parquet(place / f"part{i}.parquet", row_group_size=700)
    return place


@pytest.fixture(autouse=True)
def _small_pieces(monkeypatch):
    """Row groups of the small files are pieces of their own."""
    monkeypatch.setattr(cross_products_files, "PIECE_ROWS", 700)


@pytest.fixture(scope="module")
def client():
    """Two worker processes of Dask."""
    distributed = pytest.importorskip("dask.distributed")
    with (
        distributed.LocalCluster(
            n_workers=2, threads_per_worker=1, dashboard_address=None, memory_limit=None
        ) as cluster,
        distributed.Client(cluster) as found,
    ):
        yield found


@pytest.fixture(scope="module")
def ray():
    """A local Ray with two processors."""
    module = pytest.importorskip("ray")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        module.init(num_cpus=2, include_dashboard=False, log_to_driver=False)
        yield module
        module.shutdown()


@pytest.fixture(scope="module")
def spark():
    """A local Spark with two threads."""
    sql = pytest.importorskip("pyspark.sql")
    if shutil.which("java") is None:
        pytest.skip("Spark needs Java")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        session = (
            sql.SparkSession.builder.master("local[2,3]")  # a task may fail twice
            .config("spark.ui.enabled", "false")
            .config("spark.driver.bindAddress", "127.0.0.1")
            .config("spark.driver.host", "127.0.0.1")
            .getOrCreate()
        )
        session.sparkContext.setLogLevel("OFF")
        yield session
        session.stop()


def quietly(call, *args, **kwargs):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return call(*args, **kwargs)


def assert_same(model, whole):
    assert model.nobs == whole.nobs
    assert model.llf == pytest.approx(whole.llf, rel=1e-12)
    assert ((model.params - whole.params) / whole.bse).abs().max() < 1e-7
    np.testing.assert_allclose(model.bse, whole.bse, rtol=1e-6)
    for group, effects in whole.ranef().items():
        assert list(model.ranef()[group].index) == list(effects.index)


def same_bits(model, other):
    assert model.llf == other.llf
    assert (model.params == other.params).all()
    assert model.sigma == other.sigma


# ------------------------------------------------------------------ pools


def test_any_executor_gives_the_same_fit(rows, folder):
    whole = quietly(ranef.lmer, FORMULA, rows)
    with ThreadPoolExecutor(3) as threads:
        first = quietly(ranef.lmer, FORMULA, folder, executor=threads)
        frames = [rows[:2500], rows[2500:]]
        assert_same(quietly(ranef.lmer, FORMULA, frames, executor=threads), whole)
    assert_same(first, whole)
    same_bits(quietly(ranef.lmer, FORMULA, folder, executor=pool), first)


def dying(chunks, processes):
    """Give chunks, and kill a worker between two of them."""
    for i, chunk in enumerate(chunks):
        if i == 3:
            os.kill(processes()[0], signal.SIGKILL)
        yield chunk


@pytest.mark.parametrize("restarts", [True, False])
def test_a_process_that_dies_loses_nothing(rows, restarts):
    started = []

    def start():
        started.append(pool())
        return started[-1]

    whole = quietly(ranef.lmer, PLAIN, rows)
    chunks = dying(
        [rows[i : i + 1000] for i in range(0, 6000, 1000)], lambda: list(started[-1]._processes)
    )
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        model = ranef.lmer(PLAIN, chunks, executor=start if restarts else start())
    text = "another pool goes on" if restarts else "the rest is done in this process"
    assert [text in str(w.message) for w in told].count(True) == 1
    assert len(started) == 1 + restarts
    assert_same(model, whole)
    for executor in started:
        executor.shutdown()


def test_what_is_no_executor_is_refused(rows, folder):
    with pytest.raises(TypeError, match="executor is a int"):
        ranef.lmer(PLAIN, folder, executor=3)
    with pytest.raises(ValueError, match="these are in memory"):
        ranef.lmer(PLAIN, rows, executor=pool)


# ------------------------------------------------------------------ clusters


def test_dask_gives_the_same_fit(rows, folder, client):
    whole = quietly(ranef.lmer, FORMULA, rows)
    of_files = quietly(ranef.lmer, FORMULA, folder, executor=client)
    assert_same(of_files, whole)
    with ThreadPoolExecutor(1) as thread:
        same_bits(quietly(ranef.lmer, FORMULA, folder, executor=thread), of_files)
    dataframe = pytest.importorskip("dask.dataframe")
    frame = dataframe.from_pandas(rows, npartitions=5, sort=False)
    assert_same(quietly(ranef.lmer, FORMULA, frame), whole)
    with pytest.raises(ValueError, match="leave executor out"):
        ranef.lmer(FORMULA, frame, executor=client)


def test_a_dask_worker_that_dies_loses_nothing(rows, client):
    whole = quietly(ranef.lmer, PLAIN, rows)
    chunks = [rows[i : i + 1000] for i in range(0, 6000, 1000)]
    before = set(client.run(os.getpid).values())
    pids = lambda: list(client.run(os.getpid).values())  # noqa: E731
    model = quietly(ranef.lmer, PLAIN, dying(chunks, pids), executor=client)
    assert_same(model, whole)
    deadline = time.monotonic() + 20
    while set(pids()) == before and time.monotonic() < deadline:
        time.sleep(0.1)
    assert set(pids()) != before


def test_ray_gives_the_same_fit(rows, folder, ray):
    whole = quietly(ranef.lmer, FORMULA, rows)
    of_files = quietly(ranef.lmer, FORMULA, folder, executor=ray)
    assert_same(of_files, whole)
    with ThreadPoolExecutor(1) as thread:
        same_bits(quietly(ranef.lmer, FORMULA, folder, executor=thread), of_files)


def test_a_ray_dataset_gives_the_same_fit(rows, ray):
    data = pytest.importorskip("ray.data")
    dataset = data.from_pandas([rows[:2500], rows[2500:]])
    assert_same(quietly(ranef.lmer, FORMULA, dataset), quietly(ranef.lmer, FORMULA, rows))


def test_a_spark_dataframe_gives_the_same_fit(rows, folder, spark):
    whole = quietly(ranef.lmer, FORMULA, rows)
    frame = spark.read.parquet(str(folder))
    assert_same(quietly(ranef.lmer, FORMULA, frame), whole)


# ------------------------------------------------------------------ batches


def tables(batch):
    return {"table": batch.table, "fits": batch.fits, "tests": batch.tests}


def assert_same_tables(batch, local):
    for name, frame in tables(local).items():
        pd.testing.assert_frame_equal(tables(batch)[name], frame, check_exact=True)


@pytest.fixture(scope="module")
def responses(rows):
    """Responses of the rows: 130, one constant, one with gaps."""
    Y = np.random.default_rng(3).normal(size=(len(rows), 130))
    Y[:, 7] = 1.0
    Y[::9, 8] = np.nan
    return Y


def many(rows, responses, **options):
    tests = ["x = 0.1", "x = 0, kind[T.mid] = 0"]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ranef.DroppedRowsWarning)
        formula = "~ x + kind + (1 | pupil)"
        return ranef.fit_many(formula, rows, responses, tests=tests, progress=False, **options)


def groups(data, **options):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ranef.DroppedRowsWarning)
        return ranef.fit_groups(GROUPS, data, "store", progress=False, **options)


@pytest.fixture(scope="module")
def stores(rows):
    """The rows, one store with a pupil only."""
    data = rows.copy()
    data.loc[data["store"] == 4, "pupil"] = 1
    return data


class Killer:
    """Kills one worker, once, when the first results have come."""

    def __init__(self, monkeypatch, processes):
        self.killed = []
        take = batch_parts.Part.take

        def told(part, *arguments):
            take(part, *arguments)
            if not self.killed:
                self.killed.append(processes()[0])
                os.kill(self.killed[0], signal.SIGKILL)

        monkeypatch.setattr(batch_parts.Part, "take", told)


def ray_workers():
    """Processes of Ray that are at a task of ours."""
    psutil = pytest.importorskip("psutil")
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        children = psutil.Process().children(recursive=True)
        if found := [p.pid for p in children if " ".join(p.cmdline()).startswith("ray::call")]:
            return found
    return []


class Doomed(ProcessPoolExecutor):
    """A pool of which the worker that gets the second task dies at it."""

    tasks = 0

    def submit(self, function, /, *arguments, **options):
        self.tasks += 1
        if self.tasks == 2:
            return super().submit(signal.raise_signal, signal.SIGKILL)
        return super().submit(function, *arguments, **options)


@pytest.mark.parametrize("restarts", [True, False])
def test_batches_outlive_a_process_that_dies(rows, responses, stores, tmp_path, restarts):
    text = "another pool goes on" if restarts else "the rest is done in this process"
    for name, fit in (("Y", partial(many, rows, responses)), ("g", partial(groups, stores))):
        local = fit()
        doomed = Doomed(2, mp_context=get_context("spawn"))
        pools = iter([doomed, pool()])
        executor = partial(next, pools) if restarts else doomed
        with pytest.warns(ranef.RanefWarning, match=text):
            stored = fit(executor=executor, out=tmp_path / name)
        doomed.shutdown()
        for unused in pools:
            unused.shutdown()
        assert doomed.tasks >= 2
        assert stored.complete
        for table in ("table", "fits"):
            found, expected = getattr(stored, table), getattr(local, table)
            pd.testing.assert_frame_equal(found[list(expected)], expected, check_exact=True)


def test_batches_outlive_a_dask_worker(rows, responses, stores, client, monkeypatch):
    pids = lambda: list(client.run(os.getpid).values())  # noqa: E731
    for fit in (partial(many, rows, responses), partial(groups, stores)):
        local = fit()
        with monkeypatch.context() as patch:
            killer = Killer(patch, pids)
            assert_same_tables(fit(executor=client), local)
        assert len(killer.killed) == 1


def test_batches_outlive_a_ray_worker(rows, responses, stores, ray, monkeypatch):
    for fit in (partial(many, rows, responses), partial(groups, stores)):
        local = fit()
        with monkeypatch.context() as patch:
            killer = Killer(patch, ray_workers)
            assert_same_tables(fit(executor=ray), local)
        assert len(killer.killed) == 1


def test_groups_outlive_a_spark_worker(stores, spark, tmp_path):
    marker = tmp_path / "dead"

    def die_once(frames):
        for frame in frames:
            if not marker.exists():
                marker.touch()
                os.kill(os.getpid(), signal.SIGKILL)
            yield frame

    stores.to_parquet(tmp_path / "stores.parquet")
    frame = spark.read.parquet(str(tmp_path / "stores.parquet"))
    batch, local = groups(frame.mapInPandas(die_once, frame.schema)), groups(stores)
    assert marker.exists()
    assert batch.fits["store"].tolist() == local.fits["store"].tolist()
    np.testing.assert_allclose(batch.table["estimate"], local.table["estimate"], rtol=1e-7)


def test_batches_on_a_pool_are_the_same_bits(rows, responses, stores):
    local = many(rows, responses)
    with ThreadPoolExecutor(2) as threads:
        batch = many(rows, responses, executor=threads)
        assert_same_tables(batch, local)
        same_bits(batch.fit(20), local.fit(20))
        assert batch.status[7] == "explained"
        found, alone = groups(stores, executor=threads), groups(stores)
    pd.testing.assert_frame_equal(found.table, alone.table, check_exact=True)
    pd.testing.assert_frame_equal(found.fits, alone.fits, check_exact=True)
    assert_same_tables(many(rows, responses, executor=pool), local)
    assert found.fits["status"][4] == "error"
    assert "only one level" in found.messages[4]
    same_bits(found.fit(3), alone.fit(3))


def test_batches_on_dask_are_the_same_bits(rows, responses, stores, client):
    assert_same_tables(many(rows, responses, executor=client), many(rows, responses))
    dataframe = pytest.importorskip("dask.dataframe")
    local = groups(stores)
    frame = dataframe.from_pandas(stores, npartitions=4, sort=False)
    batch = groups(frame)
    assert batch.fits["store"].tolist() == local.fits["store"].tolist()
    np.testing.assert_allclose(batch.table["estimate"], local.table["estimate"], rtol=1e-7)
    with pytest.raises(ranef.UnsupportedError, match="rows of 3 are elsewhere"):
        batch.fit(3)


def test_batches_on_ray_are_the_same_bits(rows, responses, ray):
    assert_same_tables(many(rows, responses, executor=ray), many(rows, responses))


def test_groups_of_a_spark_dataframe(stores, spark, tmp_path):
    stores.to_parquet(tmp_path / "stores.parquet")
    batch, local = groups(spark.read.parquet(str(tmp_path / "stores.parquet"))), groups(stores)
    assert batch.fits["store"].tolist() == local.fits["store"].tolist()
    assert (batch.fits["status"] == "converged").sum() == 11
    np.testing.assert_allclose(batch.table["estimate"], local.table["estimate"], rtol=1e-7)


def test_groups_of_a_ray_dataset(stores, ray):
    data = pytest.importorskip("ray.data")
    batch, local = groups(data.from_pandas([stores[:2500], stores[2500:]])), groups(stores)
    assert batch.fits["store"].tolist() == local.fits["store"].tolist()
    np.testing.assert_allclose(batch.table["estimate"], local.table["estimate"], rtol=1e-7)


# ------------------------------------------------------------------ the page about it

PAGE = Path(__file__).parents[2] / "docs" / "clusters.md"
EXAMPLES = re.findall("^## (.+?)\n.*?```python\n(.*?)```", PAGE.read_text("utf-8"), re.M | re.S)


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    return tmp_path_factory.mktemp("page")


@pytest.mark.parametrize(("engine", "code"), EXAMPLES, ids=[name for name, _ in EXAMPLES])
def test_the_page_runs(engine, code, place, monkeypatch):
    for name in {"Dask": "dask", "Ray": "ray", "Spark": "pyspark"}.get(engine, "").split():
        module = pytest.importorskip(name)
        if name == "ray" and module.is_initialized():
            module.shutdown()
    if engine == "Spark" and shutil.which("java") is None:
        pytest.skip("Spark needs Java")
    monkeypatch.chdir(place)
    first = PAGE.read_text("utf-8").split("```python\n")[1].split("```")[0]
    code = code.replace('"rows.parquet"', repr(str(place / "rows.parquet")))  # for a running Java
    names = {"__name__": "__main__"}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        exec(first, names)
        exec(code, names)
        whole = ranef.lmer(names["formula"], names["rows"])
        if "batch" in names:
            local = ranef.fit_many("~ x + (1 | pupil)", names["rows"], names["Y"])
            pd.testing.assert_frame_equal(names["batch"].table, local.table, check_exact=True)
        if "stores" in names:
            assert len(names["stores"]) == 8
    assert_same(names["model"], whole)
