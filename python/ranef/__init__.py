"""Mixed-effects models for Python, with a C++ core."""

from __future__ import annotations

from importlib import import_module as _import_module
from importlib.metadata import version as _version
from typing import TYPE_CHECKING, Any

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
    from .api.all_fit import all_fit, converge
    from .api.anova import anova
    from .api.approaches import Approaches, approaches
    from .api.average import average
    from .api.bias_check import bias_check
    from .api.compare import compare
    from .api.compare_simulated import pbtest, rlrt
    from .api.cross_validate import cross_validate
    from .api.diagnose import diagnose
    from .api.doctor import doctor
    from .api.emmeans import emmeans, emtrends
    from .api.feols import feols
    from .api.fit_groups import fit_groups
    from .api.fit_many import fit_many
    from .api.for_marginaleffects import for_marginaleffects
    from .api.gee import gee
    from .api.glmer import glmer
    from .api.gls import gls
    from .api.growth import growth
    from .api.lmlist import GroupFits, lmlist
    from .api.multistart import multistart
    from .api.plot_coefficients import plot_coefficients
    from .api.power import power
    from .api.random_effects_gls import RandomEffectsGLS, random_effects_gls
    from .api.simulate_study import simulate_study
    from .api.within_between import WithinBetweenModel, within_between
    from .batch.result import BatchResult
    from .batch.stored import StoredBatch
    from .chunks.sums import CrossProducts
    from .fitted.feols.model import FixedEffectsModel
    from .fitted.gee.model import GEEModel
    from .fitted.glmm.model import GeneralizedLinearMixedModel
    from .fitted.gls.model import GLSModel
    from .fitted.growth.model import GrowthModel
    from .fitted.robust import RobustResult
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
    "all_fit": "api.all_fit",
    "converge": "api.all_fit",
    "anova": "api.anova",
    "Approaches": "api.approaches",
    "approaches": "api.approaches",
    "average": "api.average",
    "bias_check": "api.bias_check",
    "compare": "api.compare",
    "pbtest": "api.compare_simulated",
    "rlrt": "api.compare_simulated",
    "cross_validate": "api.cross_validate",
    "diagnose": "api.diagnose",
    "doctor": "api.doctor",
    "emmeans": "api.emmeans",
    "emtrends": "api.emmeans",
    "feols": "api.feols",
    "fit_groups": "api.fit_groups",
    "fit_many": "api.fit_many",
    "for_marginaleffects": "api.for_marginaleffects",
    "gee": "api.gee",
    "glmer": "api.glmer",
    "gls": "api.gls",
    "growth": "api.growth",
    "GroupFits": "api.lmlist",
    "lmlist": "api.lmlist",
    "multistart": "api.multistart",
    "plot_coefficients": "api.plot_coefficients",
    "power": "api.power",
    "RandomEffectsGLS": "api.random_effects_gls",
    "random_effects_gls": "api.random_effects_gls",
    "simulate_study": "api.simulate_study",
    "WithinBetweenModel": "api.within_between",
    "within_between": "api.within_between",
    "BatchResult": "batch.result",
    "StoredBatch": "batch.stored",
    "CrossProducts": "chunks.sums",
    "FixedEffectsModel": "fitted.feols.model",
    "GEEModel": "fitted.gee.model",
    "GeneralizedLinearMixedModel": "fitted.glmm.model",
    "GLSModel": "fitted.gls.model",
    "GrowthModel": "fitted.growth.model",
    "RobustResult": "fitted.robust",
    "Power": "study.result",
    "Study": "study.result",
}

if not TYPE_CHECKING:

    def __getattr__(name: str) -> Any:
        if name in _LATER:
            found = getattr(_import_module(f"ranef.{_LATER[name]}"), name)
            globals()[name] = found
            return found
        raise AttributeError(f"module 'ranef' has no attribute {name!r}")


def __dir__() -> list[str]:
    return ["__version__", *__all__]
