"""Impute missing values."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal

from ..missing.imputation import Imputations, imputed
from ..words.answers import answering

__all__ = ["impute"]


@answering
def impute(
    formula: str,
    data: Any,
    *,
    method: Literal["mixed", "forest"] = "mixed",
    m: int = 20,
    cycles: int = 20,
    kinds: Mapping[str, str] | None = None,
    extra: Sequence[str] = (),
    delta: Mapping[str, float] | None = None,
    seed: int | None = None,
    workers: int | None = None,
    progress: bool = True,
) -> Imputations:
    """Impute the missing values of an analysis, respecting its groups.

    Parameters
    ----------
    formula : str
        The analysis model. Its response takes part in imputing the predictors, its groups and
        random slopes are kept, and so are products of columns and functions of complete columns.
        Functions of an incomplete predictor, such as its square, are not, which a warning says.
    data : DataFrame
        pandas, polars or Arrow table, or a mapping of columns.
    method : {"mixed", "forest"}
        Chained equations of mixed models with draws from their posteriors, for multiple imputation;
        or one data set, filled once by scikit-learn's forests.
    m : int
        Number of imputations; a forest makes one.
    cycles : int
        Rounds over the variables before an imputation is taken.
    kinds : mapping of str to str, optional
        How to impute a variable: "continuous", "binary", "categorical", "count" (whole numbers,
        log-normal rates) or "matching" (an observed value with a similar predicted mean). By
        default numbers are continuous, numbers that are all 0 or 1 and columns of two values
        binary, and other columns categorical.
    extra : sequence of str
        Columns besides those of the formula that help to predict missing values.
    delta : mapping of str to float, optional
        Numbers added to every imputed value of a variable: a sensitivity analysis in which missing
        values differ from observed ones by that amount.
    seed : int, optional
        Makes the draws repeatable, for any number of workers.
    workers : int, optional
        Threads; one by default.
    progress : bool
        Whether to show a bar on a terminal.

    Returns
    -------
    Imputations
        ``frames``, ``first``, ``fit()``, ``trace``, ``plot()``.

    Raises
    ------
    DataError
        If nothing is missing, a variable has no value at all, or a grouping column is incomplete.
    UnsupportedError
        If forests are asked for and scikit-learn is not installed.

    Notes
    -----
    A variable of rows is drawn from a linear mixed model on all other variables and, where there
    are enough groups, on their group means [1]_ [2]_; a binary one from its probit form, a
    categorical one from a sequence of these. A variable that is constant within groups is imputed
    once per group, from the group means of the others. Where the response is continuous, a
    predictor whose effect varies, that is multiplied by another or has few values, and one of
    groups whose slopes vary, is drawn from its own model times the likelihood of the response in
    the analysis, that of all rows of the group for a variable of groups [3]_. Parameters are drawn
    by Gibbs steps; standard deviations of random effects have half-t priors. Values are missing at
    random given the variables that take part.

    References
    ----------
    .. [1] van Buuren (2018), Flexible Imputation of Missing Data, 2nd edition, chapter 7.
    .. [2] Enders, Mistler and Keller (2016), Psychol. Methods 21, 222-240.
    .. [3] Goldstein, Carpenter and Browne (2014), J. R. Stat. Soc. A 177, 553-564.

    Examples
    --------
    >>> import ranef
    >>> sleep = ranef.datasets.load("sleepstudy")
    >>> sleep.loc[[3, 17, 40], "Reaction"] = float("nan")
    >>> formula = "Reaction ~ Days + (Days | Subject)"
    >>> imputed = ranef.impute(formula, sleep, m=5, seed=1, progress=False)
    >>> imputed
    <Imputations m=5, method='mixed': 3 values of Reaction>
    >>> pooled = imputed.fit()
    >>> bool(abs(pooled.params["Days"] - 10.47) < 0.5)
    True
    """
    return imputed(
        formula,
        data,
        method=method,
        m=m,
        cycles=cycles,
        kinds=kinds,
        extra=extra,
        delta=delta,
        seed=seed,
        workers=workers,
        progress=progress,
    )
