"""Whether the parameters of covariance structures come back from simulated data.

Run it by ``python benchmarks/structure_recovery.py --sets 200``; some CPU seconds a structure. Each
set has 100 groups, 5 times or places and 2 rows at each. A row is a parameter: the truth, the mean
estimate less the truth, its Monte Carlo error, and their ratio, which is between -3 and 3 where
nothing is wrong. Standard deviations are compared as variances, rates and ranges as logarithms, in
which estimates are nearly unbiased. Five places say little about the range and the smoothness of a
Matern covariance, each of which may stand for the other; what they say is its correlations.
"""

from __future__ import annotations

import argparse
import warnings

import numpy as np
import pandas as pd

import ranef

GROUPS, TIMES, ROWS = 100, 5, 2
LAG = np.abs(np.subtract.outer(np.arange(TIMES), np.arange(TIMES)))
SD = np.array([0.8, 1.0, 1.2, 1.4, 1.6])
PLACES = np.array([[0.0, 0.0], [1.0, 0.0], [0.0, 1.5], [2.0, 2.0], [3.0, 1.0]])
DISTANCE = np.linalg.norm(PLACES[:, None] - PLACES, axis=2)

#: Formula, covariance of a group's five effects, and true parameters by name.
CASES = {
    "diag": ("diag(0 + f | g)", np.diag(SD**2), dict(enumerate(SD))),
    "diag hom": ("diag(0 + f | g, hom=True)", 1.44 * np.eye(TIMES), {0: 1.2}),
    "cs": (
        "cs(0 + f | g)",
        np.outer(SD, SD) * (0.4 + 0.6 * np.eye(TIMES)),
        {**dict(enumerate(SD)), "corr": 0.4},
    ),
    "ar1": ("ar1(0 + f | g)", 1.44 * 0.6**LAG, {"sd": 1.2, "corr": 0.6}),
    "toep": (
        "toep(0 + f | g, hom=True)",
        1.44 * np.array([1.0, 0.6, 0.4, 0.2, 0.1])[LAG],
        {"sd": 1.2, "corr1": 0.6, "corr2": 0.4, "corr3": 0.2, "corr4": 0.1},
    ),
    "ou": ("ou(0 + t | g)", 1.44 * np.exp(-0.5 * LAG), {"sd": 1.2, "rate": 0.5}),
    "exponential": (
        "exponential(0 + u + v | g)",
        1.44 * np.exp(-DISTANCE / 2.0),
        {"sd": 1.2, "range": 2.0},
    ),
    "matern": (
        "matern(0 + u + v | g)",
        1.44 * (1.0 + DISTANCE) * np.exp(-DISTANCE),
        {"sd": 1.2, "cor[0,1]": 2.0 * np.exp(-1.0), "cor[0,2]": 2.5 * np.exp(-1.5)},
    ),
    "cs hom": (
        "cs(0 + f | g, hom=True)",
        1.44 * (0.4 + 0.6 * np.eye(TIMES)),
        {"sd": 1.2, "corr": 0.4},
    ),
    "ar1 het": (
        "ar1(0 + f | g, hom=False)",
        np.outer(SD, SD) * 0.6**LAG,
        {**dict(enumerate(SD)), "corr": 0.6},
    ),
    "us": ("(0 + f | g)", 1.44 * 0.6**LAG, {}),
}


def drawn(cov: np.ndarray, rng: np.random.Generator) -> pd.DataFrame:
    """Simulate one set."""
    b = rng.multivariate_normal(np.zeros(TIMES), cov, GROUPS)
    g = np.repeat(np.arange(GROUPS), TIMES * ROWS)
    t = np.tile(np.repeat(np.arange(TIMES), ROWS), GROUPS)
    frame = pd.DataFrame({"g": g, "t": t, "f": [f"f{i}" for i in t], "x": rng.normal(size=len(g))})
    frame["u"], frame["v"] = PLACES[t].T
    frame["y"] = 1.0 + 0.5 * frame["x"] + b[g, t] + rng.normal(size=len(g))
    return frame


def estimates(model: ranef.LinearMixedModel) -> pd.Series:
    """Estimates on the scale on which they are compared."""
    out = {"x": model.params["x"], "sigma^2": model.sigma**2}
    natural = model.parts.natural_intervals(0.0)
    names = model.parts.design.random[0].block_structures[0]
    if names is None or not natural:
        cov = model.varcorr["g"].to_numpy()
        out |= {f"cov[{i},{j}]": cov[i, j] for i in range(len(cov)) for j in range(i + 1)}
        return pd.Series(out)
    for label, value in zip(names.labels, natural[0][:, 0], strict=True):
        out[label] = scaled(label, value)
    if names.kind == "matern":
        del out["range"], out["smoothness"]
        cor = correlations(model)
        out |= {"cor[0,1]": cor[0, 1], "cor[0,2]": cor[0, 2]}
    return pd.Series(out)


def correlations(model: ranef.LinearMixedModel) -> np.ndarray:
    """Correlations of a group's effects, by places in the order of ``PLACES``."""
    structure = model.parts.design.random[0].block_structures[0]
    at = [int(np.argmin(np.linalg.norm(structure.places - place, axis=1))) for place in PLACES]
    cov = model.varcorr["g"].to_numpy()[np.ix_(at, at)]
    return cov / np.sqrt(np.outer(np.diag(cov), np.diag(cov)))


def scaled(label: str, value: float) -> float:
    """Put a parameter on the scale on which its estimates are nearly unbiased."""
    if label.startswith("sd"):
        return value**2
    return np.log(value) if label in ("rate", "range") else value


def truth(kind: str, names: list[str]) -> pd.Series:
    """The true values, by the names of ``estimates``."""
    _, cov, known = CASES[kind]
    out = {"x": 0.5, "sigma^2": 1.0}
    sds = [name for name in names if name.startswith("sd")]
    for name in names:
        if name.startswith("cov["):
            i, j = map(int, name[4:-1].split(","))
            out[name] = cov[i, j]
        elif name in sds and 0 in known:
            out[name] = known[sds.index(name)] ** 2
        elif name in known:
            out[name] = scaled(name, known[name])
    return pd.Series(out)[names]


def recovered(kind: str, sets: int, seed: int) -> pd.DataFrame:
    """Fit a structure to simulated sets and compare."""
    formula, cov, _ = CASES[kind]
    rows = []
    for child in np.random.SeedSequence(seed).spawn(sets):
        frame = drawn(cov, np.random.default_rng(child))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ranef.RanefWarning)
            rows.append(estimates(ranef.lmer(f"y ~ x + {formula}", frame)))
    found = pd.DataFrame(rows)
    found = found.loc[:, found.std() > 0.0]
    true = truth(kind, list(found.columns))
    error = found.std(ddof=1) / np.sqrt(sets)
    bias = found.mean() - true
    return pd.DataFrame({"truth": true, "bias": bias, "error": error, "ratio": bias / error})


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sets", type=int, default=200)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--kinds", nargs="*", default=list(CASES))
    asked = parser.parse_args()
    for kind in asked.kinds:
        table = recovered(kind, asked.sets, asked.seed)
        print(pd.concat({kind: table}).round(4).to_string(), flush=True)


if __name__ == "__main__":
    main()
