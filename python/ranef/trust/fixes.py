"""The code that a finding about residuals proposes, for each kind of model."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from ..design.design import Design
from ..fitted.gls.model import GLSModel
from ..fitted.growth.model import GrowthModel
from ..fitted.lmm.model import LinearMixedModel
from ..fitted.parts import Base
from ..formula import like, parse
from ..inference.diagnosis.formulas import inside
from ..inference.diagnosis.residuals import numbers_of

__all__ = ["Fixes"]

#: The sum of squares of the sizes of connected groups of rows up to which gls is proposed.
MOST = 5e7


class Fixes:
    """Fixes of one model: call it with the code of a finding and what it is about.

    Parameters
    ----------
    model : object
        The fitted model.
    """

    def __init__(self, model: Base):
        self._model = model
        self._design: Design = model.parts.design

    def __call__(self, code: str, about: str) -> str:
        """Write the line of code; empty if there is none."""
        return {
            "outliers": self._rows,
            "curvature": self._bend,
            "unequal-variance": self._variance,
            "serial-correlation": self._serial,
            "effects-correlated": self._within,
        }[code](about)

    @property
    def _is_plain(self) -> bool:
        """Return whether formula and data determine the call."""
        names = ("weights", "offset", "contrasts", "prior", "absorb")
        given = [getattr(self._model.call, name, None) for name in names]
        return all(value is None or value == () for value in given)

    def _rows(self, about: str) -> str:
        return 'model.influence("rows")' if isinstance(self._model, LinearMixedModel) else ""

    def _bend(self, about: str) -> str:
        if isinstance(self._model, GrowthModel):
            is_line = self._model.call.shape == "linear" and about == self._model.call.time
            return 'model.update(shape="quadratic")' if is_line else ""
        return f'model.update(". ~ . + I({inside(about)} ** 2)")'

    def _variance(self, about: str) -> str:
        model = self._model
        if isinstance(model, GrowthModel):
            free = model.call.residuals == "equal" and about in (model.call.time, "fitted values")
            return 'model.update(residuals="free")' if free else ""
        if about == "fitted values":
            return self._logarithm()
        factor = self._design.encoder.factors.get(about)
        by = about if factor is None or factor.is_categorical else f"~ {about}"
        if isinstance(model, GLSModel):
            return f'model.update(variance="{by}")' if model.call.variance is None else ""
        if not self._is_plain or not self._fits_gls() or ":" in about:
            return ""
        return f'ranef.gls("{self._text()}", data, variance="{by}")'

    def _logarithm(self) -> str:
        """Write the model of the logarithm of a response that is positive."""
        name = self._design.response
        plain = name.isidentifier() and self._design.y.min() > 0.0 and self._is_plain
        return f'model.update("np.log({name}) ~ .")' if plain else ""

    def _serial(self, about: str) -> str:
        group, _, time = about.partition("|")
        if not self._is_plain or ":" in group or not self._fits_gls():
            return ""
        times = numbers_of(self._design)[time]
        levels = next(t.codes for t in self._design.random if t.group == group)
        if len(np.unique(np.column_stack([levels, times]), axis=0)) < len(times):
            return ""  # rows of one time have no order
        corr = "ar1" if np.allclose(times, np.round(times), atol=0.0) else "car1"
        how = f'groups="{group}", time="{time}", corr="{corr}"'
        if isinstance(self._model, GLSModel):
            is_free = self._model.call.corr == "independence"
            return f"model.update({how})" if is_free else ""
        if isinstance(self._model, LinearMixedModel):
            return f'ranef.gls("{self._text()}", data, {how})'
        return ""

    def _within(self, about: str) -> str:
        group = about.partition("|")[2]
        is_linear = isinstance(self._model, LinearMixedModel)
        if not is_linear or not self._is_plain or not group.isidentifier():
            return ""
        fixed = parse(self._model.call.formula).without_random().text
        return f'ranef.within_between("{fixed}", data, groups="{group}")'

    def _text(self) -> str:
        """Write the formula, with its random effects."""
        formula = parse(self._model.call.formula)
        bars = [bar.source() for bar in formula.random]
        return like(" + ".join([formula.without_random().text, *bars]), formula)

    def _fits_gls(self) -> bool:
        """Whether dense covariances of connected rows stay small."""
        design = self._design
        if not design.random:
            return True
        whole = len(design.random) > 1 and not self._is_nested()
        sizes = [design.n_obs] if whole else np.bincount(self._coarsest().codes).tolist()
        return float(np.sum(np.square(sizes, dtype=float))) < MOST

    def _coarsest(self) -> Any:
        return min(self._design.random, key=lambda term: term.n_levels)

    def _is_nested(self) -> bool:
        top = self._coarsest()
        pairs: Mapping[str, int] = {
            term.group: len(np.unique(term.codes.astype(np.int64) * top.n_levels + top.codes))
            for term in self._design.random
        }
        return all(pairs[term.group] == term.n_levels for term in self._design.random)
