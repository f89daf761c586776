"""False alarms and power of the tests of simulated residuals.

    python benchmarks/residual_checks.py [fits] [marginal] [glmer] [each fault]

Right models give the share of fits, in per cent, in which a test has p below 0.05; wrong ones the
share in which the fault is found. Writes the tables into docs/checking.md.
"""

import sys
import warnings
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import numpy as np
import pandas as pd

import ranef

PAGE = Path(__file__).parents[1] / "docs" / "checking.md"
#: Simulated fits behind each p-value; 0.05 and 0.025 times one more are whole numbers.
DRAWS = 79
GROUPS, ROWS = 30, 5
#: Fits that a process makes at a time.
BLOCK = 50


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
            "b": rng.normal(size=GROUPS)[g],
        }
    )


def linear(data, error):
    """Fit a random intercept to a line and an error."""
    data["y"] = 1.0 + data["x"] + data["b"] + error
    return ranef.lmer("y ~ x + (1 | g)", data)


def right_linear(rng):
    """Return a linear model that is right."""
    data = rows(rng)
    return linear(data, rng.normal(size=len(data)))


def right_counts(rng):
    """Return a model of counts that is right."""
    data = rows(rng)
    data["y"] = rng.poisson(np.exp(1.0 + 0.5 * data["x"] + 0.4 * data["b"]))
    return ranef.glmer("y ~ x + (1 | g)", data, family="poisson")


def tests(found):
    """Name and p-value of each test."""
    yield "uniformity", found.uniformity().pvalue
    if not found.scale_is_free:
        yield "dispersion", found.dispersion().pvalue
        yield "zeros", found.zeros().pvalue
    yield "outliers", found.outliers().pvalue
    yield "largest", found.largest().pvalue
    for name, several in (
        ("fitted", found.against()),
        ("predictor", found.against("x")),
        ("group", found.by_group()),
    ):
        for test in several.tests:
            yield f"{name}: {test.name}", test.pvalue
    yield "autocorrelation", found.autocorrelation("t").pvalue
    yield "spatial", found.spatial("east", "north").pvalue


def block(make, fits, seed, kind):
    """P-values of some fits, a row a fit."""
    warnings.simplefilter("ignore", ranef.RanefWarning)
    rng = np.random.default_rng(seed)
    found = (
        make(rng).simulated_residuals(DRAWS, seed=rng, kind=kind, progress=False)
        for _ in range(fits)
    )
    return pd.DataFrame([dict(tests(one)) for one in found])


def alarms(pool, make, fits, seed, kind="conditional"):
    """Share of fits in which each test has p below 0.05, in per cent."""
    size = min(BLOCK, fits)
    seeds = np.random.SeedSequence(seed).spawn(fits // size)
    jobs = [pool.submit(block, make, size, each, kind) for each in seeds]
    return 100.0 * (pd.concat([job.result() for job in jobs]) <= 0.05).mean()


def fault(name, rng):
    """A linear model with one fault, and the p-value of the test for it."""
    data = rows(rng)
    n, x = len(data), data["x"].to_numpy()
    e = rng.normal(size=n)
    if name == "square of the predictor, coefficient 1":
        return linear(data, e + x**2), lambda r: r.against("x")["location"]
    if name == "standard deviation exp(0.5 x)":
        return linear(data, e * np.exp(0.5 * x)), lambda r: r.against("x")["spread"]
    if name == "errors of t with 3 degrees of freedom":
        return linear(data, rng.standard_t(3, n)), lambda r: r.uniformity()
    if name == "one row 5 standard deviations away":
        e[0] += 5.0
        return linear(data, e), lambda r: r.largest()
    if name == "autocorrelation 0.5 within groups":
        e = e.reshape(GROUPS, ROWS)
        for t in range(1, ROWS):
            e[:, t] = 0.5 * e[:, t - 1] + np.sqrt(0.75) * e[:, t]
        return linear(data, e.ravel()), lambda r: r.autocorrelation("t")
    if name == "standard deviations of groups, log sd 0.4":
        return (
            linear(data, e * np.exp(0.4 * rng.normal(size=GROUPS))[data["g"]]),
            lambda r: r.by_group()["spread"],
        )
    if name == "a wave in space, amplitude 0.7":
        wave = 0.7 * np.sin(6.3 * data["east"])
        return linear(data, e + wave), lambda r: r.spatial("east", "north")
    counts = rng.negative_binomial(3.0, 3.0 / (3.0 + np.exp(1.0 + 0.5 * x + 0.4 * data["b"])))
    data["y"] = counts
    model = ranef.glmer("y ~ x + (1 | g)", data, family="poisson")
    return model, lambda r: r.dispersion()


FAULTS = (
    "square of the predictor, coefficient 1",
    "standard deviation exp(0.5 x)",
    "errors of t with 3 degrees of freedom",
    "one row 5 standard deviations away",
    "autocorrelation 0.5 within groups",
    "standard deviations of groups, log sd 0.4",
    "a wave in space, amplitude 0.7",
    "negative binomial counts of size 3 fitted as Poisson",
)


def power(name, fits, seed):
    """Say in how many fits, in per cent, a fault is found, and by which test."""
    warnings.simplefilter("ignore", ranef.RanefWarning)
    rng = np.random.default_rng(seed)
    found = []
    for _ in range(fits):
        model, test = fault(name, rng)
        found.append(test(model.simulated_residuals(DRAWS, seed=rng, progress=False)))
    share = 100.0 * np.mean([one.pvalue <= 0.05 for one in found])
    return f"| {name} | {found[0].name} | {share:.0f} |"


def write(part, lines):
    """Replace a table of the page."""
    text = PAGE.read_text(encoding="utf-8")
    start, end = f"<!-- table {part} -->\n", "<!-- end of table -->"
    before, rest = text.split(start)
    after = rest[rest.index(end) :]
    PAGE.write_text(before + start + "\n".join(lines) + "\n" + after, encoding="utf-8")


def main():
    """Simulate, print and write."""
    given = [int(word) for word in sys.argv[1:]]
    linear_fits, marginal_fits, count_fits, fault_fits = given or (1000, 200, 200, 100)
    with ProcessPoolExecutor() as pool:
        jobs = [pool.submit(power, name, fault_fits, 4) for name in FAULTS]
        lines = ["| fault | test | found, % |", "|---|---|---:|", *(job.result() for job in jobs)]
        print("\n".join(lines), flush=True)
        write("power", lines)
        columns = {
            f"`glmer`, Poisson, {count_fits:,} fits": alarms(pool, right_counts, count_fits, 3),
            f"`lmer`, marginal, {marginal_fits:,}": alarms(
                pool, right_linear, marginal_fits, 2, "marginal"
            ),
            f"`lmer`, {linear_fits:,}": alarms(pool, right_linear, linear_fits, 1),
        }
    table = pd.DataFrame(columns)
    order = next(iter(columns.values())).index
    lines = ["| test | " + " | ".join(columns) + " |", "|---|" + "---:|" * len(columns)]
    for name in order:
        cells = ["" if np.isnan(v) else f"{v:.1f}" for v in table.loc[name]]
        lines.append(f"| {name} | " + " | ".join(cells) + " |")
    print("\n".join(lines))
    write("false alarms", lines)


if __name__ == "__main__":
    main()
