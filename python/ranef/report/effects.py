"""Conditional modes of the random effects with their labels."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import ClassVar

import numpy as np
import pandas as pd

from .._counted import counted
from .._typing import Array
from ..design.design import RandomTerm
from ..words.answers import Spoken

__all__ = ["RandomEffects", "per_level"]


class RandomEffects(Spoken, dict[str, pd.DataFrame]):
    """Conditional modes by grouping factor: a frame of levels by terms for each group.

    Attributes
    ----------
    cov : dict of str to ndarray of shape (levels, s, s)
        Conditional covariance matrices of each level's effects, given the estimated
        parameters, on the
        scale of the response squared. Computed when first asked for.
    """

    model_is: ClassVar[str] = "the fitted model"

    def __init__(
        self,
        terms: Sequence[RandomTerm],
        modes: Sequence[Array],
        covariances: Callable[[], list[Array]],
    ):
        super().__init__(
            (term.group, pd.DataFrame(b, index=term.levels, columns=list(term.names)))
            for term, b in zip(terms, modes, strict=True)
        )
        self._covariances = covariances
        self._cov: dict[str, Array] | None = None

    @classmethod
    def restored(cls, frames: dict[str, pd.DataFrame], cov: dict[str, Array]) -> RandomEffects:
        """Rebuild from plain dictionaries."""
        effects = cls((), (), list)
        effects.update(frames)
        effects._cov = cov
        return effects

    @property
    def cov(self) -> dict[str, Array]:
        """Conditional covariances by group."""
        if self._cov is None:
            self._cov = dict(zip(self, self._covariances(), strict=True))
        return self._cov

    def __reduce__(self) -> tuple[object, ...]:
        return (RandomEffects.restored, (dict(self), self.cov))

    def _repr_html_(self) -> str:
        parts = []
        for group, frame in self.items():
            shown = frame.head(10)._repr_html_()  # type: ignore[operator]
            parts.append(f"<h4>{group} ({counted(len(frame), 'level')})</h4>{shown}")
        return "".join(parts)


def per_level(effects: RandomEffects, params: pd.Series) -> dict[str, pd.DataFrame]:
    """Add fixed effects to the random ones of the same name: each level's own coefficients.

    Parameters
    ----------
    effects : RandomEffects
        Conditional modes.
    params : Series
        Fixed effects by name.

    Returns
    -------
    dict of str to DataFrame
        Levels by coefficients; a random effect without a fixed one of its name stands for itself.
    """
    out = {}
    for group, frame in effects.items():
        names = list(params.index) + [c for c in frame.columns if c not in params.index]
        base = params.reindex(names).to_numpy()
        base = np.where([name in params.index for name in names], base, 0.0)
        table = pd.DataFrame(np.tile(base, (len(frame), 1)), index=frame.index, columns=names)
        for j, column in enumerate(frame.columns):
            table[column] = table[column].to_numpy() + frame.iloc[:, j].to_numpy()
        out[group] = table
    return out
