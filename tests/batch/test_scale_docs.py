"""The examples of docs/scale.md about batches, groups and studies run as they are written."""

import re
from pathlib import Path

import matplotlib as mpl
import numpy as np
import pandas as pd
import pytest

import ranef

PAGE = Path(__file__).parents[2] / "docs" / "scale.md"
SECTIONS = (
    "One design, many responses",
    "Responses and results beyond memory",
    "One formula, many groups",
    "Simulation studies and power",
)


def blocks(section):
    """Python of one section, with fewer fits."""
    text = PAGE.read_text(encoding="utf-8").split(f"\n## {section}\n")[1].split("\n## ")[0]
    code = re.findall(r"```python\n(.*?)```", text, re.DOTALL)
    assert code, section
    return [re.sub("5000|n=500", lambda m: {"5000": "20", "n=500": "n=4"}[m[0]], c) for c in code]


def sales():
    """Three stores."""
    rng = np.random.default_rng(0)
    return pd.DataFrame(
        {
            "store": np.repeat([1, 2, 3], 60),
            "week": np.tile(np.arange(60) // 5, 3),
            "price": rng.normal(size=180),
            "sales": rng.normal(size=180),
        }
    )


@pytest.mark.parametrize("section", SECTIONS)
def test_examples(section, tmp_path, monkeypatch):
    mpl.use("Agg")
    monkeypatch.chdir(tmp_path)
    (tmp_path / "voxels").mkdir()
    (tmp_path / "sales").mkdir()
    sales().to_parquet("sales/all.parquet")
    rng = np.random.default_rng(1)
    person = np.repeat(np.arange(20), 5)
    design = pd.DataFrame({"age": rng.normal(size=100), "person": person})
    voxels = rng.normal(size=(100, 30)) + rng.normal(size=(20, 30))[person]
    names = [f"v{i:04d}" for i in range(30)]
    pd.DataFrame(voxels, columns=names).to_parquet("voxels/0.parquet")
    known = {
        "np": np,
        "pandas": pd,
        "ranef": ranef,
        "design": design,
        "data": sales(),
        "sleep": ranef.datasets.load("sleepstudy"),
    }
    for code in blocks(section):
        exec(compile(code, str(PAGE), "exec"), known)
