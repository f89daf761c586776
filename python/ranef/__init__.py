"""Mixed-effects models for Python, with a C++ core."""

from __future__ import annotations

from importlib.metadata import version as _version

from . import datasets
from .api.all_fit import all_fit, converge
from .api.diagnose import diagnose
from .api.doctor import doctor
from .api.lmer import Control, lmer
from .api.mixed_model import LinearMixedModel
from .api.multistart import multistart
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
    "FormulaError",
    "LinearMixedModel",
    "ModelError",
    "NotPositiveDefiniteError",
    "RanefError",
    "RanefWarning",
    "RankWarning",
    "SingularFitWarning",
    "UnsupportedError",
    "all_fit",
    "converge",
    "datasets",
    "diagnose",
    "doctor",
    "lmer",
    "multistart",
]
