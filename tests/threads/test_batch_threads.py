"""Threads: the same bits for any number, two Python threads at once, fork, interrupts."""

import os
import signal
import subprocess
import sys
import threading

import numpy as np
import pytest

import ranef

FORMULA = "~ Days + (Days | Subject)"
ARRAYS = ("outcome", "objective", "sigma", "estimate", "variance", "df", "factors", "n_objective")


@pytest.fixture(scope="module")
def sleep():
    return ranef.datasets.load("sleepstudy")


@pytest.fixture(scope="module")
def responses(sleep):
    rng = np.random.default_rng(11)
    Y = sleep["Reaction"].to_numpy()[:, None] + 30 * rng.normal(size=(len(sleep), 60))
    Y[3:8, 5] = np.nan
    Y[:, 6] = 1.0
    return Y


def fit(sleep, Y, workers=1):
    return ranef.fit_many(
        FORMULA, sleep, Y, workers=workers, ddf="satterthwaite", progress=False
    ).parts.estimate


def same(a, b):
    return all(np.array_equal(getattr(a, n), getattr(b, n), equal_nan=True) for n in ARRAYS)


@pytest.mark.parametrize("workers", [2, 7, 100])
def test_any_number_of_threads_gives_the_same_bits(sleep, responses, workers):
    assert same(fit(sleep, responses), fit(sleep, responses, workers))


@pytest.mark.parametrize("workers", [2, 7])
def test_groups_too(sleep, workers):
    data = sleep.assign(half=np.arange(180) % 5)
    fits = [
        ranef.fit_groups(
            "Reaction ~ Days + (1 | Subject)", data, "half", workers=w, progress=False
        ).parts.estimate
        for w in (1, workers)
    ]
    assert same(*fits)


def test_two_python_threads_at_once(sleep, responses):
    expected = fit(sleep, responses)
    found = []
    threads = [
        threading.Thread(target=lambda: found.append(fit(sleep, responses, 2))) for _ in range(2)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 2
    assert all(same(expected, one) for one in found)


@pytest.mark.skipif(not os.path.isdir("/proc/self/task"), reason="threads are listed on Linux")
def test_threads_start_where_needed_and_end_with_the_call():
    code = (
        RUN.replace("COUNT", "60")
        + """
import os
from ranef.models.batch import blocks as batch_blocks
running = lambda: len(os.listdir("/proc/self/task"))
before, seen = running(), []
advance = batch_blocks.Progress.advance
def tell(self, fits):
    seen.append(running() - before)
    advance(self, fits)
batch_blocks.Progress.advance = tell
for workers, count in ((1, 60), (2, 60), (5, 60), (100, 3), (8, 1)):
    seen.clear()
    some = Y[:, :count]
    ranef.fit_many("~ Days + (Days | Subject)", sleep, some, workers=workers, progress=False)
    print(max(seen), running() - before)
"""
    )
    out, err = run(code).communicate(timeout=60)
    assert out.split("\n")[:-1] == ["0 0", "1 0", "4 0", "2 0", "0 0"], err


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork here")
def test_a_fork_while_threads_work():
    code = (
        RUN.replace("COUNT", "20_000")
        + """
import os, threading, time
here = threading.Thread(target=fit)
here.start()
time.sleep(0.05)
child = os.fork()
if child == 0:
    os._exit(0 if fit().counts()["converged"] == 20_000 else 1)
print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
here.join()
"""
    )
    out, err = run(code).communicate(timeout=60)
    assert out.strip() == "0", err


RUN = """
import numpy as np, ranef
sleep = ranef.datasets.load("sleepstudy")
Y = sleep["Reaction"].to_numpy()[:, None] + np.random.default_rng(1).normal(size=(180, COUNT))
fit = lambda: ranef.fit_many("~ Days + (Days | Subject)", sleep, Y, workers=2, progress=False)
"""


def run(code, **options):
    return subprocess.Popen(
        [sys.executable, "-c", code],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        **options,
    )


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork here")
def test_fit_fork_and_fit_in_the_child():
    code = (
        RUN.replace("COUNT", "50")
        + """
import os
before = fit().parts.estimate.objective
child = os.fork()
if child == 0:
    os._exit(0 if (fit().parts.estimate.objective == before).all() else 1)
print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
"""
    )
    out, err = run(code).communicate(timeout=60)
    assert out.strip() == "0", err


@pytest.mark.skipif(os.name == "nt", reason="interrupts are sent otherwise there")
def test_an_interrupt_keeps_what_is_done():
    code = (
        RUN.replace("COUNT", "400_000")
        + """
import threading, time, warnings
from ranef.models.batch import blocks as batch_blocks
warnings.simplefilter("ignore")
seen = []
advance = batch_blocks.Progress.advance
def tell(self, count):
    advance(self, count)
    seen.append(count)
    if len(seen) == 1:
        print("go", flush=True)
batch_blocks.Progress.advance = tell
result = fit()
print(result.interrupted, result.counts().to_dict(), sum(seen))
"""
    )
    process = run(code)
    assert process.stdout.readline().strip() == "go"
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=20)
    words = out.split()
    assert words[0] == "True", err
    assert "'not run'" in out
    assert int(words[-1]) >= 1
