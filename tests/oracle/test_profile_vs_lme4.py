"""Profile intervals against roots of lme4's ML deviance (R 4.2.2, lme4 1.1-31)."""

import numpy as np
import pytest
from numpy.testing import assert_allclose

from oracle.explained_cases import CASES, fitted
from oracle.lmm_cases import plain

#: Relative to the width of an interval: lme4's optimiser stops at about this.
OF_WIDTH = 1e-5

#: Where a correlation reaches its bound, or a variance zero, the curvature of zeta jumps between
#: two points, and a cubic misses by a part of their distance.
BENT = {"orthodont", "machines_nested", "dyestuff2_singular"}
OF_BENT_WIDTH = 1 / 200

#: lme4 keeps a variance at zero while the intercept moves away from its estimate; see below.
FALSE_ZEROS = {("dyestuff2_singular", "(Intercept)")}


@pytest.mark.parametrize("name", CASES["profile"])
def test_intervals(name):
    ours = fitted("profile", name).conf_int("profile")
    ours.index = [plain(row) for row in ours.index]
    for row, want in CASES["profile"][name]["intervals"].items():
        if (name, row) not in FALSE_ZEROS:
            width = want[1] - want[0]
            assert_allclose(ours.loc[plain(row)], want, rtol=0, atol=OF_WIDTH * width, err_msg=row)


@pytest.mark.parametrize("name", CASES["profile"])
@pytest.mark.parametrize("level", [0.5, 0.95, 0.99])
def test_a_profile_interpolates_to_its_roots(name, level):
    model = fitted("profile", name)
    exact, read = model.conf_int("profile", level), model.profile().conf_int(level)
    width = (exact["upper"] - exact["lower"]).to_numpy()[:, None]
    gap = np.abs(exact - read).to_numpy()
    assert np.all(gap < (OF_BENT_WIDTH if name in BENT else OF_WIDTH * 10) * width), (exact, read)
