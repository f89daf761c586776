"""How the model of a design is computed."""

from __future__ import annotations

from dataclasses import dataclass, field

from .._typing import Array

__all__ = ["EXACT", "Method", "Sample"]


@dataclass(frozen=True)
class Sample:
    """What reproduces an approximation of the log-likelihood, to the bit.

    Attributes
    ----------
    n_levels : tuple of int
        Levels of each term that it belongs to, in the order of ``Design.random``.
    n_probes : int
        Random vectors that sample the trace.
    exact_second : bool
        Whether the second moment is exact.
    deflated_at : tuple of float
        Relative standard deviations at which the deflation was chosen, in the kernel's order.
    low, high : float
        The interval of the eigenvalues that are left.
    deflation : ndarray of shape (C, k), optional
        The deflated vectors of a generalised model, which depend on its weights.
    """

    n_levels: tuple[int, ...]
    n_probes: int
    exact_second: bool
    deflated_at: tuple[float, ...]
    low: float
    high: float
    deflation: Array | None = field(default=None, compare=False, repr=False)


@dataclass(frozen=True)
class Method:
    """The method of a fit, the same for every kernel made from a design.

    Attributes
    ----------
    name : {"exact", "auto", "iterative"}
        As :func:`ranef.lmer` and :func:`ranef.glmer` take it.
    threads : int
        Threads of one fit.
    seed : int
        Seed of the probes.
    sample : Sample, optional
        The approximation of the fit that this design belongs to.
    """

    name: str = "exact"
    threads: int = 1
    seed: int = 0
    sample: Sample | None = None


#: What every design starts with.
EXACT = Method()
