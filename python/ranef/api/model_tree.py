"""Divide the rows by where the coefficients of a mixed model change."""

from __future__ import annotations

from typing import Any

from .._typing import Missing
from ..learners.partition.fit import TreeCall
from ..learners.partition.model import ModelTree, fit_model
from ..words.answers import answering

__all__ = ["model_tree"]


@answering
def model_tree(
    formula: str,
    data: Any,
    *,
    weights: Any = None,
    offset: Any = None,
    missing: Missing = "drop",
    reml: bool = True,
    alpha: float = 0.05,
    bonferroni: bool = True,
    min_rows: int | None = None,
    min_groups: int = 5,
    max_depth: int | None = None,
    rounds: int = 100,
) -> ModelTree:
    """Find subgroups with coefficients of their own, beside random effects that all share.

    Parameters
    ----------
    formula : str
        ``"y ~ x | (1 | g) | z1 + z2"``: the model of each leaf, random effects as in
        :func:`ranef.lmer` (a name g alone is ``(1 | g)``), and columns that may divide the rows; a
        dot for all other columns.
    data : DataFrame
        pandas, polars or Arrow table, or a mapping of columns.
    weights : str or array-like, optional
        Precision weights, Var(e_i) = sigma^2 / w_i.
    offset : str or array-like, optional
        Known part of the response, added to any ``offset()`` of the formula.
    missing : {"drop", "raise"}
        What to do with rows that have missing values in a column that the model uses.
    reml : bool
        Whether the mixed model maximises the restricted likelihood.
    alpha : float
        A node is divided where a test is below it.
    bonferroni : bool
        Whether p-values are adjusted for the number of variables.
    min_rows : int, optional
        Rows of a leaf at least; ten for each coefficient by default.
    min_groups : int
        Groups on each side of a split on a variable that is constant within groups, at least.
    max_depth : int, optional
        Most splits on a path.
    rounds : int
        Rounds of the alternation at most.

    Returns
    -------
    ModelTree
        ``params``, ``leaves``, ``tests``, ``varcorr``, ``predict``, ``plot()``.

    Raises
    ------
    FormulaError
        If a bar is missing.
    DataError
        If formula and data do not fit.
    ModelError
        If the mixed model cannot be estimated.

    Notes
    -----
    The scores of a node's model, minus the random effects, are tested for fluctuation along each
    variable [1]_ [2]_: by the largest Lagrange multiplier statistic over the middle four fifths of
    a numeric one, by chi-square for levels. The variable with the least p-value divides, where the
    sum of squares of the two models is least. A variable that is constant within the levels of a
    grouping factor is tested on the sums of the scores of its groups, since rows of a group are not
    independent evidence about it. Then the mixed model with coefficients for each leaf gives new
    random effects, until the same tree is found again [3]_.

    P-values of numeric variables are those of the limit process itself, by an eigenvalue expansion,
    not interpolated from a table.

    References
    ----------
    .. [1] Zeileis, Hothorn and Hornik (2008), J. Comput. Graph. Stat. 17, 492-514.
    .. [2] Zeileis and Hornik (2007), Stat. Neerl. 61, 488-508.
    .. [3] Fokkema, Smits, Zeileis, Hothorn and Kelderman (2018), Behav. Res. Methods 50, 2016-2034.

    Examples
    --------
    >>> import ranef
    >>> sleep = ranef.datasets.load("sleepstudy")
    >>> tree = ranef.model_tree("Reaction ~ 1 | (1 | Subject) | Days", sleep)
    >>> tree.leaves["rule"].tolist()
    ['Days <= 2', '2 < Days <= 4', '4 < Days <= 7', 'Days > 7']
    """
    call = TreeCall(
        formula,
        weights,
        offset,
        missing,
        reml,
        alpha,
        bonferroni,
        min_rows,
        min_groups,
        max_depth,
        rounds,
    )
    return fit_model(call, data)
