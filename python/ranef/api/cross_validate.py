"""Cross-validation of mixed models that keeps apart what must be kept apart."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ..compare.models import Model, check_mixed
from ..compare.refits import predict_folds
from ..design.frame import open_frame
from ..errors import ModelError, UnsupportedError
from ..fitted.glmm.model import GeneralizedLinearMixedModel
from ..fitted.lmm.model import LinearMixedModel
from ..inference.crossval.crossval import LeftOut, leave_groups_out, leave_rows_out, log_density
from ..inference.crossval.folds import Fold, forecast_folds, group_folds, row_folds, splitter_folds
from ..inference.priors.parts import prior_parts
from ..report.predictive import CrossValidation, fold_table, score_table

__all__ = ["cross_validate", "grouping_factor"]


def cross_validate(
    model: Model,
    scheme: Any = "new_groups",
    *,
    group: str | None = None,
    folds: int | None = None,
    time: str | None = None,
    seed: Any = None,
    progress: bool = True,
) -> CrossValidation:
    """Score a model by predictions of rows that it was not fitted to.

    Parameters
    ----------
    model : LinearMixedModel or GeneralizedLinearMixedModel
        A fitted model.
    scheme : {"new_groups", "new_rows", "forecast"} or splitter
        What the predictions are for. "new_groups": people not seen before, all rows of a level of
        ``group`` left out together. "new_rows": more rows of the groups at hand. "forecast": the
        next time, from the times before it. Or an object with ``split(X, y, groups)``, or pairs of
        row positions (train, test) among the rows that the model uses.
    group : str, optional
        Grouping factor for "new_groups", and the groups of a splitter; needed when there are
        several.
    folds : int, optional
        Number of parts for "new_groups" and "new_rows". By default groups, or rows, are left out
        one by one, in closed form; a generalised model has none and needs the number.
    time : str, optional
        Column that holds the time, for "forecast".
    seed : int or Generator, optional
        Makes the division into ``folds`` repeatable.
    progress : bool
        Whether to show a progress bar when it takes longer than a second.

    Returns
    -------
    CrossValidation
        ``table`` of scores, ``rows`` and ``folds`` behind it, ``notes``.

    Raises
    ------
    ModelError
        If a fit without a fold fails, or a splitter's train and test rows overlap.

    Notes
    -----
    Left out one by one, rows and groups are predicted in closed form: the fixed and random effects
    are those that the other rows give, exactly, while the covariance parameters are held at the
    fit's estimates. Everything else refits the call on the training rows alone, what formulas learn
    from data included, so that nothing of the test rows is known to the fit.

    Predictions of a generalised model are the family's distribution, mixed over the error of the
    linear predictor. ``table`` has its mean log probability (or density) as log_score, the deviance
    of a row from the predicted mean (that of a gamma in units of phi, none for a negative
    binomial), and of a binomial response the Brier score of a trial.

    Random rows of known groups flatter a model that is meant for new groups.

    Examples
    --------
    >>> import ranef
    >>> sleep = ranef.datasets.load("sleepstudy")
    >>> model = ranef.lmer("Reaction ~ Days + (Days | Subject)", sleep)
    >>> ranef.cross_validate(model).table[["rows", "folds", "rmse"]].round(1)
         rows  folds  rmse
    all   180     18  49.6
    """
    check_mixed(model, "cross_validate", generalised=True)
    if isinstance(scheme, str) and scheme in ("new_groups", "new_rows") and folds is None:
        if isinstance(model, GeneralizedLinearMixedModel):
            raise UnsupportedError(
                "rows and groups are left out one by one in closed form for normal responses only; "
                f"give cross_validate(model, {scheme!r}, folds=10) to refit a generalised model"
            )
        return _closed_form(model, scheme, group, progress)
    if folds is not None and scheme not in ("new_groups", "new_rows"):
        raise ValueError("folds goes with scheme='new_groups' or 'new_rows'; others make their own")
    return _by_refits(model, scheme, _divided(model, scheme, group, folds, time, seed), progress)


def grouping_factor(model: Model, group: str | None) -> int:
    """Give the position of the term of a grouping factor; the only one when none is named."""
    known = [term.group for term in model._design.random]
    if group is None:
        if len(known) == 1:
            return 0
        raise ValueError(
            f"the model has the grouping factors {', '.join(known)}; say which is new by group="
        )
    if group not in known:
        raise ValueError(f"group must be one of {', '.join(known)}, not {group!r}")
    return known.index(group)


def _closed_form(
    model: LinearMixedModel, scheme: str, group: str | None, progress: bool
) -> CrossValidation:
    """Leave out groups, or rows, one by one."""
    if scheme == "new_groups" and prior_parts(model.call.prior).fixed is not None:
        raise UnsupportedError(
            "groups are left out in closed form without a prior of the fixed effects; give folds= "
            "to refit with it"
        )
    fit = (model._design, model._estimate, model._core)
    if scheme == "new_rows":
        what, found = "rows one by one", leave_rows_out(*fit, progress=progress)
    else:
        term = grouping_factor(model, group)
        what, found = (
            f"levels of {model._design.random[term].group} one by one",
            leave_groups_out(*fit, term, progress=progress),
        )
    scores = {
        "mean": found.mean,
        "sd": found.sd,
        "log_score": log_density(model._design.y, found.mean, found.sd),
    }
    rows = _row_table(model, np.arange(model.nobs), found.fold, scores)
    folds = fold_table(rows)
    if scheme == "new_groups":
        folds["joint_log_score"] = found.joint
        folds.index = pd.Index(model._design.random[term].levels, name=what.split()[2])
    notes = [
        f"{what}, in closed form: fixed and random effects by the other rows, covariance "
        "parameters held at the estimates of the whole fit",
        *_unidentified(found),
        *([] if scheme == "new_groups" else ["for new rows of groups that the fit knows"]),
    ]
    return CrossValidation(score_table(rows), tuple(notes), rows, folds, what)


def _unidentified(found: LeftOut) -> list[str]:
    """Say how many rows have no prediction."""
    lost = int(np.isnan(found.mean).sum())
    if not lost:
        return []
    return [
        f"{lost} rows have no prediction and no score: without their fold a fixed effect that they "
        "need cannot be estimated"
    ]


def _divided(
    model: Model,
    scheme: Any,
    group: str | None,
    folds: int | None,
    time: str | None,
    seed: Any,
) -> tuple[str, list[Fold]]:
    """Give the name of a scheme and its folds."""
    design = model._design
    if isinstance(scheme, str) and scheme == "new_rows" and folds:
        return f"{folds} random parts of the rows", row_folds(design.n_obs, folds, seed)
    if isinstance(scheme, str) and scheme == "new_groups" and folds:
        term = design.random[grouping_factor(model, group)]
        return f"{folds} random parts of {term.group}", group_folds(term.codes, folds, seed)
    if isinstance(scheme, str) and scheme == "forecast":
        return f"the next {time} from those before", forecast_folds(_times(model, time))
    term = design.random[0 if group is None else grouping_factor(model, group)]
    return "folds of the splitter", splitter_folds(scheme, design.n_obs, term.codes)


def _times(model: Model, time: str | None) -> NDArray[Any]:
    """Read the time of each row of the model."""
    if time is None:
        raise ValueError("scheme='forecast' needs the column that holds the time: time='...'")
    values = open_frame(model._training_data()).series(time)
    rows = model._design.rows
    values = values if rows is None else values.iloc[rows]
    if values.isna().any():
        raise ModelError(f"column {time!r} has missing values in rows that the model uses")
    return values.cat.codes.to_numpy() if hasattr(values, "cat") else values.to_numpy()


def _by_refits(
    model: Model, scheme: Any, divided: tuple[str, list[Fold]], progress: bool
) -> CrossValidation:
    """Fit without each fold."""
    what, folds = divided
    found = predict_folds(model, folds, progress=progress)
    rows = _row_table(model, found.rows, found.fold, found.scores)
    notes = [f"{what}: {len(folds)} fits, each without the rows that it predicts"]
    notes += [_leakage(model, folds)] if scheme != "new_groups" else []
    notes += [f"{count} of {len(folds)} fits gave a {kind}" for kind, count in found.warned.items()]
    return CrossValidation(score_table(rows), tuple(notes), rows, fold_table(rows), what)


def _leakage(model: Model, folds: Sequence[Fold]) -> str:
    """Say for which groups the training rows tell something about the test rows."""
    shared = []
    for term in model._design.random:
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


def _row_table(
    model: Model,
    rows: NDArray[np.intp],
    fold: NDArray[np.intp],
    scores: dict[str, NDArray[np.float64]],
) -> pd.DataFrame:
    """Predictions row by row, labelled as the caller's rows."""
    index = model.fittedvalues.index[rows]
    return pd.DataFrame({"fold": fold, "y": model._design.y[rows], **scores}, index=index)
