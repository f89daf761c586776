"""Fit a learner with random effects."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from .._typing import Missing
from ..learners.call import LearnerCall
from ..learners.model import MixedLearner, fit_model
from ..words.answers import answering

__all__ = ["re_em"]


@answering
def re_em(
    formula: str,
    data: Any,
    learner: Any = "tree",
    *,
    options: Mapping[str, float] | None = None,
    fitted: str = "auto",
    resample: str = "auto",
    folds: int = 5,
    weights: Any = None,
    offset: Any = None,
    missing: Missing = "drop",
    reml: bool = True,
    rounds: int = 30,
    tolerance: float | None = None,
    seed: int = 1,
    workers: int | None = None,
    progress: bool = True,
) -> MixedLearner:
    """Fit a tree, a forest, boosting or any regressor together with random effects.

    Parameters
    ----------
    formula : str
        Predictors and bars: ``"y ~ x + z + (1 + x | g)"``, bars as in :func:`ranef.lmer`. A lone
        dot is every column that nothing else uses: ``"y ~ . + (1 | g)"``. Categorical predictors
        become indicators of their levels.
    data : DataFrame
        pandas, polars or Arrow table, or a mapping of columns.
    learner : {"tree", "forest", "boosting"} or estimator
        What stands for the fixed part: a pruned regression tree, a random forest, gradient
        boosting, or any regressor of scikit-learn's kind.
    options : mapping of str to number, optional
        Settings of a learner that is named. Tree: min_split, min_leaf, complexity, se, max_depth.
        Forest: trees, early, min_leaf, max_features. Boosting: rounds, rate, leaves, min_leaf.
    fitted : {"auto", "cross-fit", "in-sample"}
        For an estimator of your own: which predictions of the rows of the fit the random effects
        are estimated from. "auto" is "cross-fit".
    resample : str
        What is held out together: a grouping factor, "rows", or "auto": the factor with fewest
        levels if it has at least ten, else rows.
    folds : int
        Parts for cross-fitting, pruning and the number of rounds of boosting.
    weights : str or array-like, optional
        Precision weights, Var(e_i) = sigma^2 / w_i; the learner must take them too.
    offset : str or array-like, optional
        Known part of the response, added to any ``offset()`` of the formula.
    missing : {"drop", "raise"}
        What to do with rows that have missing values in a column that the model uses.
    reml : bool
        Whether the mixed model maximises the restricted likelihood.
    rounds : int
        Rounds of the alternation at most.
    tolerance : float, optional
        Change of the log-likelihood, relative to itself, that ends the alternation: 1e-7 for a
        tree, 1e-3 for others, whose log-likelihood does not settle to the last digit. These also
        end after two rounds without gain, at the best one.
    seed : int
        Makes the fit repeatable, for any number of workers.
    workers : int, optional
        Threads of a forest; one by default.
    progress : bool
        Whether to show a bar on a terminal.

    Returns
    -------
    MixedLearner
        ``predict``, ``varcorr``, ``ranef()``, ``importance()``, ``calibrate()``, ``plot()``.

    Raises
    ------
    FormulaError
        If there is no bar, or no predictor.
    DataError
        If formula and data do not fit.
    ModelError
        If nothing is left for random effects, or these cannot be told from the residual.
    TypeError
        If the learner is no regressor.
    UnsupportedError
        If scikit-learn is not installed, or the learner takes no weights.

    Notes
    -----
    The learner is fitted to y minus the random effects, the random effects to what it leaves, and
    so on until the log-likelihood is settled [1]_ [2]_. The mixed model beside a tree has a fixed
    effect for each leaf, so that the leaf means account for the groups.

    A flexible learner follows the rows that it sees, and the groups in them: with predictions of
    its own rows it would take for itself what belongs to the random effects, and these, their
    variances and sigma would come out too small. So the random effects of a forest are estimated
    from out-of-bag predictions, those of boosting and other estimators from cross-fitted ones, and
    what is held out are whole groups. ``predict`` on new rows uses the learner of all rows.

    Predictors that are constant within groups compete with the random effects for the same
    differences. Holding out whole groups keeps a learner from memorising groups by them.

    References
    ----------
    .. [1] Sela and Simonoff (2012), Machine Learning 86, 169-207.
    .. [2] Hajjem, Bellavance and Larocque (2014), J. Stat. Comput. Simul. 84, 1313-1328.

    Examples
    --------
    >>> import ranef
    >>> sleep = ranef.datasets.load("sleepstudy")
    >>> model = ranef.re_em("Reaction ~ Days + (Days | Subject)", sleep, progress=False)
    >>> model.leaves.table["rule"].tolist()
    ['Days < 2.5', '2.5 <= Days < 4.5', '4.5 <= Days < 7.5', 'Days >= 7.5']
    """
    call = LearnerCall(
        formula,
        learner,
        options,
        fitted,
        resample,
        folds,
        weights,
        offset,
        missing,
        reml,
        rounds,
        tolerance,
        seed,
        workers,
    )
    return fit_model(call, data, progress=progress)
