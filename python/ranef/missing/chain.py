"""Chained equations: every variable in turn is drawn from its model given the others."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from .._typing import Array
from .coding import Coding, Problem
from .compatible import (
    Likelihood,
    drawn_categories,
    drawn_numbers,
    is_asked_for,
    log_shares,
    outcome_problem,
    own_problem,
)
from .functions import with_functions
from .sampler import Sampler
from .variables import Variable, Variables, numbers

__all__ = ["Chain"]

#: Draws of a variable's parameters in each cycle, and draws before the first.
SWEEPS, FIRST = 3, 30

#: Observed values from which a matched value is drawn.
DONORS = 5


class Chain:
    """One imputation on its way.

    Parameters
    ----------
    variables : Variables
        What is imputed.
    seed : SeedSequence
        Of this imputation alone, so that the number of workers changes nothing.
    delta : mapping of str to float
        Added to every imputed value of a variable.
    """

    def __init__(
        self, variables: Variables, seed: np.random.SeedSequence, delta: Mapping[str, float]
    ):
        self.variables = variables
        self.coding = Coding(with_functions(variables))
        self.rng = np.random.default_rng(seed)
        self.delta = delta
        self.values = {name: self._start(name) for name in self.coding.variables.items}
        self.samplers: dict[str, list[Sampler]] = {}
        counts = {name: item.n_missing for name, item in variables.items.items()}
        self.order = sorted(variables.incomplete, key=lambda name: counts[name])
        self.trace: list[dict[str, float]] = []

    def _start(self, name: str) -> Array:
        """Numbers of a variable, missing ones drawn from those that were observed."""
        item = self.coding.variables.items[name]
        out = numbers(self.coding.variables.frame[name], item)
        gaps = ~item.observed
        out[gaps] = self.rng.choice(out[item.observed], size=int(gaps.sum()))
        return out

    def cycle(self) -> None:
        """Draw every incomplete variable once."""
        means = {}
        for name in self.order:
            item = self.variables.items[name]
            if name not in self.delta and is_asked_for(self.coding, name):
                for _ in range(SWEEPS if self.trace else 1):  # such chains settle slowly
                    self._draw_compatible(item)
            else:
                self._draw(item, self.coding.problem(name, self.values))
            drawn = self.values[name][~item.observed]
            means[name] = float(drawn.mean())
        self.trace.append(means)

    def _draw(self, item: Variable, problem: Problem) -> None:
        """Draw the parameters of one variable's model and the values that are missing."""
        y = self.values[item.name][problem.first].copy()
        seen = np.zeros(len(problem.first), bool)
        np.logical_or.at(seen, problem.unit, item.observed)
        if item.level:  # every row of a group has the group's value
            known = np.flatnonzero(item.observed)
            y[problem.unit[known]] = self.values[item.name][known]
        new = y.copy()
        if seen.all():
            pass
        elif item.kind == "categorical":
            self._draw_categories(item, problem, y, seen, new)
        else:
            new[~seen] = self._draw_one(item, problem, y, seen)
        gaps = ~item.observed
        self.values[item.name][gaps] = new[problem.unit[gaps]]

    def _draw_compatible(self, item: Variable) -> None:
        """Draw the missing values of a predictor from its model and the analysis together."""
        name, count = item.name, 1 if self.trace else FIRST
        own = own_problem(self.coding, name, self.values)
        gaps, known = ~item.observed, np.flatnonzero(item.observed)
        units = self.values[name][own.first].copy()
        units[own.unit[known]] = self.values[name][known]  # every row of a group has its value
        self.values[name] = units[own.unit]
        centre, scale = centre_scale(self.values[self.variables.outcome])
        y = (self.values[self.variables.outcome] - centre) / scale
        analysis, everywhere = self._sampler("the analysis", 0, "continuous"), np.ones(len(y), bool)
        problem = outcome_problem(self.coding, self.values)
        analysis.sweep(y, everywhere, problem.X, problem.blocks, self.rng, count)
        likelihood = Likelihood(self.coding, item, analysis, y)
        new = self._drawn_units(item, own, units, likelihood, count)
        gaps[gaps] = ~np.isin(own.unit[gaps], own.unit[known]) if item.level else True
        self.values[name][gaps] = new[own.unit[gaps]]
        likelihood.refresh(self.values, self.rng)

    def _drawn_units(
        self, item: Variable, own: Problem, units: Array, likelihood: Likelihood, count: int
    ) -> Array:
        """Draw the parameters of a predictor's own model, and a value for every row or group."""
        if item.levels:
            samplers = []
            for k in range(len(item.levels) - 1):
                sampler, is_k = self._sampler(item.name, k, "binary"), (units == k).astype(float)
                sampler.sweep(is_k, units >= k, own.X, own.blocks, self.rng, count)
                samplers.append(sampler)
            shares = log_shares(samplers, own.X)
            return drawn_categories(likelihood, self.values, shares, self.rng)
        low, unit = (float(part[0]) for part in self.coding.units[item.name])
        everywhere, sampler = np.ones(len(units), bool), self._sampler(item.name, 0, "continuous")
        now = (units - low) / unit
        sampler.sweep(now, everywhere, own.X, own.blocks, self.rng, count)
        mean = sampler.mean(own.X, slice(None))
        ends = (low, low + unit)
        new = drawn_numbers(likelihood, self.values, ends, mean, sampler.variance, self.rng)
        return np.asarray(low + unit * new)

    def _draw_one(self, item: Variable, problem: Problem, y: Array, seen: Any) -> Array:
        """Draw values of a variable that has one sampler."""
        kind = item.kind if item.kind in ("binary", "count") else "continuous"
        centre, scale = (0.0, 1.0) if kind != "continuous" else centre_scale(y[seen])
        sampler = self._sampler(item.name, 0, kind)
        count = SWEEPS if self.trace else FIRST
        sampler.sweep((y - centre) / scale, seen, problem.X, problem.blocks, self.rng, count)
        if item.kind == "matching":
            means = sampler.mean(problem.X, slice(None))
            return matched(means[~seen], means[seen], y[seen], self.rng)
        drawn = centre + scale * sampler.draw(problem.X, ~seen, self.rng)
        return np.asarray(drawn + self.delta.get(item.name, 0.0))

    def _draw_categories(
        self, item: Variable, problem: Problem, y: Array, seen: Any, new: Array
    ) -> None:
        """Draw categories one after another: this one, or one of those that follow."""
        open_ = ~seen
        count = SWEEPS if self.trace else FIRST
        for k in range(len(item.levels) - 1):
            rows = seen & (y >= k)
            sampler = self._sampler(item.name, k, "binary")
            sampler.sweep((y == k).astype(float), rows, problem.X, problem.blocks, self.rng, count)
            here = sampler.draw(problem.X, open_, self.rng) > 0.5
            places = np.flatnonzero(open_)
            new[places[here]] = k
            open_ = open_.copy()
            open_[places[here]] = False
        new[open_] = len(item.levels) - 1

    def _sampler(self, name: str, place: int, kind: str) -> Sampler:
        """Find the chain of a variable, or of one of its categories."""
        chains = self.samplers.setdefault(name, [])
        while len(chains) <= place:
            chains.append(Sampler(kind))
        return chains[place]

    def frame(self) -> pd.DataFrame:
        """Return the data with every gap filled."""
        out = self.variables.frame.copy()
        for name in self.order:
            item = self.variables.items[name]
            out[name] = filled(out[name], item, self.values[name])
        return out


def filled(column: pd.Series[Any], item: Variable, values: Array) -> pd.Series[Any]:
    """Put values into the gaps of a column, observed ones untouched."""
    gaps = np.flatnonzero(~item.observed)
    if item.levels:
        new = [item.levels[int(k)] for k in values[gaps]]
        if isinstance(column.dtype, pd.CategoricalDtype):
            out = column.copy()
        else:
            out = column.astype(object)
        out.iloc[gaps] = new
        return out if isinstance(column.dtype, pd.CategoricalDtype) else out.infer_objects()
    out = column.astype(float)
    out.iloc[gaps] = values[gaps].tolist()
    return out


def centre_scale(y: Array) -> tuple[float, float]:
    """Mean and standard deviation of what was observed; 1 for a constant."""
    scale = float(y.std())
    return float(y.mean()), scale if scale > 0.0 else 1.0


def matched(wanted: Array, known: Array, y: Array, rng: np.random.Generator) -> Array:
    """Take the observed value of one of the nearest means, for each of those wanted."""
    order = np.argsort(known, kind="stable")
    places = np.searchsorted(known[order], wanted)
    count = min(DONORS, len(y))
    window = np.clip(places[:, None] + np.arange(-count, count), 0, len(y) - 1)
    distance = np.abs(known[order][window] - wanted[:, None])
    best = np.argsort(distance, axis=1, kind="stable")[:, :count]
    pick = best[np.arange(len(wanted)), rng.integers(0, count, len(wanted))]
    return np.asarray(y[order][window[np.arange(len(wanted)), pick]])
