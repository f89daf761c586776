"""How often another sample would choose another model."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from .._counted import counted
from .._options import check_option
from ..comparison.models import check_comparable, check_likelihood, labels
from ..comparison.stability import criteria_of_samples
from ..errors import ModelError, UnsupportedError
from ..fitted.lmm.model import LinearMixedModel
from ..fitted.parts import Base
from ..report.tabled import Tabled
from ..words.answers import answering

__all__ = ["selection_stability"]


@answering
def selection_stability(
    models: Sequence[LinearMixedModel],
    n: int = 200,
    *,
    by: str = "aicc",
    seed: Any = None,
    progress: bool = True,
) -> Tabled:
    """Draw groups with replacement, fit all models to each sample, and count which is chosen.

    Parameters
    ----------
    models : sequence of LinearMixedModel
        Two or more models of the same response on the same rows, whose largest grouping factor is
        the same.
    n : int
        Number of samples.
    by : {"aicc", "aic", "bic"}
        What chooses.
    seed : int, optional
        Makes the samples repeatable.
    progress : bool
        Whether to show a progress bar when it takes longer than a second.

    Returns
    -------
    Tabled
        ``table`` with one row per model: the criterion of the data, share of samples in which it is
        lowest, and the median and 95 % range of its distance from the lowest.

    Notes
    -----
    Groups of the coarsest grouping factor are drawn whole, and a group drawn twice is two groups
    [1]_. All fits are by maximum likelihood. A model that wins in only half of the samples is not a
    safe choice.

    References
    ----------
    .. [1] Sauerbrei and Schumacher (1992), Stat. Med. 11, 2093-2109.

    Examples
    --------
    >>> import ranef
    >>> sleep = ranef.datasets.load("sleepstudy")
    >>> slope = ranef.lmer("Reaction ~ Days + (Days | Subject)", sleep)
    >>> level = ranef.lmer("Reaction ~ Days + (1 | Subject)", sleep)
    >>> ranef.selection_stability([level, slope], 50, seed=1).table["chosen"].tolist()
    [0.0, 1.0]
    """
    if isinstance(models, Base):
        raise ModelError(
            "selection_stability takes two or more models in a list: "
            "ranef.selection_stability([model, other])"
        )
    models = tuple(models)
    if any(not isinstance(model, LinearMixedModel) for model in models):
        raise UnsupportedError(
            "selection_stability resamples groups of linear models; for other models use "
            "ranef.cross_validate"
        )
    check_comparable(models, "selection_stability")
    check_likelihood(models, "selection_stability")
    criterion = check_option("by", by, ("aicc", "aic", "bic"))
    if isinstance(n, bool) or not isinstance(n, int | np.integer) or n < 1:
        raise ValueError(f"n is a number of samples, 1 or more, not {n!r}")
    own, drawn = criteria_of_samples(models, int(n), criterion, seed, progress=progress)
    usable = np.isfinite(drawn).all(axis=1)
    if not usable.any():
        raise ModelError("no sample could be fitted by all models")
    drawn = drawn[usable]
    delta = drawn - drawn.min(axis=1, keepdims=True)
    first = delta.argmin(axis=1)
    low, middle, high = np.quantile(delta, (0.025, 0.5, 0.975), axis=0)
    table = pd.DataFrame(
        {
            criterion: own,
            "chosen": [float((first == k).mean()) for k in range(len(models))],
            "delta_median": middle,
            "delta_lower": low,
            "delta_upper": high,
        },
        index=labels(models),
    )
    notes = [
        f"{counted(len(drawn), 'sample')} of groups, drawn with replacement; fits by maximum "
        "likelihood"
    ]
    if not usable.all():
        notes.append(f"{counted(int((~usable).sum()), 'sample')} could not be fitted by all models")
    return Tabled(table, tuple(notes))
