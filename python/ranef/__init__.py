"""Mixed-effects models for Python, with a C++ core."""

from __future__ import annotations

from importlib.metadata import version as _version

from . import datasets
from .api.batch_result import BatchResult
from .api.cross_products import CrossProducts
from .api.fit_groups import fit_groups
from .api.fit_many import fit_many
from .api.lmer import Control, lmer
from .api.mixed_model import LinearMixedModel
from .errors import (
    ComparisonWarning,
    ConvergenceWarning,
    DataError,
    DroppedRowsWarning,
    FitError,
    FormulaError,
    ModelError,
    NotPositiveDefiniteError,
    RanefError,
    RanefWarning,
    RankWarning,
    SingularFitWarning,
    UnsupportedError,
)

__version__ = _version("ranef")

__all__ = [
    "BatchResult",
    "ComparisonWarning",
    "Control",
    "ConvergenceWarning",
    "CrossProducts",
    "DataError",
    "DroppedRowsWarning",
    "FitError",
    "FormulaError",
    "LinearMixedModel",
    "ModelError",
    "NotPositiveDefiniteError",
    "RanefError",
    "RanefWarning",
    "RankWarning",
    "SingularFitWarning",
    "UnsupportedError",
    "datasets",
    "fit_groups",
    "fit_many",
    "lmer",
]
