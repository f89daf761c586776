"""Transforms that learn from the data, against R."""

import numpy as np
import pandas as pd
import pytest

from ranef.design import build, encode
from ranef.errors import DataError
from ranef.formula import parse

# Ten days for each of 18 subjects, as in lme4's sleepstudy. Rows of the model matrices for days
# 0 to 5, sums and sums of squares of the columns over all 180 rows: R 4.2.2 (stats, splines).
DAYS = pd.DataFrame({"Days": np.tile(np.arange(10), 18)})
FROM_R = {
    "ns(Days, df=3)": (
        [
            [0, 0, 0],
            [-0.07565330213082364, 0.24547842491098942, -0.16365228327399295],
            [-0.0981338642094792, 0.4425497407765857, -0.2950331605177238],
            [-0.01426894618379855, 0.5428068385513957, -0.36187122570093044],
            [0.19747916583026515, 0.5186736136203155, -0.33960956957403754],
            [0.4321080810442742, 0.4258979790893997, -0.23454927001021708],
        ],
        [27.219089598347946, 65.34273120495615, -2.5618208033041014],
        [14.748286411056622, 27.658617953086505, 20.5786923436758],
    ),
    "bs(Days, df=4)": (
        [
            [0, 0, 0, 0],
            [0.4636488340192044, 0.06310013717421124, 0.0027434842249657062, 0],
            [0.598079561042524, 0.20850480109739367, 0.02194787379972565, 0],
            [0.5185185185185185, 0.37037037037037035, 0.07407407407407407, 0],
            [0.34019204389574753, 0.4828532235939643, 0.1755829903978052, 0],
            [0.1755829903978052, 0.4828532235939643, 0.34019204389574753, 0.0013717421124828531],
        ],
        [39.50617283950617, 40.49382716049382, 39.50617283950617, 30.246913580246915],
        [17.89320733628004, 15.039983742315702, 17.89320733628004, 22.538739013361784],
    ),
    "poly(Days, 2)": (
        [
            [-0.11677484162422844, 0.12309149097933283],
            [-0.09082487681884432, 0.04103049699311084],
            [-0.06487491201346024, -0.020515248496555512],
            [-0.03892494720807615, -0.061545745489666355],
            [-0.012974982402692051, -0.0820609939862218],
            [0.012974982402692051, -0.08206099398622181],
        ],
        [0, 0],
        [1, 1],
    ),
    "poly(Days, 3, raw=True)": (
        [[0, 0, 0], [1, 1, 1], [2, 4, 8], [3, 9, 27], [4, 16, 64], [5, 25, 125]],
        [810, 5130, 36450],
        [5130, 275994, 17611290],
    ),
}


def columns(text, frame):
    design = build(parse(f"y ~ {text}"), frame.assign(y=1.0))
    return design, design.X[:, 1:]


@pytest.mark.parametrize("text", FROM_R)
def test_against_r(text):
    rows, sums, squares = FROM_R[text]
    design, X = columns(text, DAYS)
    np.testing.assert_allclose(X[:6], rows, atol=1e-14)
    np.testing.assert_allclose(X.sum(axis=0), sums, atol=1e-11)
    np.testing.assert_allclose((X**2).sum(axis=0), squares, rtol=1e-12)
    assert design.fixed_names[1:] == tuple(f"{text}[{i}]" for i in range(1, X.shape[1] + 1))


# R's contr.helmert(3), contr.sum(3) and contr.poly(3).
ROOT2, ROOT6 = 2**-0.5, 6**-0.5
CONTRASTS = {
    "contr.helmert": [[-1, -1], [1, -1], [0, 2]],
    "contr.sum": [[1, 0], [0, 1], [-1, -1]],
    "contr.poly": [[-ROOT2, ROOT6], [0, -2 * ROOT6], [ROOT2, ROOT6]],
}


@pytest.mark.parametrize("name", CONTRASTS)
@pytest.mark.parametrize("spelled", ["function", "argument", "registry"])
def test_contrasts_against_r(name, spelled):
    from formulaic.transforms.contrasts import ContrastsRegistry

    frame = pd.DataFrame({"y": [1.0, 2, 3], "f": list("abc")})
    if spelled == "function":
        design = build(parse(f"y ~ C(f, {name})"), frame)
    else:
        short = name.removeprefix("contr.")
        asked = name if spelled == "argument" else getattr(ContrastsRegistry, short)
        design = build(parse("y ~ f"), frame, contrasts={"f": asked})
    np.testing.assert_allclose(design.X[:, 1:], CONTRASTS[name], atol=1e-15)


def test_a_matrix_of_contrasts():
    frame = pd.DataFrame({"y": [1.0, 2, 3, 4], "f": list("abca")})
    matrix = np.array([[0.0, 1], [1, 0], [-1, -1]])
    design = build(parse("y ~ f"), frame, contrasts={"f": matrix})
    np.testing.assert_array_equal(design.X[:, 1:], matrix[[0, 1, 2, 0]])


@pytest.mark.parametrize(
    "options",
    ["df=4", "knots=[0.2, 0.5]", "df=5, intercept=True", "", "df=3, boundary_knots=(0.1, 0.9)"],
)
def test_natural_splines_are_natural(options):
    """Piecewise cubic with two continuous derivatives, straight beyond the boundary knots."""
    x = np.linspace(-0.5, 1.5, 4001)
    inside = pd.DataFrame({"x": np.linspace(0, 1, 500)})
    comma = ", " if options else ""
    design, fitted = columns(f"ns(x{comma}{options})", inside)
    X = encode(design, pd.DataFrame({"x": x})).X
    step = x[1] - x[0]
    second = np.diff(X, 2, axis=0) / step**2
    assert np.abs(np.diff(second, axis=0)).max() < 3000 * step  # no jump in the second derivative
    low, high = (0.1, 0.9) if "boundary" in options else (0.0, 1.0)
    beyond = (x[1:-1] < low - step) | (x[1:-1] > high + step)
    np.testing.assert_allclose(second[beyond], 0, atol=1e-7)
    assert np.linalg.matrix_rank(fitted) == fitted.shape[1]


def test_natural_splines_hold_straight_lines():
    design, basis = columns("ns(x, 4)", pd.DataFrame({"x": np.linspace(2, 9, 50)}))
    x = np.linspace(2, 9, 50)
    residual = np.linalg.lstsq(design.X, x, rcond=None)[1]
    np.testing.assert_allclose(residual, 0, atol=1e-20)
    assert basis.shape == (50, 4)


@pytest.mark.parametrize(
    "text",
    ["poly(x, 3)", "bs(x, df=5)", "ns(x, 4)", "scale(x)", "center(x)", "standardize(x)",
     "scale(log(x))", "C(f, contr.sum)", "C(k)", "x:scale(z)", "cr(x, df=4)", "poly(x, 2):f"],
)  # fmt: skip
def test_transforms_remember_their_state(text):
    rng = np.random.default_rng(8)
    frame = pd.DataFrame(
        {
            "x": rng.uniform(1, 3, 80),
            "z": rng.normal(size=80),
            "f": rng.choice(list("abc"), 80),
            "k": rng.integers(0, 4, 80),
        }
    )
    design, X = columns(text, frame)
    np.testing.assert_allclose(encode(design, frame.iloc[10:13]).X[:, 1:], X[10:13], atol=1e-13)


@pytest.mark.parametrize("text", ["poly(x, 2)", "bs(x, df=4)", "ns(x, 3)", "scale(x)", "center(x)"])
def test_transforms_leave_missing_values_aside(text):
    x = np.append(np.linspace(1, 5, 20), np.nan)
    design, X = columns(text, pd.DataFrame({"x": x}))
    complete = columns(text, pd.DataFrame({"x": x[:-1]}))[1]
    assert design.dropped == {"x": 1}
    np.testing.assert_allclose(X, complete, atol=1e-14)


def test_scale_is_rs():
    X = columns("scale(x) + scale(x, center=False) + scale(x, scale=2.0)",
                pd.DataFrame({"x": [1.0, 2, 6]}))[1]  # fmt: skip
    np.testing.assert_allclose(X[:, 0], np.array([-2, -1, 3]) / np.sqrt(7))
    np.testing.assert_allclose(X[:, 1], np.array([1, 2, 6]) / np.sqrt(41 / 2))
    np.testing.assert_allclose(X[:, 2], np.array([-1, -0.5, 1.5]))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("poly(x, 5)", "more than 5 distinct values"),
        ("ns(x, df=3, knots=[2])", "df or knots"),
        ("ns(x, 0)", "df must be 1"),
        ("ns(x, knots=[9])", "between the boundary knots"),
        ("bs(x, df=1)", "df"),
    ],
)
def test_impossible_transforms(text, message):
    with pytest.raises(DataError, match=message):
        columns(text, pd.DataFrame({"x": [1.0, 2, 3, 4, 5, 5]}))


def test_a_spline_of_a_constant():
    with pytest.raises(DataError, match="two distinct values"):
        columns("ns(x, 2)", pd.DataFrame({"x": [1.0, 1, 1]}))
