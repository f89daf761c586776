"""The trust-region search on functions whose minima are known."""

import numpy as np
import pytest

from ranef.models.glmm.search import Proof, downhill, minimise, polish, trust_step


class Function:
    """A function with its gradient as the search asks for it; infinite where ``inside`` fails."""

    def __init__(self, f, gradient, inside=lambda x: True):
        self.f, self.slope, self.inside = f, gradient, inside
        self.n_values = self.n_gradients = 0

    def value(self, x):
        self.n_values += 1
        self.last = x
        return self.f(x) if self.inside(x) else np.inf

    def gradient(self):
        self.n_gradients += 1
        return self.slope(self.last)


def rosenbrock(inside=lambda x: True):
    return Function(
        lambda x: 100 * (x[1] - x[0] ** 2) ** 2 + (1 - x[0]) ** 2,
        lambda x: np.array(
            [
                -400 * x[0] * (x[1] - x[0] ** 2) - 2 * (1 - x[0]),
                200 * (x[1] - x[0] ** 2),
            ]
        ),
        inside,
    )


@pytest.mark.parametrize("inside", [lambda x: True, lambda x: x[0] ** 2 + x[1] ** 2 < 2.5])
def test_a_curved_valley(inside):
    f = rosenbrock(inside)
    found = minimise(f, np.array([-1.2, 0.9]), np.eye(2), max_steps=200, tolerance=1e-12)
    assert found.status == "converged"
    found = polish(f, found, np.ones(2))
    np.testing.assert_allclose(found.x, [1, 1], atol=1e-7)
    np.testing.assert_allclose(found.hessian, [[802, -400], [-400, 200]], rtol=1e-5)
    assert downhill(f, found) is None


def test_one_side_gives_the_same_minimum_and_bends_for_half_the_gradients():
    f, g = rosenbrock(), rosenbrock()
    start = np.array([1.01, 1.02])
    search = {"max_steps": 200, "tolerance": 1e-6}
    two = polish(f, minimise(f, start, np.diag([800.0, 200.0]), **search), np.full(2, 0.03))
    proof = Proof(sides=1, polished=1e-10, short=1e-4)
    found = minimise(g, start, np.diag([800.0, 200.0]), **search)
    one = polish(g, found, np.full(2, 0.03), proof=proof)
    assert one.status == two.status == "converged"
    np.testing.assert_allclose(one.x, [1, 1], atol=1e-4)
    np.testing.assert_allclose(one.hessian, [[802, -400], [-400, 200]], rtol=1e-3)
    assert g.n_gradients < 0.75 * f.n_gradients


def test_newton_goes_on_where_the_first_search_broke_off():
    f = rosenbrock()
    found = minimise(f, np.array([-1.2, 1.0]), np.eye(2), max_steps=3, tolerance=1e-12)
    assert found.status == "step limit"
    found = polish(f, found, np.ones(2), max_rounds=40)
    assert found.status == "converged"
    np.testing.assert_allclose(found.x, [1, 1], atol=1e-6)


def test_an_even_function_is_left_at_its_saddle():
    """Like a variance parameter at zero: no gradient there, and lower points on both sides."""
    f = Function(lambda x: x[0] ** 4 - x[0] ** 2, lambda x: 4 * x**3 - 2 * x)
    found = polish(f, minimise(f, np.zeros(1), np.eye(1), max_steps=9, tolerance=1e-9), np.ones(1))
    lower = downhill(f, found)
    assert f.f(lower) < 0
    again = minimise(f, lower, np.eye(1), max_steps=50, tolerance=1e-12)
    assert abs(again.x[0]) == pytest.approx(np.sqrt(0.5), abs=1e-5)


def test_steps_stay_within_the_radius():
    hessian = np.diag([-1.0, 2.0])
    step, predicted, inside = trust_step(np.array([0.1, 1.0]), hessian, 0.5)
    assert not inside
    assert np.linalg.norm(step) == pytest.approx(0.5, rel=1e-6)
    assert predicted > 0
    newton, _, inside = trust_step(np.array([0.1, 1.0]), np.diag([1.0, 2.0]), 5.0)
    assert inside
    np.testing.assert_allclose(newton, [-0.1, -0.5])


def test_a_start_without_a_value_is_told():
    f = rosenbrock(lambda x: False)
    found = minimise(f, np.zeros(2), np.eye(2), max_steps=9, tolerance=1e-9)
    assert found.status == "stalled"
    assert np.isinf(found.value)
