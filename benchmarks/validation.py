"""Write docs/validation.md: how far ranef and other programs are apart on the stored cases.

python benchmarks/validation.py            writes the page
python benchmarks/validation.py --check    fails if a number is larger than the page says
"""

from __future__ import annotations

import argparse
import sys
import warnings
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT / "tests"))
PAGE = ROOT / "docs" / "validation.md"
COLUMNS = ["criterion", "coefficients", "errors", "sds"]


def linear() -> Iterator[dict[str, object]]:
    """Compare linear mixed models with lme4."""
    from oracle.lmm_cases import CASES, aligned, fitted

    for name, case in CASES.items():
        model, _ = fitted(name)
        value, se = np.array(list(case["fixef"].values())).T
        estimate = aligned(model.params.dropna(), case["fixef"])
        error = aligned(model.bse.dropna(), case["fixef"])
        spread = [0.0]
        for group, want in case["varcorr"].items():
            cov = model.varcorr[group]
            sds = aligned(pd.Series(np.sqrt(np.diag(cov)), index=cov.columns), want["terms"])
            spread += list(np.abs(sds - np.sqrt(np.diag(want["cov"]))) / case["sigma"])
        yield {
            "kind": "linear mixed models",
            "program": "lme4, best of its optimisers",
            "case": name,
            "criterion": abs(-2.0 * model.llf - case["criterion"]),
            "coefficients": np.abs((estimate - value) / se).max(),
            "errors": np.abs(error / se - 1.0).max(),
            "sds": max(spread),
        }


def generalised() -> Iterator[dict[str, object]]:
    """Compare generalised linear mixed models with lme4 and glmmTMB."""
    from oracle.glmm_cases import CASES
    from oracle.test_vs_glmer import fitted

    for name, case in CASES.items():
        for want in case["fits"]:
            model = fitted(name, want["nagq"])
            se = np.array(want["se"])
            spread = [0.0]
            for group, sd in want["sd"].items():
                ours = np.sqrt(np.diag(model.varcorr[group]))
                spread += list(np.abs(ours / np.ravel(sd) - 1.0))
            is_laplace = want["nagq"] <= 1
            yield {
                "kind": "generalised linear mixed models",
                "program": want["program"],
                "case": f"{name}, {want['nagq']} points" if not is_laplace else name,
                "criterion": abs(-2.0 * model.llf - want["objective"]) if is_laplace else np.nan,
                "coefficients": np.abs((model.params - want["fixef"]) / se).max(),
                "errors": np.abs(model.bse / se - 1.0).max(),
                "sds": max(spread),
            }


def structured() -> Iterator[dict[str, object]]:
    """Compare models with structured residuals with nlme and glmmTMB."""
    from oracle.structured_cases import CASES, FITS, expected, fitted
    from oracle.test_gls_vs_nlme import _by_name

    for name, reml in FITS:
        want, model = expected(name, reml), fitted(name, reml)
        value = pd.Series(_by_name(want["fixef"]))
        se = pd.Series(_by_name(want.get("se", {})), index=value.index, dtype=float)
        estimate = pd.Series(_by_name(model.params))[value.index]
        error = pd.Series(_by_name(model.bse))[value.index]
        yield {
            "kind": "structured residuals",
            "program": CASES[name].get("program", "nlme"),
            "case": f"{name}, {'REML' if reml else 'ML'}",
            "criterion": abs(-2.0 * (model.llf - want["logLik"])),
            "coefficients": np.abs((estimate - value) / se).max(),
            "errors": np.abs(error / se - 1.0).max(),
        }


def page(table: pd.DataFrame) -> str:
    """Write the page."""
    parts = [
        "# What is checked against what",
        "Written by `benchmarks/validation.py` from the stored results of other programs; nothing "
        "on this page is typed. The columns are the largest differences: of -2 log-likelihood; of "
        "coefficients, in standard errors; of standard errors and of standard deviations of random "
        "effects, relative. A difference in which ranef has the lower criterion is the other "
        "program's distance from the optimum.",
        "| models | against | cases | -2 log L | coefficients | standard errors | sds |\n"
        "|---|---|---|---|---|---|---|",
    ]
    rows = []
    for (kind, program), part in table.groupby(["kind", "program"], sort=False):
        largest = " | ".join(shown(part[column].max()) for column in COLUMNS)
        rows.append(f"| {kind} | {program} | {len(part)} | {largest} |")
    parts[-1] += "\n" + "\n".join(rows)
    parts.append(
        "The tests include many more: dense matrix algebra for every kind of model, quadrature and "
        "simulation for what no other program computes, published figures; CI runs them all."
    )
    for kind, part in table.groupby("kind", sort=False):
        head = "| case | against | -2 log L | coefficients | standard errors | sds |\n"
        head += "|---|---|---|---|---|---|"
        lines = [
            f"| {row['case']} | {row['program']} | "
            + " | ".join(shown(row[column]) for column in COLUMNS)
            + " |"
            for _, row in part.iterrows()
        ]
        parts.append(f"## {str(kind).capitalize()}\n\n{head}\n" + "\n".join(lines))
    return "\n\n".join(parts) + "\n"


def shown(value: float) -> str:
    """Write a difference as a power of ten that it does not reach."""
    if not np.isfinite(value):
        return ""
    return "< 1e-9" if value < 1e-9 else f"< 1e{int(np.floor(np.log10(value))) + 1}"


def main() -> None:
    """Write the page, or hold it to what is found."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true")
    options = parser.parse_args()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        table = pd.DataFrame([*linear(), *generalised(), *structured()])
    table = table.reindex(columns=["kind", "program", "case", *COLUMNS])
    text = page(table)
    if options.check:
        sys.exit(0 if text == PAGE.read_text(encoding="utf-8") else "docs/validation.md is stale")
    PAGE.write_text(text, encoding="utf-8")
    print(text[:1500])


if __name__ == "__main__":
    main()
