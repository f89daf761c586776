"""Mixed-effects models for Python, with a C++ core."""

from __future__ import annotations

from importlib.metadata import version as _version

from . import datasets
from .api.feols import feols
from .api.feols_model import FixedEffectsModel
from .api.gee import gee
from .api.gee_model import GEEModel
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
    "ComparisonWarning",
    "Control",
    "ConvergenceWarning",
    "DataError",
    "DroppedRowsWarning",
    "FitError",
    "FixedEffectsModel",
    "FormulaError",
    "GEEModel",
    "LinearMixedModel",
    "ModelError",
    "NotPositiveDefiniteError",
    "RanefError",
    "RanefWarning",
    "RankWarning",
    "SingularFitWarning",
    "UnsupportedError",
    "datasets",
    "feols",
    "gee",
    "lmer",
]
