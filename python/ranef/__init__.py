"""Mixed-effects models for Python, with a C++ core."""

from __future__ import annotations

from importlib import import_module as _import_module
from importlib.metadata import version as _version
from typing import TYPE_CHECKING, Any

from . import datasets
from ._importing import load as _load
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
    UnsupportedAttributeError,
    UnsupportedError,
)

if TYPE_CHECKING:
    from .api.all_fit import all_fit
    from .api.anova import anova
    from .api.approaches import approaches
    from .api.average import average
    from .api.bias_check import bias_check
    from .api.checklist import checklist
    from .api.clmm import clmm
    from .api.compare import compare
    from .api.compare_missing import compare_missing
    from .api.converge import converge
    from .api.cross_validate import cross_validate
    from .api.diagnose import diagnose
    from .api.doctor import doctor
    from .api.dredge import dredge
    from .api.embedding import embedding
    from .api.emmeans import emmeans
    from .api.emtrends import emtrends
    from .api.equate import equate
    from .api.feglm import feglm
    from .api.feols import feols
    from .api.fit_groups import fit_groups
    from .api.fit_many import fit_many
    from .api.fixed_or_random import fixed_or_random
    from .api.for_marginaleffects import for_marginaleffects
    from .api.gee import gee
    from .api.glmer import glmer
    from .api.gls import gls
    from .api.growth import growth
    from .api.growth_mixture import growth_mixture
    from .api.impute import impute
    from .api.joint_tests import joint_tests
    from .api.ladder import ladder
    from .api.lmer import Control, lmer
    from .api.lmlist import lmlist
    from .api.mediate import mediate
    from .api.missing_report import missing_report
    from .api.model_tree import model_tree
    from .api.multistart import multistart
    from .api.on_progress import on_progress
    from .api.part_r2 import part_r2
    from .api.pbtest import pbtest
    from .api.pedigree import pedigree
    from .api.plot_coefficients import plot_coefficients
    from .api.pool import pool
    from .api.power import power
    from .api.r2_table import r2_table
    from .api.random_effects_gls import random_effects_gls
    from .api.re_em import re_em
    from .api.rlrt import rlrt
    from .api.selection_stability import selection_stability
    from .api.simulate_study import simulate_study
    from .api.step import step
    from .api.within_between import within_between
    from .batch.result import BatchResult
    from .batch.stored import StoredBatch
    from .comparison.approaches import Approaches
    from .comparison.average import ModelAverage
    from .comparison.commonality import PartR2
    from .comparison.explained import R2Table
    from .comparison.fixed_or_random import FixedOrRandom
    from .comparison.mixtures import MixtureComparison
    from .comparison.predictive import PredictiveComparison
    from .design.known.pedigree import Pedigree
    from .design.known.precision import Precision
    from .fitted.design_view import DesignView
    from .fitted.feglm.model import GeneralizedFixedEffectsModel
    from .fitted.feols.model import FixedEffectsModel
    from .fitted.gee.criteria import QIC
    from .fitted.gee.model import GEEModel
    from .fitted.glmm.model import GeneralizedLinearMixedModel
    from .fitted.gls.model import GLSModel
    from .fitted.growth.equate import Equivalence
    from .fitted.growth.fiml import FimlGrowthModel
    from .fitted.growth.model import GrowthModel
    from .fitted.lmlist import GroupFits
    from .fitted.lmm.cross_products import CrossProducts
    from .fitted.lmm.model import LinearMixedModel
    from .fitted.mixture.bootstrap import ClassTest
    from .fitted.mixture.model import GrowthMixture
    from .fitted.ordinal.model import CumulativeLinkModel
    from .fitted.panel.random_effects import RandomEffectsGLS
    from .fitted.panel.within_between import WithinBetweenModel
    from .fitted.posterior.model import Posterior
    from .fitted.residual_series import Residuals
    from .fitted.robust import RobustResult
    from .fitted.several.model import DistributionalModel
    from .inference.caic import ConditionalAic
    from .inference.fit_measures import FitMeasures, Moments
    from .inference.optimum.generalised import Dispersion
    from .inference.posterior.loo import Loo
    from .inference.priors.fixed import Normal
    from .inference.priors.halves import LKJ, HalfT
    from .inference.priors.priors import Gamma, InverseGamma, InverseWishart, Point, Wishart
    from .inference.sandwich.wild import WildBootstrap
    from .inference.shares.icc import Icc
    from .inference.shares.results import R2
    from .learners.conformal import Calibration
    from .learners.embedding import Embedding
    from .learners.importance import Importance
    from .learners.model import MixedLearner
    from .learners.partition.model import ModelTree
    from .learners.rules import Rules
    from .mediation.result import Mediation
    from .missing.comparison import MissingComparison
    from .missing.imputation import Imputations
    from .missing.pooled import PooledModel
    from .missing.report import MissingReport
    from .report.bootstrap import Bootstrap
    from .report.checks.residual_tests import ResidualTest, ResidualTests
    from .report.checks.residuals import SimulatedResiduals
    from .report.comparison import Comparison
    from .report.dredge import Dredge
    from .report.effects import RandomEffects
    from .report.elimination import Elimination
    from .report.emmeans import ContrastTable, MarginalMeans
    from .report.findings import Diagnosis
    from .report.help import help
    from .report.influence import Influence
    from .report.maketables import TableColumn
    from .report.plots.base import Panels
    from .report.plots.model import ModelPlots
    from .report.plots.posterior import PosteriorPlots
    from .report.predictive import CrossValidation
    from .report.prescription import Prescription
    from .report.profile import Profile
    from .report.searches import AllFit, Trail
    from .report.simulated import SimulatedTest
    from .report.summary import Summary
    from .report.surface import MultiStart, Surface
    from .report.tests import LinearTest
    from .report.varcorr import VarCorr
    from .report.verdict import Convergence
    from .study.result import Power, Study
    from .trust.checklist import Checklist

__version__ = _version("ranef")

__all__ = [
    "LKJ",
    "QIC",
    "R2",
    "AllFit",
    "Approaches",
    "BatchResult",
    "Bootstrap",
    "Calibration",
    "Checklist",
    "ClassTest",
    "Comparison",
    "ComparisonWarning",
    "ConditionalAic",
    "ContrastTable",
    "Control",
    "Convergence",
    "ConvergenceWarning",
    "CrossProducts",
    "CrossValidation",
    "CumulativeLinkModel",
    "DataError",
    "DesignView",
    "Diagnosis",
    "Dispersion",
    "DistributionalModel",
    "Dredge",
    "DroppedRowsWarning",
    "Elimination",
    "Embedding",
    "Equivalence",
    "FimlGrowthModel",
    "FitError",
    "FitMeasures",
    "FixedEffectsModel",
    "FixedOrRandom",
    "FormulaError",
    "GEEModel",
    "GLSModel",
    "Gamma",
    "GeneralizedFixedEffectsModel",
    "GeneralizedLinearMixedModel",
    "GroupFits",
    "GrowthMixture",
    "GrowthModel",
    "HalfT",
    "Icc",
    "Importance",
    "Imputations",
    "Influence",
    "InverseGamma",
    "InverseWishart",
    "LinearMixedModel",
    "LinearTest",
    "Loo",
    "MarginalMeans",
    "Mediation",
    "MissingComparison",
    "MissingReport",
    "MixedLearner",
    "MixtureComparison",
    "ModelAverage",
    "ModelError",
    "ModelPlots",
    "ModelTree",
    "Moments",
    "MultiStart",
    "Normal",
    "NotPositiveDefiniteError",
    "Panels",
    "PartR2",
    "Pedigree",
    "Point",
    "PooledModel",
    "Posterior",
    "PosteriorPlots",
    "Power",
    "Precision",
    "PredictiveComparison",
    "Prescription",
    "Profile",
    "R2Table",
    "RandomEffects",
    "RandomEffectsGLS",
    "RanefError",
    "RanefWarning",
    "RankWarning",
    "ResidualTest",
    "ResidualTests",
    "Residuals",
    "RobustResult",
    "Rules",
    "SimulatedResiduals",
    "SimulatedTest",
    "SingularFitWarning",
    "StoredBatch",
    "Study",
    "Summary",
    "Surface",
    "TableColumn",
    "Trail",
    "UnsupportedAttributeError",
    "UnsupportedError",
    "VarCorr",
    "WildBootstrap",
    "Wishart",
    "WithinBetweenModel",
    "all_fit",
    "anova",
    "approaches",
    "average",
    "bias_check",
    "checklist",
    "clmm",
    "compare",
    "compare_missing",
    "converge",
    "cross_validate",
    "datasets",
    "diagnose",
    "doctor",
    "dredge",
    "embedding",
    "emmeans",
    "emtrends",
    "equate",
    "feglm",
    "feols",
    "fit_groups",
    "fit_many",
    "fixed_or_random",
    "for_marginaleffects",
    "gee",
    "glmer",
    "gls",
    "growth",
    "growth_mixture",
    "help",
    "impute",
    "joint_tests",
    "ladder",
    "lmer",
    "lmlist",
    "mediate",
    "missing_report",
    "model_tree",
    "multistart",
    "on_progress",
    "part_r2",
    "pbtest",
    "pedigree",
    "plot_coefficients",
    "pool",
    "power",
    "r2_table",
    "random_effects_gls",
    "re_em",
    "rlrt",
    "selection_stability",
    "simulate_study",
    "step",
    "within_between",
]

#: What is imported on first use, to keep the import fast, and from where.
_LATER = {
    "AllFit": "report.searches",
    "Approaches": "comparison.approaches",
    "BatchResult": "batch.result",
    "Bootstrap": "report.bootstrap",
    "Calibration": "learners.conformal",
    "Checklist": "trust.checklist",
    "ClassTest": "fitted.mixture.bootstrap",
    "Comparison": "report.comparison",
    "ConditionalAic": "inference.caic",
    "ContrastTable": "report.emmeans",
    "Control": "api.lmer",
    "Convergence": "report.verdict",
    "CrossProducts": "fitted.lmm.cross_products",
    "CrossValidation": "report.predictive",
    "CumulativeLinkModel": "fitted.ordinal.model",
    "DesignView": "fitted.design_view",
    "Diagnosis": "report.findings",
    "Dispersion": "inference.optimum.generalised",
    "DistributionalModel": "fitted.several.model",
    "Dredge": "report.dredge",
    "Elimination": "report.elimination",
    "Embedding": "learners.embedding",
    "Equivalence": "fitted.growth.equate",
    "FimlGrowthModel": "fitted.growth.fiml",
    "FitMeasures": "inference.fit_measures",
    "FixedEffectsModel": "fitted.feols.model",
    "GeneralizedFixedEffectsModel": "fitted.feglm.model",
    "GEEModel": "fitted.gee.model",
    "GLSModel": "fitted.gls.model",
    "Gamma": "inference.priors.priors",
    "GeneralizedLinearMixedModel": "fitted.glmm.model",
    "GroupFits": "fitted.lmlist",
    "GrowthMixture": "fitted.mixture.model",
    "GrowthModel": "fitted.growth.model",
    "HalfT": "inference.priors.halves",
    "Icc": "inference.shares.icc",
    "Importance": "learners.importance",
    "Imputations": "missing.imputation",
    "Influence": "report.influence",
    "InverseGamma": "inference.priors.priors",
    "InverseWishart": "inference.priors.priors",
    "LKJ": "inference.priors.halves",
    "LinearMixedModel": "fitted.lmm.model",
    "LinearTest": "report.tests",
    "Loo": "inference.posterior.loo",
    "MarginalMeans": "report.emmeans",
    "Mediation": "mediation.result",
    "MissingComparison": "missing.comparison",
    "MixedLearner": "learners.model",
    "MissingReport": "missing.report",
    "MixtureComparison": "comparison.mixtures",
    "PartR2": "comparison.commonality",
    "PredictiveComparison": "comparison.predictive",
    "R2Table": "comparison.explained",
    "ModelAverage": "comparison.average",
    "FixedOrRandom": "comparison.fixed_or_random",
    "ModelPlots": "report.plots.model",
    "ModelTree": "learners.partition.model",
    "Panels": "report.plots.base",
    "Moments": "inference.fit_measures",
    "MultiStart": "report.surface",
    "Normal": "inference.priors.fixed",
    "Pedigree": "design.known.pedigree",
    "Point": "inference.priors.priors",
    "PooledModel": "missing.pooled",
    "Posterior": "fitted.posterior.model",
    "PosteriorPlots": "report.plots.posterior",
    "Power": "study.result",
    "Precision": "design.known.precision",
    "Prescription": "report.prescription",
    "Profile": "report.profile",
    "QIC": "fitted.gee.criteria",
    "R2": "inference.shares.results",
    "RandomEffects": "report.effects",
    "RandomEffectsGLS": "fitted.panel.random_effects",
    "ResidualTest": "report.checks.residual_tests",
    "ResidualTests": "report.checks.residual_tests",
    "Residuals": "fitted.residual_series",
    "RobustResult": "fitted.robust",
    "Rules": "learners.rules",
    "SimulatedResiduals": "report.checks.residuals",
    "SimulatedTest": "report.simulated",
    "StoredBatch": "batch.stored",
    "Study": "study.result",
    "Summary": "report.summary",
    "Surface": "report.surface",
    "TableColumn": "report.maketables",
    "Trail": "report.searches",
    "VarCorr": "report.varcorr",
    "WildBootstrap": "inference.sandwich.wild",
    "Wishart": "inference.priors.priors",
    "WithinBetweenModel": "fitted.panel.within_between",
    "all_fit": "api.all_fit",
    "anova": "api.anova",
    "approaches": "api.approaches",
    "average": "api.average",
    "bias_check": "api.bias_check",
    "checklist": "api.checklist",
    "clmm": "api.clmm",
    "compare": "api.compare",
    "compare_missing": "api.compare_missing",
    "converge": "api.converge",
    "cross_validate": "api.cross_validate",
    "diagnose": "api.diagnose",
    "doctor": "api.doctor",
    "dredge": "api.dredge",
    "embedding": "api.embedding",
    "ladder": "api.ladder",
    "selection_stability": "api.selection_stability",
    "step": "api.step",
    "emmeans": "api.emmeans",
    "emtrends": "api.emtrends",
    "equate": "api.equate",
    "feglm": "api.feglm",
    "feols": "api.feols",
    "fit_groups": "api.fit_groups",
    "fixed_or_random": "api.fixed_or_random",
    "fit_many": "api.fit_many",
    "for_marginaleffects": "api.for_marginaleffects",
    "gee": "api.gee",
    "glmer": "api.glmer",
    "gls": "api.gls",
    "growth": "api.growth",
    "growth_mixture": "api.growth_mixture",
    "help": "report.help",
    "impute": "api.impute",
    "joint_tests": "api.joint_tests",
    "lmer": "api.lmer",
    "lmlist": "api.lmlist",
    "mediate": "api.mediate",
    "missing_report": "api.missing_report",
    "model_tree": "api.model_tree",
    "multistart": "api.multistart",
    "on_progress": "api.on_progress",
    "part_r2": "api.part_r2",
    "pbtest": "api.pbtest",
    "pedigree": "api.pedigree",
    "plot_coefficients": "api.plot_coefficients",
    "pool": "api.pool",
    "power": "api.power",
    "r2_table": "api.r2_table",
    "random_effects_gls": "api.random_effects_gls",
    "re_em": "api.re_em",
    "rlrt": "api.rlrt",
    "simulate_study": "api.simulate_study",
    "within_between": "api.within_between",
}

if not TYPE_CHECKING:

    def __getattr__(name: str) -> Any:
        if name == "sklearn":  # estimators, which need scikit-learn
            return _import_module("ranef.sklearn")
        if name not in _LATER:
            from .words.answers import module_message

            hint = "" if name.startswith("_") else module_message(name, list(_LATER))
            raise AttributeError(f"module 'ranef' has no attribute {name!r}{hint}")
        found = _load(f"ranef.{_LATER[name]}", name)
        globals()[name] = found
        return found


def __dir__() -> list[str]:
    return ["__version__", *__all__]
