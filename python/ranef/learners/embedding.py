"""What a mixed model knows about groups, as columns for a learner."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd

from .._counted import counted
from .._html import Preformatted
from .._options import check_name
from .._typing import Array
from ..design.design import Design
from ..design.encode import encode
from ..errors import ModelError, UnsupportedError
from ..inference.priors.parts import prior_parts
from ..words.answers import Spoken
from .call import positive
from .left_out import modes_without_part, modes_without_row
from .task import within_groups

__all__ = ["Embedding", "embedded"]


@dataclass(frozen=True, repr=False, eq=False)
class Embedding(Spoken, Preformatted):
    """Conditional modes of a grouping factor as columns.

    Made by :func:`ranef.embedding`.

    Attributes
    ----------
    group : str
        The grouping factor.
    levels : DataFrame
        The modes of each level, from all its rows: for rows the model has not seen.
    train : DataFrame
        The columns of the rows of the fit. With ``cross_fit`` they are computed from other rows,
        so that a row's response does not enter them.
    how : str
        Which rows they are computed from.
    prior : DataFrame
        Covariance of the effects of an unknown level.
    """

    group: str
    levels: pd.DataFrame
    train: pd.DataFrame
    how: str
    prior: pd.DataFrame
    _cov: Array
    _design: Design

    def transform(self, newdata: Any, *, se: bool = False) -> pd.DataFrame:
        """Return the columns of new rows.

        Parameters
        ----------
        newdata : DataFrame
            Rows with the grouping column. For rows of the fit take ``train``.
        se : bool
            Whether to add a column of standard deviations for each: of what is not known of a
            level's effect given its rows; for a level that is new, of its effect.

        Returns
        -------
        DataFrame
            A level that is new, or missing, has the mean of all, zero.
        """
        at = list(self.levels.columns)
        rows = encode(self._design, newdata, random=[self.group], new_levels="population")
        (codes,) = (new.codes for new in rows.terms if new is not None)
        known = codes >= 0
        values = np.zeros((len(codes), len(at)))
        values[known] = self.levels.to_numpy()[codes[known]]
        out = pd.DataFrame(values, index=rows.index, columns=at)
        if not se:
            return out
        variance = np.tile(np.diag(self.prior), (len(codes), 1)).astype(np.float64)
        variance[known] = np.einsum("lii->li", self._cov)[codes[known]]
        for j, name in enumerate(at):
            out[f"{name}_sd"] = np.sqrt(variance[:, j])
        return out

    def __repr__(self) -> str:
        return (
            f"<Embedding of {self.group}: {counted(len(self.levels), 'level')}, "
            f"{counted(len(self.levels.columns), 'column')} "
            f"({', '.join(map(str, self.levels.columns))}), {self.how}>"
        )


def embedded(
    model: Any, group: str | None, cross_fit: bool, folds: int | str, seed: int
) -> Embedding:
    """Make an embedding of a model's grouping factor.

    Raises
    ------
    ModelError
        If the model has no random effects.
    ValueError
        If the group is not one of the model's.
    UnsupportedError
        If the model is generalised and its rows are to be left out in turn.
    """
    kind = getattr(model, "model_kind", None)
    if kind is None or not hasattr(type(model), "ranef"):
        raise ModelError(
            f"an embedding is of a model with random effects, such as ranef.lmer's, not of a "
            f"{type(model).__name__}"
        )
    design: Design = model.parts.design
    known = [term.group for term in design.bars]
    if group is None and len(known) == 1:
        group = known[0]
    group = check_name("group", group, known)
    place = next(i for i, term in enumerate(design.random) if term.group == group)
    term = design.random[place]
    if len(term.memberships) > 1:
        raise UnsupportedError(f"{term.written} has several levels a row; an embedding has one")
    names = [f"{group}_{name}" for name in term.names]
    effects = model.ranef()
    modes = effects[group].to_numpy()
    if folds != "rows":
        positive("folds", folds, 2)
    positive("seed", seed, 0)
    how = "from all rows"
    if cross_fit:
        if kind != "linear":
            raise UnsupportedError(
                "leaving rows out has a closed form in linear mixed models only; use "
                "cross_fit=False, and fit the learner to rows that this model has not seen"
            )
        if prior_parts(model.call.prior).fixed is not None:
            raise UnsupportedError(
                "the fixed effects have a prior, which the closed form without rows does not "
                "know; use cross_fit=False, or model.update(prior=...) without 'fixed'"
            )
        estimate = model.parts.estimate
        if folds == "rows":
            how = "without each row in turn"
            values = modes_without_row(design, estimate, place)
        else:
            count = int(folds)
            how = f"in {counted(count, 'part')}, without each in turn"
            part = within_groups(np.asarray(term.codes, dtype=np.intp), count, seed)
            values = modes_without_part(design, estimate, place, part)
    else:
        values = modes[term.codes]
    index = model.parts.label(np.zeros(design.n_obs)).index
    prior = np.asarray(model.varcorr[group])
    return Embedding(
        group,
        pd.DataFrame(modes, index=effects[group].index, columns=names),
        pd.DataFrame(values, index=index, columns=names),
        how,
        pd.DataFrame(prior, index=names, columns=names),
        effects.cov[group],
        groups_only(design),
    )


def groups_only(design: Design) -> Design:
    """Return a design that reads the grouping factors of new rows and nothing else."""
    nothing: tuple[Any, ...] = ()
    encoder = replace(
        design.encoder,
        fixed=(),
        random=tuple(nothing for _ in design.random),
        offset=None,
        formula=replace(design.encoder.formula, offsets=()),
    )
    return replace(design, encoder=encoder)
