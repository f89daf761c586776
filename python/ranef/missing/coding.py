"""Columns that predict one variable from the current values of all others."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import product

import numpy as np

from .._typing import Array, Positions
from ..formula import Term
from .sampler import Block
from .variables import Variable, Variables, numbers

__all__ = ["Coding", "Problem"]

#: Group means are predictors if there are this many groups for each of them.
GROUPS_A_MEAN = 3


@dataclass(frozen=True)
class Problem:
    """One variable's regression on the others.

    Attributes
    ----------
    X : ndarray of shape (u, p)
        Columns, a row for each unit: a row of the data, or a group.
    blocks : list of Block
        Random effects.
    first : ndarray of shape (u,)
        The row of the data in which each unit is seen first.
    unit : ndarray of shape (n,)
        Unit of each row of the data.
    """

    X: Array
    blocks: list[Block]
    first: Positions
    unit: Positions


class Coding:
    """How the variables of an analysis become columns.

    Parameters
    ----------
    variables : Variables
        Kinds, levels and groups.
    """

    def __init__(self, variables: Variables):
        self.variables = variables
        self.groups = variables.groups
        self.largest = max(self.groups, key=lambda name: len(self.groups[name][1]), default="")
        self.products = [
            names
            for term in variables.formula.terms
            if len(term.factors) > 1
            for names in self.named(term)
        ]
        self.units = {name: self._unit(item) for name, item in variables.items.items()}

    def named(self, term: Term) -> list[tuple[str, ...]]:
        """Variables that a term multiplies; several times if an expression has several columns."""
        return list(product(*(self._known(factor.expr) for factor in term.factors)))

    def _known(self, expr: str) -> list[str]:
        """Variables that a factor stands for, those of ``C(a)`` and ``poly(b, 2)`` too."""
        items = self.variables.items
        inside = re.match(r"C\(\s*`?([^,`()]+?)`?\s*[,)]", expr)
        if expr not in items and inside and inside[1] in items:
            return [inside[1]]
        return [name for name in items if name == expr or name.startswith(f"{expr}[")]

    def _unit(self, item: Variable) -> tuple[Array, Array]:
        """Means and standard deviations of the observed part of the columns."""
        seen = raw_columns(item, numbers(self.variables.frame[item.name], item)[item.observed])
        scale = seen.std(axis=0)
        return seen.mean(axis=0), np.where(scale > 0.0, scale, 1.0)

    def columns(self, item: Variable, values: Array) -> Array:
        """Code the values of one variable, shape (n, c), each column centred."""
        centre, scale = self.units[item.name]
        return np.asarray((raw_columns(item, values) - centre) / scale)

    def problem(self, target: str, values: Mapping[str, Array]) -> Problem:
        """Set up the regression of one variable on the others."""
        item = self.variables.items[target]
        coded = self.coded(values, without=(target,))
        if item.level:
            return self.of_groups(item, coded)
        n = len(item.observed)
        rows = np.arange(n)
        columns = [np.ones((n, 1)), *coded.values(), *self._products(target, coded)]
        columns += self.means(coded)
        X = np.column_stack(columns)
        blocks = [
            Block(codes, self._varying(target, name, coded), len(levels))
            for name, (codes, levels) in self.groups.items()
        ]
        return Problem(X, blocks, rows, rows)

    def coded(self, values: Mapping[str, Array], without: Sequence[str]) -> dict[str, Array]:
        """Code the current values of all variables but some."""
        return {
            name: self.columns(item, values[name])
            for name, item in self.variables.items.items()
            if name not in without
        }

    def _products(self, target: str, coded: Mapping[str, Array]) -> list[Array]:
        """Interactions of the analysis; one with the target becomes one with the response."""
        outcome, found = self.variables.outcome, []
        for names in self.products:
            turned = tuple(outcome if name == target else name for name in names)
            if len(set(turned)) == len(turned):
                found.append(turned)
        return self.multiplied(found, coded)

    def multiplied(
        self, products: Sequence[tuple[str, ...]], coded: Mapping[str, Array]
    ) -> list[Array]:
        """Products of the columns of the variables present."""
        out = []
        for names in products:
            if all(name in coded for name in names):
                columns = coded[names[0]]
                for name in names[1:]:
                    columns = np.einsum("ni,nj->nij", columns, coded[name])
                    columns = columns.reshape(len(columns), -1)
                out.append(columns)
        return out

    def means(self, coded: Mapping[str, Array]) -> list[Array]:
        """Group means of the variables that vary within groups, if there are enough groups."""
        if not self.largest:
            return []
        codes, levels = self.groups[self.largest]
        inner = [coded[name] for name in coded if not self.variables.items[name].level]
        count = sum(columns.shape[1] for columns in inner)
        if len(levels) < GROUPS_A_MEAN * (count + 1):
            return []
        return [group_means(columns, codes, len(levels))[codes] for columns in inner]

    def slopes(self, group: str) -> list[tuple[str, ...]]:
        """Variables, or products of some, whose effect varies by a group in the analysis."""
        return [
            names
            for bar in self.variables.formula.random
            if bar.group == group
            for term in bar.terms
            if term.factors
            for names in self.named(term)
        ]

    def vary(self, target: str, group: str) -> bool:
        """Whether the effect of a variable varies by a group, alone or in a product."""
        return any(target in names for names in self.slopes(group))

    def effects(self, group: str, coded: Mapping[str, Array]) -> Array:
        """Columns of the random effects of the analysis."""
        n = len(self.groups[group][0])
        return np.column_stack([np.ones((n, 1)), *self.multiplied(self.slopes(group), coded)])

    def _varying(self, target: str, group: str, coded: Mapping[str, Array]) -> Array:
        """Columns of the random effects: those of the analysis, or the response's for a slope."""
        outcome = self.variables.outcome
        if target == outcome:
            return self.effects(group, coded)
        ones = np.ones((len(self.groups[group][0]), 1))
        return np.column_stack([ones, coded[outcome]]) if self.vary(target, group) else ones

    def of_groups(self, item: Variable, coded: Mapping[str, Array]) -> Problem:
        """Set up the regression of a variable of groups: its units are the groups."""
        codes, levels = self.groups[item.level]
        first = np.full(len(levels), len(codes), np.intp)
        np.minimum.at(first, codes, np.arange(len(codes)))
        each = [group_means(columns, codes, len(levels)) for columns in coded.values()]
        means = np.column_stack([np.empty((len(levels), 0)), *each])
        most = max(1, len(levels) // GROUPS_A_MEAN)
        spread = means.std(axis=0)
        chosen = [j for j in np.argsort(-spread, kind="stable") if spread[j] > 1e-9][:most]
        X = np.column_stack([np.ones(len(levels)), means[:, sorted(chosen)]])
        blocks = []
        for name, (other, outer) in self.groups.items():
            above = other[first]
            nested = name != item.level and np.array_equal(above[codes], other)
            if nested and 1 < len(outer) < len(levels):
                blocks.append(Block(above, np.ones((len(levels), 1)), len(outer)))
        return Problem(X, blocks, first, codes)


def raw_columns(item: Variable, values: Array) -> Array:
    """Columns of one variable, one for each category but the first, shape (n, c)."""
    if item.kind == "categorical":
        return np.column_stack([values == k for k in range(1, len(item.levels))]).astype(float)
    return np.asarray(np.log1p(values) if item.kind == "count" else values)[:, None]


def group_means(columns: Array, codes: Positions, n_levels: int) -> Array:
    """Mean of each column in each group, shape (n_levels, c)."""
    counts = np.bincount(codes, minlength=n_levels)
    sums = [np.bincount(codes, column, n_levels) for column in columns.T]
    return np.column_stack(sums) / np.maximum(counts, 1)[:, None]
