"""Fit the documentation's first example and print its summary: ``python -m ranef``."""

from __future__ import annotations

from ranef import datasets, lmer


def main() -> None:
    """Fit reaction times on days of sleep restriction, each subject with its own line."""
    sleepstudy = datasets.load("sleepstudy")
    print(lmer("Reaction ~ Days + (Days | Subject)", sleepstudy).summary())


if __name__ == "__main__":
    main()
