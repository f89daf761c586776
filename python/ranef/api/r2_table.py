"""R² of a mixed model by all its definitions."""

from __future__ import annotations

from typing import Any

from .._options import check_option
from ..comparison.explained import R2Table, new_data, says, table_of
from ..fitted.kinds import check_mixed
from ..inference.coverage import check_level
from ..words.answers import answering

__all__ = ["r2_table"]


@answering
def r2_table(
    model: Any,
    *,
    cross_validated: bool = True,
    interval: str | None = None,
    level: float = 0.95,
    folds: int = 10,
    n: int = 200,
    seed: Any = None,
    progress: bool = True,
) -> R2Table:
    """Compare R² of a mixed model by all its definitions, and say what each one means.

    Parameters
    ----------
    model : fitted model
        Of :func:`ranef.lmer`, :func:`ranef.glmer` or :func:`ranef.clmm`.
    cross_validated : bool
        Whether to leave groups and rows out as well: of a linear model in closed form, of a
        generalised one by refits without each of ``folds`` parts.
    interval : {"boot"}, optional
        Quantiles of a parametric bootstrap. The semi-partial definitions have limits anyway.
    level : float
        Their coverage.
    folds : int
        Parts for a generalised model.
    n, seed, progress
        Replicates of the bootstrap, what makes it and the folds repeatable, and whether to show a
        progress bar when it takes longer than a second.

    Returns
    -------
    R2Table
        ``table`` with a row a definition: r2, lower, upper, says.

    Notes
    -----
    For generalised models shares are on the scale of the linear predictor, with the distribution's
    variance put there in each known way [1]_, and on the scale of the responses, averaged over new
    random effects. Within and between groups there is a split where the model has one grouping
    factor [2]_. Cross-validated R² may be negative: the mean of all responses predicts better.

    References
    ----------
    .. [1] Nakagawa, Johnson and Schielzeth (2017), J. R. Soc. Interface 14, 20170213.
    .. [2] Rights and Sterba (2019), Psychol. Methods 24, 309-338.

    Examples
    --------
    >>> import ranef
    >>> sleep = ranef.datasets.load("sleepstudy")
    >>> model = ranef.lmer("Reaction ~ Days + (Days | Subject)", sleep)
    >>> table = ranef.r2_table(model).table
    >>> table.loc[["marginal", "conditional", "new groups", "new rows"], "r2"].round(2).tolist()
    [0.28, 0.8, 0.22, 0.74]
    """
    check_mixed(model, "r2_table", every=True)
    check_level(level)
    if interval is not None:
        check_option("interval", interval, ("boot",))

    def replicates(statistic: Any) -> Any:
        runs = model.bootstrap(n, seed=seed, statistic=statistic, progress=progress)
        return runs.conf_int("percentile", level)

    table = table_of(model, level, None if interval is None else replicates)
    notes = ["no definition says how well a model fits; each answers the question in its row"]
    if cross_validated:
        for name, (value, how) in new_data(model, folds, seed, progress).items():
            table.loc[name, "r2"] = value
            notes.append(f"{name}: {how}")
    table["says"] = [says(str(name)) for name in table.index]
    return R2Table(table, tuple(notes))
