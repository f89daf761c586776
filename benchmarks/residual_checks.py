"""False alarms and power of the tests of simulated residuals.

    python benchmarks/residual_checks.py linear 10000    until so many fits are stored
    python benchmarks/residual_checks.py counts 10000
    python benchmarks/residual_checks.py faults 1000
    python benchmarks/residual_checks.py page            writes docs/checking.md from what is stored

Right models give the share of fits in which a test has p <= 0.05; wrong ones the share in which the
fault is found. Each block of fits has a seed and predictors of its own and is added to
residual_checks.csv when it is done, so that a run goes on where the last one stopped. Remove the
file to begin again.
"""

import sys
import time
import warnings
from pathlib import Path

import numpy as np
import pandas as pd
from residual_fits import GROUPS, ROWS, pvalues, rows

import ranef

PAGE = Path(__file__).parents[1] / "docs" / "checking.md"
STORED = Path(__file__).with_name("residual_checks.csv")
#: Simulated fits behind each p-value; 0.05 and 0.025 times one more are whole numbers.
DRAWS = 39
#: Fits between one storing and the next, which share their predictors.
BLOCK = 250
LEVEL = 0.05


def normal(data, error, rng):
    """Responses of a random intercept, a line and an error, a column each."""
    return 1.0 + data[["x"]].to_numpy() + effects(rng) + error


def counts(data, rng):
    """Means of counts, a column each."""
    return np.exp(1.0 + 0.5 * data[["x"]].to_numpy() + 0.4 * effects(rng))


def effects(rng):
    """Effects of groups, in each row."""
    return rng.normal(size=(GROUPS, BLOCK)).repeat(ROWS, axis=0)


def linear_alarms(rng):
    """P-values of linear models that are right, by kind of residuals."""
    data = rows(rng)
    Y = normal(data, rng.normal(size=(len(data), BLOCK)), rng)
    found = pvalues(data, Y, DRAWS, ("conditional", "marginal"), rng)
    return {"lmer": found["conditional"], "lmer, marginal": found["marginal"]}


def count_alarms(rng):
    """P-values of models of counts that are right."""
    data = rows(rng)
    Y = rng.poisson(counts(data, rng)).astype(float)
    return {"glmer": pvalues(data, Y, DRAWS, ("conditional",), rng)["conditional"]}


#: Each fault and the test that is for it.
FAULTS = {
    "square of the predictor, coefficient 1": "predictor: location",
    "standard deviation exp(0.5 x)": "predictor: spread",
    "errors of t with 3 degrees of freedom": "uniformity",
    "one row 5 standard deviations away": "largest",
    "autocorrelation 0.5 within groups": "autocorrelation",
    "standard deviations of groups, log sd 0.4": "group: spread",
    "a wave in space, amplitude 0.7": "spatial",
    "negative binomial counts of size 3 fitted as Poisson": "dispersion",
}


def faulty(name, data, rng):
    """Responses with a fault, a column each."""
    x, shape = data[["x"]].to_numpy(), (len(data), BLOCK)
    e = rng.normal(size=shape)
    if name.startswith("square"):
        return normal(data, e + x**2, rng)
    if name.startswith("standard deviation exp"):
        return normal(data, e * np.exp(0.5 * x), rng)
    if name.startswith("errors of t"):
        return normal(data, rng.standard_t(3, shape), rng)
    if name.startswith("one row"):
        e[0] += 5.0
        return normal(data, e, rng)
    if name.startswith("autocorrelation"):
        e = e.reshape(GROUPS, ROWS, BLOCK)
        for t in range(1, ROWS):
            e[:, t] = 0.5 * e[:, t - 1] + np.sqrt(0.75) * e[:, t]
        return normal(data, e.reshape(shape), rng)
    if name.startswith("standard deviations of groups"):
        return normal(data, e * np.exp(0.4 * effects(rng)), rng)
    if name.startswith("a wave"):
        return normal(data, e + 0.7 * np.sin(6.3 * data[["east"]].to_numpy()), rng)
    mean = counts(data, rng)
    return rng.negative_binomial(3.0, 3.0 / (3.0 + mean)).astype(float)


def faults_found(rng):
    """P-values of the test for each fault."""
    found = {}
    for name, test in FAULTS.items():
        data = rows(rng)
        Y = faulty(name, data, rng)
        each = pvalues(data, Y, DRAWS, ("conditional",), rng)["conditional"]
        found[f"{name}: {test}"] = each[test]
    return {"faults": found}


#: What each job simulates, and the part of the results that tells how far it is.
JOBS = {
    "linear": (linear_alarms, "lmer"),
    "counts": (count_alarms, "glmer"),
    "faults": (faults_found, "faults"),
}


def stored():
    """Fits and alarms of each part and test so far."""
    if not STORED.exists():
        return pd.DataFrame(columns=["part", "test", "fits", "found"])
    return pd.read_csv(STORED)


def fits_of(part):
    """Number of fits that are stored of a part."""
    fits = stored().query("part == @part")["fits"]
    return int(fits.max()) if len(fits) else 0


def add(parts):
    """Add the counts of a block to those stored."""
    new = pd.DataFrame(
        [
            (part, test, len(values), int((np.array(values) <= LEVEL).sum()))
            for part, found in parts.items()
            for test, values in found.items()
        ],
        columns=["part", "test", "fits", "found"],
    )
    both = pd.concat([stored(), new]).groupby(["part", "test"], sort=False).sum()
    both.astype(int).reset_index().to_csv(STORED, index=False)


def simulate(job, fits):
    """Go on with a job until so many fits are stored."""
    make, part = JOBS[job]
    while (done := fits_of(part)) < fits:
        began = time.process_time()
        add(make(np.random.default_rng([list(JOBS).index(job), done])))
        took = (time.process_time() - began) / BLOCK
        print(f"{part}: {done + BLOCK:,} fits, {took:.3f} s each", flush=True)


def power_table(table):
    """The share of fits in which each fault is found."""
    yield from ("| fault | test | found, % |", "|---|---|---:|")
    for name, test in FAULTS.items():
        row = table.loc[table["test"] == f"{name}: {test}"].iloc[0]
        yield f"| {name} | {test} | {100.0 * row['found'] / row['fits']:.0f} |"
    yield from ("", f"{int(table['fits'].max()):,} fits each.")


def alarm_table(table):
    """The share of right models about which each test raises an alarm."""
    titles = {"lmer": "`lmer`", "lmer, marginal": "`lmer`, marginal", "glmer": "`glmer`, Poisson"}
    parts = [part for part in titles if part in set(table["part"])]
    share = table.assign(share=100.0 * table["found"] / table["fits"])
    wide = share.pivot(index="test", columns="part", values="share")
    fits = [int(table.loc[table["part"] == part, "fits"].max()) for part in parts]
    heads = [f"{titles[part]}, {n:,} fits" for part, n in zip(parts, fits, strict=True)]
    yield "| test | " + " | ".join(heads) + " |"
    yield "|---|" + "---:|" * len(parts)
    for name in table["test"].drop_duplicates():
        values = wide.loc[name, parts]
        cells = ["" if np.isnan(value) else f"{value:.1f}" for value in values]
        yield f"| {name} | " + " | ".join(cells) + " |"
    errors = [f"{100.0 * np.sqrt(LEVEL * (1.0 - LEVEL) / n):.2f} for {n:,} fits" for n in fits]
    yield from ("", f"The standard error is {', '.join(dict.fromkeys(errors))}.")


def replaced(text, part, lines):
    """Replace a table of a page."""
    start, end = f"<!-- table {part} -->\n", "<!-- end of table -->"
    before, rest = text.split(start)
    return before + start + "\n".join(lines) + "\n" + rest[rest.index(end) :]


def page(text):
    """Put the stored results into the text of the page."""
    table = stored()
    is_fault = table["part"] == "faults"
    text = replaced(text, "power", power_table(table[is_fault]))
    return replaced(text, "false alarms", alarm_table(table[~is_fault]))


def main():
    """Simulate, or write the page."""
    warnings.simplefilter("ignore", ranef.RanefWarning)
    job, *given = sys.argv[1:]
    if job == "page":
        PAGE.write_text(page(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
    else:
        simulate(job, int(given[0]))


if __name__ == "__main__":
    main()
