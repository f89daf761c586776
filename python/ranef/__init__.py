"""Mixed-effects models for Python, with a C++ core."""

from __future__ import annotations

from importlib.metadata import version as _version

from . import datasets
from .api.all_fit import all_fit, converge
from .api.bias_check import bias_check
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
from .inference.priors import Gamma, InverseGamma, InverseWishart, Wishart

__version__ = _version("ranef")

__all__ = [
    "ComparisonWarning",
    "Control",
    "ConvergenceWarning",
    "DataError",
    "DroppedRowsWarning",
    "FitError",
    "FormulaError",
    "Gamma",
    "InverseGamma",
    "InverseWishart",
    "LinearMixedModel",
    "ModelError",
    "NotPositiveDefiniteError",
    "RanefError",
    "RanefWarning",
    "RankWarning",
    "SingularFitWarning",
    "UnsupportedError",
    "Wishart",
    "all_fit",
    "bias_check",
    "converge",
    "datasets",
    "diagnose",
    "doctor",
    "lmer",
    "multistart",
]
