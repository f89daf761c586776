"""Variances and correlations of the random effects, as tables and text."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from html import escape
from typing import ClassVar

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from .._counted import counted
from ..design.design import RandomTerm
from ..design.structures.structure import Structure
from ..words.answers import Spoken
from .numbers import in_one_scale

__all__ = ["VarCorr"]

#: Structures whose columns share one table row if they have one standard deviation.
COMPACT = ("identity", "cs", "ar1", "ou", "exponential", "matern")


class VarCorr(Spoken, Mapping[str, pd.DataFrame]):
    """Covariance matrices of the random effects by grouping factor.

    A mapping from group to a labelled covariance matrix, which prints as a table of standard
    deviations and correlations.

    Parameters
    ----------
    terms : sequence of RandomTerm
        The random-effects terms.
    covariances : sequence of ndarray of shape (s, s)
        Their covariance matrices, on the scale of the response.
    sigma : float or None
        Residual standard deviation; None for a model without.
    """

    model_is: ClassVar[str] = "the fitted model"

    def __init__(
        self,
        terms: Sequence[RandomTerm],
        covariances: Sequence[NDArray[np.float64]] | None = None,
        sigma: float | None = None,
    ):
        if covariances is None:
            raise TypeError("a model makes its VarCorr: write model.varcorr")
        self.sigma = sigma
        self._blocks = {term.group: term.blocks for term in terms}
        self._structures = {term.group: term.block_structures for term in terms}
        self._frames = {
            term.group: pd.DataFrame(cov, index=list(term.names), columns=list(term.names))
            for term, cov in zip(terms, covariances, strict=True)
        }

    def __getitem__(self, group: str) -> pd.DataFrame:
        return self._frames[group]

    def __iter__(self) -> Iterator[str]:
        return iter(self._frames)

    def __len__(self) -> int:
        return len(self._frames)

    def to_frame(self) -> pd.DataFrame:
        """Return all variances and covariances as one tidy table.

        Returns
        -------
        DataFrame
            Columns group, term, term2, cov, sdcor: a variance has term2 empty and its
            standard deviation in
            sdcor; a covariance has its correlation there. The residual comes last, if there is one.
        """
        rows: list[tuple[str, str, str | None, float, float]] = []
        for group, frame in self._frames.items():
            cov = frame.to_numpy()
            sd = np.sqrt(np.diag(cov))
            names = list(frame.columns)
            rows += [(group, names[i], None, cov[i, i], sd[i]) for i in range(len(names))]
            for block in self._blocks[group]:
                for a, j in enumerate(block):
                    for i in block[a + 1 :]:
                        rows.append((group, names[j], names[i], cov[i, j], _ratio(cov, sd, i, j)))
        if self.sigma is not None:
            rows.append(("Residual", "", None, self.sigma**2, self.sigma))
        return pd.DataFrame(rows, columns=["group", "term", "term2", "cov", "sdcor"])

    def _lines(self) -> Iterator[tuple[str, str, float, list[str]]]:
        """Group, term, standard deviation and correlations of each row."""
        for group, frame in self._frames.items():
            cov = frame.to_numpy()
            sd = np.sqrt(np.diag(cov))
            block_of = {i: b for b, block in enumerate(self._blocks[group]) for i in block}
            known = self._structures[group]
            for i, name in enumerate(frame.columns):
                structure = known[block_of[i]]
                if structure is not None and structure.homogeneous and structure.kind in COMPACT:
                    block = self._blocks[group][block_of[i]]
                    if i == block[0]:
                        text = f"{structure.kind}, {counted(len(block), 'column')}"
                        yield group, text, float(sd[i]), _parameter(structure, cov, block)
                    continue
                cells = [
                    f"{_ratio(cov, sd, i, j):.2f}" if block_of[i] == block_of[j] else ""
                    for j in range(i)
                ]
                yield group, str(name), float(sd[i]), cells
        if self.sigma is not None:
            yield "Residual", "", self.sigma, []

    def _cells(self) -> list[list[str]]:
        """Rows of text: group, term, sd, then correlations with the earlier terms."""
        lines = list(self._lines())
        every = np.array([sd for _, _, sd, _ in lines])
        rows, before = [], ""
        for (group, name, _, cells), shown in zip(lines, in_one_scale(every, every), strict=True):
            rows.append(["" if group == before else group, name, shown, *cells])
            before = group
        return rows

    def __repr__(self) -> str:
        rows = self._cells()
        width = max(len(row) for row in rows)
        head = ["Group", "Term", "Std.Dev."] + (["Corr"] + [""] * (width - 4) if width > 3 else [])
        table = [head] + [row + [""] * (width - len(row)) for row in rows]
        sizes = [max(len(row[j]) for row in table) for j in range(width)]
        lines = []
        for row in table:
            cells = [
                c.ljust(s) if j < 2 else c.rjust(s)
                for j, (c, s) in enumerate(zip(row, sizes, strict=True))
            ]
            lines.append(" " + "  ".join(cells).rstrip())
        return "\n".join(lines)

    def _repr_html_(self) -> str:
        rows = self._cells()
        width = max(len(row) for row in rows)
        head = ["Group", "Term", "Std.Dev."] + (["Corr"] + [""] * (width - 4) if width > 3 else [])
        body = "".join(
            "<tr>"
            + "".join(f"<td>{escape(c)}</td>" for c in row + [""] * (width - len(row)))
            + "</tr>"
            for row in rows
        )
        return (
            "<table><thead><tr>"
            + "".join(f"<th>{h}</th>" for h in head)
            + f"</tr></thead><tbody>{body}</tbody></table>"
        )


def _parameter(structure: Structure, cov: NDArray[np.float64], block: tuple[int, ...]) -> list[str]:
    """Write the other parameter of a structure with one standard deviation."""
    first, second = block[:2]
    corr = float(cov[first, second] / cov[first, first]) if cov[first, first] > 0 else float("nan")
    if structure.kind in ("cs", "ar1"):
        return [f"corr {corr:.2f}"]
    if structure.kind in ("ou", "exponential") and 0.0 < corr < 1.0:
        distance = float(np.linalg.norm(structure.places[1] - structure.places[0]))
        rate = -float(np.log(corr)) / distance
        return [f"rate {rate:.3g}" if structure.kind == "ou" else f"range {1.0 / rate:.3g}"]
    return []


def _ratio(cov: NDArray[np.float64], sd: NDArray[np.float64], i: int, j: int) -> float:
    """Correlation of two random effects; NaN when one of them does not vary."""
    scale = float(sd[i] * sd[j])
    return float(np.clip(cov[i, j] / scale, -1.0, 1.0)) if scale > 0 else float("nan")
