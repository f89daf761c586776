"""Fit a linear mixed model from a formula and a frame."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from .._typing import Missing
from ..fitted.lmm.call import Call
from ..fitted.lmm.model import LinearMixedModel, fit_model
from ..formula import with_functions
from ..inference.priors.priors import PriorLike
from ..models.lmm import Control
from ..words.answers import answering

__all__ = ["Control", "lmer"]


@answering
def lmer(
    formula: str,
    data: Any,
    *,
    reml: bool = True,
    weights: Any = None,
    offset: Any = None,
    contrasts: Any = None,
    missing: Missing = "drop",
    control: Control | None = None,
    strict: bool = False,
    prior: PriorLike = None,
    method: str = "auto",
    threads: int = 1,
    covariance: Mapping[str, Any] | None = None,
    executor: Any = None,
    progress: bool = True,
    functions: Mapping[str, Callable[..., Any]] | None = None,
    trust_formula: bool = False,
) -> LinearMixedModel:
    """Fit a linear mixed model by restricted or full maximum likelihood.

    Parameters
    ----------
    formula : str
        A model such as ``"y ~ x + (1 + x | g)"``: a formulaic formula and random-effects terms
        ``(terms | group)``, ``(terms || group)`` without correlations, ``(1 | a/b)`` for b
        within a, ``(1 | mm(a, b, weights=(v, w)))`` where a row belongs to several levels.
    data : DataFrame
        pandas, polars or Arrow table, or a mapping of columns. Or what is read in chunks: a path,
        folder or pattern of parquet files, a pyarrow dataset, DuckDB relation, polars LazyFrame, a
        list, iterator or function of frames, or :class:`CrossProducts`. Or what other machines
        hold: a Dask or Spark dataframe, or a Ray dataset.
    reml : bool
        Whether to maximise the restricted likelihood; False for the full likelihood.
    weights : str or array-like, optional
        Precision weights, a column or n numbers above zero: Var(e_i) = sigma^2 / w_i.
    offset : str or array-like, optional
        Known part of the linear predictor, added to any ``offset()`` of the formula.
    contrasts : mapping, optional
        Coding of categorical columns, by name.
    missing : {"drop", "raise"}
        What to do with rows that have missing values in a column that the model uses.
    control : Control, optional
        Settings of the search.
    strict : bool
        Raise the first warning of the fit as an error.
    prior : str, density, or mapping, optional
        The fit is then the mode of the likelihood times the prior. "weak" keeps variances of few
        groups away from zero with little bias; "wishart" is blme's default; a density such as
        ``ranef.Wishart(2.5)`` is of every covariance, relative to sigma^2. A mapping gives priors
        part by part: a grouping factor or "random" (all of them) any of these, "fixed" a
        ``ranef.Normal``, "residual" a ``ranef.Point`` (sigma is known) or a density of sigma,
        ``ranef.Gamma`` or ``InverseGamma``. ``{"student": ranef.Point(sd)}``: the standard
        deviation of that term is known, and no parameter.
    method : {"auto", "exact", "iterative"}
        How the likelihood is computed. "exact": by a Cholesky factor, whose cost grows with the
        cube of the levels of crossed factors. "iterative": by sparse products and random vectors,
        for two or more crossed terms of one column each; ``convergence.llf_error`` is the standard
        deviation of the log-likelihood that is left. "auto" is exact where the factor needs at most
        3e10 operations and fits in memory, and iterative beyond.
    threads : int
        Threads of the fit, for large data and many levels; the result does not depend on their
        number.
    covariance : mapping of str to covariance, optional
        Known covariances of the levels of grouping factors, up to their size: ``{"animal": A}``
        with A a DataFrame labelled by level on both sides, :func:`ranef.pedigree`, or
        :class:`ranef.Precision`. The variance of the term is then that of a level where A is 1;
        levels of A without rows have effects too.
    executor : Executor, callable, Client or module, optional
        Where to accumulate data that are read in chunks: a ``concurrent.futures.Executor``, a
        function that starts one, a ``dask.distributed.Client``, or the module ``ray``.
    progress : bool
        Whether to show a bar on a terminal while data are read in chunks.
    functions : mapping of str to callable, optional
        Functions of your own that the formula may call, by name: ``{"f": f}``.
    trust_formula : bool
        Allow any Python in the formula, for formulas that you wrote yourself. By default a formula
        can use only the language of formulas and ``functions``.

    Returns
    -------
    LinearMixedModel
        The fitted model.

    Raises
    ------
    FormulaError
        If the formula cannot be read.
    DataError
        If formula and data do not fit.
    ModelError
        If the model cannot be estimated from these rows, or a prior names a part that it does not
        have.
    RanefWarning
        With ``strict``, the first warning of the fit; the others are its notes.

    Warns
    -----
    DroppedRowsWarning, RankWarning, SingularFitWarning, ConvergenceWarning
        Each is also kept in ``LinearMixedModel.warnings``.

    Notes
    -----
    The profiled criterion is minimised over the relative covariance factors by a trust-region
    Newton method with exact gradients, in a basis where location and scale of the columns do not
    matter; a fit at the boundary is accepted only when the slope into the covariance cone is not
    negative [1]_.

    The iterative log-likelihood is that of a fixed sample of random vectors: the largest
    eigenvalues are deflated, the first moment is exact, and the rest of the log-determinant is
    estimated from quadratic forms [2]_. The sample grows until -2 log-likelihood is known to within
    0.1 (two standard deviations) and each covariance parameter to within 1 % of its standard error;
    a ConvergenceWarning says where that was not reached. The same ``Control(seed=...)`` gives the
    same bits.

    References
    ----------
    .. [1] Bates, Maechler, Bolker and Walker (2015), J. Stat. Softw. 67(1), 1-48.
    .. [2] Avron and Toledo (2011), J. ACM 58(2), 8.

    Examples
    --------
    >>> import ranef
    >>> sleep = ranef.datasets.load("sleepstudy")
    >>> model = ranef.lmer("Reaction ~ Days + (Days | Subject)", sleep)
    >>> model.params.round(3).to_dict()
    {'Intercept': 251.405, 'Days': 10.467}

    Eighteen people, and earlier studies that found slopes of 5 to 15 ms a day:

    >>> prior = {"random": "weak", "fixed": ranef.Normal({"Days": 2.5}, {"Days": 10.0})}
    >>> ranef.lmer("Reaction ~ Days + (Days | Subject)", sleep, prior=prior).bse.round(2).to_dict()
    {'Intercept': 6.95, 'Days': 1.32}
    """
    formula = with_functions(formula, functions, trust_formula)
    call = Call(
        str(formula),
        reml,
        weights,
        offset,
        contrasts,
        missing,
        Control.of(control),
        strict,
        prior,
        method,
        threads,
        covariance,
    )
    return fit_model(call, data, executor=executor, progress=progress)
