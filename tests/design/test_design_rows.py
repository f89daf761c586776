"""Expressions by row: what new rows get is what the rows of the fit got, or an error."""

import pickle

import numpy as np
import pandas as pd
import pytest

import ranef
from ranef.design import build, encode
from ranef.errors import DataError
from ranef.formula import like, parse, with_functions

N = 120


@pytest.fixture
def frame():
    """Rows of groups whose means differ."""
    rng = np.random.default_rng(7)
    g = np.repeat(np.arange(12), 10)
    x = rng.normal(size=N) * 3 + 10 + rng.normal(size=12)[g] * 4
    return pd.DataFrame(
        {
            "y": x * 0.2 + rng.normal(size=N),
            "x": x,
            "k": rng.integers(1, 9, N),
            "g": g,
            "s": [f"v{i % 5}" for i in range(N)],
            "t": pd.Timestamp("2024-01-01") + pd.to_timedelta(rng.permutation(N), unit="D"),
        }
    )


KEPT = [
    "x",
    "scale(x)",
    "poly(x, 2)",
    "bs(x, df=5)",
    "np.log(x - x.min() + 1)",
    "I(x - x.mean())",
    "I(x - x.quantile(0.5))",
    "I(x - x.iloc[0])",
    "I(x - x.agg('mean'))",
    "I(x - x.mode()[0])",
    "I(x / np.linalg.norm(x))",
    "I(x - (x @ x) / 1000)",
    "C(np.digitize(x, np.quantile(x, [0.33, 0.67])))",
    "I(k.map(k.value_counts()))",
    "I(k.map(x.groupby(k).mean()))",
    "I(x.where(x > x.median(), x.median()))",
    "np.clip(x, x.quantile(0.1), x.quantile(0.9))",
    "np.where(x > np.mean(x), 1.0, 0.0)",
    "I((t - t.min()).dt.days)",
    "I(t.dt.month)",
    "C(s.str.slice(1, 2).astype(int))",
    "I(s.map({'v0': 1.0, 'v1': 2.0, 'v2': 3.0, 'v3': 4.0, 'v4': 5.0}))",
    "np.interp(x, [0, 10, 20], [0, 1, 0])",
    "np.select([x > 12, x > 8], [2.0, 1.0], default=0.0)",
    "I(x * np.log(2))",
]
TOGETHER = [
    "I(x - x.groupby(g).transform('mean'))",
    "I(x.rank(pct=True))",
    "C(k.astype('category').cat.codes)",
    "C(k.factorize()[0])",
    "I(x.cumsum())",
    "I(x.diff().fillna(0))",
    "I(x.shift(1).fillna(0))",
    "I(x.rolling(3, min_periods=1).mean())",
    "np.cumsum(x)",
    "I(x.groupby(g).cumcount())",
]


@pytest.mark.parametrize("expr", KEPT)
def test_a_row_alone_has_the_value_it_had_in_the_fit(expr, frame):
    design = build(parse(f"y ~ {expr}"), frame)
    design = pickle.loads(pickle.dumps(design))
    for row in (0, 3, 77, N - 1):
        alone = encode(design, frame.iloc[[row]]).X
        np.testing.assert_allclose(alone, design.X[[row]], rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("expr", TOGETHER)
def test_rows_that_belong_together_are_refused_for_new_rows(expr, frame):
    design = build(parse(f"y ~ {expr}"), frame)
    for rows in ([0], [3, 4], list(range(N))[::-1]):
        with pytest.raises(DataError, match="depends on the other rows"):
            encode(design, frame.iloc[rows])
    np.testing.assert_allclose(encode(design, frame).X, design.X)  # the rows of the fit are known


@pytest.mark.parametrize("trust", [False, True])
def test_functions_of_the_users_are_tried_on_some_rows(trust, frame):
    functions = {"double": lambda x: 2 * x, "centred": lambda x: x - x.mean()}
    text = with_functions("y ~ double(x)", functions, trust)
    design = build(parse(text), frame)
    np.testing.assert_allclose(encode(design, frame.iloc[[5]]).X, design.X[[5]])
    together = build(parse(like("y ~ centred(x)", text)), frame)
    with pytest.raises(DataError, match="depends on the other rows"):
        encode(together, frame.iloc[[5]])


def test_a_missing_value_is_not_taken_for_no(frame):
    frame.loc[::7, "x"] = np.nan
    missing = int(frame.x.isna().sum())
    for expr in ("I(x > 10)", "np.where(x > 10, 1.0, 0.0)", "I(x.where(x > 10, 0.0))", "x"):
        assert build(parse(f"y ~ {expr}"), frame).n_obs == N - missing, expr
    kept = build(parse("y ~ np.where(x.isna(), 0.0, x)"), frame)
    assert kept.n_obs == N
    frame.loc[3, "k"] = 1
    frame["z"] = frame.k.where(frame.k > 1)
    both = build(parse("y ~ np.where(x > 10, 1.0, z.fillna(0))"), frame)
    assert both.n_obs == N - missing


def test_whole_numbers_keep_their_digits():
    rng = np.random.default_rng(3)
    small = rng.integers(0, 10**15, N)
    frame = pd.DataFrame({"y": rng.normal(size=N), "small": small, "big": small + 8 * 10**18})
    frame["u"] = small.astype(np.uint64) + np.uint64(2**63 + 5)
    frame["u8"] = (np.arange(N) % 250).astype(np.uint8)
    exact = small.astype(float) - small.min()
    for name in ("big", "u"):
        for expr, want in (
            (f"I({name} - {name}.min())", exact),
            (f"I(({name} - {name}.min())**2)", exact**2),
            (f"I(np.square({name} - {name}.min()))", exact**2),
        ):
            column = build(parse(f"y ~ {expr}"), frame).columns[0]
            np.testing.assert_allclose(column, want, rtol=1e-14, err_msg=expr)
    for expr in ("I(big**2)", "I(big * big)", "np.multiply(big, big)", "I(big.mul(big))"):
        column = build(parse(f"y ~ {expr}"), frame).columns[0]
        np.testing.assert_allclose(column, frame.big.astype(float) ** 2, rtol=1e-14, err_msg=expr)
    total = build(parse("y ~ I(small / big.sum())"), frame).columns[0]
    np.testing.assert_allclose(total, small / float(sum(map(int, frame.big))), rtol=1e-13)
    np.testing.assert_array_equal(
        build(parse("y ~ I(u8 * 3)"), frame).columns[0], 3.0 * (np.arange(N) % 250)
    )


def test_columns_without_trials_are_left_out_and_counted():
    herds = ranef.datasets.load("cbpp")
    text = "cbind(incidence, size - incidence) ~ period + (1 | herd)"
    more = pd.concat([herds, herds.head(3).assign(incidence=0, size=0)], ignore_index=True)
    right = ranef.glmer(text, herds, family="binomial")
    with pytest.warns(ranef.DroppedRowsWarning, match=r"3 of 59 .* has no trials \(3\)"):
        model = ranef.glmer(text, more, family="binomial")
    assert model.nobs == 56
    np.testing.assert_allclose(model.llf, right.llf, rtol=1e-12)
    with pytest.raises(DataError, match="no trials in any row"):
        ranef.glmer("cbind(k, k) ~ 1 + (1 | herd)", herds.assign(k=0), family="binomial")
