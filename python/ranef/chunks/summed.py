"""A design reduced to its cross products, for models larger than memory."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .. import _core
from ..design.design import Design, RandomTerm
from ..errors import UnsupportedError

__all__ = ["NO_ROWS", "SummedDesign"]

NO_ROWS = (
    "this model was fitted from cross products and holds no rows; pass rows to predict(newdata) "
    "or augment_chunks(source), or fit a frame in memory"
)
#: What a design without rows does not have.
OF_ROWS = frozenset({"y", "columns", "X"})


@dataclass(frozen=True, repr=False, eq=False)
class SummedDesign(Design):
    """A design whose rows were summed and discarded; asking for them raises.

    ``weights`` and ``offset`` are empty arrays where the fit had them.

    Attributes
    ----------
    n_rows : int
        Rows that were added up.
    sums : _core.Accumulator
        Their cross products.
    """

    n_rows: int = 0
    sums: Any = None

    def __getattribute__(self, name: str) -> Any:
        if name in OF_ROWS:
            raise UnsupportedError(NO_ROWS)
        return super().__getattribute__(name)

    @property
    def n_obs(self) -> int:
        """Number of rows used, n."""
        return self.n_rows

    def z(self, term: RandomTerm) -> NDArray[np.float64]:
        """Refuse: there are no rows."""
        raise UnsupportedError(NO_ROWS)

    def kernel(self, method: str = "exact") -> _core.Lmm:
        """Build the kernel from the cross products."""
        model: _core.Lmm = self.sums.model(
            method,
            self.method.seed,
            self.method.threads,
            structures=[term.cores for term in self.random],
        )
        return model
