"""The parametric bootstrap test of nested models."""

from __future__ import annotations

from typing import Any

from ..comparison.models import by_likelihood, check_comparable, check_likelihood
from ..comparison.simulated import bootstrapped, check_draws
from ..comparison.simulated_generalised import pbtest_generalised
from ..errors import ModelError
from ..fitted.kinds import is_generalised
from ..inference.lrt.lrt import parts, relate
from ..parallel.workers import worker_count
from ..report.simulated import SimulatedTest
from ..words.answers import answering

__all__ = ["pbtest"]


@answering
def pbtest(
    large: Any,
    small: Any,
    n: int = 1000,
    seed: int | None = None,
    workers: int | None = None,
    *,
    progress: bool = True,
) -> SimulatedTest:
    """Test a smaller model within a larger one by responses simulated from the smaller.

    Parameters
    ----------
    large, small : LinearMixedModel, or models of ranef.glmer or ranef.clmm
        Models of the same response on the same rows, the second nested in the first.
    n : int
        Number of simulated responses; both models are fitted to each.
    seed : int, optional
        Makes them repeatable, bit by bit, for any number of workers.
    workers : int, optional
        Threads; all cores by default, and one for generalised models, whose search runs in Python.
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
        If the models are not nested, or use different data.

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
    if is_generalised(large) or is_generalised(small):
        check_draws(n)
        return pbtest_generalised(large, small, n, seed, worker_count(workers, 1), progress)
    check_comparable((large, small), "pbtest")
    check_likelihood((large, small), "pbtest")
    check_draws(n)
    threads = worker_count(workers)
    relation = relate(
        parts(small.parts.design, small.parts.estimate),
        parts(large.parts.design, large.parts.estimate),
    )
    if not relation.nested or small.npar >= large.npar:
        raise ModelError(
            f"{small.call.formula!r} is not nested in {large.call.formula!r}; "
            "pbtest(large, small) takes the larger model first"
        )
    reml = small.reml and large.reml and relation.same_fixed
    low, high = by_likelihood(small, reml=reml), by_likelihood(large, reml=reml)
    name = "Parametric bootstrap likelihood-ratio test"
    return bootstrapped(name, low, high, relation, n, seed, threads, progress=progress)
