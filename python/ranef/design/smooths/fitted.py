"""A smooth that has learned from its rows: the columns it adds to a mixed model."""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import product
from typing import Any

import numpy as np

from ..._typing import Array
from ...formula import Smooth
from .basis import Basis, Powers
from .margins import margin
from .natural import by_groups, centred, eigenvalues, separated, values_at_even_steps

__all__ = ["FittedSmooth", "fit_smooth"]


@dataclass(frozen=True)
class FittedSmooth:
    """Columns of a smooth: those with fixed and those with random coefficients.

    Attributes
    ----------
    label : str
        Name of the term, ``s(Time):Diet1`` for one level of a factor.
    smooth : Smooth
        The term as written.
    margins : tuple of Basis
        Basis of each margin.
    turns : tuple of ndarray of shape (k_i, c_i)
        From the coefficients of each basis to functions with a diagonal penalty.
    cells : ndarray of shape (q, n_margins)
        The functions that each random column multiplies.
    D : ndarray of shape (q, r)
        Var(u_j) = 1 / sum_i D_ji / sd_i^2 for r standard deviations.
    parts : tuple of str, length r
        What each standard deviation belongs to.
    powers : tuple of tuple of int
        Exponents of the monomials that are not penalised, one fixed effect each.
    centre : ndarray of shape (d,)
        Subtracted from the variables before they are multiplied.
    fixed_means, random_means : ndarray of shape (p,) and (q,), or 0
        Subtracted from the columns.
    level : int or None
        Level of the factor ``by`` that it is for.
    group : str or None
        Factor that has a curve for each of its levels.
    ranges : tuple of (float, float)
        Smallest and largest value of each variable in the rows.
    """

    label: str
    smooth: Smooth
    margins: tuple[Basis, ...]
    turns: tuple[Array, ...]
    cells: Array
    D: Array
    parts: tuple[str, ...]
    powers: tuple[Powers, ...]
    centre: Array
    ranges: tuple[tuple[float, float], ...]
    fixed_means: Array | float = 0.0
    random_means: Array | float = 0.0
    level: int | None = None
    group: str | None = None

    @property
    def fixed_names(self) -> tuple[str, ...]:
        """Names of the fixed effects."""
        names = self.variables
        spelled = (
            ":".join(
                f"{name}**{e}" if e > 1 else name for name, e in zip(names, p, strict=False) if e
            )
            for p in self.powers
        )
        return tuple(f"{self.label}[{s or '1'}]" for s in spelled)

    @property
    def variables(self) -> tuple[str, ...]:
        """The numeric variables."""
        return tuple(f.expr for f in self.smooth.variables if f.expr != self.group)

    @property
    def is_curve(self) -> bool:
        """Whether it is the same for every level of every grouping factor."""
        return self.group is None

    @property
    def n_random(self) -> int:
        """Number of random columns, q."""
        return len(self.D)

    def columns(self, x: Array, multiplier: Array | None = None) -> tuple[Array, Array]:
        """Evaluate the columns at x of shape (n, d): fixed (n, p) and random (n, q) ones.

        ``multiplier`` of shape (n,) is what ``by`` multiplies by.
        """
        fixed = self._monomials(x) - self.fixed_means
        random = self._products(x) - self.random_means
        if multiplier is not None:
            fixed, random = fixed * multiplier[:, None], random * multiplier[:, None]
        return fixed, random

    def summing_to_zero(self, x: Array) -> FittedSmooth:
        """Subtract from each column its mean over the rows."""
        means = self._monomials(x).mean(axis=0)
        if self.smooth.kind == "s":  # the penalised functions add up to zero by construction
            return replace(self, fixed_means=means)
        return replace(self, fixed_means=means, random_means=self._products(x).mean(axis=0))

    def _monomials(self, x: Array) -> Array:
        at = x - self.centre
        out = np.ones((len(x), len(self.powers)))
        for j, power in enumerate(self.powers):
            for v, exponent in enumerate(power):
                if exponent:
                    out[:, j] *= at[:, v] ** exponent
        return out

    def _products(self, x: Array) -> Array:
        """Products of the margins' functions, (n, q)."""
        if len(self.margins) == 1:
            return np.asarray(self.margins[0](x) @ self.turns[0][:, self.cells[:, 0]])
        out = np.ones((len(x), len(self.cells)))
        for v, (basis, turn) in enumerate(zip(self.margins, self.turns, strict=True)):
            out *= (basis(x[:, v : v + 1]) @ turn)[:, self.cells[:, v]]
        return out


def fit_smooth(
    smooth: Smooth, x: Array, constrained: bool, group: str | None = None
) -> FittedSmooth:
    """Learn a smooth from its variables on the rows used, x of shape (n, d).

    Parameters
    ----------
    smooth : Smooth
        The term.
    x : ndarray of shape (n, d)
        Its numeric variables.
    constrained : bool
        Whether its functions add up to zero over the rows, as they do unless ``by`` is a number.
    group : str, optional
        The factor of a smooth for each level.
    """
    make = {"s": _single, "te": _tensor, "ti": _tensor, "t2": _separable}[smooth.kind]
    if smooth.bs[0] == "fs":
        made = replace(_grouped(smooth, x), group=group)
    else:
        made = make(smooth, x, constrained)
    if not constrained or smooth.bs[0] == "fs":
        return made
    return made.summing_to_zero(x)


def _base(smooth: Smooth, x: Array, **values: Any) -> FittedSmooth:
    """Fill in what every smooth has."""
    ranges = tuple((float(v.min()), float(v.max())) for v in x.T)
    return FittedSmooth(
        label=smooth.label, smooth=smooth, centre=x.mean(axis=0), ranges=ranges, **values
    )


def _single(smooth: Smooth, x: Array, constrained: bool) -> FittedSmooth:
    """Take one basis, with one standard deviation."""
    basis = margin(smooth, 0, x)
    turn = centred(basis, basis(x), constrained)
    q = turn.shape[1]
    return _base(
        smooth,
        x,
        margins=(basis,),
        turns=(turn,),
        cells=np.arange(q)[:, None],
        D=np.ones((q, 1)),
        parts=("",),
        powers=basis.null[1 if constrained else 0 :],
    )


def _tensor(smooth: Smooth, x: Array, constrained: bool) -> FittedSmooth:
    """Multiply bases whose penalties overlap: one standard deviation a variable.

    Notes
    -----
    With the coefficients of each margin turned to eigenvectors of its penalty, those of the product
    have the penalty sum_i D_i / sd_i^2, a diagonal [1]_.

    References
    ----------
    .. [1] Wood (2006), Biometrics 62, 1025-1036.
    """
    margins, turns, values = [], [], []
    for v in range(x.shape[1]):
        one = x[:, v : v + 1]
        basis = margin(smooth, v, one)
        turn, n_null = np.eye(len(basis.penalty)), len(basis.null)
        if smooth.kind == "ti":
            turn = np.linalg.qr(basis(one).mean(axis=0)[:, None], mode="complete")[0][:, 1:]
            n_null -= 1
        elif not getattr(basis, "has_values", False):
            turn = values_at_even_steps(basis, one)
        vectors, d = eigenvalues(turn.T @ basis.penalty @ turn, n_null)
        margins.append(basis)
        turns.append(turn @ vectors)
        values.append(d)
    cells = np.array(list(product(*(range(len(d)) for d in values))))
    D = np.column_stack([d[cells[:, v]] for v, d in enumerate(values)])
    penalised = D.any(axis=1)
    powers = tuple(product(*(sorted(_exponents(smooth, basis)) for basis in margins)))
    powers = tuple(sorted(powers, key=lambda p: (sum(p), tuple(-e for e in p))))
    if smooth.kind == "te" and constrained:
        powers = powers[1:]
    return _base(
        smooth,
        x,
        margins=tuple(margins),
        turns=tuple(turns),
        cells=cells[penalised],
        D=D[penalised],
        parts=tuple(factor.expr for factor in smooth.variables),
        powers=powers,
    )


def _exponents(smooth: Smooth, basis: Basis) -> list[int]:
    """Exponents that a margin leaves free; without the constant in an interaction alone."""
    return [p[0] for p in basis.null if p[0] or smooth.kind != "ti"]


def _separable(smooth: Smooth, x: Array, constrained: bool) -> FittedSmooth:
    """Multiply penalised and free parts of bases: one standard deviation for each product."""
    margins, turns, sizes = [], [], []
    for v in range(x.shape[1]):
        one = x[:, v : v + 1]
        basis = margin(smooth, v, one)
        turn, q = separated(basis, basis(one))
        margins.append(basis)
        turns.append(turn)
        sizes.append((q, turn.shape[1]))
    cells = np.array(list(product(*(range(size) for _, size in sizes))))
    kinds = cells < np.array([q for q, _ in sizes])  # penalised
    keys = [tuple(kind) for kind in kinds]
    distinct = sorted({key for key in keys if any(key)}, key=lambda key: (-sum(key), key))
    chosen = kinds.any(axis=1)
    D = np.array([[float(key == other) for other in distinct] for key in keys])[chosen]
    names = [factor.expr for factor in smooth.variables]
    parts = tuple(
        ":".join(n for n, wiggly in zip(names, key, strict=True) if wiggly) for key in distinct
    )
    powers = tuple(product(*([p[0] for p in basis.null] for basis in margins)))
    powers = tuple(sorted(powers, key=lambda p: (sum(p), tuple(-e for e in p))))
    return _base(
        smooth,
        x,
        margins=tuple(margins),
        turns=tuple(turns),
        cells=cells[chosen],
        D=D,
        parts=parts,
        powers=powers[1 if constrained else 0 :],
    )


def _grouped(smooth: Smooth, x: Array) -> FittedSmooth:
    """Give each level of a factor its own, fully penalised curve."""
    basis = margin(smooth, 0, x)
    turn, q = by_groups(basis, basis(x))
    k = len(turn)
    D = np.zeros((k, 1 + k - q))
    D[:q, 0] = 1.0
    D[q:, 1:] = np.eye(k - q)
    return _base(
        smooth,
        x,
        margins=(basis,),
        turns=(turn,),
        cells=np.arange(k)[:, None],
        D=D,
        parts=("", *(f"line {i + 1}" for i in range(k - q))),
        powers=(),
    )
