"""Cross-validation of mixed models that keeps apart what must be kept apart."""

from __future__ import annotations

from typing import Any

from ..comparison.crossval import by_refits, closed_form, divided
from ..errors import UnsupportedError
from ..fitted.glmm.model import GeneralizedLinearMixedModel
from ..fitted.kinds import Model, check_mixed
from ..report.predictive import CrossValidation
from ..words.answers import answering

__all__ = ["cross_validate"]


@answering
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
        return closed_form(model, scheme, group, progress)
    if folds is not None and scheme not in ("new_groups", "new_rows"):
        raise ValueError("folds goes with scheme='new_groups' or 'new_rows'; others make their own")
    return by_refits(model, scheme, divided(model, scheme, group, folds, time, seed), progress)
