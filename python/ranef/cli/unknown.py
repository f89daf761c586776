"""Arguments that the command line does not have, and what to type."""

from __future__ import annotations

import os
from collections.abc import Sequence

from .._options import nearest

__all__ = ["unknown_arguments"]

OUT = "--out, which names a file (.parquet, .csv, .feather or .json) or, for many fits, a folder"
THREADS = "--workers N"

#: Options of other programs, and those here.
OTHERS: dict[str, str] = {
    **dict.fromkeys(("--output", "-o", "--outdir", "--output-dir", "--save"), OUT),
    "--format": "--json for JSON on standard output; tables are written by the ending of --out",
    **dict.fromkeys(("--threads", "--jobs", "--cores", "--n-jobs", "-j", "-t", "-n"), THREADS),
    **dict.fromkeys(("--resume", "--continue", "--restart"), "the same command, which goes on"),
    **dict.fromkeys(("--verbose", "-v", "--progress"), "--log json, which reports every step"),
    **dict.fromkeys(("--quiet", "-q", "--silent"), "--log none"),
    **dict.fromkeys(("--group", "--group-by", "--groupby"), "--by COLUMNS"),
    **dict.fromkeys(("--formula", "--data", "-f"), "the formula and then the data, without names"),
    **dict.fromkeys(("--REML", "--no-reml"), "--reml or --ml"),
    **dict.fromkeys(("--input", "--files"), "--from FILES for responses, or the data by position"),
    **dict.fromkeys(("--overwrite", "--force"), "another folder, or delete this one"),
}


def unknown_arguments(unknown: Sequence[str], known: Sequence[str]) -> str:
    """State which arguments are unknown, and what stands for the first.

    Parameters
    ----------
    unknown : sequence of str
        The arguments that were left.
    known : sequence of str
        The options of the command.

    Returns
    -------
    str
        The message.
    """
    first = unknown[0]
    if not first.startswith("-") and os.path.exists(first):
        return (
            f"{first!r} is one file too many: the shell wrote out a pattern. Put it into quotes, "
            "as in --from 'genes/*.parquet'"
        )
    name = first.partition("=")[0]
    if name in OTHERS:
        return f"there is no option {name}; use {OTHERS[name]}"
    if not name.startswith("-"):
        return f"{first!r} is one argument too many; quote a formula that has blanks"
    return f"there is no option {name}{nearest(name, list(known))}"
