"""Work through the usual order of remedies for a fit in trouble."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pandas as pd

from ..fitted.kinds import Model, check_mixed
from ..report.prescription import Prescription
from ..trust.diagnosis import diagnosis_of
from ..trust.troubles import COLUMNS, TROUBLES, effects, tried
from ..words.answers import answering

__all__ = ["doctor"]


@answering
def doctor(model: Model, data: Any = None) -> Prescription:
    """Work through the usual remedies and return the smallest change that helps.

    In this order: look at the data (labels used again), simplify the fixed part, change units, few
    levels to fixed effects, drop columns, correlations and variances that are estimated as zero,
    restart, other optimisers, another estimator. A change helps when its fit converges, is not
    singular and has none of the model's problems; where one change is not enough, up to three are
    made one after another.

    Parameters
    ----------
    model : LinearMixedModel, or a model of ranef.glmer with one predictor
        A fitted model.
    data : DataFrame, optional
        Its data, if the model was unpickled and no longer has them.

    Returns
    -------
    Prescription
        ``table`` with what each change does to likelihood, coefficients and standard errors, the
        changed ``model`` and its ``code``.

    Notes
    -----
    The smallest change is the one that leaves most of the model as it is: a restart leaves all of
    it; then come nested labels, columns that others span, variances of zero, correlations, factors
    of few levels, a family of responses that vary more, a prior on the covariances, and last least
    squares without groups.

    Examples
    --------
    >>> import ranef
    >>> sleep = ranef.datasets.load("sleepstudy")
    >>> ranef.doctor(ranef.lmer("Reaction ~ Days + (Days | Subject)", sleep))
    Nothing to do: the model has converged and is not singular.
    """
    check_mixed(model, "doctor", generalised=True)
    if data is not None:
        model = type(model)(replace(model.parts, data=data))  # type: ignore[arg-type]
    found = diagnosis_of(model)
    troubles = tuple(code for code in TROUBLES if code in found.codes)
    rows: list[list[object]] = []
    names: list[str] = []
    helpers: list[tuple[int, str, Any]] = []
    for names_, remedy, changed, helps in tried(model, found) if troubles else ():
        names.append(", then ".join(names_))
        rows.append([*effects(model, changed), helps, remedy.code])
        if helps:
            helpers.append((remedy.size, remedy.code, changed))
    table = pd.DataFrame(rows, index=pd.Index(names, dtype=object), columns=[*COLUMNS, "code"])
    _, code, best = min(helpers, key=lambda h: h[0], default=(0, "", model))
    return Prescription(found, troubles, table, best, code)
