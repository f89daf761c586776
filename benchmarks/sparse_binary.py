"""Sparse 0/1 responses in small clusters: is the lowest optimum of the quadrature found?

    python benchmarks/sparse_binary.py --sets 3000

Each data set is fitted by ``ranef.glmer(nagq=)`` and by a plain NumPy program: the same adaptive
Gauss-Hermite rule written anew, minimised by BFGS from four standard deviations far apart. Fits
that say "converged" and lie above what the other found are printed. A rule of few points makes a
criterion with false minima where the standard deviation is large, which a finer rule tells.
"""

from __future__ import annotations

import argparse
import warnings

import numpy as np
import scipy.optimize

import ranef

#: Points of a rule that is exact wherever it matters here.
FINE = 301


def data_set(seed: int) -> dict[str, np.ndarray]:
    """Draw some clusters with few ones."""
    rng = np.random.default_rng(seed)
    groups, size = int(rng.integers(15, 60)), int(rng.integers(2, 8))
    g = np.repeat(np.arange(groups), size)
    x = rng.normal(size=groups * size)
    sd, level = float(rng.choice([0.5, 1.5, 3.0])), float(rng.choice([-4, -2.5, -1]))
    eta = level + 0.7 * x + sd * rng.normal(size=groups)[g]
    return {"y": rng.binomial(1, 1.0 / (1.0 + np.exp(-eta))), "x": x, "g": g}


def criterion(points: int, d: dict[str, np.ndarray]):
    """-2 log-likelihood of (intercept, slope, log sd) by an adaptive rule."""
    nodes, weights = np.polynomial.hermite_e.hermegauss(points)
    groups = int(d["g"].max()) + 1
    y, x = (np.asarray(d[name], float).reshape(groups, -1) for name in "yx")

    def value(at: np.ndarray) -> float:
        sd = float(np.exp(np.clip(at[2], -12.0, 6.0)))
        base, u = at[0] + at[1] * x, np.zeros(groups)

        def log_joint(u: np.ndarray) -> np.ndarray:
            eta = base[..., None] + sd * u[:, None, :]
            return (y[..., None] * eta - np.logaddexp(0.0, eta)).sum(axis=1) - 0.5 * u**2

        for _ in range(60):
            mu = 1.0 / (1.0 + np.exp(-(base + sd * u[:, None])))
            bend = 1.0 + sd**2 * (mu * (1.0 - mu)).sum(axis=1)
            step = (sd * (y - mu).sum(axis=1) - u) / bend
            u = u + np.clip(step, -1.0, 1.0)
            if np.abs(step).max() < 1e-10:
                break
        mu = 1.0 / (1.0 + np.exp(-(base + sd * u[:, None])))
        width = 1.0 / np.sqrt(1.0 + sd**2 * (mu * (1.0 - mu)).sum(axis=1))
        at_nodes = log_joint(u[:, None] + width[:, None] * nodes) + 0.5 * nodes**2
        top = at_nodes.max(axis=1)
        inside = np.exp(at_nodes - top[:, None]) @ weights / np.sqrt(2.0 * np.pi)
        return float(-2.0 * np.sum(top + np.log(width) + np.log(inside)))

    return value


def lowest(points: int, d: dict[str, np.ndarray]) -> tuple[float, np.ndarray]:
    """Return the lowest criterion of four searches, and where it is."""
    value = criterion(points, d)
    share = np.clip(d["y"].mean(), 0.01, 0.99)
    found = []
    for sd in (0.3, 1.5, 4.0, 12.0):
        start = np.array([np.log(share / (1.0 - share)) * (1.0 + 0.3 * sd), 0.3, np.log(sd)])
        best = scipy.optimize.minimize(value, start, method="BFGS", options={"maxiter": 80})
        found.append((float(best.fun), best.x))
    return min(found, key=lambda pair: pair[0])


def main() -> None:
    """Compare the two programs on some data sets."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sets", type=int, default=100)
    parser.add_argument("--first", type=int, default=7000)
    parser.add_argument("--points", type=int, default=25)
    options = parser.parse_args()
    counts = dict.fromkeys(
        [
            "equal or lower",
            "lower by a finer rule",
            "told that quadrature is not valid",
            "worse",
            "said not to be an optimum",
            "refused",
        ],
        0,
    )
    for seed in range(options.first, options.first + options.sets):
        d, points = data_set(seed), options.points
        with warnings.catch_warnings(record=True) as told:
            warnings.simplefilter("always")
            try:
                model = ranef.glmer("y ~ x + (1 | g)", d, family="binomial", nagq=points)
            except ranef.RanefError:
                counts["refused"] += 1
                continue
            if not model.converged:
                counts["said not to be an optimum"] += 1
                continue
            other, at = lowest(points, d)
        ours = np.array([*model.params, np.log(max(float(model.theta.iloc[0]), 1e-5))])
        if -2.0 * model.llf < other + 1e-3:
            counts["equal or lower"] += 1
            continue
        fine = criterion(FINE, d)
        if fine(ours) < fine(at) + 1e-3:
            counts["lower by a finer rule"] += 1
            continue
        if any("quadrature" in str(one.message) for one in told):
            counts["told that quadrature is not valid"] += 1
            continue
        counts["worse"] += 1
        print(
            f"seed {seed}, {points} points: {-2 * model.llf:.4f} (sd {np.exp(ours[2]):.3g}) above "
            f"{other:.4f} (sd {np.exp(at[2]):.3g})",
            flush=True,
        )
    print(", ".join(f"{count} {what}" for what, count in counts.items()))


if __name__ == "__main__":
    main()
