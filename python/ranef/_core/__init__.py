"""The compiled core, in the variant that suits this machine's processor.

``RANEF_ISA`` in the environment names a variant to load instead, for tests and benchmarks.
"""

from __future__ import annotations

import os
from importlib import import_module
from importlib.util import find_spec

from . import _cpu


def _variant() -> str:
    """Name of the extension module to load."""
    if asked := os.environ.get("RANEF_ISA"):
        return f"_{asked}"
    built = find_spec(f"{__name__}._x86_64_v3") is not None
    return "_x86_64_v3" if built and _cpu.supports_x86_64_v3() else "_baseline"


_module = import_module(f".{_variant()}", __name__)
isa = _module.isa
simd = _module.simd
Accumulator = _module.Accumulator
Absorbed = _module.Absorbed
GeeFit = _module.GeeFit
GeeStatus = _module.GeeStatus
Glmm = _module.Glmm
GlmmPoint = _module.GlmmPoint
GlmmQuadrature = _module.GlmmQuadrature
Approximation = _module.Approximation
absorb = _module.absorb
count_components = _module.count_components
fit_gee = _module.fit_gee
free_memory = _module.free_memory
gram_by_cluster = _module.gram_by_cluster
marginal_gram = _module.marginal_gram
marginal_pieces = _module.marginal_pieces
mean_of = _module.mean_of
mean_slope = _module.mean_slope
order_by_cluster = _module.order_by_cluster
sum_by_cluster = _module.sum_by_cluster
Batch = _module.Batch
BatchRows = _module.BatchRows
BatchSettings = _module.BatchSettings
Curvature = _module.Curvature
Estimate = _module.Estimate
FixedDerivatives = _module.FixedDerivatives
Lmm = _module.Lmm
PairTraces = _module.PairTraces
Structured = _module.Structured
StructuredFit = _module.StructuredFit
StructuredPoint = _module.StructuredPoint
Team = _module.Team
MarginalPieces = _module.MarginalPieces
fit_slices = _module.fit_slices
fit_weighted = _module.fit_weighted
