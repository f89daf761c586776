"""Validation: closed form or refits, folds, tables."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ..design.frame import open_frame
from ..errors import ModelError, UnsupportedError
from ..fitted.kinds import Model
from ..fitted.lmm.model import LinearMixedModel
from ..inference.crossval.crossval import LeftOut, leave_groups_out, leave_rows_out, log_density
from ..inference.crossval.folds import Fold, forecast_folds, group_folds, row_folds, splitter_folds
from ..inference.priors.parts import prior_parts
from ..report.predictive import CrossValidation, fold_table, score_table
from .refits import predict_folds

__all__ = [
    "by_refits",
    "closed_form",
    "divided",
    "grouping_factor",
    "leakage",
    "row_table",
    "times",
    "unidentified",
]


def grouping_factor(model: Model, group: str | None) -> int:
    """Return the position of the term of a grouping factor; the only one when none is named."""
    known = [term.group for term in model.parts.design.bars]
    if not known:
        raise ModelError("the model has no grouping factor; leave rows out: scheme='new_rows'")
    if group is None:
        if len(known) == 1:
            return 0
        raise ValueError(
            f"the model has the grouping factors {', '.join(known)}; say which is new by group="
        )
    if group not in known:
        raise ValueError(f"group must be one of {', '.join(known)}, not {group!r}")
    return known.index(group)


def closed_form(
    model: LinearMixedModel, scheme: str, group: str | None, progress: bool
) -> CrossValidation:
    """Leave out groups, or rows, one by one."""
    if scheme == "new_groups" and prior_parts(model.call.prior).fixed is not None:
        raise UnsupportedError(
            "groups are left out in closed form without a prior of the fixed effects; give folds= "
            "to refit with it"
        )
    fit = (model.parts.design, model.parts.estimate, model.parts.core)
    if scheme == "new_rows":
        what, found = "rows one by one", leave_rows_out(*fit, progress=progress)
    else:
        term = grouping_factor(model, group)
        what, found = (
            f"levels of {model.parts.design.random[term].group} one by one",
            leave_groups_out(*fit, term, progress=progress),
        )
    scores = {
        "mean": found.mean,
        "sd": found.sd,
        "log_score": log_density(model.parts.design.y, found.mean, found.sd),
    }
    rows = row_table(model, np.arange(model.nobs), found.fold, scores)
    folds = fold_table(rows)
    if scheme == "new_groups":
        folds["joint_log_score"] = found.joint
        folds.index = pd.Index(model.parts.design.random[term].levels, name=what.split()[2])
    notes = [
        f"{what}, in closed form: fixed and random effects by the other rows, covariance "
        "parameters held at the estimates of the whole fit",
        *unidentified(found),
        *([] if scheme == "new_groups" else ["for new rows of groups that the fit knows"]),
    ]
    return CrossValidation(score_table(rows), tuple(notes), rows, folds, what)


def unidentified(found: LeftOut) -> list[str]:
    """Say how many rows have no prediction."""
    lost = int(np.isnan(found.mean).sum())
    if not lost:
        return []
    return [
        f"{lost} rows have no prediction and no score: without their fold a fixed effect that they "
        "need cannot be estimated"
    ]


def divided(
    model: Model,
    scheme: Any,
    group: str | None,
    folds: int | None,
    time: str | None,
    seed: Any,
) -> tuple[str, list[Fold]]:
    """Return the name of a scheme and its folds."""
    design = model.parts.design
    if isinstance(scheme, str) and scheme == "new_rows" and folds:
        return f"{folds} random parts of the rows", row_folds(design.n_obs, folds, seed)
    if isinstance(scheme, str) and scheme == "new_groups" and folds:
        term = design.random[grouping_factor(model, group)]
        return f"{folds} random parts of {term.group}", group_folds(term.codes, folds, seed)
    if isinstance(scheme, str) and scheme == "forecast":
        return f"the next {time} from those before", forecast_folds(times(model, time))
    term = design.random[0 if group is None else grouping_factor(model, group)]
    return "folds of the splitter", splitter_folds(scheme, design.n_obs, term.codes)


def times(model: Model, time: str | None) -> NDArray[Any]:
    """Read the time of each row of the model."""
    if time is None:
        raise ValueError("scheme='forecast' needs the column that holds the time: time='...'")
    values = open_frame(model.parts.training_data()).series(time)
    rows = model.parts.design.rows
    values = values if rows is None else values.iloc[rows]
    if values.isna().any():
        raise ModelError(f"column {time!r} has missing values in rows that the model uses")
    return values.cat.codes.to_numpy() if hasattr(values, "cat") else values.to_numpy()


def by_refits(
    model: Model, scheme: Any, divided: tuple[str, list[Fold]], progress: bool
) -> CrossValidation:
    """Fit without each fold."""
    what, folds = divided
    found = predict_folds(model, folds, progress=progress)
    rows = row_table(model, found.rows, found.fold, found.scores)
    notes = [f"{what}: {len(folds)} fits, each without the rows that it predicts"]
    notes += [leakage(model, folds)] if scheme != "new_groups" else []
    notes += [f"{count} of {len(folds)} fits gave a {kind}" for kind, count in found.warned.items()]
    return CrossValidation(score_table(rows), tuple(notes), rows, fold_table(rows), what)


def leakage(model: Model, folds: Sequence[Fold]) -> str:
    """Say for which groups the training rows tell something about the test rows."""
    shared = []
    for term in model.parts.design.bars:
        count = sum(
            bool(np.isin(term.codes[test], term.codes[train]).any()) for train, test in folds
        )
        if count:
            shared.append(f"{term.group} in {count} of {len(folds)} folds")
    if not shared:
        return "no group is on both sides of a fold: the scores are for new groups"
    return (
        f"groups are on both sides ({', '.join(shared)}): the scores are for new rows of groups "
        "that the fit knows"
    )


def row_table(
    model: Model,
    rows: NDArray[np.intp],
    fold: NDArray[np.intp],
    scores: dict[str, NDArray[np.float64]],
) -> pd.DataFrame:
    """Predictions row by row, labelled as the caller's rows."""
    index = model.fittedvalues.index[rows]
    return pd.DataFrame({"fold": fold, "y": model.parts.design.y[rows], **scores}, index=index)
