"""Cross products to which several threads add: all rows, once."""

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pandas as pd
import pytest

import ranef


def test_threads_may_add_to_the_same_cross_products():
    rng = np.random.default_rng(3)
    n = 24_000
    rows = pd.DataFrame({"y": rng.normal(size=n), "x": rng.normal(size=n)})
    rows["g"] = rng.permutation(np.repeat(np.arange(400), n // 400))
    rows["h"] = rng.integers(0, 60, n)
    rows["y"] += rng.normal(size=400)[rows["g"]] + rng.normal(size=60)[rows["h"]]
    sums = ranef.CrossProducts("y ~ x + (1 | g) + (1 | h)")
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(sums.add, [rows[i : i + 500] for i in range(0, n, 500)]))
    whole = ranef.lmer("y ~ x + (1 | g) + (1 | h)", rows)
    assert sums.n_obs == n
    assert sums.fit().llf == pytest.approx(whole.llf, rel=1e-10)
    assert (sums + sums).n_obs == 2 * n
