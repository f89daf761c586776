"""What a formula may not do: reach files or code, change columns, or outgrow its rows."""

import sys
import time

import numpy as np
import pandas as pd
import pytest

import ranef
from ranef.design import build
from ranef.design.language import KEYWORDS, NUMPY
from ranef.errors import DataError, FormulaError, RanefError
from ranef.formula import parse

N = 60


@pytest.fixture
def frame():
    """A frame of every kind of column."""
    rng = np.random.default_rng(1)
    return pd.DataFrame(
        {
            "y": rng.normal(size=N),
            "x": rng.normal(size=N) + 5,
            "k": rng.integers(0, 5, N),
            "s": [f"a_{i % 7}" for i in range(N)],
            "t": pd.date_range("2020-01-01", periods=N),
            "c": pd.Categorical(["u", "v"] * (N // 2)),
            "g": np.arange(N) % 6,
        }
    )


REACHING = [
    "np.f2py.os.system('touch {path}')",
    "len.__self__.open('{path}', 'w')",
    "x.to_csv('{path}')",
    "x.to_numpy().tofile('{path}')",
    "x.values.dump('{path}')",
    "np.load('{path}', allow_pickle=True)",
    "np.save('{path}', x)",
    "np.memmap('{path}', mode='w+', shape=10)",
    "x.agg('to_csv')",
    "x.agg(['mean', 'to_csv'])",
    "x.transform('to_pickle')",
    "x.groupby(k).agg('to_pickle')",
    "x.groupby(k).transform('to_csv')",
    "x.pipe(len)",
    "x.apply(len)",
    "x.map(print)",
    "x.map(np.load)",
    "x.rolling(3).apply(len)",
    "np.vectorize(len)(x)",
    "().__class__.__bases__[0].__subclasses__()",
    "x.__class__",
    "x._mgr",
    "s.str._parent.to_csv('{path}')",
    "'{{0.__class__}}'.format(x)",
    "__import__('os')",
    "__builtins__",
    "open('{path}', 'w')",
    "eval('1')",
    "getattr(x, 'to_csv')('{path}')",
    "I(lambda: 0)",
    "I([v for v in x])",
    "I((z := x))",
    "I(f'{{x.__class__}}')",
    "np.log(*[x])",
    "np.log(**{{'x': x}})",
    "C(c, contr.__class__)",
    "C(c, levels=len)",
    "C(c, contr.custom(len))",
    "scale(x, _state={{}})",
    "t.dt.day_name('/tmp')",
    "STATES_",
    "x.iloc.__setitem__(0, 5)",
]
GROWING = [
    "I(9**9**9**9)",
    "I(x + 9**9**9)",
    "I(pow(9, 9**9))",
    "I(1 << 10**10)",
    "C('a' * 10**10)",
    "C(s * 10**10)",
    "I(['a'] * 10**10)",
    "C('%1000000000d' % k)",
    "C(s.str.zfill(10**10))",
    "C(s.str.replace('a', 'b' * 10**9))",
    "C(s" + ".str.replace('a', '" + "a" * 400 + "')" * 6 + ")",
    "C(s.astype('S1000000000'))",
    "C(t.dt.strftime('%1000000000d'))",
    "s.str.contains('(a+)+$')",
    "s.str.contains('a*a*a*a*a*b')",
    "s.replace('(a+)+$', '', regex=True)",
    "range(10**12)",
    "C(x, levels=range(10**12))",
    "np.arange(10**12)",
    "np.arange(0, 1, 1e-300)",
    "np.linspace(0, 1, 10**12)",
    "np.zeros(10**12)",
    "poly(x, 10**9, raw=True)",
    "bs(x, df=10**9)",
    "ns(x, 10**9)",
    "cr(x, df=10**9)",
    "bs(x, degree=10**5)",
    "x.values[:, None]",
    "cbind(x, x, x)[cbind(k, k, k)]",
    "np.add.outer(x, x)",
    "np.kron(x, x)",
    "I(k.map({0: 10**300, 1: 2}) ** 10**9)",
    "I(" + "(" * 90 + "x" + ")" * 90 + ")",
    "I(" + "-" * 9000 + "x)",
    "C(x):" + ":".join(f"C(x + {i})" for i in range(20)),
    "(x + k + s + c + g + t + y)**100:" + ":".join(f"C(x + {i})" for i in range(20)),
    "(" + " + ".join(f"x{i}" for i in range(40)) + ")**20",
    "*".join(f"x{i}" for i in range(40)),
]
CHANGING = [
    "np.log(x, x)",
    "np.sqrt(x, k)",
    "np.add(x, k, x)",
    "np.clip(x, 0, 1, x)",
    "np.maximum(x, k, x)",
    "np.log(x, out=x)",
    "np.nan_to_num(x, False)",
    "np.nan_to_num(x, copy=False)",
    "np.median(x, overwrite_input=True)",
    "np.mean(x, 0, float, x)",
    "np.put(x, 0, 1)",
    "np.add.at(x, 0, 5)",
    "x.fillna(0, inplace=True)",
    "x.clip(0, 1, None, True)",
    "x.replace(1, 2, True)",
    "x.where(x > 0, 0, True)",
    "x.pop(0)",
    "x.update(k)",
    "x.values.fill(0)",
    "x.to_numpy().sort()",
]
PLACES = ("y ~ {}", "y ~ I({})", "y ~ x + offset({})", "y ~ (0 + {} | g)", "{} ~ x", "y ~ {{{}}}")


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("expr", REACHING)
def test_no_expression_reaches_files_or_code(expr, place, frame, tmp_path):
    path = tmp_path / "made"
    with pytest.raises(RanefError):
        build(parse(place.format(expr.format(path=path))), frame)
    assert not path.exists()


@pytest.mark.parametrize("expr", GROWING)
def test_no_expression_takes_time_or_memory_beyond_its_rows(expr, frame):
    start = time.perf_counter()
    with pytest.raises(RanefError):
        build(parse(f"y ~ {expr}"), frame)
    assert time.perf_counter() - start < 3.0


@pytest.mark.parametrize("expr", CHANGING)
def test_no_expression_changes_a_column(expr, frame):
    before = frame.copy(deep=True)
    with pytest.raises(RanefError):
        build(parse(f"y ~ {expr}"), frame)
    pd.testing.assert_frame_equal(frame, before)


def test_numpys_functions_take_no_array_to_write_into():
    for name, most in NUMPY.items():
        function = np.linalg.norm if name == "linalg.norm" else getattr(np, name)
        if isinstance(function, np.ufunc):
            assert most <= function.nin, name
    assert not KEYWORDS & {"out", "inplace", "copy", "where", "overwrite_input", "dtype", "casting"}


def test_nothing_is_opened_or_compiled_while_a_formula_is_evaluated(frame):
    build(parse("y ~ poly(x, 2) + C(k) + scale(x):s"), frame)  # imports what it needs
    seen = []
    sys.addaudithook(lambda event, args: seen.append(event) if watching else None)
    watching = True
    design = build(parse("y ~ poly(x, 2) + I(x - x.mean()) + C(s.str.upper()) + np.log(x)"), frame)
    watching = False
    assert design.n_obs == N
    bad = ("open", "exec", "os.", "subprocess", "socket", "ctypes", "pickle")
    assert not [event for event in seen if event.startswith(bad)]


def test_a_frame_whose_labels_repeat_is_not_joined(frame):
    frame.index = [0] * N
    design = build(parse("y ~ I(x * k) + I(x[x > 0].mean() + k)"), frame)
    np.testing.assert_array_equal(design.columns[0], (frame.x * frame.k).to_numpy())


def test_functions_of_the_users_and_trusted_formulas(frame):
    with pytest.raises(FormulaError, match=r"functions=\{\"f\": f\}"):
        ranef.feols("y ~ f(x)", frame)
    own = ranef.feols("y ~ f(x)", frame, functions={"f": np.log})
    plain = ranef.feols("y ~ np.log(x)", frame)
    np.testing.assert_allclose(own.params.to_numpy(), plain.params.to_numpy(), rtol=1e-12)
    np.testing.assert_allclose(own.predict(frame.head(3)), plain.predict(frame.head(3)), rtol=1e-12)
    text = "y ~ I([np.log(v) for v in x])"
    with pytest.raises(FormulaError, match="comprehension"):
        ranef.feols(text, frame)
    trusted = ranef.feols(text, frame, trust_formula=True)
    np.testing.assert_allclose(trusted.params.to_numpy(), plain.params.to_numpy(), rtol=1e-12)


@pytest.mark.parametrize("functions", [{"a b": len}, {"_f": len}, {"offset": len}, {"class": len}])
def test_names_of_functions_are_checked(functions, frame):
    with pytest.raises(FormulaError, match="functions"):
        ranef.feols("y ~ x", frame, functions=functions)


@pytest.mark.parametrize("wrong", [[len], {"f": 1}])
def test_functions_are_functions(wrong, frame):
    with pytest.raises(TypeError, match="functions"):
        ranef.feols("y ~ x", frame, functions=wrong)


def test_the_command_line_never_trusts():
    from pathlib import Path

    folder = Path(ranef.__file__).parent / "cli"
    assert not [f for f in folder.glob("*.py") if "trust_formula" in f.read_text(encoding="utf-8")]


def test_a_thousand_terms_in_one_expression(frame):
    total = " + ".join(["x", "k"] * 500)
    design = build(parse(f"y ~ I({total})"), frame)
    np.testing.assert_allclose(design.columns[0], 500.0 * (frame.x + frame.k), rtol=1e-12)
    with pytest.raises(FormulaError, match="too long"):
        parse(f"y ~ I({' + '.join(['x'] * 100_000)})")


def test_operators_between_terms_count_what_they_make():
    assert len(parse("y ~ (a + b + c + d + e + f + x)**100").terms) == 128
    with pytest.raises(FormulaError, match="618,679,078,297 terms"):
        parse(f"y ~ ({' + '.join(f'x{i}' for i in range(40))})**20")
    assert [t.name for t in parse("y ~ (a + b)**1").terms] == ["Intercept", "a", "b"]


@pytest.mark.parametrize(
    ("expr", "hint"),
    [
        ("as.factor(k)", r"C\(x\)"),
        ("ifelse(x > 1, 1, 0)", r"np\.where"),
        ("log(x, 2)", r"np\.log2"),
        ("k %% 2", r"I\(x % 2\)"),
        ("I(k %% 2)", "%% is %"),
        ("is.na(x)", r"isna"),
        ("homcs(0 + k | g)", r"cs\(... \| g, hom=True\)"),
        ("bs(1 | g)", r"\+ missing"),
        ("zzz(x)", "functions="),
        ("I(x and k)", "&"),
        ("I(x if k else 1)", r"np\.where"),
        ("I(k in [1, 2])", "isin"),
        ("I(k | g)", "conditions"),
    ],
)
def test_a_foreign_spelling_is_answered_with_ours(expr, hint, frame):
    with pytest.raises((FormulaError, DataError), match=hint) as caught:
        build(parse(f"y ~ x + {expr}"), frame)
    if isinstance(caught.value, FormulaError):
        assert caught.value.start >= len("y ~ x + ")


def test_a_column_in_the_index_is_found_by_name(frame):
    with pytest.raises(DataError, match="reset_index"):
        build(parse("y ~ x + (1 | g)"), frame.set_index("g"))


def test_long_messages_are_cut(frame):
    wide = pd.concat([frame] * 20, ignore_index=True).assign(id=[f"p{i:05d}" for i in range(1200)])
    with pytest.raises(RanefError) as caught:
        ranef.lmer("y ~ x + (id | g)", wide)
    assert len(str(caught.value)) < 400


TEXT = """
x k s t c g y I( C( np.log( np.where( poly( bs( offset( scale( ) ) ( [ ] { } ** * + - / // % @ & |
|| ~ : , . == < > 'a' 1 2 10**9 None .mean() .str .dt .iloc .to_csv( .agg( .__class__ lambda if
else for in not ` " # \\ é axis= out= .groupby( .transform('mean')
"""
TOKENS = TEXT.split()


def test_random_texts_end_in_a_design_or_in_our_errors(frame):
    rng = np.random.default_rng(3)
    before = frame.copy(deep=True)
    fitted = 0
    for _ in range(3000):
        text = "y ~ " + " ".join(rng.choice(TOKENS, size=rng.integers(1, 9)))
        try:
            design = build(parse(text), frame)
        except RanefError:
            continue
        assert np.isfinite(design.X).all(), text
        fitted += 1
    assert fitted > 5
    pd.testing.assert_frame_equal(frame, before)
