"""Variances and correlations of the random effects, as tables and text."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from html import escape

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ..design.design import RandomTerm
from .numbers import in_one_scale

__all__ = ["VarCorr"]


class VarCorr(Mapping[str, pd.DataFrame]):
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

    def __init__(
        self,
        terms: Sequence[RandomTerm],
        covariances: Sequence[NDArray[np.float64]],
        sigma: float | None,
    ):
        self.sigma = sigma
        self._blocks = {term.group: term.blocks for term in terms}
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
        """Lay all variances and covariances below each other.

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

    def _cells(self) -> list[list[str]]:
        """Rows of text: group, term, sd, then correlations with the earlier terms."""
        rows = []
        sds = [np.sqrt(np.diag(frame.to_numpy())) for frame in self._frames.values()]
        every = np.concatenate([*sds, [] if self.sigma is None else [self.sigma]])
        shown = iter(in_one_scale(every, every))
        for (group, frame), sd in zip(self._frames.items(), sds, strict=True):
            cov = frame.to_numpy()
            block_of = {i: b for b, block in enumerate(self._blocks[group]) for i in block}
            for i, name in enumerate(frame.columns):
                cells = [group if i == 0 else "", str(name), next(shown)]
                for j in range(i):
                    same = block_of[i] == block_of[j]
                    cells.append(f"{_ratio(cov, sd, i, j):.2f}" if same else "")
                rows.append(cells)
        if self.sigma is not None:
            rows.append(["Residual", "", next(shown)])
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


def _ratio(cov: NDArray[np.float64], sd: NDArray[np.float64], i: int, j: int) -> float:
    """Correlation of two random effects; NaN when one of them does not vary."""
    scale = float(sd[i] * sd[j])
    return float(np.clip(cov[i, j] / scale, -1.0, 1.0)) if scale > 0 else float("nan")
