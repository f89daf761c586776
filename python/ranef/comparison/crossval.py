"""Validation: closed form or refits, folds, tables."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from .._counted import counted
from .._options import check_name
from ..design.design import RandomTerm
from ..errors import ModelError, UnsupportedError
from ..fitted.feglm.model import GeneralizedFixedEffectsModel
from ..fitted.gls.model import GLSModel
from ..fitted.lmm.model import LinearMixedModel
from ..inference.crossval.crossval import LeftOut, leave_groups_out, leave_rows_out, log_density
from ..inference.crossval.folds import Fold, forecast_folds, group_folds, row_folds, splitter_folds
from ..inference.priors.parts import prior_parts
from ..report.predictive import CrossValidation, fold_table, score_table
from .groupings import column_of_rows, group_codes, groupings
from .refits import predict_folds

__all__ = [
    "by_refits",
    "check_probabilities",
    "closed_form",
    "divided",
    "grouping_factor",
    "leakage",
    "row_table",
    "times",
    "unidentified",
]


def grouping_factor(model: Any, group: str | None) -> int:
    """Return the position of a grouping factor's term; of the only one if none is named."""
    known = [term.group for term in model.parts.design.bars]
    if not known:
        raise ModelError("the model has no grouping factor; leave rows out: scheme='new_rows'")
    if group is None:
        if len(known) == 1:
            return 0
        raise ValueError(
            f"the model has the grouping factors {', '.join(known)}; say which is new by group="
        )
    return known.index(check_name("group", group, known))


def closed_form(
    model: LinearMixedModel, scheme: str, group: str | None, progress: bool
) -> CrossValidation:
    """Leave out groups, or rows, one by one."""
    if scheme == "new_groups" and prior_parts(model.call.prior).fixed is not None:
        raise UnsupportedError(
            "groups are left out in closed form without a prior of the fixed effects; pass folds= "
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
    rows.insert(1, "unit", found.fold)
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
    """State how many rows have no prediction."""
    lost = int(np.isnan(found.mean).sum())
    if not lost:
        return []
    return [
        f"{counted(lost, 'row has', 'rows have')} no prediction and no score: without the fold a "
        "fixed effect that is needed there cannot be estimated"
    ]


def divided(
    model: Any,
    scheme: Any,
    group: str | None,
    folds: int | None,
    time: str | None,
    seed: Any,
    repeats: int = 1,
) -> tuple[str, list[Fold], NDArray[np.intp] | None]:
    """Return the name of a scheme, its folds, and what rows belong together, (n,), if anything."""
    n = model.parts.design.n_obs
    rng = np.random.default_rng(seed)
    again = "" if repeats == 1 else f", {counted(repeats, 'time')}"
    if isinstance(scheme, str) and scheme == "new_rows" and folds:
        every = [fold for _ in range(repeats) for fold in row_folds(n, folds, rng)]
        return f"{counted(folds, 'random part')} of the rows{again}", every, None
    if isinstance(scheme, str) and scheme == "new_groups" and folds:
        name, codes = group_codes(model, group)
        every = [fold for _ in range(repeats) for fold in group_folds(codes, folds, rng)]
        return f"{counted(folds, 'random part')} of {name}{again}", every, codes
    if isinstance(scheme, str) and scheme == "forecast":
        return f"the next {time} from those before", forecast_folds(times(model, time)), None
    codes = np.arange(n)
    if group is not None or groupings(model):
        codes = group_codes(model, group or next(iter(groupings(model))))[1]
    return "folds of the splitter", splitter_folds(scheme, n, codes), None


def times(model: Any, time: str | None) -> NDArray[Any]:
    """Read the time of each row of the model."""
    if time is None:
        raise ValueError("scheme='forecast' needs the column that holds the time: time='...'")
    values = column_of_rows(model, time)
    return values.cat.codes.to_numpy() if hasattr(values, "cat") else values.to_numpy()


def by_refits(
    model: Any,
    scheme: Any,
    divided: tuple[str, list[Fold], NDArray[np.intp] | None],
    progress: bool,
) -> CrossValidation:
    """Fit without each fold."""
    what, folds, units = divided
    found = predict_folds(model, folds, progress=progress)
    rows = row_table(model, found.rows, found.fold, found.scores)
    rows.insert(1, "unit", found.rows if units is None else units[found.rows])
    notes = [f"{what}: {counted(len(folds), 'fit')}, each without the rows that it predicts"]
    notes += [leakage(model, folds)] if scheme != "new_groups" else []
    if isinstance(model, GLSModel) and scheme != "new_groups":
        notes.append("predictions are the population's: residuals of a known group are not used")
    notes += [f"{count} of {len(folds)} fits gave a {kind}" for kind, count in found.warned.items()]
    return CrossValidation(score_table(rows), tuple(notes), rows, fold_table(rows), what)


def leakage(model: Any, folds: Sequence[Fold]) -> str:
    """State for which groups the training rows tell something about the test rows."""
    shared = []
    for name, codes in groupings(model).items():
        count = sum(bool(np.isin(codes[test], codes[train]).any()) for train, test in folds)
        if count:
            shared.append(f"{name} in {count} of {counted(len(folds), 'fold')}")
    for term in getattr(model.parts.design, "bars", ()):
        count = 0 if term.is_single else sum(shares_levels(term, *fold) for fold in folds)
        if count:
            shared.append(f"{term.group} in {count} of {counted(len(folds), 'fold')}")
    if not shared:
        return "no group is on both sides of a fold: the scores are for new groups"
    return (
        f"groups are on both sides ({', '.join(shared)}): the scores are for new rows of groups "
        "that the fit knows"
    )


def shares_levels(term: RandomTerm, test: Any, train: Any) -> bool:
    """Return whether rows of a term with several levels a row have some in common with others."""
    found = [
        [codes[rows] if w is None else codes[rows][w[rows] > 0.0] for codes, w in term.memberships]
        for rows in (test, train)
    ]
    inside, outside = map(np.concatenate, found)
    return bool(np.isin(inside, outside).any())


def row_table(
    model: Any,
    rows: NDArray[np.intp],
    fold: NDArray[np.intp],
    scores: dict[str, NDArray[np.float64]],
) -> pd.DataFrame:
    """Predictions row by row, labelled as the caller's rows."""
    index = model.fittedvalues.index[rows]
    return pd.DataFrame({"fold": fold, "y": model.parts.design.y[rows], **scores}, index=index)


def check_probabilities(model: GeneralizedFixedEffectsModel) -> None:
    """Refuse models without probabilities of new rows."""
    if model.parts.is_conditional:
        raise UnsupportedError(
            "a conditional likelihood has no probabilities of new rows, since no effect of a group "
            "is estimated; cross-validate ranef.glmer, or write the factor into the formula"
        )
