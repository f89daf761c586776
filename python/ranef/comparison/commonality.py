"""Parts of the marginal R² by blocks of terms: alone, on top of all others, and shared."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from math import factorial
from typing import Any

import numpy as np
import pandas as pd

from .._counted import counted
from ..errors import ModelError
from ..fitted.lmm.model import LinearMixedModel
from ..formula import parse
from ..inference.shares.r2 import variances
from ..inference.subsets import margins, spelled
from ..report.tabled import Tabled
from .building import fitted_by

__all__ = ["PartR2", "blocks_of", "part_table", "share"]


@dataclass(frozen=True, repr=False)
class PartR2(Tabled):
    """Parts of R² by blocks of terms; see :func:`ranef.part_r2`.

    Attributes
    ----------
    table : DataFrame
        One row per block: part (what all others leave to it), alone, shared (alone minus part), and
        average (over all orders of entering; these add up to ``whole``).
    notes : tuple of str
        Remarks.
    whole : float
        Marginal R² of the model.
    commonality : Series
        What each set of blocks has in common that no other has; they add up to ``whole``.
    """

    whole: float
    commonality: pd.Series[Any]

    @property
    def title(self) -> str:
        """The R² that is divided."""
        return f"Parts of a marginal R² of {self.whole:.4f}"


def share(model: Any, method: str) -> float:
    """Return the marginal R² of Nakagawa and Schielzeth."""
    if isinstance(model, LinearMixedModel):
        found = variances(model.parts.design, model.parts.estimate)
    else:
        _, found = model.parts.latent(method)
    return found.fixed / found.total


def blocks_of(model: Any, terms: Any) -> dict[str, tuple[str, ...]]:
    """Read the blocks of terms that enter together.

    Raises
    ------
    ModelError
        If a block cannot be removed without another.
    """
    formula = parse(model.call.formula)
    named = [term.name for term in formula.terms if term.factors]
    if isinstance(terms, Mapping):
        blocks = {
            str(name): (each,) if isinstance(each, str) else tuple(each)
            for name, each in terms.items()
        }
    else:
        blocks = {name: (name,) for name in (named if terms is None else terms)}
    known = [name for block in blocks.values() for name in block]
    for name in known:
        if name not in named:
            raise ValueError(f"the model has no term {name!r}; it has {', '.join(named)}")
    if not blocks or len(set(known)) < len(known):
        raise ModelError("part_r2 takes terms that each stand in one block")
    needed = margins(formula.terms)
    for block, members in blocks.items():
        for name in (other for other in named if other not in members):
            if lost := needed[name] & set(members):
                raise ModelError(
                    f"{name} is made of {sorted(lost)[0]}, which is in the block {block!r}; put "
                    f"both into one block, as in terms={{'a block': {[*members, name]}}}"
                )
    return blocks


def part_table(
    model: Any, blocks: Mapping[str, Sequence[str]], method: str, progress: bool
) -> PartR2:
    """Fit the model with every set of blocks and divide its R²."""
    names = list(blocks)
    sets = [frozenset(c) for k in range(len(names) + 1) for c in combinations(names, k)]
    formula = parse(model.call.formula)
    texts = []
    for each in sets:
        gone = {term for name in names if name not in each for term in blocks[name]}
        texts.append(spelled(formula, [t for t in formula.terms if t.name not in gone]))
    fits = fitted_by(model, texts[:-1], progress=progress, by_likelihood=False)
    value = dict(zip(sets, [share(fit, method) for fit in [*fits, model]], strict=True))
    whole, base = value[sets[-1]], value[sets[0]]
    k, rows = len(names), {}
    for name in names:
        others = [each for each in sets if name not in each]
        gains = np.array([value[each | {name}] - value[each] for each in others])
        weights = [factorial(len(e)) * factorial(k - len(e) - 1) / factorial(k) for e in others]
        alone = float(gains[0])
        part = float(whole - value[frozenset(names) - {name}])
        rows[name] = (part, alone, alone - part, float(gains @ weights))
    table = pd.DataFrame(rows, index=["part", "alone", "shared", "average"]).T
    common = {
        " & ".join(sorted(each, key=names.index)): _common(each, value, names) for each in sets[1:]
    }
    notes = [f"{counted(len(sets), 'model')}; parts need not add up, averages do"]
    if base > 1e-12:
        notes.append(f"terms in no block explain {base:.4f} by themselves")
    return PartR2(table, tuple(notes), float(whole), pd.Series(common))


def _common(each: frozenset[str], value: Mapping[frozenset[str], float], names: list[str]) -> float:
    """Return what a set of blocks has in common that no other block has (Nimon et al., 2008)."""
    rest = frozenset(names) - each
    total = 0.0
    for size in range(len(each) + 1):
        for inner in combinations(sorted(each), size):
            total -= (-1.0) ** size * value[rest | frozenset(inner)]
    return float(total)
