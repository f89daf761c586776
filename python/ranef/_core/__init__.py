"""The compiled core, in the variant that suits this machine's processor.

``RANEF_ISA`` in the environment names a variant to load instead, for tests and benchmarks.
"""

from __future__ import annotations

import os
import warnings
from collections.abc import Sequence
from importlib import import_module
from importlib.util import find_spec

from ranef.errors import RanefWarning

from . import _cpu

_VARIANTS = ("x86_64_v3", "baseline")
_REBUILD = (
    "To build it, reinstall from source on this machine, in a clone of the repository: "
    "pip install --force-reinstall --no-cache-dir ."
)


def _choose(built: Sequence[str], asked: str | None, has_v3: bool) -> str:
    """Return the name of the variant to load, or raise if none of those built will run."""
    if asked is not None and asked not in built:
        raise ImportError(
            f"RANEF_ISA={asked!r} names a variant of the core that is not in this installation; "
            f"it contains {', '.join(built) or 'none'}. Unset RANEF_ISA, or reinstall from source "
            "with -C cmake.define.RANEF_VARIANTS=all."
        )
    runs = [name for name in built if has_v3 or name == "baseline"]
    if not (runs if asked is None else asked in runs):
        raise ImportError(
            "This installation of ranef was compiled for processors with AVX2, FMA and BMI2, "
            f"which this processor does not have. {_REBUILD}"
        )
    if asked is None and has_v3 and "x86_64_v3" not in built:
        warnings.warn(
            "This installation of ranef lacks the x86_64_v3 variant of its core, which this "
            "processor could run; the slower baseline variant is used. Set RANEF_ISA=baseline to "
            f"silence this warning. {_REBUILD}",
            RanefWarning,
            stacklevel=2,
        )
    return asked or runs[0]


def _built() -> list[str]:
    """Return the variants in this installation."""
    return [name for name in _VARIANTS if find_spec(f"{__name__}._{name}") is not None]


_variant = _choose(_built(), os.environ.get("RANEF_ISA") or None, _cpu.supports_x86_64_v3())
_module = import_module(f"._{_variant}", __name__)
isa = _module.isa
simd = _module.simd
Accumulator = _module.Accumulator
Absorbed = _module.Absorbed
GeeFit = _module.GeeFit
GeeStatus = _module.GeeStatus
Glmm = _module.Glmm
GlmmBatch = _module.GlmmBatch
GlmmBatchRows = _module.GlmmBatchRows
GeneralGlmm = _module.GeneralGlmm
GlmmOptimum = _module.GlmmOptimum
CrossedGlmm = _module.CrossedGlmm
plan_crossed = _module.plan_crossed
GlmmPoint = _module.GlmmPoint
Ancestry = _module.Ancestry
PrecisionFactor = _module.PrecisionFactor
trace_ancestry = _module.trace_ancestry
GlmmQuadrature = _module.GlmmQuadrature
Approximation = _module.Approximation
JointPoint = _module.JointPoint
absorb = _module.absorb
count_components = _module.count_components
fit_gee = _module.fit_gee
free_memory = _module.free_memory
link_start = _module.link_start
gram_by_cluster = _module.gram_by_cluster
marginal_gram = _module.marginal_gram
marginal_pieces = _module.marginal_pieces
mean_of = _module.mean_of
mean_slope = _module.mean_slope
order_by_cluster = _module.order_by_cluster
standard_columns = _module.standard_columns
sum_by_cluster = _module.sum_by_cluster
Batch = _module.Batch
BatchRows = _module.BatchRows
BatchSettings = _module.BatchSettings
Curvature = _module.Curvature
Estimate = _module.Estimate
FixedDerivatives = _module.FixedDerivatives
Lmm = _module.Lmm
Mixture = _module.Mixture
MixtureRuns = _module.MixtureRuns
MixtureSettings = _module.MixtureSettings
PairTraces = _module.PairTraces
Predictors = _module.Predictors
StandardColumns = _module.StandardColumns
Structure = _module.Structure
Structured = _module.Structured
StructuredFit = _module.StructuredFit
StructuredPoint = _module.StructuredPoint
Team = _module.Team
MarginalPieces = _module.MarginalPieces
fit_slices = _module.fit_slices
fit_weighted = _module.fit_weighted
