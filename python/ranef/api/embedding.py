"""Turn what a mixed model knows about groups into columns."""

from __future__ import annotations

from typing import Any, Literal

from ..learners.embedding import Embedding, embedded
from ..words.answers import answering

__all__ = ["embedding"]


@answering
def embedding(
    model: Any,
    group: str | None = None,
    *,
    cross_fit: bool = True,
    folds: int | Literal["rows"] = 5,
    seed: int = 1,
) -> Embedding:
    """Return the random effects of a group as columns for any learner.

    Parameters
    ----------
    model : fitted model
        From :func:`ranef.lmer`; with ``cross_fit=False`` also from :func:`ranef.glmer`.
    group : str, optional
        The grouping factor; needed where there are several.
    cross_fit : bool
        Whether the columns of a row of the fit are computed without that row.
    folds : int or "rows"
        Parts into which the rows of each group are divided; each part is left out in turn. "rows"
        leaves out one row at a time.
    seed : int
        Seed of the division.

    Returns
    -------
    Embedding
        ``train`` for the rows of the fit, ``transform(newdata, se=)`` for others.

    Raises
    ------
    ModelError
        If the model has no random effects.
    ValueError
        If the group is not one of the model's.
    UnsupportedError
        If the model is generalised, or has several terms with too many levels, and rows are to be
        left out.

    Notes
    -----
    A column of group means contains the response of each row, and a learner uses it to look up the
    answer. Conditional modes are means that are shrunk by what the rows of a group tell, and those
    without some rows follow from the mixed model equations without fitting again: the fixed effects
    are those without the rows, too; only the covariance parameters are those of all rows.

    ``folds="rows"`` uses most rows, and leaks in another way: within a group, what is left without
    a row is the lower the higher its response is. A learner that can tell groups apart by other
    columns, such as a school's size, reads the response off that. In parts, rows of a group share
    few values, which say nothing of a single row.

    Examples
    --------
    >>> import ranef
    >>> sleep = ranef.datasets.load("sleepstudy")
    >>> model = ranef.lmer("Reaction ~ Days + (Days | Subject)", sleep)
    >>> found = ranef.embedding(model)
    >>> found
    <Embedding of Subject: 18 levels, 2 columns (Subject_Intercept, Subject_Days), in 5 parts, ...>
    >>> found.transform({"Subject": ["308", "new"]}, se=True).round(2).iloc[1].tolist()
    [0.0, 0.0, 24.74, 5.92]
    """
    return embedded(model, group, cross_fit, folds, seed)
