"""Replicates of any fit: draw, refit, measure, and count what fails."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd

from ...errors import RanefError
from ...parallel.progress import bar
from ...parallel.seeds import root_seed
from ...report.bootstrap import Bootstrap

__all__ = ["Replicate", "named", "replicated"]


@dataclass(frozen=True)
class Replicate:
    """One refit.

    Attributes
    ----------
    values : mapping of str to float
        Its numbers; empty where it failed.
    is_singular, converged : bool
        What became of the fit.
    message : str
        Message of a failure.
    """

    values: Mapping[str, float] = field(default_factory=dict)
    is_singular: bool = False
    converged: bool = True
    message: str = ""


def named(found: Any) -> dict[str, float]:
    """Name the numbers returned by a statistic."""
    if isinstance(found, (pd.Series, Mapping)):
        return {str(name): float(value) for name, value in found.items()}
    numbers = np.asarray(np.atleast_1d(found), dtype=np.float64).ravel()
    if len(numbers) == 1:
        return {"statistic": float(numbers[0])}
    return {f"statistic{i + 1}": float(value) for i, value in enumerate(numbers)}


def replicated(
    refit: Callable[[np.random.Generator], Replicate],
    own: Mapping[str, float],
    n: int,
    kind: str,
    *,
    seed: int | None,
    workers: int,
    progress: bool,
) -> Bootstrap:
    """Refit ``n`` times, each time with a seed of its own, whatever the number of workers.

    Parameters
    ----------
    refit : callable
        Draws and fits once; raises RanefError where it cannot.
    own : mapping of str to float
        The numbers of the fit itself.
    n : int
        Replicates.
    kind : str
        How the data are drawn.
    seed, workers, progress
        As in ``model.bootstrap``.
    """
    if n < 2:
        raise ValueError(f"a bootstrap needs 2 or more replicates, not {n}")
    root = root_seed(seed)

    def one(child: np.random.SeedSequence) -> Replicate:
        try:
            return refit(np.random.default_rng(child))
        except (RanefError, np.linalg.LinAlgError) as error:
            return Replicate(converged=False, message=str(error) or type(error).__name__)

    done: list[Replicate] = []
    with bar(n, "fits", shown=progress) as advance, ThreadPoolExecutor(workers) as pool:
        children = root.spawn(n)
        for found in map(one, children) if workers == 1 else pool.map(one, children):
            done.append(found)
            advance(1)
    failed = [found for found in done if not found.values]
    good = [found for found in done if found.values]
    rows = [[found.values.get(name, np.nan) for name in own] for found in done]
    return Bootstrap(
        pd.DataFrame(rows, columns=list(own), dtype=float),
        pd.Series(dict(own), dtype=float),
        kind,
        int(root.entropy),  # type: ignore[arg-type]
        failed=len(failed),
        singular=sum(found.is_singular for found in good),
        stopped=sum(not found.converged for found in good),
        message=failed[0].message if failed else "",
    )
