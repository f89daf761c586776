"""Long runs show how far they are on a terminal, and nothing elsewhere."""

from __future__ import annotations

import io
import re
import subprocess
import sys
from functools import cache

import numpy as np
import pytest

import ranef
from ranef.parallel import progress

SLOPE = "Reaction ~ Days + (Days | Subject)"


class Terminal(io.StringIO):
    def isatty(self):
        return True


def slope():
    return ranef.lmer(SLOPE, ranef.datasets.load("sleepstudy"))


def grouped():
    sleep = ranef.datasets.load("sleepstudy")
    return ranef.lmer("Reaction ~ Days + (1 | Subject)", sleep)


@cache
def counts():
    rng = np.random.default_rng(1)
    g = np.repeat(np.arange(6), 8)
    data = {"y": rng.poisson(np.exp(1.0 + 0.5 * rng.normal(size=6)[g])), "g": g}
    return ranef.glmer("y ~ 1 + (1 | g)", data, family="poisson")


STEPS = ["Reaction ~ 1 + (1 | Subject)", "Reaction ~ Days + (1 | Subject)"]
RUNS = {
    "statistic": lambda **shown: slope().bootstrap(4, statistic=lambda m: m.sigma, **shown),
    "bootstrap": lambda **shown: slope().bootstrap(40, **shown),
    "pbtest": lambda **shown: ranef.pbtest(slope(), grouped(), n=20, **shown),
    "profile": lambda **shown: slope().profile(steps=2, **shown),
    "interval": lambda **shown: slope().conf_int("profile", **shown),
    "rlrt": lambda **shown: ranef.rlrt(grouped(), n=100, **shown),
    "folds": lambda **shown: ranef.cross_validate(grouped(), folds=2, **shown),
    "several variances": lambda **shown: ranef.rlrt(slope(), n=20, **shown),
    "step": lambda **shown: ranef.step(slope(), **shown),
    "ladder": lambda **shown: ranef.ladder(STEPS, ranef.datasets.load("sleepstudy"), **shown),
    "influence of counts": lambda **shown: counts().influence("g", refit=True, **shown),
    "optimisers of counts": lambda **shown: ranef.all_fit(counts(), ["ranef", "BFGS"], **shown),
    "starts of counts": lambda **shown: ranef.multistart(counts(), 2, **shown),
    "average": lambda **shown: ranef.average([grouped(), slope()], "stacking", **shown),
}


@pytest.mark.parametrize("run", RUNS.values(), ids=RUNS)
def test_a_long_run_shows_a_bar_on_a_terminal(run, monkeypatch):
    screen = Terminal()
    monkeypatch.setattr(sys, "stderr", screen)
    monkeypatch.setattr(progress, "QUIET_SECONDS", 0.0)
    run()
    assert re.search("0%|0 tests", screen.getvalue())


@pytest.mark.parametrize("run", RUNS.values(), ids=RUNS)
def test_silence_when_asked_for_and_in_a_file(run, monkeypatch):
    monkeypatch.setattr(progress, "QUIET_SECONDS", 0.0)
    for screen, shown in ((Terminal(), False), (io.StringIO(), True)):
        monkeypatch.setattr(sys, "stderr", screen)
        run(progress=shown)
        assert screen.getvalue() == ""


def test_a_short_run_shows_nothing(monkeypatch):
    screen = Terminal()
    monkeypatch.setattr(sys, "stderr", screen)
    slope().conf_int("profile")
    assert screen.getvalue().strip() == ""


def test_a_notebook_without_widgets_gets_no_warning():
    """tqdm warns there, in red, when it is imported."""
    code = """if True:
        import sys, types
        shell = types.SimpleNamespace(config={"IPKernelApp": {}})
        sys.modules["IPython"] = types.ModuleType("IPython")
        sys.modules["IPython"].get_ipython = lambda: shell
        sys.modules["ipywidgets"] = None
        from ranef.parallel.progress import bar
        with bar(2, "fits") as advance:
            advance(2)
        import tqdm.notebook
        assert tqdm.notebook.IProgress is None
    """
    done = subprocess.run([sys.executable, "-W", "error", "-c", code], capture_output=True)
    assert (done.returncode, done.stderr) == (0, b"")
