"""Few groups: how often a standard deviation is estimated as zero, and its mean.

    python benchmarks/few_groups.py [draws]

Balanced one-way data, ten rows a group, residual standard deviation 1. Prints the table of
docs/convergence.md.
"""

import sys

import numpy as np

import ranef
from ranef.inference.priors.mode import fit_penalized
from ranef.models import lmm

FITS = {
    "REML": (True, None),
    "ML": (False, None),
    "weak": (True, "weak"),
    "weak, ML": (False, "weak"),
    "blme's": (True, "wishart"),
}
ROWS = 10


def design(groups):
    """The design of one-way data."""
    g = np.repeat(np.arange(groups), ROWS)
    frame = {"y": np.random.default_rng(0).normal(size=len(g)) + g, "g": g}
    return ranef.lmer("y ~ 1 + (1 | g)", frame).parts.design, g


def estimates(groups, sd, draws, rng):
    """Estimated standard deviations, a list a way of fitting."""
    one, g = design(groups)
    found = {name: [] for name in FITS}
    for _ in range(draws):
        y = sd * rng.normal(size=groups)[g] + rng.normal(size=len(g))
        core = lmm.kernel(one, y)
        for name, (reml, prior) in FITS.items():
            control = lmm.Control()
            fit = (
                lmm.fit(one, core, reml=reml, control=control)
                if prior is None
                else fit_penalized(one, core, prior, reml=reml, control=control)
            )
            found[name].append(float(np.sqrt(fit.sigmas[0][0, 0])))
    return {name: np.array(values) for name, values in found.items()}


def main():
    draws = int(sys.argv[1]) if len(sys.argv) > 1 else 500
    rng = np.random.default_rng(2024)
    names = list(FITS)
    print("| true sd | groups |" + "".join(f" {n}: P(0) | mean |" for n in names))
    print("|" + "---|" * (2 + 2 * len(names)))
    for sd in (0.3, 1.0):
        for groups in (3, 5, 10, 20, 50):
            found = estimates(groups, sd, draws, rng)
            cells = "".join(f" {(v < 1e-6).mean():.2f} | {v.mean():.2f} |" for v in found.values())
            print(f"| {sd} | {groups} |{cells}", flush=True)


if __name__ == "__main__":
    main()
