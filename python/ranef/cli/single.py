"""Commands that fit one model of a kind other than lmer's."""

from __future__ import annotations

import argparse
import json
import time
from typing import Any

import pandas as pd

from ..api.feglm import feglm
from ..api.feols import feols
from ..api.glmer import glmer
from ..api.gls import gls
from .log import Log, plain
from .run import check_out, read, write

__all__ = ["run_feglm", "run_feols", "run_glmer", "run_gls"]


def run_glmer(asked: argparse.Namespace, log: Log) -> bool:
    """Fit a generalised linear mixed model; return whether it converged."""
    data = started(asked, log)
    options = {"family": asked.family, "link": asked.link, "nagq": asked.nagq}
    return finished(asked, log, lambda: glmer(asked.formula, data, **options, **columns(asked)))


def run_gls(asked: argparse.Namespace, log: Log) -> bool:
    """Fit a linear model with correlated residuals; return whether it converged."""
    data = started(asked, log)
    options = {name: getattr(asked, name) for name in ("groups", "time", "corr", "variance")}
    options["reml"] = asked.reml
    return finished(asked, log, lambda: gls(asked.formula, data, **options, **columns(asked)))


def run_feols(asked: argparse.Namespace, log: Log) -> bool:
    """Fit least squares with absorbed factors."""
    data, options = started(asked, log), absorbing(asked)
    return finished(asked, log, lambda: feols(asked.formula, data, **options))


def run_feglm(asked: argparse.Namespace, log: Log) -> bool:
    """Fit counts, or yes and no, with absorbed factors; return whether it converged."""
    data, options = started(asked, log), absorbing(asked)
    return finished(asked, log, lambda: feglm(asked.formula, data, family=asked.family, **options))


def absorbing(asked: argparse.Namespace) -> dict[str, Any]:
    """Return the options of models with absorbed factors."""
    return {"absorb": names(asked.absorb), "cluster": names(asked.cluster), **columns(asked)}


def names(text: str | None) -> list[str] | None:
    """Read names that commas separate."""
    return None if text is None else [name.strip() for name in text.split(",")]


def columns(asked: argparse.Namespace) -> dict[str, Any]:
    """Return the column options that every fit may have."""
    return {"weights": asked.weights, "offset": asked.offset}


def started(asked: argparse.Namespace, log: Log) -> pd.DataFrame:
    """Read the data, once the result can be written."""
    check_out(asked.out, asked.data)
    log.info("start", command=asked.command, formula=asked.formula, data=asked.data)
    return read(asked, log, lambda name: True)


def finished(asked: argparse.Namespace, log: Log, fit: Any) -> bool:
    """Fit, and write what was asked for."""
    start = time.perf_counter()
    model = fit()
    converged = bool(model.converged)
    log.info("fit", seconds=time.perf_counter() - start, rows=model.nobs, converged=converged)
    table = model.tidy(conf_int=True)
    if asked.out is not None:
        write(table, asked.out, log)
    if asked.json:
        described = {
            "formula": asked.formula,
            **{name: getattr(model, name, None) for name in ("nobs", "llf", "aic", "bic", "sigma")},
            "fixed": [
                {"term": name, **row} for name, row in model.coef_table().to_dict("index").items()
            ],
            "terms": table.to_dict("records"),
            "converged": converged,
            "singular": bool(getattr(model, "is_singular", False)),
            "warnings": [" ".join(str(w).split()) for w in model.warnings],
        }
        print(json.dumps(plain(described), indent=1))
    elif asked.out is None:
        print(model.summary())
    return converged
