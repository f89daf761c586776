"""Many fits of one small model at once, and the p-values of the tests of their residuals.

The residuals and the tests are those of ``model.simulated_residuals()``; only the fits behind them
are made together, by ``ranef.fit_many``, which takes a fiftieth of the time. :func:`check` compares
them with those of the model itself.
"""

from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
import scipy

import ranef
from ranef.inference.residuals import statistics
from ranef.inference.residuals.source import FARTHEST
from ranef.report.checks.residuals import simulated

GROUPS, ROWS = 30, 5
FORMULA = "y ~ x + (1 | g)"


def rows(rng):
    """Thirty groups of five rows, with a predictor and places."""
    g = np.repeat(np.arange(GROUPS), ROWS)
    n = g.size
    return pd.DataFrame(
        {
            "g": g,
            "t": np.tile(np.arange(ROWS), GROUPS),
            "x": rng.uniform(-1.0, 1.0, n),
            "east": rng.random(n),
            "north": rng.random(n),
        }
    )


@dataclass
class Fits:
    """Fits of many responses: shapes (n, m), and (m,) for standard deviations."""

    Y: np.ndarray
    fixed: np.ndarray
    effects: np.ndarray
    sd: np.ndarray
    sigma: np.ndarray
    is_count: bool

    def draw(self, times, rng):
        """Draw some new responses from each fit, new random effects included."""
        fixed = np.repeat(self.fixed, times, axis=1)
        new = rng.normal(size=(GROUPS, fixed.shape[1])).repeat(ROWS, axis=0)
        eta = fixed + np.repeat(self.sd, times) * new
        if self.is_count:
            return rng.poisson(np.exp(eta)).astype(float)
        return eta + np.repeat(self.sigma, times) * rng.normal(size=eta.shape)

    def means(self, kind):
        """Fitted values, given the random effects or not."""
        eta = self.fixed + self.effects if kind == "conditional" else self.fixed
        return np.exp(eta) if self.is_count else eta

    def scores(self, kind, rng):
        """Residuals on the scale of the normal distribution."""
        mean = self.means(kind)
        if self.is_count:
            high, low = scipy.special.pdtr(self.Y, mean), scipy.special.pdtr(self.Y - 1.0, mean)
            low[self.Y == 0.0] = 0.0
            at = low + rng.random(low.shape) * (high - low)
            return np.clip(scipy.special.ndtri(at), -FARTHEST, FARTHEST)
        between = 0.0 if kind == "conditional" else self.sd**2
        return (self.Y - mean) / np.sqrt(self.sigma**2 + between)


def fit(data, Y, is_count):
    """Fit each response."""
    found = ranef.fit_many(
        "~ x + (1 | g)", data, Y, family="poisson" if is_count else None, progress=False, workers=1
    ).parts.estimate
    fixed = found.estimate[:, 0] + np.outer(data["x"], found.estimate[:, 1])
    sigma, relative = found.sigma, found.factors[:, 0]
    modes = count_modes if is_count else normal_modes
    effects = modes(Y, fixed, relative).repeat(ROWS, axis=0)
    return Fits(Y, fixed, effects, relative * sigma, sigma, is_count)


def of_groups(values):
    """Sum the rows of each group."""
    return values.reshape(GROUPS, ROWS, -1).sum(axis=1)


def normal_modes(Y, fixed, relative):
    """Mean of each group beyond its fixed part, shrunken."""
    return of_groups(Y - fixed) / (ROWS + 1.0 / np.maximum(relative, 1e-12) ** 2)


def count_modes(Y, fixed, relative):
    """Mode of each group's effect, by Newton's method on the standardised effect."""
    u = np.zeros((GROUPS, Y.shape[1]))
    for _ in range(20):
        mean = of_groups(np.exp(fixed + (relative * u).repeat(ROWS, axis=0)))
        step = (relative * (of_groups(Y) - mean) - u) / (relative**2 * mean + 1.0)
        u += np.clip(step, -1.0, 1.0)
    return relative * u


def pvalues(data, truth, draws, kind, rng):
    """P-values of every test, by name, for each column of ``truth``, a matrix of responses."""
    is_count = bool((truth == np.round(truth)).all())
    own = fit(data, truth, is_count)
    again = fit(data, own.draw(draws, rng), is_count)
    model = check(data, own, again, draws, rng)
    kinds = (kind,) if isinstance(kind, str) else kind
    return {each: of_kind(model, beside(own, again, draws), draws, each, rng) for each in kinds}


def beside(own, again, draws):
    """Each fit before its simulated fits."""

    def put(first, others):
        m = len(first.T)
        both = [first.reshape(-1, m, 1), others.reshape(-1, m, draws)]
        return np.concatenate(both, axis=2).reshape(-1, m * (draws + 1))

    parts = {name: put(getattr(own, name), getattr(again, name)) for name in ("Y", "fixed")}
    parts["effects"] = put(own.effects, again.effects)
    parts |= {name: put(getattr(own, name), getattr(again, name))[0] for name in ("sd", "sigma")}
    return Fits(**parts, is_count=own.is_count)


def of_kind(model, fits, draws, kind, rng):
    """P-values of every test on one kind of residuals."""
    Z, mean = fits.scores(kind, rng), fits.means(kind)
    found = replace(
        model.simulated_residuals(19, seed=rng, kind=kind, progress=False),
        simulated=Z,
        responses_drawn=fits.Y,
        fitted_drawn=mean,
        pearson=(1.0, ((fits.Y - mean) ** 2 / mean).mean(axis=0) if fits.is_count else mean[0]),
        zeros_expected=(0.0, np.exp(-mean).sum(axis=0) if fits.is_count else mean[0]),
    )
    out = {}
    for name, test, side in tests(found):
        each = test.draws.reshape(-1, draws + 1)
        out[name] = [statistics.pvalue(row[0], row[1:], side) for row in each]
    out["outliers"] = []
    for block in np.moveaxis(Z.reshape(len(Z), -1, draws + 1), 1, 0):
        count, others = statistics.outside(block[:, 0], block[:, 1:])
        out["outliers"].append(statistics.tied_pvalue(count, others, rng.random()))
    return out


def tests(found):
    """Name, test and side of each test but that of outliers."""
    yield "uniformity", found.uniformity(), "large"
    if not found.scale_is_free:
        yield "dispersion", found.dispersion(), "both"
        yield "zeros", found.zeros(), "both"
    yield "largest", found.largest(), "large"
    for name, several in (
        ("fitted", found.against()),
        ("predictor", found.against("x")),
        ("group", found.by_group()),
    ):
        for test in several.tests:
            yield f"{name}: {test.name}", test, "large"
    yield "autocorrelation", found.autocorrelation("t"), "both"
    yield "spatial", found.spatial("east", "north"), "both"


def check(data, own, again, draws, rng):
    """Fit the first response by itself and compare; return its model."""
    data = data.assign(y=own.Y[:, 0])
    if own.is_count:
        model = ranef.glmer(FORMULA, data, family="poisson")
    else:
        model = ranef.lmer(FORMULA, data)
    columns = iter(again.Y[:, :draws].T)
    source = replace(model._source("conditional", rng), draw=lambda rng: next(columns))
    found = simulated(source, draws, "conditional", rng, progress=False)
    np.testing.assert_allclose(found.fitted, own.means("conditional")[:, 0], rtol=0.01, atol=0.01)
    theirs = again.means("conditional")[:, :draws]
    np.testing.assert_allclose(found.fitted_drawn, theirs, rtol=0.01, atol=0.01)
    if not own.is_count:
        scores = again.scores("conditional", rng)[:, :draws]
        np.testing.assert_allclose(found.simulated, scores, atol=0.02)
    return model
