"""Fit a generalised linear mixed model from a formula and a frame."""

from __future__ import annotations

from typing import Any

import numpy as np

from .. import design as designs
from ..design.design import Design
from ..errors import DataError
from ..fitted.glmm.call import GlmerCall
from ..fitted.glmm.model import GeneralizedLinearMixedModel
from ..formula import parse
from ..inference.priors.generalised import CovariancePenalty
from ..inference.priors.parts import simplified
from ..inference.priors.priors import PriorLike
from ..models.glmm import model as glmm
from ..models.glmm.estimate import FAMILIES, GlmmEstimate, GlmmSpec
from ..models.lmm import Control
from .gee import check_response
from .lmer import as_error

__all__ = ["glmer"]

#: Random effects a level that quadrature takes: the points are nagq to their power.
MOST_COLUMNS = 3


def glmer(
    formula: str,
    data: Any,
    *,
    family: str,
    link: str | None = None,
    nagq: int = 1,
    weights: Any = None,
    offset: Any = None,
    contrasts: Any = None,
    missing: str = "drop",
    control: Control | None = None,
    strict: bool = False,
    prior: PriorLike = None,
) -> GeneralizedLinearMixedModel:
    """Fit a generalised linear mixed model by maximum likelihood.

    Parameters
    ----------
    formula : str
        A model such as ``"cbind(successes, failures) ~ x + (1 + x | g)"``; random-effects terms are
        those of :func:`ranef.lmer`.
    data : DataFrame
        pandas, polars or Arrow table, or a mapping of columns.
    family : {"binomial", "poisson", "gamma", "negative_binomial"}
        Distribution of the response given the random effects. A binomial response is 0/1, has two
        levels of which the first is a failure, is a share of successes with the trials as
        ``weights``, or is ``cbind(successes, failures)``.
    link : {"logit", "probit", "cloglog", "log", "inverse"}, optional
        Link of the mean: logit, probit or cloglog of a binomial, log of counts, inverse or log of a
        gamma; the first by default.
    nagq : int
        1 for Laplace's approximation; more for so many points of adaptive Gauss-Hermite quadrature
        a random effect, with one grouping factor of at most three columns; 0 takes the fixed
        effects to their joint mode with the random ones, fast and rough.
    weights : str or array-like, optional
        Above zero: trials of a binomial response, and otherwise how often a row counts in the
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
        Whether a warning of the fit is raised as an error instead.
    prior : str, density, or mapping of group to either, optional
        Prior of the covariances of the random effects: "weak" or "wishart", which keep them off
        zero, or a density such as ``ranef.Wishart(2.5)``.

    Returns
    -------
    GeneralizedLinearMixedModel
        The fitted model.

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
    covariance of the estimates. Log-likelihoods hold all constants, so that fits by any ``nagq``
    of one model can be compared. The dispersion phi of a gamma, Var(y) = phi mu^2, and the size k
    of a negative binomial, Var(y) = mu + mu^2 / k, are estimated by maximum likelihood with the
    rest; covariances of the random effects are on the scale of the linear predictor.

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
    call = GlmerCall(
        str(formula),
        specification(family, link, nagq),
        weights,
        offset,
        contrasts,
        missing,
        control or Control(),
        strict,
        simplified(prior),
    )
    return fit_call(call, data)


def fit_call(call: GlmerCall, data: Any) -> GeneralizedLinearMixedModel:
    """Carry out a call: parse, build, check, fit."""
    spec = call.spec
    design = designs.build(
        parse(call.formula),
        data,
        weights=call.weights,
        offset=call.offset,
        contrasts=call.contrasts,
        missing=call.missing,
        response="counts" if spec.family == "binomial" else "numeric",
    )
    glmm.check(design, spec)
    check_counts(design, spec)
    check_quadrature(design, spec)
    return fit_design(design, call, data)


def fit_design(design: Design, call: GlmerCall, data: Any = None) -> GeneralizedLinearMixedModel:
    """Fit a design as a call says, and give its warnings."""
    core = glmm.kernel(design, call.spec)
    estimate = estimated(design, core, call)
    model = GeneralizedLinearMixedModel(design, estimate, call, core=core, data=data)
    if call.strict and model.warnings:
        raise as_error(model.warnings)
    model._warn()
    return model


def estimated(design: Design, core: Any, call: GlmerCall) -> GlmmEstimate:
    """Fit a design as a call says: by likelihood, or with its prior."""
    penalty = None if call.prior is None else CovariancePenalty(design, core, call.prior)
    return glmm.fit(design, core, call.spec, control=call.control, penalty=penalty)


def specification(family: str, link: str | None, nagq: int) -> GlmmSpec:
    """Check the options of the model."""
    family = str(family).lower()
    if family == "gaussian":
        raise ValueError("a gaussian family is that of ranef.lmer(formula, data, reml=False)")
    if family not in FAMILIES:
        raise ValueError(f"family is one of {', '.join(FAMILIES)}, not {family!r}")
    links = FAMILIES[family]
    chosen = links[0] if link is None else str(link).lower()
    if chosen not in links:
        raise ValueError(
            f"the link of a {family} family is one of {', '.join(links)}, not {link!r}"
        )
    if not isinstance(nagq, int | np.integer) or isinstance(nagq, bool) or not 0 <= nagq <= 100:
        raise ValueError(f"nagq is a number of points from 0 to 100, not {nagq!r}")
    return GlmmSpec(family, chosen, int(nagq))


def check_counts(design: Design, spec: GlmmSpec) -> None:
    """Refuse a response outside the family's range, and counts that are not whole.

    Raises
    ------
    DataError
        With the number of rows at fault and what to give instead.
    """
    family = "poisson" if spec.family == "negative_binomial" else spec.family
    check_response(design, family)
    if spec.family == "gamma":
        return
    counts, words = design.y, "counts 0, 1, 2, ..."
    if spec.family == "binomial":
        trials = np.ones(design.n_obs) if design.weights is None else design.weights
        if bad := int(np.sum(trials != np.round(trials))):
            raise DataError(
                f"the weights of a binomial response are its trials, and {bad} of them are not "
                "whole numbers",
                "weights",
            )
        counts, words = design.y * trials, "shares of whole numbers of trials"
    bad = int(np.sum(np.abs(counts - np.round(counts)) > 1e-6 * np.maximum(1.0, counts)))
    if bad:
        hint = (
            "; give the trials as weights, or cbind(successes, failures)"
            if spec.family == "binomial"
            else '; for positive measurements use family="gamma", for rates counts and an offset'
        )
        raise DataError(
            f"a {spec.family} response is made of {words}; {design.response!r} is not in {bad} "
            f"rows{hint}",
            design.response,
        )


def check_quadrature(design: Design, spec: GlmmSpec) -> None:
    """Refuse quadrature over more than one grouping factor, or too many columns."""
    if spec.nagq <= 1:
        return
    widest = max(term.n_cols for term in design.random)
    if len(design.random) > 1 or widest > MOST_COLUMNS:
        groups = ", ".join(f"{term.group} ({term.n_cols})" for term in design.random)
        raise ValueError(
            f"nagq={spec.nagq} needs one grouping factor with at most {MOST_COLUMNS} columns; this "
            f"model has {groups}. Use nagq=1, Laplace's approximation."
        )
