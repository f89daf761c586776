"""Cross-validation of mixed models without leakage between folds."""

from __future__ import annotations

from numbers import Integral
from typing import Any

from ..comparison.crossval import by_refits, check_probabilities, closed_form, divided
from ..errors import UnsupportedError
from ..fitted.feglm.model import GeneralizedFixedEffectsModel
from ..fitted.feols.model import FixedEffectsModel
from ..fitted.gee.model import GEEModel
from ..fitted.gls.model import GLSModel
from ..fitted.kinds import check_mixed
from ..fitted.lmm.model import LinearMixedModel
from ..report.predictive import CrossValidation
from ..words.answers import answering

__all__ = ["cross_validate"]


@answering
def cross_validate(
    model: Any,
    scheme: Any = "new_groups",
    *,
    group: str | None = None,
    folds: int | None = None,
    repeats: int = 1,
    time: str | None = None,
    seed: Any = None,
    progress: bool = True,
) -> CrossValidation:
    """Score a model by predictions of rows that it was not fitted to.

    Parameters
    ----------
    model : fitted model
        Of :func:`ranef.lmer`, :func:`ranef.glmer`, :func:`ranef.clmm`, :func:`ranef.gls`,
        :func:`ranef.feols`, :func:`ranef.feglm` or :func:`ranef.gee`.
    scheme : {"new_groups", "new_rows", "forecast"} or splitter
        What the predictions are for. "new_groups": people not seen before, with all rows of a level
        of ``group`` left out together. "new_rows": more rows of the known groups. "forecast": the
        next time, from the times before it. Or an object with ``split(X, y, groups)``, or pairs of
        row positions (train, test) among the rows that the model uses.
    group : str, optional
        Grouping factor for "new_groups", or any column of the data where folds are refitted, and
        the groups of a splitter; needed when there are several.
    folds : int, optional
        Number of parts for "new_groups" and "new_rows". By default groups, or rows, are left out
        one by one, in closed form, by linear mixed models; others need the number.
    repeats : int
        How many times to deal the groups or rows into ``folds``; the scores are averages.
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
    Rows and groups left out one by one are predicted in closed form: the fixed and random
    effects are exactly those of the other rows, with the covariance parameters held at the
    fit's estimates. Everything else refits the call on the training rows alone, including what
    formulas learn from data, so that the fit knows nothing about the test rows.

    Predictions of a generalised model are the family's distribution, mixed over the error of the
    linear predictor. ``table`` has its mean log probability (or density) as log_score, the deviance
    of a row from the predicted mean (that of a gamma in units of phi, none for a negative
    binomial), and of a binomial response the Brier score of a trial.

    With a zero part, a dispersion formula or a wider family the errors of the parts' predictors
    count as independent, and those of constants are left out. Of categories ``brier`` is the sum
    over categories of squared differences from the probabilities, and rmse and mae are of their
    positions; thresholds count as known.

    Predictions of :func:`ranef.gls` are those of the population; of :func:`ranef.feols` and
    :func:`ranef.feglm` with
    absorbed factors a new level has the mean effect, and the uncertainty of coefficients is
    ignored. Models of :func:`ranef.gee` have means but no distribution of a row.

    Random rows of known groups flatter a model that is meant for new groups. ``ranef.compare`` of
    several results compares their expected log densities, with the standard error of
    each difference [1]_.

    References
    ----------
    .. [1] Vehtari, Gelman and Gabry (2017), Stat. Comput. 27, 1413-1432.

    Examples
    --------
    >>> import ranef
    >>> sleep = ranef.datasets.load("sleepstudy")
    >>> model = ranef.lmer("Reaction ~ Days + (Days | Subject)", sleep)
    >>> ranef.cross_validate(model).table[["rows", "folds", "rmse"]].round(1)
         rows  folds  rmse
    all   180     18  49.6
    """
    if isinstance(model, GeneralizedFixedEffectsModel):
        check_probabilities(model)
    elif not isinstance(model, GLSModel | FixedEffectsModel | GEEModel):
        check_mixed(model, "cross_validate", every=True)
    if isinstance(repeats, bool) or not isinstance(repeats, Integral) or repeats < 1:
        raise ValueError(f"repeats must be a whole number above zero, not {repeats!r}")
    known = isinstance(scheme, str) and scheme in ("new_groups", "new_rows")
    if repeats > 1 and not (known and folds is not None):
        raise ValueError("repeats deals rows or groups into new folds, so give folds= too")
    if known and folds is None:
        if not isinstance(model, LinearMixedModel):
            raise UnsupportedError(
                "rows and groups are left out one by one in closed form by ranef.lmer only; call "
                f"cross_validate(model, {scheme!r}, folds=10) to refit another model"
            )
        return closed_form(model, scheme, group, progress)
    if folds is not None and not known:
        raise ValueError("folds goes with scheme='new_groups' or 'new_rows'; others make their own")
    parts = divided(model, scheme, group, folds, time, seed, int(repeats))
    return by_refits(model, scheme, parts, progress)
