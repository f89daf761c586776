"""Slices of rows that are chosen among others: each has its own rows, whatever stands between."""

import numpy as np
import pandas as pd
import pytest

import ranef
from ranef.models.batch.blocks import Progress
from ranef.models.batch.estimate import Settings
from ranef.models.batch.fits import fit_slices
from ranef.models.glmm.estimate import GlmmSpec


def data(groups=6, levels=5, rows=8):
    rng = np.random.default_rng(3)
    g = np.repeat(np.arange(groups), levels * rows)
    s = np.tile(np.repeat(np.arange(levels), rows), groups)
    x = rng.normal(size=g.size)
    y = 1.0 + (0.5 + g) * x + rng.normal(size=(groups, levels))[g, s] + rng.normal(size=g.size)
    return pd.DataFrame({"g": g, "s": s, "x": x, "y": y, "n": rng.poisson(np.exp(0.3 * x + 0.5))})


@pytest.mark.filterwarnings("ignore::ranef.errors.SingularFitWarning")
@pytest.mark.parametrize("family", [None, "poisson"])
@pytest.mark.parametrize("chosen", [[0, 2, 5], [1, 4], [3], list(range(6))])
def test_chosen_slices_are_the_fits_of_their_rows(family, chosen):
    frame, response = data(), "n" if family else "y"
    formula = f"{response} ~ x + (1 | s)"
    spec = GlmmSpec(family, "log") if family else None
    fit = (
        (lambda d: ranef.glmer(formula, d, family=family))
        if family
        else (lambda d: ranef.lmer(formula, d))
    )
    whole = fit(frame)
    start = np.searchsorted(frame["g"], np.arange(7)).tolist()
    members = np.isin(np.arange(6), chosen)
    with Progress(len(chosen), "fits", shown=False) as line:
        out = fit_slices(
            whole.parts.design,
            start,
            Settings(reml=True, workers=1, spec=spec),
            members=members,
            progress=line,
        )
    assert np.isnan(out.estimate[~members]).all()
    for i in chosen:
        own = fit(frame[frame["g"] == i])
        np.testing.assert_allclose(out.estimate[i], own.params, rtol=1e-5, atol=1e-7)
        assert out.n_obs[i] == 40
