"""What a growth model is compared with: the saturated model of its occasions, and the null."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from .._counted import counted
from .._typing import Array
from ..design.design import RandomTerm
from ..design.structured import StructuredDesign
from ..errors import ModelError
from .gls.checks import check_rows
from .gls.model import fit_gls, gls_model
from .gls.rows import marginal_covariance
from .lmm import Control

__all__ = ["Saturated", "baseline", "saturated"]


@dataclass(frozen=True)
class Saturated:
    """Maximum likelihood without restrictions on occasions given covariates.

    Attributes
    ----------
    llf : float
        Log-likelihood.
    npar : int
        Means, regressions, variances and covariances.
    intercepts : ndarray of shape (T,)
        Means of the occasions at covariates of zero.
    regressions : ndarray of shape (T, q)
        Coefficients of the covariates.
    cov : ndarray of shape (T, T)
        Covariance of the occasions given covariates.
    """

    llf: float
    npar: int
    intercepts: Array
    regressions: Array
    cov: Array


def saturated(
    rows: StructuredDesign, place: NDArray[np.intp], x: Array, time: RandomTerm, control: Control
) -> Saturated:
    """Fit means, regressions and covariances of all occasions freely, on the rows there are.

    Parameters
    ----------
    rows : StructuredDesign
        The growth model's.
    place : ndarray of shape (n,)
        Occasion of each row, 0 to T - 1.
    x : ndarray of shape (n, q)
        Covariates of each row.
    time : RandomTerm
        The occasions as a grouping factor with the codes ``place``.
    control : Control
        Settings of the search.

    Raises
    ------
    ModelError
        If there are too few groups for it, or pairs of occasions that none has.
    """
    T, q = int(place.max()) + 1, x.shape[1]
    if len(rows.levels) <= T + q:
        raise ModelError(
            f"the saturated model of {counted(T, 'occasion')} and "
            f"{counted(q, 'covariate')} needs more than {T + q} groups; the data have "
            f"{len(rows.levels)}"
        )
    here = (place[:, None] == np.arange(T)).astype(float)
    blocks = [here, *(here * x[:, j : j + 1] for j in range(q))]
    columns = tuple(np.ascontiguousarray(c) for block in blocks for c in block.T)
    whole = replace(
        rows,
        design=replace(
            rows.design,
            columns=columns,
            fixed=tuple(range(len(columns))),
            fixed_names=tuple(map(str, range(len(columns)))),
            random=(),
        ),
        unit=rows.cluster,
        strata=time,
        D=np.asfortranarray(here[:, 1:]),
        D_names=tuple(map(str, range(1, T))),
    )
    model = gls_model(whole, "unstructured")
    check_rows(whole, model.layout, "unstructured", None, None)
    found = fit_gls(whole, model, reml=False, control=control)
    if not found.converged or found.at_bound or len(found.kept) < len(columns):
        raise ModelError("the saturated model of the occasions has no maximum on these rows")
    beta = found.beta.reshape(q + 1, T)
    return Saturated(
        llf=-0.5 * found.objective,
        npar=len(columns) + T * (T + 1) // 2,
        intercepts=beta[0],
        regressions=beta[1:].T,
        cov=marginal_covariance(model, found, T),
    )


def baseline(y: Array, place: NDArray[np.intp]) -> tuple[float, int]:
    """Log-likelihood and parameters of occasions that are independent of all else.

    Parameters
    ----------
    y : ndarray of shape (n,)
        Responses.
    place : ndarray of shape (n,)
        Occasion of each.
    """
    counts = np.bincount(place)
    mean = np.bincount(place, y) / counts
    variance = np.bincount(place, (y - mean[place]) ** 2) / counts
    llf = -0.5 * float(np.sum(counts * (1.0 + np.log(2.0 * np.pi * variance))))
    return llf, 2 * len(counts)
