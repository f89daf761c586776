"""Whether the standard deviations of a fit can be trusted, by parametric bootstrap."""

from __future__ import annotations

from typing import Any

import pandas as pd

from ..fitted.kinds import check_mixed, is_generalised
from ..fitted.lmm.fit import estimated
from ..inference.bias import bias_of_replicates, bias_table
from ..words.answers import answering

__all__ = ["bias_check"]


@answering
def bias_check(model: Any, n: int = 200, seed: int = 1, *, progress: bool = True) -> pd.DataFrame:
    """Simulate from a model and fit again, to estimate the bias of its standard deviations.

    Parameters
    ----------
    model : LinearMixedModel, or a model of ranef.glmer or ranef.clmm
        A fitted model, treated as the truth.
    n : int
        Simulated data sets.
    seed : int
        Makes them repeatable.
    progress : bool
        Whether to show a progress bar when it takes longer than a second.

    Returns
    -------
    DataFrame
        One row per standard deviation: estimate, mean of the simulated estimates, monte_carlo (the
        error of that mean), ratio of the mean to the truth, zero (share of zeros) and corrected
        (the estimate over the ratio).

    Notes
    -----
    A standard deviation that is estimated as zero stays zero when corrected: nothing can be
    simulated from it. In that case fit with ``prior="weak"``.

    Examples
    --------
    >>> import ranef
    >>> model = ranef.lmer("Yield ~ 1 + (1 | Batch)", ranef.datasets.load("Dyestuff"))
    >>> bool(ranef.bias_check(model).loc["sd_Intercept|Batch", "ratio"] < 1)
    True
    """
    check_mixed(model, "bias_check", every=True)
    if n < 2:
        raise ValueError(f"bias_check needs 2 or more simulated data sets, not {n}")
    if is_generalised(model):
        runs = model.bootstrap(n, seed=seed, progress=progress)
        return bias_of_replicates(runs.replicates, runs.estimate)
    return bias_table(
        model.parts.design,
        model.parts.estimate,
        lambda design, core: estimated(design, core, model.call),
        n=n,
        seed=seed,
        progress=progress,
    )
