"""The column that the package maketables makes of a fitted model."""

from __future__ import annotations

from ..report.maketables import STATISTICS, TableColumn, hook_table
from .parts import Base

__all__ = ["RegressionTable"]


class RegressionTable(Base):
    """A model that the package maketables makes a column of."""

    def to_list(self) -> list[TableColumn]:
        """Return the column that the package maketables makes of the model.

        ``maketables.ETable([model, other])`` calls it: tables in LaTeX, Word and HTML.

        Returns
        -------
        list of TableColumn
            One column.
        """
        parts = self.parts
        values = {
            key: getattr(self, name, None)
            for key, name in STATISTICS.items()
            if key not in parts.table_hidden
        }
        column = TableColumn(
            hook_table(parts.coef_table()),
            parts.table_response,
            parts.table_rows(),
            {key: value for key, value in values.items() if value is not None},
            parts.table_absorbed,
            parts.table_covariance(),
        )
        return [column]
