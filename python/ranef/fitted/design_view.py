"""The design matrices of a fit, as its user sees them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from .._counted import counted
from .._typing import Array
from ..design.design import Design

if TYPE_CHECKING:
    from scipy.sparse import csr_array

__all__ = ["DesignView"]


class DesignView:
    """Response and design matrices of the rows that a fit used.

    Attributes
    ----------
    names : tuple of str
        Names of the columns of ``X``.
    groups : tuple of str
        Grouping factors of the random-effects terms, in the order of ``Z``.

    Examples
    --------
    >>> import ranef
    >>> sleep = ranef.datasets.load("sleepstudy")
    >>> design = ranef.lmer("Reaction ~ Days + (Days | Subject)", sleep).design
    >>> design
    <Design of 180 rows: X has 2 columns, Z has 36>
    >>> design.X.head(2)
       Intercept  Days
    0        1.0   0.0
    1        1.0   1.0
    """

    def __init__(self, design: Design):
        self._design = design

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the columns of ``X``."""
        return self._design.fixed_names

    @property
    def groups(self) -> tuple[str, ...]:
        """Grouping factors of the random-effects terms, in the order of ``Z``."""
        return tuple(term.group for term in self._design.random if term.n_cols)

    @property
    def index(self) -> pd.Index[Any] | None:
        """Labels of the rows used, as in the caller's frame."""
        index, rows = self._design.index, self._design.rows
        return index if index is None or rows is None else index[rows]

    @property
    def y(self) -> pd.Series[Any]:
        """Response, as the formula transforms it, shape (n,)."""
        return pd.Series(self._design.y, index=self.index, name=self._design.response)

    @property
    def X(self) -> pd.DataFrame:
        """Fixed-effects matrix, shape (n, p)."""
        return pd.DataFrame(self._design.X, index=self.index, columns=list(self.names))

    @property
    def Z(self) -> csr_array:
        """Random-effects matrix, shape (n, q): sparse, a level's columns side by side."""
        from scipy.sparse import csr_array, hstack

        n = self._design.n_obs
        blocks = []
        for term in self._design.random:
            if not term.n_cols:
                continue
            s = term.n_cols
            ends = np.arange(0, n * s + 1, s)
            z, shape = self._design.z(term), (n, term.n_levels * s)
            parts = []
            for codes, weight in term.memberships:
                columns = codes.astype(np.intp)[:, None] * s + np.arange(s)
                values = z if weight is None else weight[:, None] * z
                parts.append(csr_array((values.ravel(), columns.ravel(), ends), shape))
            blocks.append(sum(parts[1:], parts[0]))
        return csr_array((n, 0)) if not blocks else csr_array(hstack(blocks))

    @property
    def weights(self) -> Array | None:
        """Weights of the rows, shape (n,), if there are any."""
        return self._design.weights

    @property
    def offset(self) -> Array | None:
        """Known part of the linear predictor, shape (n,), if there is any."""
        return self._design.offset

    def __repr__(self) -> str:
        columns = sum(term.n_levels * term.n_cols for term in self._design.random)
        return (
            f"<Design of {counted(self._design.n_obs, 'row')}: X has "
            f"{counted(len(self.names), 'column')}, Z has {columns}>"
        )

    def _repr_html_(self) -> str:
        shown = self.X.head(10).to_html(float_format="{:.5g}".format)
        return f"<h4>{repr(self)[1:-1]}</h4>{shown}"
