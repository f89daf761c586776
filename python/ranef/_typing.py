"""The array types that every room uses."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal

import numpy as np
from numpy.typing import NDArray

__all__ = [
    "Array",
    "Codes",
    "Corr",
    "Ddf",
    "Form",
    "Interval",
    "Missing",
    "NewLevels",
    "Positions",
    "Random",
    "Shape",
    "Ssc",
]

#: Real numbers, of any shape; the docstring says which.
Array = NDArray[np.float64]

#: Level of each row, as the compiled core takes it.
Codes = NDArray[np.int32]

#: Places of rows, as NumPy indexes.
Positions = NDArray[np.intp]

#: What to do with rows that have missing values.
Missing = Literal["drop", "raise"]

#: Degrees of freedom of the tests of a batch.
Ddf = Literal["residual", "satterthwaite", "inf"]

#: What to do with levels that a fit has not seen.
NewLevels = Literal["raise", "population"]

#: Which random effects take part: "all", "none" (or None), or those of the groups named.
Random = str | Iterable[str] | None

#: Interval of a mean, or of a new observation.
Interval = Literal["confidence", "prediction"]
INTERVALS: tuple[Interval, ...] = ("confidence", "prediction")
#: Interval of a mean alone.
CONFIDENCE: tuple[Literal["confidence"], ...] = ("confidence",)

#: Correlations of residuals within groups.
Corr = Literal["independence", "exchangeable", "ar1", "car1", "toeplitz", "unstructured"]

#: Mean curves, and factors that vary, of a growth model.
Shape = Literal["intercept", "linear", "quadratic"]

#: How predictors are split within and between groups.
Form = Literal["hybrid", "mundlak"]

#: Small-sample conventions of cluster-robust covariances.
Ssc = Literal["clubSandwich", "fixest", "stata"]
