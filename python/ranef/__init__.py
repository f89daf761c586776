"""Mixed-effects models for Python, with a C++ core."""

from __future__ import annotations

from importlib import import_module as _import_module
from importlib.metadata import version as _version
from typing import TYPE_CHECKING, Any

from . import datasets
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
from .inference.fixed_prior import Normal
from .inference.priors import Gamma, InverseGamma, InverseWishart, Point, Wishart
from .report.help import help

if TYPE_CHECKING:
    from .api.all_fit import all_fit, converge
    from .api.approaches import Approaches, approaches
    from .api.average import average
    from .api.batch_result import BatchResult
    from .api.bias_check import bias_check
    from .api.coefficients_plot import plot_coefficients
    from .api.compare import anova
    from .api.compare_criteria import compare
    from .api.compare_simulated import pbtest, rlrt
    from .api.cross_products import CrossProducts
    from .api.crossval import cross_validate
    from .api.diagnose import diagnose
    from .api.doctor import doctor
    from .api.emmeans import emmeans, emtrends
    from .api.feols import feols
    from .api.feols_model import FixedEffectsModel
    from .api.fit_groups import fit_groups
    from .api.fit_many import fit_many
    from .api.gee import gee
    from .api.gee_model import GEEModel
    from .api.glmer import glmer
    from .api.glmer_model import GeneralizedLinearMixedModel
    from .api.gls import gls
    from .api.gls_model import GLSModel
    from .api.growth import growth
    from .api.growth_model import GrowthModel
    from .api.lmlist import GroupFits, lmlist
    from .api.marginaleffects_adapter import for_marginaleffects
    from .api.multistart import multistart
    from .api.power import power
    from .api.re_gls import RandomEffectsGLS, random_effects_gls
    from .api.robust import RobustResult
    from .api.stored_batch import StoredBatch
    from .api.study import simulate_study
    from .api.study_result import Power, Study
    from .api.within_between import WithinBetweenModel, within_between

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
    "InverseGamma",
    "InverseWishart",
    "LinearMixedModel",
    "ModelError",
    "Normal",
    "NotPositiveDefiniteError",
    "Point",
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
    "lmer",
    "lmlist",
    "multistart",
    "pbtest",
    "plot_coefficients",
    "power",
    "random_effects_gls",
    "rlrt",
    "simulate_study",
    "within_between",
]

#: What is imported when it is first asked for, so that an import stays short, and from where.
_LATER = {
    "all_fit": ("all_fit", "converge"),
    "approaches": ("Approaches", "approaches"),
    "average": ("average",),
    "batch_result": ("BatchResult",),
    "bias_check": ("bias_check",),
    "coefficients_plot": ("plot_coefficients",),
    "compare": ("anova",),
    "compare_criteria": ("compare",),
    "compare_simulated": ("pbtest", "rlrt"),
    "cross_products": ("CrossProducts",),
    "crossval": ("cross_validate",),
    "diagnose": ("diagnose",),
    "doctor": ("doctor",),
    "emmeans": ("emmeans", "emtrends"),
    "feols": ("feols",),
    "feols_model": ("FixedEffectsModel",),
    "fit_groups": ("fit_groups",),
    "fit_many": ("fit_many",),
    "gee": ("gee",),
    "gee_model": ("GEEModel",),
    "glmer": ("glmer",),
    "glmer_model": ("GeneralizedLinearMixedModel",),
    "gls": ("gls",),
    "gls_model": ("GLSModel",),
    "growth": ("growth",),
    "growth_model": ("GrowthModel",),
    "lmlist": ("GroupFits", "lmlist"),
    "marginaleffects_adapter": ("for_marginaleffects",),
    "multistart": ("multistart",),
    "power": ("power",),
    "re_gls": ("RandomEffectsGLS", "random_effects_gls"),
    "robust": ("RobustResult",),
    "stored_batch": ("StoredBatch",),
    "study": ("simulate_study",),
    "study_result": ("Power", "Study"),
    "within_between": ("WithinBetweenModel", "within_between"),
}

if not TYPE_CHECKING:

    def __getattr__(name: str) -> Any:
        for module, names in _LATER.items():
            if name in names:
                found = getattr(_import_module(f"ranef.api.{module}"), name)
                globals()[name] = found
                return found
        raise AttributeError(f"module 'ranef' has no attribute {name!r}")


def __dir__() -> list[str]:
    return ["__version__", *__all__]
