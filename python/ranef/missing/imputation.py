"""Imputed data sets, and the runs that make them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from .._counted import counted
from .._options import check_option
from ..errors import DataError
from ..fitted.lmm.call import Call
from ..fitted.lmm.model import fit_model
from ..fitted.warned import tell
from ..parallel.progress import bar
from ..parallel.workers import worker_count
from ..words.answers import Spoken
from .chain import Chain
from .forest import forest_frame
from .functions import not_kept
from .pooled import PooledModel, pool_models
from .variables import Variables, read_variables

__all__ = ["Imputations", "imputed"]

METHODS = ("mixed", "forest")


@dataclass(frozen=True, repr=False)
class Imputations(Spoken):
    """Several completed copies of one data set.

    Attributes
    ----------
    formula : str
        The analysis that they were made for.
    frames : tuple of DataFrame
        The data with every gap filled; rows and observed values are those of the original.
    method : str
        "mixed" or "forest".
    kinds : Series
        How each incomplete variable was imputed.
    trace : DataFrame
        Mean of the imputed values by imputation, cycle and variable; chains that have settled
        show no trend.
    """

    formula: str
    frames: tuple[pd.DataFrame, ...]
    method: str
    kinds: pd.Series[Any]
    missing: pd.DataFrame
    trace: pd.DataFrame

    @property
    def m(self) -> int:
        """Number of imputations."""
        return len(self.frames)

    @property
    def first(self) -> pd.DataFrame:
        """The first completed data set."""
        return self.frames[0]

    def fit(
        self, formula: str | None = None, *, fit: Callable[..., Any] | None = None, **options: Any
    ) -> PooledModel:
        """Fit a model to every completed data set, and pool.

        Parameters
        ----------
        formula : str, optional
            The model; that of the imputation by default.
        fit : callable, optional
            Such as ``ranef.glmer``; ``ranef.lmer`` by default.
        **options
            Passed on to ``fit``.

        Returns
        -------
        PooledModel
        """
        text = self.formula if formula is None else formula
        if fit is None:
            return pool_models([fit_model(Call(text, **options), f) for f in self.frames])
        return pool_models([fit(text, frame, **options) for frame in self.frames])

    def plot(self, variable: str | None = None, **options: Any) -> Any:
        """Draw observed and imputed values of a variable side by side.

        Parameters
        ----------
        variable : str, optional
            The incomplete variable with most missing values by default.
        **options
            ``ax``, a matplotlib Axes to draw on.

        Returns
        -------
        matplotlib.axes.Axes
        """
        from ..report.plots.missing import imputed_axes

        name = str(self.kinds.index[-1]) if variable is None else variable
        if name not in self.missing:
            raise ValueError(f"{name!r} was not imputed; there are {', '.join(self.kinds.index)}")
        gaps = self.missing[name].to_numpy()
        return imputed_axes(name, [frame[name] for frame in self.frames], gaps, **options)

    def __repr__(self) -> str:
        gaps = int(self.missing.to_numpy().sum())
        names = ", ".join(map(str, self.kinds.index))
        return (
            f"<Imputations m={self.m}, method={self.method!r}: {counted(gaps, 'value')} of {names}>"
        )

    def _repr_html_(self) -> str:
        counts = self.missing.sum().rename("missing")
        table = pd.concat([counts, self.kinds], axis=1).to_html()
        return f"<p>{counted(self.m, 'imputation')} by method {self.method!r}</p>{table}"


def imputed(
    formula: str,
    data: Any,
    *,
    method: str = "mixed",
    m: int = 20,
    cycles: int = 20,
    kinds: Mapping[str, str] | None = None,
    extra: Sequence[str] = (),
    delta: Mapping[str, float] | None = None,
    seed: int | None = None,
    workers: int | None = None,
    progress: bool = True,
) -> Imputations:
    """Impute the variables of a formula; arguments as of ``impute``."""
    method = check_option("method", method, METHODS)
    for name, value in (("m", m), ("cycles", cycles)):
        if isinstance(value, bool) or not isinstance(value, int | np.integer) or value < 1:
            raise ValueError(f"{name} must be a positive integer, not {value!r}")
    if seed is not None and (not isinstance(seed, int | np.integer) or seed < 0):
        raise ValueError(f"seed must be a whole number, 0 or more, or None, not {seed!r}")
    variables = read_variables(formula, data, kinds, extra)
    check(variables, delta or {})
    tell(not_kept(variables) if method == "mixed" else ())
    seeds = np.random.SeedSequence(seed).spawn(m)
    if method == "forest":
        frames = [forest_frame(variables, int(s.generate_state(1)[0]), cycles) for s in seeds[:1]]
        traces = pd.DataFrame()
    else:
        frames, traces = by_chains(variables, seeds, cycles, delta or {}, workers, progress)
    names = sorted(variables.incomplete, key=lambda n: variables.items[n].n_missing)
    return Imputations(
        formula,
        tuple(frames),
        method,
        pd.Series({name: variables.items[name].kind for name in names}, name="kind", dtype=object),
        pd.DataFrame({name: ~variables.items[name].observed for name in names}),
        traces,
    )


def check(variables: Variables, delta: Mapping[str, float]) -> None:
    """Refuse data without gaps, and shifts of variables without gaps."""
    if not variables.incomplete:
        names = ", ".join(variables.items)
        raise DataError(f"nothing is missing in {names}; there is nothing to impute")
    for name in delta:
        item = variables.items.get(name)
        if item is None or not item.n_missing:
            raise DataError(
                f"delta names {name!r}, which has no missing values; incomplete are "
                f"{', '.join(variables.incomplete)}",
                name,
            )
        shift = delta[name]
        if isinstance(shift, str | bool) or not np.isfinite(shift):
            raise ValueError(f"delta[{name!r}] is a number to add, not {shift!r}")
        if item.levels:
            raise DataError(f"delta shifts numbers, and {name!r} is {item.kind}", name)


def by_chains(
    variables: Variables,
    seeds: Sequence[np.random.SeedSequence],
    cycles: int,
    delta: Mapping[str, float],
    workers: int | None,
    progress: bool,
) -> tuple[list[pd.DataFrame], pd.DataFrame]:
    """Run a chain for each seed; the completed data and the traces."""
    with bar(len(seeds) * cycles, "cycles", shown=progress) as advance:

        def run(seed: np.random.SeedSequence) -> Chain:
            chain = Chain(variables, seed, delta)
            for _ in range(cycles):
                chain.cycle()
                advance(1)
            return chain

        with ThreadPoolExecutor(worker_count(workers, 1)) as pool:
            chains = list(pool.map(run, seeds))
    rows = [
        {"imputation": i + 1, "cycle": c + 1, "variable": name, "mean": mean}
        for i, chain in enumerate(chains)
        for c, means in enumerate(chain.trace)
        for name, mean in means.items()
    ]
    return [chain.frame() for chain in chains], pd.DataFrame(rows)
