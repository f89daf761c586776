"""Options of batches of generalised models."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from .._counted import counted
from ..design.aligned import one_a_row
from ..design.design import Design, only_plain
from ..design.frame import Frame
from ..design.values import Numbers, read_series
from ..errors import DataError, UnsupportedError
from ..fitted.glmm.fit import specification
from ..models.glmm.estimate import GlmmSpec
from .many import check_ddf

__all__ = ["batch_ddf", "batch_spec", "check_plain", "refuse_matrix_weights", "with_size_factors"]


def batch_spec(family: Any, link: str | None, size_factors: Any) -> GlmmSpec | None:
    """Read the family of a batch; None for linear models.

    Raises
    ------
    ValueError, TypeError
        If there are options of generalised models without a family, or several families.
    UnsupportedError
        For a link that a batch does not support.
    """
    if family is None:
        for name, given in (("link", link), ("size_factors", size_factors)):
            if given is not None:
                raise ValueError(
                    f"{name}= is for generalised models; pass family='poisson' or another one"
                )
        return None
    if not isinstance(family, str):
        raise TypeError(
            f"family is one name for all fits, not {family!r}; fit those of each family by a call "
            "of their own"
        )
    spec = specification(family, link, 1)
    if spec.transform.positive:
        raise UnsupportedError(
            "a batch of gamma responses has the log link; use link='log', or ranef.glmer for each"
        )
    return spec


def batch_ddf(ddf: str | None, spec: GlmmSpec | None) -> str:
    """Choose degrees of freedom; infinite for generalised models."""
    if ddf is not None:
        check_ddf(ddf)
    if spec is None:
        return ddf or "residual"
    if ddf not in (None, "inf"):
        raise UnsupportedError(
            f"ddf={ddf!r} is for normal responses; tests of generalised models are normal ones"
        )
    return "inf"


def refuse_matrix_weights(W: Any) -> None:
    """Refuse weights that differ between responses."""
    if W is not None:
        raise UnsupportedError(
            "weights of generalised models are trials, one column for all responses; fit responses "
            "with trials of their own by ranef.glmer"
        )


def check_plain(design: Design) -> None:
    """Refuse terms that the batch kernel lacks: known covariances, several members."""
    only_plain(design, "a batch of generalised fits", "use ranef.glmer for each")


def with_size_factors(offset: Any, size_factors: Any, frame: Frame) -> Any:
    """Add the logarithm of the size of each row to an offset.

    Raises
    ------
    DataError
        If a size is not a number above zero.
    """
    if size_factors is None:
        return offset
    sizes = column("size_factors", size_factors, frame)
    if bad := int(np.sum(~(np.isfinite(sizes) & (sizes > 0.0)))):
        raise DataError(
            f"size_factors must be finite and above zero; they are not in {counted(bad, 'row')}. "
            "Leave out rows without any counts",
            "size_factors",
        )
    if offset is None:
        return np.log(sizes)
    return np.log(sizes) + column("offset", offset, frame)


def column(name: str, given: Any, frame: Frame) -> NDArray[np.float64]:
    """Read a column of the data, or one number for each row."""
    if isinstance(given, str):
        series = frame.series(given)
    else:
        series = one_a_row(given, name, frame.index, frame.n_rows, None)
    value = read_series(series, name)
    if not isinstance(value, Numbers):
        raise DataError(f"{name} must be numbers", name)
    return np.asarray(value.arrays[0], dtype=np.float64)
