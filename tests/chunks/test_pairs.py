"""How often levels of two factors meet, however many levels there are: against plain counting."""

import pickle

import numpy as np
import pytest

from ranef import _core

FEW, MANY = (300, 200), (5000, 1000)  # small tables; more cells than a table always has
HUGE = (300_000, 1000)  # more than a sparse table may have


def chunk(rng, shape, n):
    """Codes of n rows."""
    return tuple(rng.integers(0, levels, n).astype(np.int32) for levels in shape)


def added(accumulator, codes, shape, weights=None):
    y = np.linspace(0.0, 1.0, len(codes[0]))
    accumulator.add(y, [], list(zip(codes, shape, strict=True)), weights)
    return accumulator


def fresh():
    return _core.Accumulator([-1], [([-1], [0]), ([-1], [0])])


def pairs(accumulator):
    """The pairs that occur, as {(s, t): value}."""
    start, level, value = (part[0] for part in accumulator.__getstate__()[10:13])
    first = np.repeat(np.arange(len(start) - 1), np.diff(start))
    return dict(zip(zip(first.tolist(), level.tolist(), strict=True), value.ravel(), strict=True))


def counted(chunks, weights=None):
    out = {}
    s, t = (np.concatenate([codes[i] for codes in chunks]) for i in range(2))
    values = np.ones(len(s)) if weights is None else weights
    for a, b, w in zip(s.tolist(), t.tolist(), values, strict=True):
        out[a, b] = out.get((a, b), 0.0) + w
    return out


@pytest.mark.parametrize(
    "steps",
    [
        [(FEW, 500), (FEW, 9000)],
        [(MANY, 2000), (MANY, 60_000), (MANY, 60_000), (MANY, 500)],  # listed, then in a table
        [(FEW, 500), (MANY, 500), (MANY, 500)],  # out of the table again
        [(MANY, 120_000), (HUGE, 3000), (HUGE, 3000)],
    ],
)
def test_counts_are_those_of_the_rows(steps):
    rng = np.random.default_rng(2)
    accumulator, chunks = fresh(), []
    for shape, n in steps:
        chunks.append(chunk(rng, shape, n))
        added(accumulator, chunks[-1], shape)
    expected = counted(chunks)
    assert pairs(accumulator) == expected
    assert pairs(pickle.loads(pickle.dumps(accumulator))) == expected

    shape = steps[-1][0]
    numbers = [rng.permutation(levels) for levels in shape]
    accumulator.renumber([n.tolist() for n in numbers], list(shape))
    moved = {(numbers[0][s], numbers[1][t]): v for (s, t), v in expected.items()}
    assert pairs(accumulator) == moved


@pytest.mark.parametrize("weighted", [False, True])
def test_merged_counts_are_those_of_all_rows(weighted):
    rng = np.random.default_rng(3)
    chunks = [chunk(rng, FEW, n) for n in (4000, 300, 5000)]
    weights = [rng.uniform(0.5, 2.0, len(c[0])) if weighted else None for c in chunks]
    parts = [added(fresh(), c, FEW, w) for c, w in zip(chunks, weights, strict=True)]
    parts[0].merge(parts[1])
    again = pickle.loads(pickle.dumps(parts[2]))
    added(again, chunks[1], FEW, weights[1])
    again.merge(parts[0])
    expected = counted(
        [*chunks, chunks[1]], np.concatenate([*weights, weights[1]]) if weighted else None
    )
    found = pairs(again)
    assert found.keys() == expected.keys()
    np.testing.assert_allclose([found[k] for k in expected], list(expected.values()), rtol=1e-13)
