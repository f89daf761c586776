"""``python -m ranef`` fits the documentation's first example; with a command, it runs it."""

from __future__ import annotations

import sys

from . import datasets, lmer
from .cli import line as command_line


def main() -> int:
    """Run the command line; without arguments, print the summary of a first fit.

    Reaction times on days of sleep restriction, each subject with its own line.
    """
    if len(sys.argv) > 1:
        return command_line.main()
    sleepstudy = datasets.load("sleepstudy")
    print(lmer("Reaction ~ Days + (Days | Subject)", sleepstudy).summary())
    return 0


if __name__ == "__main__":
    sys.exit(main())
