"""Likelihood-ratio tests with simulated null distributions."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from ..compare.models import by_likelihood, check_comparable, check_likelihood, check_mixed
from ..errors import ModelError
from ..fitted.lmm.model import LinearMixedModel
from ..inference.lrt.lrt import RatioTest, boundary_pvalue, chi2_tail, parts, ratio_test, relate
from ..inference.lrt.pbtest import bootstrap_ratios, simulated_pvalue
from ..inference.lrt.rlrt import null_statistics, spectrum
from ..models.batch.estimate import Settings
from ..parallel.workers import worker_count
from ..report.simulated import SimulatedTest

__all__ = ["pbtest", "rlrt"]


def rlrt(
    model: LinearMixedModel, *, n: int = 10_000, seed: Any = None, progress: bool = True
) -> SimulatedTest:
    """Test whether the one variance of a model's random effects is zero, exactly.

    Parameters
    ----------
    model : LinearMixedModel
        A model with one random-effects term of one column, such as (1 | group). A fit by maximum
        likelihood is refitted by REML.
    n : int
        Number of simulated statistics.
    seed : int or Generator, optional
        Makes them repeatable.
    progress : bool
        Whether to show a progress bar when it takes longer than a second.

    Returns
    -------
    SimulatedTest
        ``table`` with chisq, df, pvalue, pvalue_chi2, pvalue_boundary, draws.

    Raises
    ------
    ModelError
        If the model has more than one variance.

    Notes
    -----
    The null distribution of the restricted likelihood ratio is simulated from its spectral form,
    which is exact for any number of levels [1]_; the large-sample mixture beside it asks for many
    levels.

    References
    ----------
    .. [1] Crainiceanu and Ruppert (2004), J. R. Stat. Soc. B 66, 165-185.

    Examples
    --------
    >>> import ranef
    >>> model = ranef.lmer("Yield ~ 1 + (1 | Batch)", ranef.datasets.load("Dyestuff"))
    >>> ranef.rlrt(model, seed=1).pvalue < 0.01
    True
    """
    check_mixed(model, "rlrt")
    check_likelihood((model,), "rlrt")
    random = model._design.random
    if len(random) != 1 or random[0].n_cols != 1:
        raise ModelError(
            "rlrt tests the variance of a model with one random-effects term of one column, as "
            f"(1 | {random[0].group}); for {model.call.formula!r} use ranef.pbtest(model, smaller)"
        )
    _check_draws(n)
    fit = by_likelihood(model, reml=True)
    without = fit._core.objective([np.zeros((1, 1))], True)
    observed = max(0.0, without + 2.0 * fit.llf)
    kept = fit._estimate.kept
    eigenvalues = spectrum(fit._design, kept)
    rng = np.random.default_rng(seed)
    draws = null_statistics(eigenvalues, fit.nobs - len(kept), n, rng, progress=progress)
    test = RatioTest(observed, 1.0, chi2_tail(observed, 1), boundary_pvalue(observed, 1))
    notes = [f"variance of ({random[0].names[0]} | {random[0].group}) against zero, by REML"]
    return _simulated("Exact restricted likelihood-ratio test", test, draws, notes)


def pbtest(
    large: LinearMixedModel,
    small: LinearMixedModel,
    n: int = 1000,
    seed: int | None = None,
    workers: int | None = None,
    *,
    progress: bool = True,
) -> SimulatedTest:
    """Test a smaller model within a larger one by responses simulated from the smaller.

    Parameters
    ----------
    large, small : LinearMixedModel
        Models of the same response on the same rows, the second nested in the first.
    n : int
        Number of simulated responses; both models are fitted to each.
    seed : int, optional
        Makes them repeatable, to the bit the same for any number of workers.
    workers : int, optional
        Threads; all cores by default.
    progress : bool
        Whether to show a progress bar when it takes longer than a second.

    Returns
    -------
    SimulatedTest
        ``table`` with chisq, df, pvalue, pvalue_chi2, pvalue_boundary, draws; ``notes`` count fits
        that failed.

    Raises
    ------
    ModelError
        If the models are not nested, or rest on different data.

    Notes
    -----
    REML is kept when both fits are by REML and the fixed parts span the same space, as in
    :func:`ranef.anova`. Any number of variances may be zero under the smaller model, and its
    distribution of the statistic needs no large samples [1]_.

    References
    ----------
    .. [1] Halekoh and Hojsgaard (2014), J. Stat. Softw. 59(9), section 5.

    Examples
    --------
    >>> import ranef
    >>> sleep = ranef.datasets.load("sleepstudy")
    >>> slope = ranef.lmer("Reaction ~ Days + (Days | Subject)", sleep)
    >>> level = ranef.lmer("Reaction ~ Days + (1 | Subject)", sleep)
    >>> found = ranef.pbtest(slope, level, n=200, seed=1)
    >>> round(found.pvalue, 3)
    0.005
    """
    check_comparable((large, small), "pbtest")
    check_likelihood((large, small), "pbtest")
    _check_draws(n)
    threads = worker_count(workers)
    relation = relate(parts(small._design, small._estimate), parts(large._design, large._estimate))
    if not relation.nested or small.npar >= large.npar:
        raise ModelError(
            f"{small.call.formula!r} is not nested in {large.call.formula!r}; "
            "pbtest(large, small) takes the larger model first"
        )
    reml = small.reml and large.reml and relation.same_fixed
    low, high = by_likelihood(small, reml=reml), by_likelihood(large, reml=reml)
    shift = relation.shift if reml else 0.0
    deviances = (-2.0 * low.llf, -2.0 * high.llf - shift)
    test = ratio_test(deviances, (low.npar, high.npar), relation)
    settings = Settings(reml=reml, workers=threads, control=high.call.control)
    ratios, stopped = bootstrap_ratios(
        low._design, high._design, low._estimate, n, seed, settings, progress=progress
    )
    notes = [
        f"{small.call.formula} within {large.call.formula}, by {'REML' if reml else 'ML'}",
        *_mishaps(ratios, stopped),
    ]
    draws = np.maximum(ratios[~np.isnan(ratios)] + shift, 0.0)
    if not len(draws):
        raise ModelError("both models could be fitted to none of the simulated responses")
    return _simulated("Parametric bootstrap likelihood-ratio test", test, draws, notes)


def _check_draws(n: int) -> None:
    if n < 1:
        raise ValueError(f"n is a number of draws, 1 or more, not {n}")


def _mishaps(ratios: np.ndarray[Any, np.dtype[np.float64]], stopped: int) -> list[str]:
    """Count fits that failed or stopped short."""
    failed = int(np.isnan(ratios).sum())
    notes = []
    if failed:
        notes.append(f"{failed} of {len(ratios)} simulated responses could not be fitted")
    if stopped:
        notes.append(f"in {stopped} of {len(ratios)} a fit did not converge; they are counted")
    return notes


def _simulated(
    name: str, test: RatioTest, draws: np.ndarray[Any, np.dtype[np.float64]], notes: list[str]
) -> SimulatedTest:
    """Lay the test out."""
    row = {
        "chisq": test.chisq,
        "df": test.df,
        "pvalue": simulated_pvalue(test.chisq, draws),
        "pvalue_chi2": test.pvalue,
        "pvalue_boundary": test.pvalue_boundary,
        "draws": len(draws),
    }
    zero = float((draws <= 1e-8).mean())
    share = f"{100.0 * zero:.1f} % of the simulated statistics are zero"
    return SimulatedTest(pd.DataFrame([row], index=["test"]), (*notes, share), draws, name)
