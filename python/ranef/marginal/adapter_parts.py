"""What marginaleffects asks of models whose means have no single linear predictor."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache, cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import scipy

from .._typing import Array
from ..design.design import Design
from ..errors import UnsupportedError
from ..fitted.ordinal.model import CumulativeLinkModel
from ..fitted.several.model import DistributionalModel
from .adapter import (
    abstract_model,
    categories,
    polars_frame,
    quoted,
    restored,
    variables_of,
)
from .scales import Values, means_of_rows

if TYPE_CHECKING:
    import polars as pl

__all__ = ["PartsModel", "parts_adapter_class"]

PartsModel = DistributionalModel | CumulativeLinkModel


@dataclass(frozen=True)
class Coefficients:
    """All coefficients of a model, and the way back to the standardised ones.

    Attributes
    ----------
    names : list of str
        As in the summary, those of other parts than the location with the part before them;
        thresholds of an ordinal model first.
    value : ndarray of shape (r,)
        Estimates.
    to_standard : ndarray of shape (P, r)
        Turns them into standardised coefficients.
    cov : ndarray of shape (r, r)
        Their covariance.
    """

    names: list[str]
    value: Array
    to_standard: Array
    cov: Array


def coefficients_of(model: PartsModel) -> Coefficients:
    """Lay out the coefficients of all parts."""
    estimate = model.parts.estimate
    if isinstance(model, CumulativeLinkModel):
        parts = model.parts
        maps = np.vstack([parts.ordinal.thresholds, parts.mapped[1][parts.kept]])
        names = [*parts.cuts, *(parts.names[j] for j in parts.kept)]
    else:
        maps = np.asarray(scipy.linalg.block_diag(*(block.T for block in estimate.blocks)))
        names = [
            block.names[j] if block.part == "location" else f"{block.part}:{block.names[j]}"
            for block in estimate.blocks
            for j in block.kept
        ]
    cov = maps @ estimate.standard_cov @ maps.T
    return Coefficients(names, maps @ estimate.standard, np.linalg.pinv(maps), cov)


def covariance_of(found: Coefficients, vcov: bool | str) -> Array | None:
    """Return the covariance of all coefficients; None for False."""
    if isinstance(vcov, str):
        raise UnsupportedError(
            f"vcov={vcov!r} is not available for models of several predictors and of clmm here; "
            "use vcov=True, or model.robust() for the coefficients"
        )
    return found.cov if vcov else None


class NewRows:
    """Rows to predict, which can be cut like the rows of X, for which they stand."""

    def __init__(self, parts: Any, frame: pd.DataFrame):
        self.parts, self.frame = parts, frame

    def __getitem__(self, rows: Any) -> NewRows:
        return NewRows(self.parts, self.frame.iloc[rows])

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns."""
        return self.frame.shape

    @cached_property
    def values(self) -> Values:
        """Means, or probabilities of categories, by standardised coefficients."""
        return means_of_rows(self.parts, self.frame)


def long(values: Array, categories: Sequence[object] | None) -> pl.DataFrame:
    """Lay out means, (m, 1), or probabilities, (m, K), as marginaleffects takes them."""
    import polars as pl

    m, K = values.shape
    columns: dict[str, Any] = {
        "rowid": np.tile(np.arange(m, dtype=np.int32), K),
        "estimate": np.ascontiguousarray(values.T).ravel(),
    }
    if categories is not None:
        columns["group"] = np.repeat(np.array([str(c) for c in categories]), m)
    return pl.DataFrame(columns)


@cache
def parts_adapter_class() -> Any:
    """Make the class; see ``adapter_class``."""
    ModelAbstract, ModelVault = abstract_model()

    class PartsAdapter(ModelAbstract):  # type: ignore[misc, valid-type]
        """Means, or probabilities of categories, by the fixed part of all predictors."""

        def __init__(self, model: PartsModel, frame: pd.DataFrame, df: float):
            self.df_resid = df
            designs = designs_of(model)
            self._levels = {k: v for d in designs for k, v in categories(d, frame).items()}
            self._coefficients = found = coefficients_of(model)
            used = dict.fromkeys(name for d in designs for name in variables_of(d, frame))
            names = [model.parts.design.response, *used]
            vault = ModelVault(
                coef=found.value,
                coefnames=np.array(found.names),
                formula=f"{quoted(names[0])} ~ {' + '.join(map(quoted, names[1:])) or '1'}",
                modeldata=polars_frame(frame, self._levels),
                variable_names=names,
                package="ranef",
            )
            super().__init__(model, vault)

        def get_vcov(self, vcov: bool | str = True) -> Array | None:
            """Return the covariance of the coefficients of all parts."""
            return covariance_of(self._coefficients, vcov)

        def get_exog(self, newdata: pl.DataFrame) -> NewRows:
            """Return the rows with the categories of the fit."""
            return NewRows(self.model.parts, restored(newdata, self._levels))

        def get_predict(self, params: Array, newdata: NewRows) -> pl.DataFrame:
            """Predict rows of ``get_exog``, those of ordinal models once for each category."""
            values = newdata.values(self._coefficients.to_standard @ np.asarray(params))
            ordinal = isinstance(self.model, CumulativeLinkModel)
            return long(values, self.model.parts.categories if ordinal else None)

    return PartsAdapter


def designs_of(model: PartsModel) -> list[Design]:
    """List the designs of all parts."""
    if isinstance(model, CumulativeLinkModel):
        parts = model.parts
        return [d for d in (parts.design, parts.scale, parts.nominal) if d is not None]
    return [design for _, design in model.parts.designs]
