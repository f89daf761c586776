"""A fitted model tree."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from ..._counted import counted
from ..._options import check_option
from ..._typing import NewLevels, Random
from ...design.encode import encode
from ...design.frame import open_frame
from ...fitted.warned import tell
from ...inference.prediction.predict import chosen_groups
from ...report.summary import Summary
from ..rules import Condition, Node, drawn, spelled
from ..shared import BesideMixed, rounds_of
from .fit import Fit, TreeCall, codes_of, fit
from .grow import Branch, assigned, leaves_of

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["ModelTree", "fit_model"]


class ModelTree(BesideMixed):
    """A tree with a linear model in each leaf and random effects that all leaves share.

    Made by :func:`ranef.model_tree`. It does not change after the fit. Leaves are numbered from
    1, from left to right.

    Attributes
    ----------
    call : TreeCall
        The arguments that made it.
    mixed : LinearMixedModel
        The linear mixed model with coefficients for each leaf, for tests and intervals.
    trace : DataFrame
        Log-likelihood, residual standard deviation and number of leaves of each round.
    """

    call: TreeCall
    fit: Fit

    # ------------------------------------------------------------------ estimates

    @property
    def params(self) -> pd.DataFrame:
        """Coefficients, one row per leaf."""
        return self._of_leaves(self.fit.beta)

    @property
    def bse(self) -> pd.DataFrame:
        """Standard errors of ``params``; they take the splits as known, and are too small."""
        return self._of_leaves(self.fit.se)

    def _of_leaves(self, values: Any) -> pd.DataFrame:
        """Label values (leaves, k)."""
        index = pd.RangeIndex(1, len(values) + 1, name="leaf")
        return pd.DataFrame(values, index=index, columns=list(self.fit.base.fixed_names))

    @property
    def leaves(self) -> pd.DataFrame:
        """Rule and number of rows of each leaf."""
        counts = [leaf.n for leaf in leaves_of(self.fit.tree)]
        index = pd.RangeIndex(1, len(counts) + 1, name="leaf")
        return pd.DataFrame({"rule": self._rules(), "n": counts}, index=index)

    @property
    def tests(self) -> pd.DataFrame:
        """Tests of parameter stability: one row per node and variable.

        ``statistic``; ``level``: "rows", or the grouping factor whose groups are the units;
        ``units``: how many; ``pvalue``: adjusted for the number of variables; ``split``: whether
        the node was divided by the variable.
        """
        parts = []

        def walk(node: Branch) -> None:
            table = node.tests.drop(columns="log_pvalue").reset_index()
            table.insert(0, "node", node.number)
            name = None if node.split is None else node.split.name
            table["split"] = [variable == name for variable in table["variable"]]
            parts.append(table)
            for part in (node.left, node.right):
                if part is not None:
                    walk(part)

        walk(self.fit.tree)
        filled = [part for part in parts if len(part)] or parts[:1]
        return pd.concat(filled, ignore_index=True)

    @property
    def converged(self) -> bool:
        """Whether the last round found the same tree again."""
        return self.fit.converged and self.mixed.converged

    # ------------------------------------------------------------------ rows

    @property
    def fittedvalues(self) -> pd.Series[Any]:
        """Predictions of the rows of the fit, random effects included."""
        return self.mixed.fittedvalues

    def predict(
        self,
        newdata: Any = None,
        *,
        random: Random = "all",
        new_levels: NewLevels = "raise",
        kind: str = "response",
    ) -> pd.Series[Any]:
        """Predict the response, or the leaf.

        Parameters
        ----------
        newdata : DataFrame, optional
            New rows; the rows of the fit by default.
        random : {"all", "none"} or list of str
            Which random effects take part.
        new_levels : {"raise", "population"}
            What to do with groups that the fit has not seen: raise, or give them the effect zero.
        kind : {"response", "leaf"}
            What to predict.

        Returns
        -------
        Series of length m
            Labelled as the rows of ``newdata``. A row with missing values gives NaN.
        """
        kind = check_option("kind", kind, ("response", "leaf"))
        found, base = self.fit, self.fit.base
        if newdata is None:
            if kind == "leaf":
                return pd.Series(found.leaf + 1, index=self.fittedvalues.index)
            return self.mixed.predict(random=random)
        frame = open_frame(newdata)
        values = {
            one.name: codes_of(frame.series(one.name), one)
            for one in found.variables
            if one.name in self._dividing()
        }
        gaps = np.zeros(frame.n_rows, dtype=bool)
        for column in values.values():
            gaps |= np.isnan(column)
        leaf = assigned(found.tree, values, frame.n_rows)
        if kind == "leaf":
            numbers = pd.Series(leaf + 1, index=frame.index)
            return numbers if not gaps.any() else numbers.where(~gaps)
        groups = chosen_groups(base, random)
        rows = encode(base, newdata, random=groups, new_levels=new_levels)
        mean = np.einsum("ij,ij->i", rows.X, np.nan_to_num(found.beta)[leaf])
        if rows.offset is not None:
            mean += rows.offset
        for new, modes in zip(rows.terms, found.modes, strict=True):
            if new is not None:
                mean += new.effect(modes)
        mean[gaps | rows.missing] = np.nan
        return pd.Series(mean, index=rows.index)

    def _dividing(self) -> set[str]:
        """Names of the variables of the splits."""
        names: set[str] = set()

        def walk(node: Branch) -> None:
            if node.split is not None and node.left is not None and node.right is not None:
                names.add(node.split.name)
                walk(node.left)
                walk(node.right)

        walk(self.fit.tree)
        return names

    # ------------------------------------------------------------------ text and figures

    def _rules(self) -> list[str]:
        """Spell the leaves."""
        out: list[str] = []

        def walk(node: Branch, path: tuple[Condition, ...]) -> None:
            if node.split is None or node.left is None or node.right is None:
                out.append(spelled(path) or "all rows")
                return
            here, there = (Condition(*side) for side in node.split.spelled())
            walk(node.left, (*path, here))
            walk(node.right, (*path, there))

        walk(self.fit.tree, ())
        return out

    def plot(self, *, ax: Axes | None = None) -> Axes:
        """Draw the tree with the coefficients of its leaves.

        Parameters
        ----------
        ax : Axes, optional
            Where to draw; a new figure by default.

        Returns
        -------
        Axes
        """
        params = self.params
        leaves = iter(range(1, len(params) + 1))

        def node(one: Branch) -> Node:
            if one.split is None or one.left is None or one.right is None:
                row = params.loc[next(leaves)]
                lines = [f"{name}: {value:.3g}" for name, value in row.items()]
                return Node("\n".join([f"n = {one.n}", *lines]))
            (here, there), p = one.split.spelled(), one.tests["pvalue"][one.split.name]
            told = "p < 0.001" if p < 0.001 else f"p = {p:.3f}"
            left, right = " ".join(here), " ".join(there)
            return Node(left, node(one.left), node(one.right), right, told)

        return drawn(node(self.fit.tree), "Tree with the coefficients of each leaf", ax)

    def glance(self) -> pd.DataFrame:
        """Return one row of numbers about the fit."""
        found = {
            "nobs": self.nobs,
            "leaves": len(self.params),
            "sigma": self.sigma,
            "logLik": self.llf,
            "rounds": len(self.trace),
            "converged": self.converged,
        }
        return pd.DataFrame([found])

    def summary(self) -> Summary:
        """Summarise the fit; prints as text, shows as HTML in a notebook."""
        groups = ", ".join(f"{group} ({count:,})" for group, count in self.ngroups.items())
        kind = "Restricted log-likelihood" if self.call.reml else "Log-likelihood"
        rules = "\n".join(
            f"{k}: {rule}  (n = {n})"
            for k, rule, n in zip(
                self.leaves.index, self.leaves["rule"], self.leaves["n"], strict=True
            )
        )
        facts = [
            ("Formula", str(self.call.formula)),
            ("Rows", f"{self.nobs:,}"),
            ("Groups", groups),
            ("Leaves", rules),
            (kind, f"{self.llf:.4f}"),
        ]
        notes = [str(w) for w in self.warnings]
        if self.fit.converged:
            notes.append(f"The tree stopped changing after {rounds_of(self.trace)}.")
        notes.append(
            "Standard errors and tests treat the splits as known: they are too optimistic."
        )
        return Summary(
            "Model tree with random effects", facts, self.varcorr, self.mixed.coef_table(), notes
        )

    def __repr__(self) -> str:
        return (
            f"<ModelTree {str(self.call.formula)!r}, "
            f"{counted(len(self.params), 'leaf', 'leaves')}, {counted(self.nobs, 'row')}, llf "
            f"{self.llf:.4f}>"
        )


def fit_model(call: TreeCall, data: Any) -> ModelTree:
    """Carry out a call, and issue its warnings."""
    found = fit(call, data)
    tell(found.warnings)
    return ModelTree(call, found, data)
