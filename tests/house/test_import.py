"""Importing ranef brings in little beyond pandas: the rest waits until it is used."""

import ast
import os
import subprocess
import sys
import threading
import time
import types
from pathlib import Path

import pytest

import ranef
from ranef import _importing

CODE = """
import sys
import pandas
before = set(sys.modules)
import ranef
print("\\n".join(set(sys.modules) - before))
"""


@pytest.fixture(scope="module")
def brought():
    done = subprocess.run([sys.executable, "-c", CODE], capture_output=True, text=True, check=True)
    return set(done.stdout.split())


@pytest.mark.parametrize(
    "module",
    [
        "scipy.special",
        "scipy.stats",
        "scipy.optimize",
        "scipy.interpolate",
        "matplotlib",
        "tqdm",
        "joblib",
        "polars",
        "duckdb",
        "pyarrow.dataset",
        "dask",
        "distributed",
        "ray",
        "pyspark",
        "sklearn",
        "formulaic",
        "ranef.api",
        "ranef._core",
        "ranef.families",
    ],
)
def test_what_is_not_needed_at_once_is_not_imported(brought, module):
    assert "ranef.errors" in brought
    assert module not in brought


def test_every_name_is_there():
    for name in ranef.__all__:
        assert getattr(ranef, name) is not None
    assert set(ranef.__all__) <= set(dir(ranef))
    with pytest.raises(AttributeError, match="module 'ranef' has no attribute 'lmerr'"):
        ranef.lmerr  # noqa: B018


def test_type_checkers_find_names_where_they_are_imported_from():
    tree = ast.parse(Path(ranef.__file__).read_text())
    (block,) = [node for node in tree.body if isinstance(node, ast.If)][:1]
    told = {alias.name: node.module for node in block.body for alias in node.names}
    assert told == ranef._LATER


FORK = """
import os, signal, sys, threading, time
import ranef

thread = threading.Thread(target=lambda: ranef.glmer)
thread.start()
time.sleep(0.005)
child = os.fork()
if child == 0:
    signal.alarm(20)  # a child that hangs is killed
    ranef.glmer
    os._exit(0)
thread.join()
sys.exit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="the system does not fork")
def test_a_process_forked_while_a_thread_imports_can_import_too():
    done = subprocess.run([sys.executable, "-W", "ignore", "-c", FORK], timeout=60, check=False)
    assert done.returncode == 0


@pytest.mark.skipif(not hasattr(os, "register_at_fork"), reason="no forks here")
def test_a_fork_waits_for_an_import_that_another_thread_makes(monkeypatch):
    half_done = types.ModuleType("ranef.half_done")
    half_done.__spec__ = types.SimpleNamespace(_initializing=True)
    monkeypatch.setitem(sys.modules, "ranef.half_done", half_done)
    threading.Timer(0.2, setattr, (half_done.__spec__, "_initializing", False)).start()
    began = time.monotonic()
    _importing._settled()
    _importing._IMPORTING.release()
    assert 0.1 < time.monotonic() - began < 4.0
