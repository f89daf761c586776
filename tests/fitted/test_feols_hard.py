"""Absorbed effects that are hard to tell apart: as indicators find them, or refused in words."""

import numpy as np
import pandas as pd
import pytest
from scipy import sparse
from scipy.sparse.linalg import splu

import ranef
from ranef.errors import FitError


def workers(n=20_000, years=10, per_firm=23):
    """Firms that follow each other row by row, so that a worker changes firm each year."""
    people = n // years
    firms = round(people / per_firm)
    return {
        "who": np.repeat(np.arange(people), years),
        "year": np.tile(np.arange(years), people),
        "firm": np.arange(n) % firms,
    }


def chain(n=6_000):
    """Worker i has been in firms i and i + 1 alone: one path connects all effects."""
    person = np.arange(n) // 6
    return {"who": person, "firm": person + np.arange(n) % 2, "year": np.arange(n) % 7}


def thin_bridges(n=12_000, seed=4):
    """Forty clusters of workers and firms, a single row from each to the next."""
    rng = np.random.default_rng(seed)
    cluster = np.arange(n) % 40
    firm = cluster * 10 + rng.integers(10, size=n)
    firm[:39] = (cluster[:39] + 1) * 10
    return {"who": cluster * 30 + rng.integers(30, size=n), "firm": firm}


def pairs_that_repeat(n=8_000, seed=5):
    """A worker and a firm that hardly ever part, and few rows of each other pair."""
    rng = np.random.default_rng(seed)
    who = rng.integers(400, size=n)
    moves = rng.random(n) < 0.003
    return {"who": who, "firm": np.where(moves, rng.integers(400, size=n), who)}


def by_indicators(x, y, factors, w):
    """Coefficients of x by one sparse factor of all indicators, a small ridge where these alias."""
    blocks = [sparse.csr_matrix((np.ones(len(y)), (np.arange(len(y)), f))) for f in factors]
    D = sparse.hstack(blocks).tocsc()
    root = sparse.diags(np.sqrt(w))
    WD = root @ D
    gram = (WD.T @ WD + 1e-11 * sparse.diags((WD.T @ WD).diagonal())).tocsc()
    factor = splu(gram)

    def left(v):
        for _ in range(3):  # refined: the ridge is gone
            v = v - WD @ factor.solve(WD.T @ v)
        return v

    X = np.column_stack([left(root @ column) for column in x.T])
    return np.linalg.lstsq(X, left(root @ y), rcond=None)[0]


DESIGNS = {f.__name__: f for f in (workers, chain, thin_bridges, pairs_that_repeat)}


@pytest.mark.parametrize("weighted", [False, True], ids=["plain", "weights"])
@pytest.mark.parametrize("name", DESIGNS)
def test_hard_designs_converge_or_say_so(name, weighted):
    factors = DESIGNS[name]()
    n = len(factors["who"])
    rng = np.random.default_rng(2)
    data = pd.DataFrame(factors)
    data["x1"] = rng.normal(size=n) + 0.3 * rng.normal(size=n // 2 + 1)[data["who"] // 2]
    data["x2"] = data["x1"] ** 2
    data["w"] = 10 ** rng.uniform(-3, 3, n) if weighted else 1.0
    data["y"] = data["x1"] + 0.05 * data["x2"] + rng.normal(size=n)
    for factor in factors.values():
        data["y"] += rng.normal(size=factor.max() + 1)[factor]
    try:
        model = ranef.feols(
            "y ~ x1 + x2", data, absorb=list(factors), weights="w" if weighted else None
        )
    except FitError as error:
        if (name, weighted) != ("chain", True) or "hardly connected" not in str(error):
            raise
        return  # a path of a thousand links, their weights over six decades
    want = by_indicators(
        data[["x1", "x2"]].to_numpy(), data["y"].to_numpy(), factors.values(), data["w"].to_numpy()
    )
    assert np.abs(model.params[["x1", "x2"]] - want).max() < 1e-5 * model.bse.max()
