"""The exact restricted likelihood-ratio test of variances."""

from __future__ import annotations

from typing import Any

from ..comparison.models import check_likelihood
from ..comparison.simulated import check_draws
from ..comparison.variances import among_others, every_variance, has_one_variance, one_variance
from ..fitted.kinds import check_mixed
from ..fitted.lmm.model import LinearMixedModel
from ..parallel.workers import worker_count
from ..report.simulated import SimulatedTest
from ..words.answers import answering

__all__ = ["rlrt"]

#: Draws by default, of statistics that are computed directly, and of those that take fits.
EXACT_DRAWS, FITTED_DRAWS = 10_000, 1_000


@answering
def rlrt(
    model: LinearMixedModel,
    null: LinearMixedModel | None = None,
    alternative: LinearMixedModel | None = None,
    *,
    n: int | None = None,
    seed: Any = None,
    workers: int | None = None,
    progress: bool = True,
) -> SimulatedTest:
    """Test whether the variances of a model's random effects are zero, exactly.

    Parameters
    ----------
    model : LinearMixedModel
        The random effects that are tested: one, as in (1 | group), or several at once, as in
        (1 + x | group) or (1 | a) + (1 | b). A fit by maximum likelihood is refitted by REML.
    null, alternative : LinearMixedModel, optional
        Where there are other random effects: the model without those that are tested, and the
        model with them. ``model`` then has the tested ones alone.
    n : int, optional
        Number of simulated statistics; 10,000 by default for one variance, 1,000 for several,
        each of which takes fits.
    seed : int or Generator, optional
        Makes them repeatable.
    workers : int, optional
        Threads of the fits; all cores by default. Results do not depend on it.
    progress : bool
        Whether to show a progress bar when it takes longer than a second.

    Returns
    -------
    SimulatedTest
        ``table`` with chisq, df, pvalue, pvalue_chi2, pvalue_boundary, draws.

    Raises
    ------
    ModelError
        If the three models are inconsistent.
    UnsupportedError
        If levels have a known covariance, or their covariance a structure.

    Notes
    -----
    Without other random effects the restricted likelihood ratio has a null distribution without
    parameters, for any number of levels. That for one variance is simulated from its spectral
    form [1]_; for several the model is fitted to errors of variance one. The large-sample
    mixture, where one is known, needs many levels.

    With other random effects the statistic is that of ``null`` and ``alternative``. For one
    variance the distribution is that of ``model``: close where the other variances are known well
    [2]_. For several, or where the tested effect is correlated with others, both models are fitted
    to responses drawn from ``null``.

    References
    ----------
    .. [1] Crainiceanu and Ruppert (2004), J. R. Stat. Soc. B 66, 165-185.
    .. [2] Greven, Crainiceanu, Kuechenhoff and Peters (2008), J. Comput. Graph. Stat. 17, 870-891.

    Examples
    --------
    >>> import ranef
    >>> model = ranef.lmer("Yield ~ 1 + (1 | Batch)", ranef.datasets.load("Dyestuff"))
    >>> ranef.rlrt(model, seed=1).pvalue < 0.01
    True
    """
    check_mixed(model, "rlrt")
    check_likelihood((model,), "rlrt")
    one = has_one_variance(model)
    draws = (EXACT_DRAWS if one else FITTED_DRAWS) if n is None else n
    check_draws(draws)
    threads = worker_count(workers)
    if null is not None or alternative is not None:
        return among_others(model, null, alternative, draws, seed, threads, progress=progress)
    if one:
        return one_variance(model, None, draws, seed, progress=progress)
    return every_variance(model, draws, seed, threads, progress=progress)
