"""Numeric core; every array argument is taken as it is, without a copy."""

from collections.abc import Sequence
from enum import Enum

import numpy as np
from numpy.typing import NDArray

__all__ = [
    "Absorbed",
    "Accumulator",
    "Batch",
    "BatchRows",
    "BatchSettings",
    "Curvature",
    "Estimate",
    "FixedDerivatives",
    "GeeFit",
    "GeeStatus",
    "Lmm",
    "MarginalPieces",
    "PairTraces",
    "Team",
    "absorb",
    "count_components",
    "fit_gee",
    "fit_slices",
    "fit_weighted",
    "gram_by_cluster",
    "isa",
    "marginal_gram",
    "marginal_pieces",
    "mean_of",
    "mean_slope",
    "order_by_cluster",
    "simd",
    "sum_by_cluster",
]

Array = NDArray[np.float64]
Codes = NDArray[np.int32]

isa: str
simd: str

class Estimate:
    @property
    def status(self) -> int: ...
    @property
    def objective(self) -> float: ...
    @property
    def sigma(self) -> float: ...
    @property
    def pwrss(self) -> float: ...
    @property
    def logdet_L(self) -> float: ...
    @property
    def logdet_RX(self) -> float: ...
    @property
    def beta(self) -> Array: ...
    @property
    def cov_beta_root(self) -> Array: ...
    @property
    def lambda_(self) -> list[Array]: ...
    @property
    def modes(self) -> list[Array]: ...
    @property
    def lambda_standard(self) -> list[Array]: ...
    @property
    def decrement(self) -> float: ...
    @property
    def cone(self) -> float: ...
    @property
    def smallest_sd(self) -> float: ...
    @property
    def n_objective(self) -> int: ...
    @property
    def n_gradient(self) -> int: ...
    @property
    def path(self) -> Array: ...

class Curvature:
    @property
    def objective(self) -> float: ...
    @property
    def logdet_L(self) -> float: ...
    @property
    def logdet_RX(self) -> float: ...
    @property
    def pwrss(self) -> float: ...
    @property
    def gradient(self) -> Array: ...
    @property
    def quadratic(self) -> Array: ...
    @property
    def hessian(self) -> Array: ...
    @property
    def score(self) -> list[Array]: ...
    @property
    def misfit(self) -> list[Array]: ...
    @property
    def G(self) -> list[Array]: ...

class FixedDerivatives:
    @property
    def G(self) -> list[Array]: ...
    @property
    def Q(self) -> Array: ...

class PairTraces:
    @property
    def pairs(self) -> Array: ...
    @property
    def single(self) -> Array: ...

class Lmm:
    def __init__(
        self,
        y: Array,
        columns: Sequence[Array],
        fixed: Sequence[int],
        terms: Sequence[tuple[NDArray[np.int32], int, Sequence[int], Sequence[int]]],
        weights: Array | None = None,
    ) -> None: ...
    def fit(
        self,
        reml: bool,
        max_steps: int = 200,
        tolerance: float = 1e-9,
        start: Sequence[Array] = ...,
    ) -> Estimate: ...
    def evaluate(self, lambda_: Sequence[Array], reml: bool) -> Estimate: ...
    def objective(self, lambda_: Sequence[Array], reml: bool) -> float: ...
    def objective_standard(self, lambda_standard: Sequence[Array], reml: bool) -> float: ...
    def curvature(
        self, lambda_standard: Sequence[Array], reml: bool, order: int = 0, with_G: bool = False
    ) -> Curvature: ...
    def fixed_derivatives(
        self, lambda_standard: Sequence[Array], with_Q: bool = False
    ) -> FixedDerivatives: ...
    def pair_traces(self, lambda_standard: Sequence[Array]) -> PairTraces: ...
    def prediction_variances(
        self,
        lambda_standard: Sequence[Array],
        X: Array,
        terms: Sequence[tuple[NDArray[np.int32] | None, Array]],
    ) -> Array: ...
    @property
    def parameters(self) -> list[tuple[int, int, int]]: ...
    def conditional_covariances(self, lambda_standard: Sequence[Array]) -> list[Array]: ...
    @property
    def kept(self) -> list[int]: ...
    @property
    def aliased(self) -> list[int]: ...
    @property
    def alias(self) -> Array: ...
    def term_basis(self, term: int) -> Array: ...
    @property
    def n_root(self) -> int: ...
    @property
    def is_sparse(self) -> bool: ...

class Absorbed:
    @property
    def residual(self) -> Array: ...
    @property
    def effects(self) -> Array: ...
    @property
    def iterations(self) -> Codes: ...
    @property
    def converged(self) -> bool: ...

def absorb(
    X: Array,
    codes: Codes,
    n_levels: Codes,
    weights: Array,
    tolerance: float = 1e-10,
    max_iterations: int = 10000,
) -> Absorbed: ...
def count_components(codes: Codes, n_levels: Codes) -> int: ...
def order_by_cluster(codes: Codes, n_clusters: int) -> Codes: ...
def sum_by_cluster(X: Array, codes: Codes, n_clusters: int) -> Array: ...
def gram_by_cluster(X: Array, codes: Codes, first: int, last: int) -> Array: ...

class MarginalPieces:
    @property
    def scores(self) -> Array: ...
    @property
    def own(self) -> Array: ...
    @property
    def cross(self) -> Array: ...
    @property
    def complete(self) -> bool: ...

def marginal_gram(
    X: Array,
    resid: Array,
    weights: Array,
    codes: Codes,
    sizes: Codes,
    z: Array,
    sigma: Array,
    order: Codes,
    start: Codes,
) -> Array: ...
def marginal_pieces(
    X: Array,
    resid: Array,
    weights: Array,
    codes: Codes,
    sizes: Codes,
    z: Array,
    sigma: Array,
    order: Codes,
    start: Codes,
    kind: str,
    first: int,
    last: int,
) -> MarginalPieces: ...

class GeeStatus(Enum):
    converged = 0
    iterations = 1
    not_positive_definite = 2
    invalid_mean = 3
    singular = 4

class GeeFit:
    @property
    def beta(self) -> Array: ...
    @property
    def alpha(self) -> Array: ...
    @property
    def phi(self) -> float: ...
    @property
    def bread(self) -> Array: ...
    @property
    def columns(self) -> Array: ...
    @property
    def resid(self) -> Array: ...
    @property
    def mu(self) -> Array: ...
    @property
    def iterations(self) -> int: ...
    @property
    def alpha_at_bound(self) -> bool: ...
    @property
    def status(self) -> GeeStatus: ...

def fit_gee(
    y: Array,
    X: Array,
    offset: Array,
    weights: Array,
    start: Codes,
    wave: Codes,
    time: Array,
    fixed: Array,
    family: str,
    link: str,
    corr: str,
    lags: int = 1,
    tolerance: float = 1e-8,
    max_iterations: int = 200,
) -> GeeFit: ...
def mean_of(link: str, eta: Array) -> Array: ...
def mean_slope(link: str, eta: Array) -> Array: ...

class BatchSettings:
    def __init__(
        self,
        reml: bool = True,
        satterthwaite: bool = False,
        max_steps: int = 200,
        tolerance: float = 1e-9,
        contrasts: Array = ...,
    ) -> None: ...

class Team:
    def __init__(self, size: int) -> None: ...
    def close(self) -> None: ...

class BatchRows:
    @property
    def outcome(self) -> NDArray[np.int32]: ...
    @property
    def n_objective(self) -> NDArray[np.int32]: ...
    @property
    def n_gradient(self) -> NDArray[np.int32]: ...
    @property
    def n_obs(self) -> NDArray[np.int32]: ...
    @property
    def objective(self) -> Array: ...
    @property
    def sigma(self) -> Array: ...
    @property
    def smallest_sd(self) -> Array: ...
    @property
    def decrement(self) -> Array: ...
    @property
    def cone(self) -> Array: ...
    @property
    def beta(self) -> Array: ...
    @property
    def cov_root(self) -> Array: ...
    @property
    def factors(self) -> Array: ...
    @property
    def df(self) -> Array: ...

class Batch:
    def __init__(
        self,
        n: int,
        columns: Sequence[Array],
        fixed: Sequence[int],
        terms: Sequence[tuple[NDArray[np.int32], int, Sequence[int], Sequence[int]]],
        weights: Array | None = None,
    ) -> None: ...
    def fit(self, Y: Array, settings: BatchSettings, team: Team) -> BatchRows: ...

def fit_slices(
    y: Array,
    columns: Sequence[Array],
    fixed: Sequence[int],
    terms: Sequence[tuple[NDArray[np.int32], int, Sequence[int], Sequence[int]]],
    weights: Array | None,
    start: Sequence[int],
    settings: BatchSettings,
    team: Team,
) -> BatchRows: ...
def fit_weighted(
    Y: Array,
    W: Array,
    columns: Sequence[Array],
    fixed: Sequence[int],
    terms: Sequence[tuple[NDArray[np.int32], int, Sequence[int], Sequence[int]]],
    settings: BatchSettings,
    team: Team,
) -> BatchRows: ...

class Accumulator:
    def __init__(
        self, fixed: Sequence[int], terms: Sequence[tuple[Sequence[int], Sequence[int]]]
    ) -> None: ...
    def add(
        self,
        y: Array,
        columns: Sequence[Array],
        terms: Sequence[tuple[NDArray[np.int32], int]],
        weights: Array | None,
    ) -> None: ...
    def add_within(self, n: int, sum_log_w: float, squares: float) -> None: ...
    def renumber(self, number: Sequence[Sequence[int]], n_levels: Sequence[int]) -> None: ...
    def merge(self, other: Accumulator) -> None: ...
    def model(self) -> Lmm: ...
    @property
    def n_obs(self) -> int: ...
