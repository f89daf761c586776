"""Fit a generalised linear mixed model from a formula and a frame."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from .._typing import Missing
from ..errors import UnsupportedError
from ..fitted.glmm.call import GlmerCall
from ..fitted.glmm.fit import specification
from ..fitted.glmm.model import GeneralizedLinearMixedModel, fit_model
from ..fitted.several.fit import (
    needs_parts,
    of_a_mean,
    parts_call,
    refuse_chunks,
    refuse_covariance,
    refuse_iteration,
    refuse_prior,
)
from ..fitted.several.model import DistributionalModel, fit_parts_model
from ..formula import with_functions
from ..inference.priors.parts import simplified
from ..inference.priors.priors import PriorLike
from ..models.lmm import Control
from ..words.answers import answering

__all__ = ["glmer"]


@answering
def glmer(
    formula: str,
    data: Any,
    *,
    family: str,
    link: str | None = None,
    zero: str | None = None,
    dispersion: str | None = None,
    nagq: int = 1,
    reml: bool = False,
    weights: Any = None,
    offset: Any = None,
    contrasts: Any = None,
    missing: Missing = "drop",
    control: Control | None = None,
    strict: bool = False,
    prior: PriorLike = None,
    covariance: Mapping[str, Any] | None = None,
    method: str = "auto",
    threads: int = 1,
    functions: Mapping[str, Callable[..., Any]] | None = None,
    trust_formula: bool = False,
) -> GeneralizedLinearMixedModel | DistributionalModel:
    """Fit a generalised linear mixed model by maximum likelihood.

    Parameters
    ----------
    formula : str
        A model such as ``"cbind(successes, failures) ~ x + (1 + x | g)"``; random-effects terms are
        those of :func:`ranef.lmer`.
    data : DataFrame, or source of chunks
        pandas, polars or Arrow table, or a mapping of columns. A path of parquet or CSV files, a
        dataset, a query, or an iterator or list of frames is read chunk by chunk, and its distinct
        rows are kept with their counts: at most two million, for models of one predictor.
    family : str
        Distribution of the response given the random effects: "binomial", "betabinomial",
        "poisson", "negative_binomial", "nbinom1", "generalized_poisson", "compois",
        "truncated_poisson", "truncated_negative_binomial", "truncated_nbinom1", "gamma",
        "lognormal", "beta", "ordered_beta", "tweedie", "student" or "gaussian". A binomial
        response is 0/1, has two levels of which the first is a failure, is a share of successes
        with the trials as ``weights``, or is ``cbind(successes, failures)``.
    link : str, optional
        Link of the location; the family's usual one by default: logit (or probit, cloglog, loglog,
        cauchit) of shares, log (or identity, inverse, sqrt) of counts, inverse of a gamma.
    zero : str, optional
        Formula of the logit of a structural zero, such as ``"~ x + (1 | g)"``. With a truncated
        family, a gamma, lognormal or beta it is a hurdle: all zeros belong to it.
    dispersion : str, optional
        Formula of the logarithm of the family's dispersion, with random effects if wanted.
    nagq : int
        1 for Laplace's approximation; more for that many points of adaptive Gauss-Hermite
        quadrature a random effect, with one grouping factor of at most three columns; 0 estimates
        the fixed effects at their joint mode with the random ones, which is fast but rough.
    reml : bool
        Whether to maximise the restricted likelihood, which integrates the fixed effects out too,
        by Laplace's approximation. Recommended for smooth terms.
    weights : str or array-like, optional
        Positive numbers: trials of a binomial response, otherwise how often a row counts in the
        log-likelihood.
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
    prior : str, density, or mapping of group to either, optional
        Prior of the covariances of the random effects: "weak" or "wishart", which keep them away
        from zero, or a density such as ``ranef.Wishart(2.5)``; of a grouping factor also
        ``ranef.Point(sd)``, a standard deviation that is known.
    covariance : mapping of str to covariance, optional
        Known covariances of the levels of grouping factors, as in :func:`ranef.lmer`; with the
        families and links of a GeneralizedLinearMixedModel, and ``nagq`` 0 or 1.
    method : {"auto", "exact", "iterative"}
        How Laplace's approximation is computed. "exact": by a Cholesky factor, whose cost grows
        with the cube of the levels of crossed factors. "iterative": by sparse products and random
        vectors, for two or more crossed terms of one column each; ``convergence.llf_error`` is the
        standard deviation of the log-likelihood that is left. "auto" is exact where a factor needs
        at most 3e9 operations and fits in memory, and iterative beyond.
    threads : int
        Threads of an iterative fit; the result does not depend on their number.
    functions : mapping of str to callable, optional
        Functions of your own that the formula may call, by name: ``{"f": f}``.
    trust_formula : bool
        Allow any Python in the formula, for formulas that you wrote yourself. By default a formula
        can use only the language of formulas and ``functions``.

    Returns
    -------
    GeneralizedLinearMixedModel or DistributionalModel
        The fitted model; the second for every other family, link or part than binomial (logit,
        probit, cloglog), poisson (log), gamma (log, inverse) and negative_binomial (log) without
        ``zero`` and ``dispersion``.

    Raises
    ------
    FormulaError
        If the formula cannot be read.
    DataError
        If formula and data do not fit, or the response is outside the family's range.
    ModelError
        If the model cannot be estimated from these rows.
    FitError
        If the likelihood is not finite near the starting values.
    RanefWarning
        With ``strict``, the first warning of the fit; the others are its notes.

    Warns
    -----
    DroppedRowsWarning, RankWarning, SingularFitWarning, ConvergenceWarning
        Each is also kept in ``GeneralizedLinearMixedModel.warnings``.

    Notes
    -----
    The random effects are integrated out by Laplace's approximation with the observed information,
    whatever the link [1]_ [2]_, or by quadrature around their modes [3]_ [4]_. Its exact gradient
    by covariances, fixed effects and dispersion, and curvature from differences of that gradient,
    decide where the search ends; twice the inverse of the Hessian of -2 log-likelihood is the
    covariance of the estimates. Log-likelihoods include all constants, so that fits by any ``nagq``
    of one model can be compared. The dispersion phi of a gamma, Var(y) = phi mu^2, and the size k
    of a negative binomial, Var(y) = mu + mu^2 / k, are estimated by maximum likelihood with the
    rest; covariances of the random effects are on the scale of the linear predictor.

    Without a factor, the mode is found by conjugate gradients and the log determinant of Laplace's
    approximation is sampled at the mode: its leading eigenvectors and its first moment are exact,
    and the rest is the mean over random vectors, the same ones for the whole search. The gradient
    is that of the sample, the weights' dependence on the mode included. The sample grows until -2
    log-likelihood is known to within 0.1 and every parameter to within 1 % of its standard error,
    or a ConvergenceWarning says what was reached.

    References
    ----------
    .. [1] Bates, Maechler, Bolker and Walker (2015), J. Stat. Softw. 67(1), 1-48.
    .. [2] Skaug and Fournier (2006), Comput. Stat. Data Anal. 51, 699-709.
    .. [3] Pinheiro and Chao (2006), J. Comput. Graph. Stat. 15, 58-81.
    .. [4] Tuerlinckx, Rijmen, Verbeke and De Boeck (2006), Br. J. Math. Stat. Psychol. 59, 225-255.

    Examples
    --------
    >>> import ranef
    >>> cbpp = ranef.datasets.load("cbpp")
    >>> model = ranef.glmer(
    ...     "cbind(incidence, size - incidence) ~ period + (1 | herd)", cbpp, family="binomial"
    ... )
    >>> model.params.round(3).to_dict()
    {'Intercept': -1.399, 'period[T.2]': -0.992, 'period[T.3]': -1.129, 'period[T.4]': -1.58}
    >>> print(f"{-2 * model.llf:.4f}")
    184.0526
    """
    formula = with_functions(formula, functions, trust_formula)
    if needs_parts(family, link, zero, dispersion):
        refuse_prior(prior)
        if reml:
            raise UnsupportedError(
                f"reml=True is for models of a mean with the families {of_a_mean()} and their "
                "usual links; this one has several predictors"
            )
        refuse_covariance(covariance)
        refuse_chunks(data)
        refuse_iteration(method, threads)
        options = {
            "weights": weights,
            "offset": offset,
            "contrasts": contrasts,
            "missing": missing,
            "control": control or Control(),
            "strict": strict,
        }
        return fit_parts_model(
            parts_call(formula, family, link, zero, dispersion, nagq, **options), data
        )
    call = GlmerCall(
        str(formula),
        specification(family, link, nagq, reml),
        weights,
        offset,
        contrasts,
        missing,
        Control.of(control),
        strict,
        simplified(prior),
        covariance,
        method,
        threads,
    )
    return fit_model(call, data)
