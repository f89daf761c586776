"""What marginaleffects asks of a model."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from .._typing import Array
from ..design.encode import encode
from ..design.frame import open_frame
from ..fitted.lmm.model import LinearMixedModel
from ..inference.emmeans import occurring, variables

if TYPE_CHECKING:
    import polars as pl


__all__ = [
    "adapter_class",
    "categories",
    "covariance",
    "polars_frame",
    "quoted",
    "restored",
    "rows_of",
    "variables_of",
]


@cache
def adapter_class() -> Any:
    """Make the class; marginaleffects is imported here and nowhere else."""
    try:
        from marginaleffects.classes import ModelAbstract, ModelVault
    except ImportError as error:
        raise ImportError(
            "this needs the package marginaleffects: pip install marginaleffects"
        ) from error

    class MixedModelAdapter(ModelAbstract):  # type: ignore[misc]
        """A mixed model's fixed part."""

        def __init__(self, model: LinearMixedModel, frame: pd.DataFrame, df: float):
            self.df_resid = df
            self._levels = categories(model, frame)
            names = [model.parts.design.response, *variables_of(model, frame)]
            kept = model.parts.estimate.kept
            vault = ModelVault(
                coef=model.parts.estimate.beta[kept],
                coefnames=np.array([model.parts.design.fixed_names[j] for j in kept]),
                formula=f"{quoted(names[0])} ~ {' + '.join(map(quoted, names[1:])) or '1'}",
                modeldata=polars_frame(frame, self._levels),
                variable_names=names,
                package="ranef",
            )
            super().__init__(model, vault)

        def get_vcov(self, vcov: bool | str = True) -> Array | None:
            """Return the covariance of the coefficients that are not aliased."""
            return covariance(self.model, vcov)

        def get_exog(self, newdata: pl.DataFrame) -> Array:
            """Return the rows of X, and the offset in a last column where there is one."""
            return rows_of(self.model, restored(newdata, self._levels))

        def get_predict(self, params: Array, newdata: Array) -> pl.DataFrame:
            """Predict from rows of ``get_exog``."""
            import polars as pl

            p = len(params)
            mean = newdata[:, :p] @ np.asarray(params) + newdata[:, p:].sum(axis=1)
            return pl.DataFrame({"rowid": np.arange(len(mean), dtype=np.int32), "estimate": mean})

        def get_autodiff_args(self) -> dict[str, Any] | None:
            """Say that predictions are linear, unless an offset is added."""
            if self.model.parts.design.offset is not None:
                return None
            return {"model_type": "linear", "family": None, "link": None}

    return MixedModelAdapter


def quoted(name: str) -> str:
    """Write a name for a formula."""
    return name if name.isidentifier() else f"`{name}`"


def variables_of(model: LinearMixedModel, frame: pd.DataFrame) -> list[str]:
    """List the columns that the fixed part uses."""
    return list(variables(model.parts.design.encoder, open_frame(frame))[0])


def categories(model: LinearMixedModel, frame: pd.DataFrame) -> dict[str, pd.Index[Any]]:
    """Levels of every categorical column, those of the model as the model orders them."""
    categorical, levels = variables(model.parts.design.encoder, open_frame(frame))
    found: dict[str, pd.Index[Any]] = {}
    for name in map(str, frame.columns):
        values = frame[name]
        text = not pd.api.types.is_numeric_dtype(values.dtype)
        if pd.api.types.is_bool_dtype(values.dtype) or not (categorical.get(name, False) or text):
            continue
        known = levels.get(name)
        found[name] = pd.Index(occurring(values)) if known is None else known
    return found


def polars_frame(frame: pd.DataFrame, levels: dict[str, pd.Index[Any]]) -> pl.DataFrame:
    """Put the data into polars, categories as enumerations of their names."""
    import polars as pl

    columns = {}
    for name in map(str, frame.columns):
        if name in levels:
            kind = pl.Enum([str(level) for level in levels[name]])
            columns[name] = pl.Series(name, frame[name].astype(str).tolist(), dtype=kind)
        else:
            columns[name] = pl.Series(name, frame[name].to_numpy())
    return pl.DataFrame(columns)


def restored(newdata: pl.DataFrame, levels: dict[str, pd.Index[Any]]) -> pd.DataFrame:
    """Take rows back from polars, with the categories of the fit."""
    out: dict[str, Any] = {}
    for name in newdata.columns:
        if name not in levels:
            out[name] = newdata[name].to_numpy()
            continue
        place = {str(level): i for i, level in enumerate(levels[name])}
        codes = [place[str(value)] for value in newdata[name].to_list()]
        out[name] = pd.Categorical.from_codes(codes, categories=levels[name])
    return pd.DataFrame(out)


def rows_of(model: LinearMixedModel, frame: pd.DataFrame) -> Array:
    """Rows of X without its aliased columns, shape (m, r), and the offset if the model has one."""
    rows = encode(model.parts.design, frame, random=False)
    X = np.asarray(rows.X[:, model.parts.estimate.kept])
    if model.parts.design.offset is None:
        return X
    offset = np.zeros(len(X)) if rows.offset is None else rows.offset
    return np.column_stack([X, offset])


def covariance(model: LinearMixedModel, vcov: bool | str) -> Array | None:
    """Return the covariance of a name; the model's own for True, none for False."""
    if vcov is False:
        return None
    if vcov is True:
        return np.asarray(model.parts.estimate.cov_beta)
    if vcov == "kenward-roger":
        return np.asarray(model.parts.approximation(vcov).cov)
    return np.asarray(model.robust(vcov).cov)
