"""Threads within one fit: the same bits for any number, fits after a fork, interrupts."""

import os
import signal
import subprocess
import sys
import time

import numpy as np
import pandas as pd
import pytest

import ranef


def crossed(levels, rows, seed=3):
    """Two crossed factors, a covariate, a slope by the first factor, and a yes or no."""
    rng = np.random.default_rng(seed)
    a = rng.permutation(np.arange(rows) % levels)
    b = rng.permutation(np.arange(rows) % (levels + levels // 8))
    x = rng.normal(size=rows)
    effect = rng.normal(0, 0.7, levels)[a] + rng.normal(0, 0.5, b.max() + 1)[b]
    y = 1 + 0.5 * x + effect + rng.normal(0, 0.3, levels)[a] * x + rng.normal(size=rows)
    yes = (rng.random(rows) < 1 / (1 + np.exp(-effect))).astype(float)
    return pd.DataFrame({"y": y, "yes": yes, "x": x, "a": a, "b": b, "w": rng.uniform(1, 2, rows)})


@pytest.fixture(scope="module")
def ratings():
    return crossed(1_100, 40_000)


def bits(model):
    """Everything a fit reports that its threads could have moved."""
    return np.concatenate(
        [
            np.atleast_1d(model.llf),
            model.theta,
            model.params,
            model.bse,
            *(effects.to_numpy().ravel() for effects in model.ranef().values()),
        ]
    )


FITS = {
    "exact": lambda data, threads: ranef.lmer(
        "y ~ x + (1 | a) + (1 | b)", data, weights="w", method="exact", threads=threads
    ),
    "slopes": lambda data, threads: ranef.lmer(
        "y ~ x + (1 + x | a) + (1 | b)", data, method="exact", threads=threads
    ),
    "iterative": lambda data, threads: ranef.lmer(
        "y ~ x + (1 | a) + (1 | b)", data, method="iterative", threads=threads
    ),
    "logistic": lambda data, threads: ranef.glmer(
        "yes ~ x + (1 | a) + (1 | b)",
        data,
        family="binomial",
        method="iterative",
        threads=threads,
    ),
}


@pytest.mark.parametrize("name", FITS)
def test_any_number_of_threads_gives_the_same_bits(ratings, name):
    alone = bits(FITS[name](ratings, 1))
    assert np.isfinite(alone).all()
    for threads in (2, 3):
        assert np.array_equal(alone, bits(FITS[name](ratings, threads)))


def test_sums_of_a_panel_that_is_dense_are_the_same():
    data = crossed(1_100, 40_000)
    data["b"] %= 1_050
    data["a"] %= 60  # each meets most of the others
    one, two = (ranef.lmer("y ~ x + (1 | a) + (1 | b)", data, threads=n) for n in (1, 2))
    assert np.array_equal(bits(one), bits(two))


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork here")
@pytest.mark.parametrize("method", ["exact", "iterative"])
def test_a_model_of_two_threads_is_at_work_after_a_fork(ratings, method):
    model = ranef.lmer("y ~ x + (1 | a) + (1 | b)", ratings, method=method, threads=2)
    expected = model.refit(ratings["y"].to_numpy()[::-1].copy()).llf
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        found = model.refit(ratings["y"].to_numpy()[::-1].copy()).llf
        os.write(writer, repr(float(found)).encode())
        os._exit(0)
    os.close(writer)
    deadline = time.monotonic() + 120
    while os.waitpid(child, os.WNOHANG) == (0, 0):
        if time.monotonic() > deadline:
            os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)
            pytest.fail("the child hangs")
        time.sleep(0.05)
    assert os.read(reader, 100).decode() == repr(float(expected))
    os.close(reader)


INTERRUPTED = """
import numpy as np, pandas as pd, ranef, signal, threading, time
rng = np.random.default_rng(1)
n, levels = 150_000, 6_000
data = pd.DataFrame({"y": rng.normal(size=n), "a": rng.permutation(np.arange(n) % levels),
                     "b": rng.permutation(np.arange(n) % levels)})
ranef.lmer("y ~ 1 + (1 | a)", data.head(2000))
timer = threading.Timer(2.0, lambda: signal.raise_signal(signal.SIGINT))
timer.start()
began = time.process_time(), time.monotonic()
try:
    ranef.lmer("y ~ 1 + (1 | a) + (1 | b)", data, method="exact", threads=2)
    print("done")
except KeyboardInterrupt:
    print("interrupted", time.process_time() - began[0])
"""


@pytest.mark.skipif(sys.platform == "win32", reason="signals are those of Unix")
def test_threads_end_with_an_interrupt():
    out = subprocess.run(
        [sys.executable, "-c", INTERRUPTED], capture_output=True, text=True, timeout=300
    )
    word, seconds = out.stdout.split()
    assert word == "interrupted", out.stderr
    assert float(seconds) < 2 * 3.5  # two seconds, less than one more, on two threads


@pytest.mark.parametrize("threads", [True, 1.0, "2", 0, 10**12])
def test_what_is_no_number_of_threads_is_refused(threads):
    rows = {"y": np.arange(12.0) % 5, "g": np.arange(12) % 3}
    with pytest.raises(ValueError, match="threads must be a positive integer"):
        ranef.lmer("y ~ 1 + (1 | g)", rows, threads=threads)


def test_threads_may_be_counted_by_numpy():
    rows = {"y": np.random.default_rng(0).normal(size=40), "g": np.arange(40) % 8}
    one, two = (ranef.lmer("y ~ 1 + (1 | g)", rows, threads=t) for t in (1, np.int64(2)))
    assert one.llf == two.llf
