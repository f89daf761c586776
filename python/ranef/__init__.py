"""Mixed-effects models for Python, with a C++ core."""

from __future__ import annotations

import os as _os
from importlib import import_module as _import_module
from importlib.metadata import version as _version
from threading import RLock as _RLock
from typing import TYPE_CHECKING, Any

from . import datasets
from .api.lmer import Control, lmer
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
from .fitted.lmm.model import LinearMixedModel
from .inference.priors.fixed import Normal
from .inference.priors.priors import Gamma, InverseGamma, InverseWishart, Point, Wishart
from .report.help import help

if TYPE_CHECKING:
    from .api.all_fit import all_fit
    from .api.anova import anova
    from .api.approaches import approaches
    from .api.average import average
    from .api.bias_check import bias_check
    from .api.compare import compare
    from .api.compare_missing import compare_missing
    from .api.converge import converge
    from .api.cross_validate import cross_validate
    from .api.diagnose import diagnose
    from .api.doctor import doctor
    from .api.emmeans import emmeans
    from .api.emtrends import emtrends
    from .api.feols import feols
    from .api.fit_groups import fit_groups
    from .api.fit_many import fit_many
    from .api.for_marginaleffects import for_marginaleffects
    from .api.gee import gee
    from .api.glmer import glmer
    from .api.gls import gls
    from .api.growth import growth
    from .api.impute import impute
    from .api.lmlist import lmlist
    from .api.missing_report import missing_report
    from .api.multistart import multistart
    from .api.pbtest import pbtest
    from .api.plot_coefficients import plot_coefficients
    from .api.pool import pool
    from .api.power import power
    from .api.random_effects_gls import random_effects_gls
    from .api.rlrt import rlrt
    from .api.simulate_study import simulate_study
    from .api.within_between import within_between
    from .batch.result import BatchResult
    from .batch.stored import StoredBatch
    from .comparison.approaches import Approaches
    from .fitted.feols.model import FixedEffectsModel
    from .fitted.gee.model import GEEModel
    from .fitted.glmm.model import GeneralizedLinearMixedModel
    from .fitted.gls.model import GLSModel
    from .fitted.growth.model import GrowthModel
    from .fitted.lmlist import GroupFits
    from .fitted.lmm.cross_products import CrossProducts
    from .fitted.panel.random_effects import RandomEffectsGLS
    from .fitted.panel.within_between import WithinBetweenModel
    from .fitted.robust import RobustResult
    from .missing.comparison import MissingComparison
    from .missing.imputation import Imputations
    from .missing.pooled import PooledModel
    from .missing.report import MissingReport
    from .study.result import Power, Study

__version__ = _version("ranef")

__all__ = [
    "Approaches",
    "BatchResult",
    "ComparisonWarning",
    "Control",
    "ConvergenceWarning",
    "CrossProducts",
    "DataError",
    "DroppedRowsWarning",
    "FitError",
    "FixedEffectsModel",
    "FormulaError",
    "GEEModel",
    "GLSModel",
    "Gamma",
    "GeneralizedLinearMixedModel",
    "GroupFits",
    "GrowthModel",
    "Imputations",
    "InverseGamma",
    "InverseWishart",
    "LinearMixedModel",
    "MissingComparison",
    "MissingReport",
    "ModelError",
    "Normal",
    "NotPositiveDefiniteError",
    "Point",
    "PooledModel",
    "Power",
    "RandomEffectsGLS",
    "RanefError",
    "RanefWarning",
    "RankWarning",
    "RobustResult",
    "SingularFitWarning",
    "StoredBatch",
    "Study",
    "UnsupportedError",
    "Wishart",
    "WithinBetweenModel",
    "all_fit",
    "anova",
    "approaches",
    "average",
    "bias_check",
    "compare",
    "compare_missing",
    "converge",
    "cross_validate",
    "datasets",
    "diagnose",
    "doctor",
    "emmeans",
    "emtrends",
    "feols",
    "fit_groups",
    "fit_many",
    "for_marginaleffects",
    "gee",
    "glmer",
    "gls",
    "growth",
    "help",
    "impute",
    "lmer",
    "lmlist",
    "missing_report",
    "multistart",
    "pbtest",
    "plot_coefficients",
    "pool",
    "power",
    "random_effects_gls",
    "rlrt",
    "simulate_study",
    "within_between",
]

#: What is imported when it is first asked for, so that an import stays short, and from where.
_LATER = {
    "MissingComparison": "missing.comparison",
    "MissingReport": "missing.report",
    "PooledModel": "missing.pooled",
    "Imputations": "missing.imputation",
    "compare_missing": "api.compare_missing",
    "pool": "api.pool",
    "impute": "api.impute",
    "missing_report": "api.missing_report",
    "Approaches": "comparison.approaches",
    "BatchResult": "batch.result",
    "CrossProducts": "fitted.lmm.cross_products",
    "FixedEffectsModel": "fitted.feols.model",
    "GEEModel": "fitted.gee.model",
    "GLSModel": "fitted.gls.model",
    "GeneralizedLinearMixedModel": "fitted.glmm.model",
    "GroupFits": "fitted.lmlist",
    "GrowthModel": "fitted.growth.model",
    "Power": "study.result",
    "RandomEffectsGLS": "fitted.panel.random_effects",
    "RobustResult": "fitted.robust",
    "StoredBatch": "batch.stored",
    "Study": "study.result",
    "WithinBetweenModel": "fitted.panel.within_between",
    "all_fit": "api.all_fit",
    "anova": "api.anova",
    "approaches": "api.approaches",
    "average": "api.average",
    "bias_check": "api.bias_check",
    "compare": "api.compare",
    "converge": "api.converge",
    "cross_validate": "api.cross_validate",
    "diagnose": "api.diagnose",
    "doctor": "api.doctor",
    "emmeans": "api.emmeans",
    "emtrends": "api.emtrends",
    "feols": "api.feols",
    "fit_groups": "api.fit_groups",
    "fit_many": "api.fit_many",
    "for_marginaleffects": "api.for_marginaleffects",
    "gee": "api.gee",
    "glmer": "api.glmer",
    "gls": "api.gls",
    "growth": "api.growth",
    "lmlist": "api.lmlist",
    "multistart": "api.multistart",
    "pbtest": "api.pbtest",
    "plot_coefficients": "api.plot_coefficients",
    "power": "api.power",
    "random_effects_gls": "api.random_effects_gls",
    "rlrt": "api.rlrt",
    "simulate_study": "api.simulate_study",
    "within_between": "api.within_between",
}

#: Held while a name is imported, and by a thread that forks: a child that inherited a half-finished
#: import would wait for it for ever.
_IMPORTING = _RLock()

if hasattr(_os, "register_at_fork"):
    _os.register_at_fork(
        before=_IMPORTING.acquire,
        after_in_parent=_IMPORTING.release,
        after_in_child=_IMPORTING.release,
    )

if not TYPE_CHECKING:

    def __getattr__(name: str) -> Any:
        if name not in _LATER:
            raise AttributeError(f"module 'ranef' has no attribute {name!r}")
        with _IMPORTING:
            found = getattr(_import_module(f"ranef.{_LATER[name]}"), name)
        globals()[name] = found
        return found


def __dir__() -> list[str]:
    return ["__version__", *__all__]
