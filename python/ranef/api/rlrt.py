"""The exact restricted likelihood-ratio test of one variance."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..comparison.models import by_likelihood, check_likelihood
from ..comparison.simulated import check_draws, observed_between, simulated
from ..errors import ModelError
from ..fitted.kinds import check_mixed
from ..fitted.lmm.model import LinearMixedModel
from ..inference.lrt.lrt import RatioTest, boundary_pvalue, chi2_tail
from ..inference.lrt.rlrt import null_statistics, spectrum
from ..report.simulated import SimulatedTest
from ..words.answers import answering

__all__ = ["rlrt"]


@answering
def rlrt(
    model: LinearMixedModel,
    null: LinearMixedModel | None = None,
    alternative: LinearMixedModel | None = None,
    *,
    n: int = 10_000,
    seed: Any = None,
    progress: bool = True,
) -> SimulatedTest:
    """Test whether the one variance of a model's random effects is zero, exactly.

    Parameters
    ----------
    model : LinearMixedModel
        A model with one random-effects term of one column, such as (1 | group). A fit by maximum
        likelihood is refitted by REML.
    null, alternative : LinearMixedModel, optional
        Where there are other variances: the model without the one that is tested, and the model
        with it. ``model`` then has that one alone.
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
        If the model has more than one variance, or the three models are inconsistent.

    Notes
    -----
    The null distribution of the restricted likelihood ratio is simulated from its spectral form,
    which is exact for any number of levels [1]_; the large-sample mixture also reported needs many
    levels. With other variances the statistic is that of ``null`` and ``alternative``, and its
    distribution that of ``model``: close where the other variances are known well [2]_.

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
    random = model.parts.design.random
    if len(random) != 1 or random[0].n_cols != 1:
        raise ModelError(
            "rlrt tests the variance of a model with one random-effects term of one column, as "
            f"(1 | {random[0].group}); for {model.call.formula!r} use ranef.pbtest(model, smaller)"
        )
    check_draws(n)
    fit = by_likelihood(model, reml=True)
    without = fit.parts.core.objective([np.zeros((1, 1))], True)
    observed = max(0.0, without + 2.0 * fit.llf)
    if null is not None or alternative is not None:
        observed = observed_between(model, null, alternative)
    kept = fit.parts.estimate.kept
    eigenvalues = spectrum(fit.parts.design, kept)
    rng = np.random.default_rng(seed)
    draws = null_statistics(eigenvalues, fit.nobs - len(kept), n, rng, progress=progress)
    test = RatioTest(observed, 1.0, chi2_tail(observed, 1), boundary_pvalue(observed, 1))
    notes = [f"variance of ({random[0].names[0]} | {random[0].group}) against zero, by REML"]
    return simulated("Exact restricted likelihood-ratio test", test, draws, notes)
