"""Criteria of models on samples of groups."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from .._typing import Array
from ..errors import ModelError, RanefError
from ..fitted.lmm.model import LinearMixedModel
from ..inference.bootstrap.draws import drawer
from ..inference.criteria import value
from ..models import lmm
from ..parallel.progress import tracked
from .models import by_likelihood

__all__ = ["criteria_of_samples"]


def criteria_of_samples(
    models: Sequence[LinearMixedModel], n: int, criterion: str, seed: Any, *, progress: bool
) -> tuple[Array, Array]:
    """Return a criterion of each model on the data, (k,), and on samples of groups, (n, k)."""
    fits = [by_likelihood(model) for model in models]
    tops = {min(m.parts.design.random, key=lambda t: t.n_levels).group for m in fits}
    if len(tops) > 1:
        raise ModelError(
            f"the models draw groups of {' and of '.join(sorted(tops))}; samples are shared only "
            "where the coarsest grouping factor is the same"
        )
    draws = [drawer(m.parts.design, m.parts.estimate, "cases") for m in fits]
    own = np.array([getattr(m, criterion) for m in fits])
    out = np.full((n, len(fits)), np.nan)
    children = np.random.SeedSequence(seed).spawn(n)
    for i in tracked(range(n), n, "samples", shown=progress):
        for k, (model, draw) in enumerate(zip(fits, draws, strict=True)):
            design = draw(np.random.default_rng(children[i]))
            try:
                found = lmm.fit(design, lmm.kernel(design), reml=False, control=lmm.Control())
            except (RanefError, np.linalg.LinAlgError):
                continue
            extra = len(found.kept) - len(model.parts.kept)
            npar = model.npar + extra
            out[i, k] = value(criterion, -0.5 * found.objective, npar, design.n_obs)
    return own, out
