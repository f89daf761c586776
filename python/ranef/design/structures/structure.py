"""What is known about the covariance of a block of random-effects columns.

The seam for terms that are more than a free covariance matrix. A ``RandomTerm`` has blocks of
columns; ``RandomTerm.structures`` has a `Structure` or None for each. The kernel searches over the
parameters of structures beside the elements of free factors, with exact gradients, for linear and
generalised models alike, and nothing else has to know which structure it is:

- ``model.parts.estimate.lambda_`` and ``varcorr`` hold the covariance that it stands for;
- ``estimate.lambda_standard`` holds, for a term with a structure, its parameters (m, 1);
- ``core.natural_parameters(t, ...)`` turns these into standard deviations (relative to sigma) and
  what else the structure has, in the order of `Structure.labels`;
- ``npar`` counts `Structure.n_parameters`.

A block whose covariance is diagonal with variances of a known form, as those of a smooth, is made
by `Structure.variances` or `Structure.precisions`; its grouping factor may have a single level.
A new kind is a ``Shape`` in cpp/include/ranef/structure.hpp, and a name here.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property

import numpy as np

from ... import _core
from ..._typing import Array
from ...errors import UnsupportedError
from ...formula import Formula

__all__ = ["DISTANCES", "Structure", "check_free"]

#: Structures whose columns are places at distances from each other.
DISTANCES = ("ou", "exponential", "matern")
#: Parameters other than standard deviations.
OTHERS = {
    "cs": ("corr",),
    "ar1": ("corr",),
    "ou": ("rate",),
    "exponential": ("range",),
    "matern": ("range", "smoothness"),
}


@dataclass(frozen=True, eq=False)
class Structure:
    """The covariance of a block of columns by a few parameters.

    Attributes
    ----------
    kind : str
        "identity" (one variance), "cs", "ar1", "toep", "ou", "exponential", "matern", "variances"
        or "precisions".
    names : tuple of str, length k
        Names of the columns.
    homogeneous : bool
        Whether all columns have one standard deviation.
    places : ndarray of shape (k, d)
        Coordinates of the columns, for kinds with distances; else (0, 0).
    forms : ndarray of shape (k, m)
        For "variances" and "precisions": column i has the variance sum_j F_ij s_j^2, or
        1 / sum_j F_ij p_j.
    columns : tuple of str
        For kinds with distances, the expressions that the coordinates are.
    """

    kind: str
    names: tuple[str, ...]
    homogeneous: bool = True
    places: Array = field(default_factory=lambda: np.empty((0, 0)))
    forms: Array = field(default_factory=lambda: np.empty((0, 0)))
    columns: tuple[str, ...] = ()

    @classmethod
    def variances(cls, names: tuple[str, ...], forms: Array) -> Structure:
        """Let variances be sums of squared standard deviations: forms (k, m), none below zero.

        A column of ones gives all columns one standard deviation; columns of zeros and ones give
        one to each group of them.
        """
        return cls("variances", names, forms=np.asfortranarray(forms, dtype=float))

    @classmethod
    def precisions(cls, names: tuple[str, ...], forms: Array) -> Structure:
        """Let the inverse variances be sums of parameters, as of a tensor product: forms (k, m)."""
        return cls("precisions", names, forms=np.asfortranarray(forms, dtype=float))

    @cached_property
    def core(self) -> _core.Structure:
        """The kernel's."""
        return _core.Structure(
            self.kind,
            len(self.names),
            self.homogeneous,
            np.asfortranarray(self.places),
            np.asfortranarray(self.forms),
        )

    def __getstate__(self) -> dict[str, object]:
        return {name: value for name, value in self.__dict__.items() if name != "core"}

    @property
    def n_parameters(self) -> int:
        """Number of parameters that are estimated."""
        return int(self.core.n_parameters)

    @property
    def n_sds(self) -> int:
        """Number of them, coming first, that are standard deviations (or precisions)."""
        return int(self.core.n_sds)

    @property
    def zero(self) -> float:
        """Parameter value of standard deviations that are all but zero."""
        if self.kind == "precisions":
            return 40.0
        return 0.0 if self.homogeneous else -20.0

    def multiplied(self, psi: Array, ratio: float) -> Array:
        """Multiply standard deviations by ``ratio``, as parameters of the kernel."""
        if self.kind == "precisions":
            return np.asarray(psi - 2.0 * np.log(ratio))
        return np.asarray(psi * ratio if self.homogeneous else psi + np.log(ratio))

    @property
    def labels(self) -> tuple[str, ...]:
        """Names of the natural parameters."""
        n = self.n_sds
        if self.kind == "precisions":
            return tuple(f"precision{j + 1}" for j in range(n))
        if self.kind == "variances":
            return ("sd",) if n == 1 else tuple(f"sd{j + 1}" for j in range(n))
        sds = ("sd",) if self.homogeneous else tuple(f"sd[{name}]" for name in self.names)
        if self.kind == "toep":
            return (*sds, *(f"corr{lag}" for lag in range(1, len(self.names))))
        return (*sds, *OTHERS.get(self.kind, ()))


def check_free(formula: Formula, what: str, instead: str = "") -> None:
    """Refuse a formula with covariance structures for ``what`` cannot fit them.

    ``instead`` says what does, apart from leaving the structure out.

    Raises
    ------
    UnsupportedError
        With the structure, and who fits it.
    """
    for bar in formula.random:
        if bar.structure:
            raise UnsupportedError(
                f"{what} has no covariance structures inside bars, such as {bar.source()}; "
                f"ranef.lmer and ranef.glmer have them{instead and f' ({instead})'}. Here, write "
                f"({bar.left} | {bar.group})"
            )
