"""Bases of smooths against what defines them: integrals, spans and sums, by other means."""

import numpy as np
import pandas as pd
import pytest
from scipy.integrate import quad_vec

from ranef.design import build, encode
from ranef.design.smooths.cubic import Cubic, Cyclic, place_knots
from ranef.design.smooths.fitted import fit_smooth
from ranef.design.smooths.pspline import PSpline
from ranef.design.smooths.thinplate import ThinPlate
from ranef.errors import DataError, RanefWarning, UnsupportedError
from ranef.formula import parse


@pytest.fixture(scope="module")
def frame():
    rng = np.random.default_rng(3)
    n = 120
    return pd.DataFrame(
        {
            "x": rng.uniform(0, 10, n),
            "z": rng.uniform(2000, 2020, n),
            "w": rng.normal(size=n),
            "f": rng.choice(list("abc"), n),
            "g": rng.choice(list("pqrstu"), n),
            "y": rng.normal(size=n),
        }
    )


def smooth(text):
    return parse(f"y ~ {text}").smooths[0]


def second(basis, at, h=1e-3):
    """Second derivative of every basis function, by differences."""
    ends = [basis(np.array([[at + k * h]]))[0] for k in (-1, 0, 1)]
    return (ends[0] - 2 * ends[1] + ends[2]) / h**2


@pytest.mark.parametrize("kind", [Cubic, Cyclic])
def test_the_penalty_is_the_integral_of_squared_curvature(kind):
    basis = kind(np.array([0.0, 1.0, 2.5, 3.0, 5.0, 6.0]))
    inner = basis.knots[1:-1]
    found, _ = quad_vec(
        lambda t: np.outer(second(basis, t), second(basis, t)), 0.002, 5.998, points=inner
    )
    np.testing.assert_allclose(basis.penalty, found, rtol=0.02, atol=0.02 * found.max())


def test_a_cyclic_spline_meets_itself():
    basis = Cyclic(np.linspace(0, 24, 9))
    np.testing.assert_allclose(basis(np.array([[0.0]])), basis(np.array([[24.0]])), atol=1e-12)
    np.testing.assert_allclose(basis(np.array([[1.0]])), basis(np.array([[25.0]])), atol=1e-12)
    slopes = [(basis(np.array([[t + 1e-6]])) - basis(np.array([[t - 1e-6]]))) for t in (0, 24)]
    np.testing.assert_allclose(slopes[0], slopes[1], atol=1e-10)


def test_knots_lie_evenly_among_distinct_values():
    # mgcv's knots of s(Time, k = 6, bs = "cr") on ChickWeight
    x = np.repeat([0, 2, 4, 6, 8, 10, 12, 14, 16, 18, 20, 21], [9, 1, 1, 2, 3, 1, 1, 1, 1, 1, 1, 5])
    np.testing.assert_allclose(place_knots(x, 6), [0, 4.4, 8.8, 13.2, 17.6, 21])


def test_p_splines_have_mgcv_knots_and_go_on_straight():
    # mgcv 1.8-41: s(times, bs = "ps", k = 20, m = c(2, 2)) on mcycle, times from 2.4 to 57.6
    basis = PSpline.over(2.4, 57.6, 20, 3, 2)
    np.testing.assert_allclose(basis.knots[:4], [-7.41585882, -4.16230589, -0.90875294, 2.3448])
    np.testing.assert_allclose(basis(np.array([[30.0]])).sum(), 1.0)
    far = basis(np.array([[70.0], [80.0], [90.0]]))
    np.testing.assert_allclose(far[2] - far[1], far[1] - far[0], atol=1e-9)


def test_thin_plate_functions_solve_the_radial_equations(frame):
    """In one dimension they are natural cubic splines: evaluated both ways."""
    x = frame[["x"]].to_numpy()
    basis = ThinPlate.over(x, 9, 2)
    at = np.linspace(-2, 12, 57)[:, None]
    radial = np.abs(at - basis.centre - basis.points.T) ** 3 / 12.0
    np.testing.assert_allclose(basis(at)[:, :7], radial @ basis.weights, atol=1e-8 * 12**3)
    polynomials = np.column_stack([np.ones(len(basis.points)), basis.points[:, 0]])
    np.testing.assert_allclose(polynomials.T @ basis.weights, 0, atol=1e-10)


def test_many_places_are_thinned_and_lose_little():
    x = np.random.default_rng(1).uniform(size=(2500, 1))
    basis = ThinPlate.over(x, 10, 2)
    assert len(basis.points) == 500
    target = np.sin(5 * x[:, 0])
    left = target - basis(x) @ np.linalg.lstsq(basis(x), target, rcond=None)[0]
    full = ThinPlate.over(x[:1999], 10, 2)
    best = target - full(x) @ np.linalg.lstsq(full(x), target, rcond=None)[0]
    assert left.std() < 1.1 * best.std() + 1e-6


@pytest.mark.parametrize(
    "text", ["s(x)", "s(x, bs='cr')", "s(x, bs='ps')", "s(x, m=3)", "s(x, z, k=12)", "te(x, z)",
             "ti(x, z)", "t2(x, z)", "te(x, z, bs=('ps', 'tp'))"],
)  # fmt: skip
def test_a_smooth_sums_to_zero_and_keeps_its_polynomials(frame, text):
    one = smooth(text)
    x = frame[[f.expr for f in one.variables]].to_numpy()
    fitted = fit_smooth(one, x, True)
    fixed, random = fitted.columns(x)
    scale = np.abs(np.hstack([fixed, random])).max()
    np.testing.assert_allclose(fixed.sum(axis=0), 0, atol=1e-9 * scale * len(x))
    np.testing.assert_allclose(random.sum(axis=0), 0, atol=1e-9 * scale * len(x))
    # what is not penalised is in the span of the whole basis
    bases = [m(x[:, v : v + 1] if len(fitted.margins) > 1 else x)
             for v, m in enumerate(fitted.margins)]  # fmt: skip
    whole = bases[0]
    for other in bases[1:]:
        whole = np.einsum("ij,ik->ijk", whole, other).reshape(len(x), -1)
    for column in fixed.T:
        fit = whole @ np.linalg.lstsq(whole, column, rcond=None)[0]
        np.testing.assert_allclose(fit, column, atol=1e-6 * np.abs(column).max())
    assert np.linalg.matrix_rank(np.hstack([np.ones((len(x), 1)), fixed, random])) == (
        1 + fixed.shape[1] + random.shape[1]
    )


def test_the_random_coefficients_have_the_penalty_one(frame):
    x = frame[["x"]].to_numpy()
    fitted = fit_smooth(smooth("s(x, bs='cr', k=8)"), x, True)
    turn, basis = fitted.turns[0], fitted.margins[0]
    np.testing.assert_allclose(turn.T @ basis.penalty @ turn, np.eye(turn.shape[1]), atol=1e-10)


def test_a_tensor_product_has_the_diagonal_penalty_it_says(frame):
    x = frame[["x", "z"]].to_numpy()
    fitted = fit_smooth(smooth("te(x, z, k=4)"), x, True)
    S = [m.penalty / np.linalg.eigvalsh(m.penalty).max() for m in fitted.margins]
    whole = 3.0 * np.kron(S[0], np.eye(4)) + 0.5 * np.kron(np.eye(4), S[1])
    turn = np.kron(*fitted.turns)[:, fitted.cells @ [4, 1]]
    np.testing.assert_allclose(turn.T @ whole @ turn, np.diag(fitted.D @ [3.0, 0.5]), atol=1e-10)


def test_new_rows_get_the_columns_of_the_fit(frame):
    text = "y ~ f + s(x, by=f, k=5) + s(w, by=z, k=5) + te(x, z, k=4) + s(x, g, bs='fs', k=4)"
    design = build(parse(text), frame, smooths=True)
    rows = encode(design, frame.iloc[[5, 80, 3]])
    np.testing.assert_allclose(rows.X, design.X[[5, 80, 3]])
    for new, term in zip(rows.terms, design.random, strict=True):
        np.testing.assert_allclose(new.z, design.z(term)[[5, 80, 3]])
        np.testing.assert_array_equal(new.codes, term.codes[[5, 80, 3]])
    gap = frame.iloc[:2].assign(x=[np.nan, 3.0])
    assert encode(design, gap).missing.tolist() == [True, False]
    with pytest.warns(RanefWarning, match="'x' of 1 new row lies outside"):
        encode(design, frame.iloc[:1].assign(x=99.0))


def test_missing_values_of_a_smooth_drop_the_row(frame):
    gaps = frame.assign(x=frame.x.where(frame.index > 2), g=frame.g.where(frame.index != 50))
    design = build(parse("y ~ s(x) + s(z, g, bs='fs', k=4)"), gaps, smooths=True)
    assert design.n_obs == 116
    assert design.dropped == {"x": 3, "g": 1}


def test_random_effect_smooths_are_bars(frame):
    design = build(parse("y ~ s(g, bs='re') + s(g, w, bs='re')"), frame, smooths=True)
    bars = build(parse("y ~ (1 | g) + (0 + w | g)"), frame)
    (one,), (other,) = design.random, bars.random
    assert (one.group, one.names, one.blocks) == (other.group, other.names, other.blocks)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("s(f)", "'f' is not numeric.*by=f"),
        ("s(one)", "constant in the rows used"),
        ("s(few)", "only 3 distinct values.*k=3"),
        ("s(few, bs='cr', k=4)", "only 3 distinct values"),
        ("s(x) + s(x, k=5)", "would be called 's\\(x\\)'"),
        ("te(x, f)", "'f' is not numeric"),
        ("s(nope)", "nope"),
        ("s(x, bs='cr', m=3)", "m=2 and no other"),
        ("s(x, z, m=1)", "2 m > 2"),
        ("s(x, k=5, bs='cr', knots=(1, 2, 3, 4))", "4 knots and k=5"),
        ("s(x, knots=(0, 10))", "no knots"),
        ("s(x, bs='ps', knots=(4, 5))", "do not cover"),
        ("s(x, k=3, m=3)", "k=4 is the smallest"),
    ],
)
def test_smooths_that_the_data_cannot_bear_are_refused(frame, text, words):
    data = frame.assign(one=1.0, few=np.round(frame.x / 5))
    with pytest.raises(DataError, match=words):
        build(parse(f"y ~ {text}"), data, smooths=True)


def test_other_models_take_no_smooths(frame):
    with pytest.raises(UnsupportedError, match="smooth term"):
        build(parse("y ~ s(x)"), frame)
