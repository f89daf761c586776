"""What the commands of the command line do."""

from __future__ import annotations

import argparse
import fnmatch
import glob
import json
import os
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

import pandas as pd

from ..api.fit_groups import fit_groups
from ..api.fit_many import fit_many
from ..api.lmer import lmer
from ..chunks.files import open_files
from ..errors import DataError
from ..fitted.lmm.cross_products import CrossProducts
from ..fitted.lmm.model import LinearMixedModel
from ..parallel.writing import check_not_input, whole_file
from .log import Log, plain

__all__ = ["WRITERS", "run_batch", "run_fit"]

#: How a table is written, by the ending of the file's name.
WRITERS: dict[str, Callable[[pd.DataFrame, str], object]] = {
    ".parquet": lambda table, path: table.to_parquet(path, index=False),
    ".feather": lambda table, path: table.to_feather(path),
    ".csv": lambda table, path: table.to_csv(path, index=False),
    ".json": lambda table, path: Path(path).write_text(records(table), encoding="utf-8"),
}


def run_fit(asked: argparse.Namespace, log: Log) -> bool:
    """Fit one model, or one to each group; return whether all converged."""
    check_out(asked.out, asked.data)
    log.info("start", command="fit", formula=asked.formula, data=asked.data)
    if asked.by is not None:
        return run_groups(asked, log)
    sums = CrossProducts(asked.formula, weights=asked.weights, offset=asked.offset)
    data = asked.data if asked.stream else read(asked, log, sums.asks_for)
    start = time.perf_counter()
    model = lmer(
        asked.formula,
        data,
        reml=asked.reml,
        weights=asked.weights,
        offset=asked.offset,
        executor=partial(ThreadPoolExecutor, asked.workers) if asked.workers else None,
        progress=asked.log == "text",
    )
    converged = bool(model.convergence.converged)
    log.info(
        "fit",
        seconds=time.perf_counter() - start,
        rows=model.nobs,
        llf=model.llf,
        singular=model.is_singular,
        verdict=model.convergence.verdict,
    )
    ddf = asked.ddf or "satterthwaite"
    if asked.out is not None:
        write(tidy(model, ddf), asked.out, log)
    if asked.json:
        print(json.dumps(plain(described(model, ddf)), indent=1))
    elif asked.out is None:
        print(model.summary(ddf=ddf))
    return converged


def run_groups(asked: argparse.Namespace, log: Log) -> bool:
    """Fit one model to each group."""
    by = asked.by.split(",")
    asks_for = CrossProducts(asked.formula, weights=asked.weights, offset=asked.offset).asks_for
    data = asked.data if asked.stream else read(asked, log, lambda n: n in by or asks_for(n))
    result = fit_groups(asked.formula, data, by, **options(asked))
    return finish(result, asked, log)


def run_batch(asked: argparse.Namespace, log: Log) -> bool:
    """Fit one model to many responses."""
    check_out(asked.out, asked.data)
    log.info("start", command="batch", formula=asked.formula, data=asked.data)
    data = read(asked, log, lambda name: True)
    responses = responses_of(asked, list(data.columns))
    sizes = asked.size_factors
    result = fit_many(asked.formula, data, responses, size_factors=sizes, **options(asked))
    return finish(result, asked, log)


def responses_of(asked: argparse.Namespace, names: list[str]) -> Any:
    """Return columns of the data, or a source of others that is read block by block."""
    patterns = None if asked.responses is None else asked.responses.split(",")
    if asked.source is None:
        return matching(patterns or [], names)
    if not (os.path.exists(asked.source) or glob.glob(asked.source, recursive=True)):
        raise DataError(f"--from: no file is called or matches {asked.source!r}", asked.source)
    if patterns is None:
        return asked.source
    source = open_files(asked.source)
    chosen = matching(patterns, list(source.schema.names))
    return lambda: ({name: column} for name in chosen for column in [column_of(source, name)])


def column_of(source: Any, name: str) -> Any:
    """Read one column of files."""
    return source.to_table(columns=[name])[name].to_numpy()


def options(asked: argparse.Namespace) -> dict[str, Any]:
    """Return the arguments that both kinds of batch take."""
    return {
        "weights": asked.weights,
        "offset": asked.offset,
        "reml": asked.reml,
        "tests": asked.tests,
        "ddf": asked.ddf or ("residual" if asked.family is None else None),
        "family": asked.family,
        "link": asked.link,
        "workers": asked.workers,
        "progress": asked.log == "text",
        **({"out": asked.out} if is_folder(asked.out) else {}),
    }


def is_folder(path: str | None) -> bool:
    """Tell a folder, which has no ending, from a file."""
    return path is not None and not os.path.splitext(path.rstrip("/"))[1]


def told(fits: pd.DataFrame, key: list[str], before: int, log: Log) -> set[str]:
    """Report the states of the fits, and name the first that did not converge."""
    counts = fits["status"].value_counts().to_dict()
    log.info("fits", fits=len(fits), kept=before, status=counts)
    other = fits[fits["status"] != "converged"]
    for row in other.head(10).to_dict("records"):
        log.info("not converged", **{name: row[name] for name in key}, status=row["status"])
    return {str(status) for status in counts}


def finish(result: Any, asked: argparse.Namespace, log: Log) -> bool:
    """Write a batch; each row of the table carries its fit's status."""
    fits = result.fits
    key = list(fits.columns[: list(fits.columns).index("nobs")])
    before = result.kept if is_folder(asked.out) else 0
    states = told(fits, key, before, log)
    if is_folder(asked.out):
        log.info("written", file=asked.out, rows=len(result.table))
        if asked.log == "text":
            print(result)
            if before:
                print(found_before(before, len(fits)))
        return states <= {"converged"} and not result.interrupted
    scale = [name for name in ("sigma", "dispersion") if name in fits]
    columns = [*key, "nobs", *scale, "llf", "singular", "status"]
    table = result.table.merge(fits[columns], on=key, how="left", sort=False)
    if asked.out is not None:
        write(table, asked.out, log)
    if asked.json:
        print(records(table))
    elif asked.out is None:
        print(table.to_string(index=False))
    return states <= {"converged"}


def found_before(before: int, fits: int) -> str:
    """State how many fits an earlier run had made."""
    if before == fits:
        return f"all {fits} fits were there already; nothing was fitted"
    return f"{before} of {fits} fits were there from a run that was stopped"


def read(asked: argparse.Namespace, log: Log, wanted: Callable[[str], bool]) -> pd.DataFrame:
    """Read the columns that are wanted into memory."""
    dataset = open_files(asked.data)
    asked.columns = list(dataset.schema.names)
    names = [name for name in asked.columns if wanted(name)]
    try:
        table = dataset.to_table(columns=names)
    except (OSError, ValueError) as error:
        raise DataError(f"{asked.data!r} cannot be read: {error}") from error
    log.info("read", rows=table.num_rows, columns=len(names))
    return table.to_pandas()  # type: ignore[no-any-return]


def matching(patterns: list[str], names: list[str]) -> list[str]:
    """Return the columns that names or patterns ask for, in the data's order within a pattern."""
    found: dict[str, None] = {}
    for pattern in patterns:
        hits = [pattern] if pattern in names else fnmatch.filter(names, pattern)
        if not hits:
            hint = "; files of responses are named by --from" if os.path.exists(pattern) else ""
            raise DataError(
                f"--responses: no column is called or matches {pattern!r}{hint}", pattern
            )
        found.update(dict.fromkeys(hits))
    return list(found)


def tidy(model: LinearMixedModel, ddf: str) -> pd.DataFrame:
    """Return the model's tidy table with the tests that were asked for."""
    table = model.tidy()
    tests = model.coef_table(ddf=ddf)
    columns = ["estimate", "std.error", "statistic", "df", "p.value"]
    fixed = (table["effect"] == "fixed").to_numpy()
    table.loc[fixed, columns] = tests[
        ["estimate", "se", "z" if "z" in tests else "t", "df", "pvalue"]
    ].to_numpy()
    return table


def described(model: LinearMixedModel, ddf: str) -> dict[str, Any]:
    """Turn a fit into what JSON can hold."""
    fixed = model.coef_table(ddf=ddf)
    return {
        "formula": model.call.formula,
        "reml": model.reml,
        "nobs": model.nobs,
        "groups": dict(model.ngroups),
        "llf": model.llf,
        "aic": model.aic,
        "bic": model.bic,
        "sigma": model.sigma,
        "fixed": [{"term": name, **row} for name, row in fixed.to_dict("index").items()],
        "random": model.varcorr.to_frame().to_dict("records"),
        "converged": model.convergence.converged,
        "verdict": model.convergence.verdict,
        "singular": model.is_singular,
        "warnings": [" ".join(str(w).split()) for w in model.warnings],
    }


def records(table: pd.DataFrame) -> str:
    """Write a table as a list of JSON objects, numbers in full precision."""
    return json.dumps(plain(table.to_dict("records")), indent=1)


def check_out(path: str | None, data: str) -> None:
    """Refuse a file that cannot be written before anything is fitted."""
    if path is None:
        return
    check_not_input(path, data, "--out")
    folder = os.path.dirname(os.path.abspath(path.rstrip("/")))
    if not os.access(folder, os.W_OK):
        raise DataError(f"--out {path!r}: the folder {folder!r} is not there or not writable")


def write(table: pd.DataFrame, path: str, log: Log) -> None:
    """Write a table under a temporary name and then rename it: all or nothing."""
    ending = os.path.splitext(path)[1].lower()
    with whole_file(path) as partial:
        WRITERS[ending](table, partial)
    log.info("written", file=path, rows=len(table))
