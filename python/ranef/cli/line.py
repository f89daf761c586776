"""The command line: fits and batches for pipelines, with exit codes and logs that machines read."""

from __future__ import annotations

import argparse
import os
import re
import sys
import warnings
from collections.abc import Callable, Sequence
from importlib.metadata import version
from typing import Any

from ..design.frame import did_you_mean
from ..errors import RanefError
from ..parallel.progress import listening
from .log import Log, one_line
from .run import WRITERS, run_batch, run_fit
from .single import run_feglm, run_feols, run_glmer, run_gls
from .unknown import unknown_arguments

__all__ = ["main"]

#: What the process returns.
OK, ERROR, USAGE, NOT_CONVERGED, INTERRUPTED = 0, 1, 2, 3, 130

CODES = """
exit codes:
  0    every fit converged
  1    the data, the formula or a file cannot be used; one line on standard error says why
  2    the command line is wrong
  3    results were written, but some fit did not converge or could not be made
  130  interrupted from the keyboard
"""

FIT = """
Fit a linear mixed model and print its summary, or write its estimates to a file.

DATA is a parquet, CSV or Feather file, a folder of such files, or a pattern in quotes.
"""

FIT_EXAMPLES = (
    """
examples:
  ranef fit "y ~ x + (1 + x | pupil)" rows.parquet
  ranef fit "y ~ x + (1 | a) + (1 | b)" 'rows/*.parquet' --stream --json > fit.json
  ranef fit "sales ~ price + (1 | week)" sales.parquet --by store --out fits.parquet --log json
"""
    + CODES
)

BATCH = """
Fit the same model to many responses, columns of DATA or of other files, and write a row for each
coefficient of each.

The left side of the formula is left empty: "~ x + (1 | subject)".
"""

BATCH_EXAMPLES = (
    """
examples:
  ranef batch "~ age + (1 | family)" expression.parquet --responses 'gene_*' --out genes.parquet
  ranef batch "~ x + (1 | g)" rows.csv --responses y1,y2,y3 --ddf satterthwaite --json
  ranef batch "~ age + (1 | family)" people.parquet --from 'genes/*.parquet' --out results/
  ranef batch "~ case + (1 | donor)" cells.parquet --from counts.parquet --out counts/ \\
      --family negative_binomial --size-factors depth

--out that names a folder is written part by part; the same command continues where it was stopped.
"""
    + CODES
)

SINGLE = {
    "glmer": """
examples:
  ranef glmer "n ~ x + (1 | g)" counts.parquet --family poisson
  ranef glmer "cbind(hits, misses) ~ x + (1 | g)" shots.csv --family binomial --json
""",
    "gls": """
examples:
  ranef gls "y ~ x" panel.parquet --groups firm --time year --corr ar1
""",
    "feols": """
examples:
  ranef feols "y ~ x" panel.parquet --absorb firm,year --cluster firm
""",
    "feglm": """
examples:
  ranef feglm "n ~ x" panel.parquet --family poisson --absorb firm,year --cluster firm
  ranef feglm "ill ~ dose" pairs.csv --family binomial --absorb pair
""",
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Carry out a command line.

    Parameters
    ----------
    arguments : sequence of str, optional
        The arguments; those of the process by default.

    Returns
    -------
    int
        The exit code.
    """
    whole = parser()
    asked, unknown = whole.parse_known_args(arguments)
    if unknown:
        whole.error(unknown_arguments(unknown, asked.options))
    if wrong := contradiction(asked):
        whole.error(wrong)
    log = Log(as_json=asked.log == "json", quiet=asked.log == "none")
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        warnings.showwarning = log.warning  # type: ignore[assignment]
        return guarded(asked, log)


def contradiction(asked: argparse.Namespace) -> str | None:
    """State which options cannot be combined."""
    many = asked.run is run_batch or getattr(asked, "by", None) is not None
    ending = "" if asked.out is None else os.path.splitext(asked.out.rstrip("/"))[1].lower()
    folder = asked.out is not None and not ending
    if asked.out is not None and ending not in WRITERS and not (many and folder):
        also = ", or name a folder" if many else ""
        return f"--out {asked.out!r} must end in {', '.join(WRITERS)}{also}"
    if many and folder and asked.json:
        return "--json goes with a file, or without --out; a folder contains tables of its own"
    if asked.run is run_batch and asked.responses is None and asked.source is None:
        return "give --responses, columns of DATA, or --from, files whose columns they are"
    if asked.run is not run_fit:
        return None
    if asked.by is None and (asked.family or asked.link):
        return "--family goes with --by, or with the command batch; glmer fits one model"
    if asked.by is None and asked.tests:
        return "--tests goes with --by, or with the command batch"
    if asked.by is None and asked.workers is not None and not asked.stream:
        return "--workers goes with --by or --stream"
    if asked.by is not None and asked.ddf == "kenward-roger":
        return "--by takes --ddf residual, inf or satterthwaite"
    return None


def guarded(asked: argparse.Namespace, log: Log) -> int:
    """Run a command; turn an error into one line and an exit code."""
    run: Callable[[argparse.Namespace, Log], bool] = asked.run
    try:
        with listening(log.progress):
            converged = run(asked, log)
    except KeyboardInterrupt:
        log.error("interrupted")
        return INTERRUPTED
    except BrokenPipeError:
        sys.stderr.close()
        return ERROR
    except (RanefError, OSError, ImportError, ValueError, KeyError, TypeError) as error:
        log.error(one_line(error) + hint(error, asked), kind=type(error).__name__)
        return ERROR
    log.info("done", converged=converged)
    return OK if converged else NOT_CONVERGED


def hint(error: Exception, asked: argparse.Namespace) -> str:
    """Name the column that was probably meant, among those that were not read."""
    name, known = getattr(error, "column", None), getattr(asked, "columns", [])
    told = not known or name is None or name in known or "did you mean" in str(error)
    return "" if told else did_you_mean(str(name), known)


def parser() -> argparse.ArgumentParser:
    """Describe the command line."""
    whole = argparse.ArgumentParser(
        prog="ranef",
        description="Mixed models. Without a command, a first example is fitted.",
        epilog=CODES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    whole.add_argument("--version", action="version", version=f"ranef {version('ranef')}")
    commands = whole.add_subparsers(metavar="COMMAND", required=True)
    fit = command(commands, "fit", "fit one model, or one to each group", FIT, FIT_EXAMPLES)
    fit.set_defaults(run=run_fit)
    fit.add_argument(
        "--by", metavar="COLUMNS", help="fit each group of rows of these columns (a,b)"
    )
    fit.add_argument(
        "--stream", action="store_true", help="read rows in chunks; for data larger than memory"
    )
    fit.add_argument(
        "--ddf",
        choices=["satterthwaite", "kenward-roger", "residual", "inf"],
        help="degrees of freedom of the tests (satterthwaite; with --by residual)",
    )
    batch = command(commands, "batch", "fit one model to many responses", BATCH, BATCH_EXAMPLES)
    batch.set_defaults(run=run_batch)
    batch.add_argument(
        "--responses",
        metavar="COLUMNS",
        help="response columns, separated by commas; * and ? match any column's name",
    )
    batch.add_argument(
        "--from",
        dest="source",
        metavar="FILES",
        help="parquet file, folder or quoted pattern whose columns are the responses, read block "
        "by block, a row for each row of DATA; --responses chooses among its columns",
    )
    batch.add_argument(
        "--ddf",
        choices=["residual", "inf", "satterthwaite"],
        help="degrees of freedom of the tests (residual; with --family inf)",
    )
    batch.add_argument(
        "--size-factors", metavar="COLUMN", help="size of each row of counts, as sequencing depth"
    )
    add_single(commands)
    for one in (fit, batch):
        one.add_argument(
            "--tests",
            metavar="HYPOTHESIS",
            action="append",
            default=[],
            help='linear hypothesis such as "x - z = 0", with --by or batch; may be repeated',
        )
        one.add_argument(
            "--family", help="of many fits: binomial, poisson, negative_binomial or gamma"
        )
        one.add_argument("--link", help="link of the family; the usual one by default")
        one.add_argument(
            "--workers", type=positive, metavar="N", help="threads of a batch or stream"
        )
    for one in commands.choices.values():
        one.set_defaults(options=re.findall(r"--[\w-]+", one.format_usage()))
    return whole


def add_single(commands: Any) -> None:
    """Add the commands that fit one model of another kind."""
    for name, short, run in (
        ("glmer", "fit a generalised linear mixed model", run_glmer),
        ("gls", "fit a linear model with correlated residuals", run_gls),
        ("feols", "fit least squares with absorbed factors", run_feols),
        ("feglm", "fit counts, or yes and no, with absorbed factors", run_feglm),
    ):
        one = command(commands, name, short, f"{short.capitalize()}.", SINGLE[name] + CODES)
        one.set_defaults(run=run)
        if name in ("glmer", "feglm"):
            more = ", gamma, ..." if name == "glmer" else ""
            one.add_argument("--family", required=True, help=f"binomial, poisson{more}")
        if name == "glmer":
            one.add_argument("--link", help="link; the usual one by default")
            one.add_argument("--nagq", type=int, default=1, help="quadrature points (%(default)s)")
        if name == "gls":
            one.add_argument("--groups", metavar="COLUMN", help="rows that are correlated")
            one.add_argument("--time", metavar="COLUMN", help="order or time of rows")
            one.add_argument("--corr", default="independence", help="such as ar1 (%(default)s)")
            one.add_argument("--variance", metavar="FORMULA", help='such as "~ x"')
        if name in ("feols", "feglm"):
            one.add_argument("--absorb", metavar="COLUMNS", help="factors to absorb (a,b)")
            one.add_argument(
                "--cluster", metavar="COLUMNS", help="clusters of standard errors (a,b)"
            )


def command(commands: Any, name: str, short: str, text: str, examples: str) -> Any:
    """Add a command with the options that all have."""
    one = commands.add_parser(
        name,
        help=short,
        description=text,
        epilog=examples,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        aliases=["lmer"] if name == "fit" else [],
        allow_abbrev=False,
    )
    one.set_defaults(command=name)
    one.add_argument("formula", metavar="FORMULA", help='such as "y ~ x + (1 + x | pupil)"')
    one.add_argument("data", metavar="DATA", help="file, folder or quoted pattern")
    criterion = one.add_mutually_exclusive_group()
    criterion.add_argument(
        "--reml", action="store_true", default=True, help="restricted likelihood (the default)"
    )
    criterion.add_argument("--ml", dest="reml", action="store_false", help="full likelihood")
    one.add_argument("--weights", metavar="COLUMN", help="precision weights")
    one.add_argument("--offset", metavar="COLUMN", help="known part of the prediction")
    one.add_argument(
        "--out",
        metavar="PATH",
        help="write the table to a .parquet, .csv, .feather or .json file; many fits (batch, --by) "
        "also to a folder, part by part",
    )
    one.add_argument("--json", action="store_true", help="print JSON instead of text")
    one.add_argument(
        "--log",
        choices=["text", "json", "none"],
        default="text",
        help="messages on standard error: warnings and errors as lines of text, everything as "
        "JSON lines, or errors only",
    )
    return one


def positive(text: str) -> int:
    """Read a positive integer."""
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError(f"{text} is not a positive integer")
    return number
