"""Restricted likelihood-ratio tests of variances, by simulation."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..errors import ModelError
from ..fitted.lmm.model import LinearMixedModel
from ..inference.lrt.lrt import RatioTest, boundary_pvalue, chi2_tail, parts, relate
from ..inference.lrt.rlrt import null_statistics, spectrum
from ..inference.lrt.rlrt_several import fitted_statistics, objective_at_zero
from ..models.batch.estimate import Settings
from ..report.simulated import SimulatedTest
from .models import by_likelihood, check_comparable, check_likelihood, same_fixed
from .simulated import bootstrapped, entropy, simulated

__all__ = ["among_others", "every_variance", "has_one_variance", "one_variance"]

NAME = "Exact restricted likelihood-ratio test"


def has_one_variance(model: LinearMixedModel) -> bool:
    """Return whether a model has one random-effects term of one column."""
    return sum(term.n_cols for term in model.parts.design.random) == 1


def one_variance(
    model: LinearMixedModel, observed: float | None, n: int, seed: Any, *, progress: bool
) -> SimulatedTest:
    """Test the one variance of a model; ``observed`` replaces its own statistic."""
    fit = by_likelihood(model, reml=True)
    design, kept = fit.parts.design, fit.parts.estimate.kept
    if observed is None:
        observed = max(0.0, objective_at_zero(fit.parts.core, design) + 2.0 * fit.llf)
    eigenvalues = spectrum(design, kept)
    rng = np.random.default_rng(seed)
    draws = null_statistics(eigenvalues, fit.nobs - len(kept), n, rng, progress=progress)
    test = RatioTest(observed, 1.0, chi2_tail(observed, 1), boundary_pvalue(observed, 1))
    return simulated(NAME, test, draws, [f"variance of {_written(fit)} against zero, by REML"])


def every_variance(
    model: LinearMixedModel, n: int, seed: Any, workers: int, *, progress: bool
) -> SimulatedTest:
    """Test all variances of a model at once, against a model without random effects."""
    fit = by_likelihood(model, reml=True)
    design, estimate = fit.parts.design, fit.parts.estimate
    zero = objective_at_zero(fit.parts.core, design)
    observed = max(0.0, zero + 2.0 * fit.llf)
    settings = Settings(reml=True, workers=workers, control=fit.call.control)
    draws, stopped = fitted_statistics(
        design, estimate.kept, zero, n, entropy(seed), settings, progress=progress
    )
    df = fit.npar - len(estimate.kept) - 1
    test = RatioTest(observed, float(df), chi2_tail(observed, df))
    notes = [f"variances of {_written(fit)} against zero, by REML"]
    return simulated(NAME, test, draws, notes, stopped)


def among_others(
    model: LinearMixedModel,
    null: LinearMixedModel | None,
    alternative: LinearMixedModel | None,
    n: int,
    seed: Any,
    workers: int,
    *,
    progress: bool,
) -> SimulatedTest:
    """Test the random effects of a model beside those of ``null``.

    Raises
    ------
    ModelError
        If a model is missing, or they do not differ by the random effects of ``model`` alone.
    """
    if null is None or alternative is None:
        raise ModelError(
            "with other variances rlrt takes three models: the tested random effects alone, the "
            "model without them and the model with them"
        )
    check_comparable((model, null, alternative), "rlrt")
    check_likelihood((null, alternative), "rlrt")
    small, large = (by_likelihood(m, reml=True) for m in (null, alternative))
    small_parts, large_parts = (parts(m.parts.design, m.parts.estimate) for m in (small, large))
    relation = relate(small_parts, large_parts)
    named = [_named(each) for each in (model, small, large)]
    if named[2] - named[1] != named[0] or not relation.nested:
        raise ModelError(
            f"{large.call.formula!r} has to be {small.call.formula!r} with the random effects of "
            f"{model.call.formula!r} and nothing else"
        )
    if not same_fixed([small_parts, large_parts]):
        raise ModelError("the fixed parts of the models differ; rlrt tests variances")
    if has_one_variance(model) and large.npar == small.npar + 1:
        observed = float(max(0.0, 2.0 * (large.llf - small.llf)))
        return one_variance(model, observed, n, seed, progress=progress)
    name = "Restricted likelihood-ratio test, by parametric bootstrap"
    return bootstrapped(name, small, large, relation, n, seed, workers, progress=progress)


def _named(model: LinearMixedModel) -> set[tuple[str, str]]:
    """Return grouping factor and column of each random effect."""
    return {(term.group, name) for term in model.parts.design.random for name in term.names}


def _written(model: LinearMixedModel) -> str:
    """Write the random effects of a model."""
    return ", ".join(term.written for term in model.parts.design.random)
