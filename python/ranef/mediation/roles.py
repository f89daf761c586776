"""What each of the two models is, and its rows under control and treatment."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd

from .._counted import counted
from .._typing import Array
from ..chunks.summed import SummedDesign
from ..design.encode import encode
from ..design.frame import open_frame
from ..errors import DataError, ModelError, UnsupportedError
from ..families import registry
from ..families.family import Family
from ..families.links import mean_of
from ..fitted.feols.model import FixedEffectsModel
from ..fitted.glmm.model import GeneralizedLinearMixedModel
from ..fitted.gls.model import GLSModel
from ..fitted.lmm.model import LinearMixedModel
from ..fitted.panel.within_between import WithinBetweenModel
from ..inference.mediation.effects import Side
from ..inference.prediction.predict import population_variance

__all__ = ["Role", "role_of", "variable"]

KINDS = (
    LinearMixedModel,
    GeneralizedLinearMixedModel,
    GLSModel,
    FixedEffectsModel,
    WithinBetweenModel,
)


@dataclass(frozen=True)
class Role:
    """A model as one side of a mediation.

    Attributes
    ----------
    model : model
        The fit.
    what : str
        "mediator" or "outcome", for messages.
    """

    model: Any
    what: str

    @property
    def parts(self) -> Any:
        """The parts of the model; of its mixed model where columns are split."""
        return self.model.parts

    @property
    def is_split(self) -> bool:
        """Whether columns are split within and between groups."""
        return isinstance(self.model, WithinBetweenModel)

    @property
    def is_linear(self) -> bool:
        """Whether the mean is the linear predictor."""
        return self.link == "identity"

    @property
    def link(self) -> str:
        """The link of the mean."""
        return (
            self.model.link if isinstance(self.model, GeneralizedLinearMixedModel) else "identity"
        )

    @property
    def family(self) -> Family:
        """The distribution of the response."""
        if isinstance(self.model, GeneralizedLinearMixedModel):
            return registry.lookup(self.parts.distribution)
        return registry.lookup("gaussian")

    @cached_property
    def side(self) -> Side:
        """Coefficients that are not aliased; an offset has the coefficient 1."""
        beta, cov = self.parts.beta[self.parts.kept], np.asarray(self.parts.cov)
        if self.parts.design.offset is None:
            return Side(beta, cov)
        wider = np.zeros((len(beta) + 1, len(beta) + 1))
        wider[:-1, :-1] = cov
        return Side(np.append(beta, 1.0), wider)

    def inverse(self, eta: Array) -> Array:
        """Return means of linear predictors."""
        return mean_of(self.link, eta)

    @cached_property
    def columns(self) -> dict[str, pd.Series[Any]]:
        """Columns of the data, of the rows that were used."""
        data = self.parts.training_data(f"fit the {self.what}'s model again before mediate(...)")
        frame = open_frame(data)
        rows = self.parts.design.rows
        out = {}
        for name in frame.names:
            column = frame.series(name).reset_index(drop=True)
            out[str(name)] = column if rows is None else column.iloc[rows].reset_index(drop=True)
        return out

    def rows(self, columns: Mapping[str, Any]) -> Array:
        """Encode rows, (n, p): the columns that are not aliased, and an offset.

        Raises
        ------
        DataError
            If a value is missing.
        """
        found = encode(self.parts.design, columns, random=False)
        if found.missing.any():
            raise DataError(
                f"the {self.what}'s model needs columns with missing values in "
                f"{counted(int(found.missing.sum()), 'row')}; fit both models to the same complete "
                "rows"
            )
        X = np.asarray(found.X[:, self.parts.kept])
        if self.parts.design.offset is None:
            return X
        offset = np.zeros(len(X)) if found.offset is None else found.offset
        return np.column_stack([X, offset])

    def random_variance(self, columns: Mapping[str, Any]) -> Array:
        """Variance that random effects add to the linear predictor of each row."""
        if isinstance(self.model, FixedEffectsModel):
            return np.zeros(len(next(iter(columns.values()))))
        return population_variance(self.parts.design, self.parts.estimate, columns)

    @property
    def groups(self) -> tuple[str, ...]:
        """Grouping factors."""
        return tuple(term.group for term in self.parts.design.random)


def role_of(model: Any, what: str) -> Role:
    """Take a model, or refuse it.

    Raises
    ------
    ModelError
        If it is of a kind that cannot be used here.
    """
    if not isinstance(model, KINDS):
        raise ModelError(
            f"the {what}'s model is a {type(model).__name__}; mediate takes models fitted by "
            "ranef.lmer, glmer, gls, feols or within_between"
        )
    if isinstance(model.parts.design, SummedDesign):
        raise UnsupportedError(f"the {what}'s model was fitted from sums, and mediate needs rows")
    if isinstance(model, FixedEffectsModel) and model.parts.call.absorb:
        raise UnsupportedError(
            f"the {what}'s model absorbs {' and '.join(model.parts.call.absorb)}, so its rows are "
            "not known; use ranef.within_between, which keeps effects within groups apart"
        )
    return Role(model, what)


def variable(
    role: Role, columns: Mapping[str, pd.Series[Any]], name: str, word: str
) -> pd.Series[Any]:
    """Find a column of the data by name."""
    if name not in columns:
        raise ValueError(
            f"{word}={name!r} is not a column of the {role.what}'s data, which has "
            f"{', '.join(map(repr, list(columns)[:12]))}"
        )
    return columns[name]
