"""Ctrl-C ends what takes long within a second or so, and leaves a model as it was."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time

import pytest

#: Start of each script: a model, and a way to be told of the moment from which on to wait.
START = """
import signal, sys, time, warnings
signal.signal(signal.SIGINT, signal.default_int_handler)
warnings.simplefilter("ignore")
import numpy as np, pandas as pd, ranef
ranef.lmer, ranef.glmer, ranef.gls  # imported now, not while the clock runs
rng = np.random.default_rng(1)

def crossed(n, a, b):
    d = pd.DataFrame({"a": rng.integers(0, a, n), "b": rng.integers(0, b, n)})
    d["x"] = rng.normal(size=n)
    d["y"] = d.x + rng.normal(size=a)[d.a] + rng.normal(size=b)[d.b] + rng.normal(size=n)
    return d

def stopped(work, before=lambda: None):
    known = before()
    print("begun", flush=True)
    try:
        work()
    except KeyboardInterrupt:
        print("stopped", before() == known, flush=True)
    else:
        print("ended", flush=True)
"""

SCRIPTS = {
    "lmer": """
d = crossed(60_000, 5_000, 4_000)
stopped(lambda: ranef.lmer("y ~ x + (1 | a) + (1 | b)", d, method="exact"))
""",
    "predict(interval=)": """
d = crossed(20_000, 1500, 1300)
m = ranef.lmer("y ~ x + (1 | a) + (1 | b)", d)
new = d.sample(400_000, replace=True, random_state=1)
few = d.head(20)
again = lambda: (m.llf, m.predict(few, interval="prediction").to_numpy().tobytes())
stopped(lambda: m.predict(new, interval="prediction"), again)
""",
    "predict(interval=), iterative": """
d = crossed(20_000, 1500, 1300)
m = ranef.lmer("y ~ x + (1 | a) + (1 | b)", d, method="iterative")
new = d.sample(400_000, replace=True, random_state=1)
few = d.head(20)
again = lambda: (m.llf, m.predict(few, interval="prediction").to_numpy().tobytes())
stopped(lambda: m.predict(new, interval="prediction"), again)
""",
    "glmer": """
d = crossed(60_000, 3_000, 2_500)
d["b01"] = (d.y > 0) * 1
how = {"family": "binomial", "method": "exact"}
stopped(lambda: ranef.glmer("b01 ~ x + (1 | a) + (1 | b)", d, **how))
""",
    "glmer, iterative": """
d = crossed(1_000_000, 50_000, 45_000)
d["b01"] = (d.y > 0) * 1
how = {"family": "binomial", "method": "iterative"}
stopped(lambda: ranef.glmer("b01 ~ x + (1 | a) + (1 | b)", d, **how))
""",
    "gls": """
d = crossed(600_000, 3_000, 5)
d["t"] = d.groupby("a").cumcount()
stopped(lambda: ranef.gls("y ~ x", d, groups="a", time="t", corr="ar1"))
""",
    "influence": """
d = crossed(30_000, 6_000, 900)
m = ranef.lmer("y ~ x + (1 | a)", d)
few = d.head(20)
again = lambda: (m.llf, m.predict(few, interval="prediction").to_numpy().tobytes())
stopped(lambda: [m.influence("a") for _ in range(100)], again)
""",
}


@pytest.mark.skipif(os.name == "nt", reason="interrupts are sent otherwise there")
@pytest.mark.parametrize("what", SCRIPTS)
def test_an_interrupt_is_answered_between_blocks_of_work(what: str) -> None:
    command = [sys.executable, "-c", START + SCRIPTS[what]]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline().split() == ["begun"]
        time.sleep(1.0)
        used = processor_time(process.pid)
        process.send_signal(signal.SIGINT)
        answer = process.stdout.readline().split()
        took = processor_time(process.pid) - used
        process.kill()
    assert answer == ["stopped", "True"]
    assert took < 2.0


def processor_time(pid: int) -> float:
    """Seconds of processor time of a process, where the system tells; else of the clock."""
    try:
        with open(f"/proc/{pid}/stat", encoding="ascii") as stream:
            fields = stream.read().rpartition(")")[2].split()
    except OSError:
        return time.monotonic()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
