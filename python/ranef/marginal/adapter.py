"""What marginaleffects asks of a model."""

from __future__ import annotations

from functools import cache
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from .._typing import Array
from ..design.design import Design
from ..design.encode import encode
from ..design.frame import open_frame
from ..errors import UnsupportedError
from ..families.links import link_named
from ..fitted.glmm.model import GeneralizedLinearMixedModel
from ..fitted.gls.model import GLSModel
from ..fitted.lmm.model import LinearMixedModel
from ..inference.emmeans import occurring, variables

if TYPE_CHECKING:
    import polars as pl


Wrapped = LinearMixedModel | GeneralizedLinearMixedModel | GLSModel

__all__ = [
    "Wrapped",
    "abstract_model",
    "adapter_class",
    "categories",
    "covariance",
    "polars_frame",
    "quoted",
    "restored",
    "rows_of",
    "variables_of",
]


def abstract_model() -> tuple[Any, Any]:
    """Import the classes that adapters inherit from."""
    try:
        from marginaleffects.classes import ModelAbstract, ModelVault
    except ImportError as error:
        raise ImportError(
            "this needs the package marginaleffects: pip install marginaleffects"
        ) from error
    check_versions(version("marginaleffects"), version("polars"))
    return ModelAbstract, ModelVault


def check_versions(marginaleffects: str, polars: str) -> None:
    """Refuse versions that do not work together, whatever the model.

    Raises
    ------
    ImportError
        With the line that installs versions that do.
    """
    if release(marginaleffects) <= (0, 6) and release(polars) >= (2, 0):
        raise ImportError(
            f"marginaleffects {marginaleffects} does not work with polars {polars}, whatever the "
            'model: pip install "polars<2"'
        )


def release(text: str) -> tuple[int, ...]:
    """Read the first two numbers of a version."""
    return tuple(int(part) for part in text.split(".")[:2])


@cache
def adapter_class() -> Any:
    """Make the class of models of one linear predictor."""
    ModelAbstract, ModelVault = abstract_model()

    class MixedModelAdapter(ModelAbstract):  # type: ignore[misc, valid-type]
        """The fixed part of a model."""

        def __init__(self, model: Wrapped, frame: pd.DataFrame, df: float):
            self.df_resid = df
            self._levels = categories(model.parts.design, frame)
            names = [model.parts.design.response, *variables_of(model.parts.design, frame)]
            kept = kept_of(model)
            vault = ModelVault(
                coef=model.params.to_numpy()[kept],
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
            eta = newdata[:, :p] @ np.asarray(params) + newdata[:, p:].sum(axis=1)
            mean = link_named(self.model.parts.link).mean(eta)
            return pl.DataFrame({"rowid": np.arange(len(mean), dtype=np.int32), "estimate": mean})

        def get_autodiff_args(self) -> dict[str, Any] | None:
            """Return the linear form of predictions; None with an offset or a link."""
            if self.model.parts.design.offset is not None or self.model.parts.link != "identity":
                return None
            return {"model_type": "linear", "family": None, "link": None}

    return MixedModelAdapter


def kept_of(model: Wrapped) -> NDArray[np.intp]:
    """Return the positions of the coefficients that are not aliased."""
    kept = np.asarray(model.parts.kept, dtype=np.intp)
    return kept[kept < len(model.params)]


def quoted(name: str) -> str:
    """Write a name for a formula."""
    return name if name.isidentifier() else f"`{name}`"


def variables_of(design: Design, frame: pd.DataFrame) -> list[str]:
    """List the columns that the fixed part uses."""
    return list(variables(design.encoder, open_frame(frame))[0])


def categories(design: Design, frame: pd.DataFrame) -> dict[str, pd.Index[Any]]:
    """Levels of every categorical column, the model's in the model's order."""
    categorical, levels = variables(design.encoder, open_frame(frame))
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
    """Convert the data to polars, categories as enumerations of their names."""
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


def rows_of(model: Wrapped, frame: pd.DataFrame) -> Array:
    """Rows of X without its aliased columns, shape (m, r), and the offset if the model has one."""
    rows = encode(model.parts.design, frame, random=False)
    X = np.asarray(rows.X[:, kept_of(model)])
    if model.parts.design.offset is None:
        return X
    offset = np.zeros(len(X)) if rows.offset is None else rows.offset
    return np.column_stack([X, offset])


def covariance(model: Wrapped, vcov: bool | str) -> Array | None:
    """Return the covariance of a given name; the model's own for True, None for False."""
    if vcov is False:
        return None
    if vcov is True:
        return np.asarray(model.cov_params())
    if vcov == "kenward-roger":
        return np.asarray(model.parts.approximation(vcov).cov)
    if isinstance(model, GLSModel):
        raise UnsupportedError("gls has no robust covariance; vcov=True uses the model's own")
    return np.asarray(model.robust(vcov).cov_params())
