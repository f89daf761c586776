"""How often searches from random starts reach the optimum that R found, and what warns falsely.

    python benchmarks/random_starts.py [starts]

Over the models of tests/oracle/expected/lmm.json, whose optima are the lowest of several optimisers
of R (tests/oracle/README.md). A line for each model that falls short in anything, then the sums.
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "tests" / "oracle"))

from lmm_cases import CASES, fitted

import ranef

#: -2 log-likelihood above R's optimum that counts as having reached it.
REACHED = 1e-5
#: Findings that a model at its optimum, in good data, must not have.
ALARMS = {"not-converged", "labels-reused", "same-groups", "random-aliased", "flat-ridge"}


def main():
    starts = int(sys.argv[1]) if len(sys.argv) > 1 else 20
    reached = tried = lower = false = 0
    for name, case in CASES.items():
        model, caught = fitted(name)
        few = starts if model.nobs <= 50_000 else max(1, starts // 7)
        table = ranef.multistart(model, few).table
        good = int((table["criterion"] < case["criterion"] + REACHED).sum())
        fit_good = -2.0 * model.llf < case["criterion"] + REACHED
        alarms = ALARMS & set(ranef.diagnose(model).codes)
        if ranef.ConvergenceWarning in caught or not model.convergence:
            alarms.add("ConvergenceWarning")
        if model.is_singular != case["is_singular"]:
            alarms.add("singular")
        reached, tried = reached + good, tried + len(table)
        lower += bool(-2.0 * model.llf < case["criterion"] - REACHED)
        false += bool(alarms)
        if good < len(table) or not fit_good or alarms:
            print(
                f"{name}: {good} of {len(table)} starts, fit {fit_good}, alarms {alarms or 'none'}"
            )
    print(f"{reached} of {tried} searches from random starts reach the optimum")
    print(f"{false} of {len(CASES)} models with a false alarm; {lower} lower than R's best")


if __name__ == "__main__":
    main()
