"""The array types that every room uses."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

__all__ = ["Array", "Codes", "Positions"]

#: Real numbers, of any shape; the docstring says which.
Array = NDArray[np.float64]

#: Level of each row, as the compiled core takes it.
Codes = NDArray[np.int32]

#: Places of rows, as NumPy indexes.
Positions = NDArray[np.intp]
