"""Estimated marginal means and trends of fitted models."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from .._options import check_option
from ..errors import UnsupportedError
from ..fitted.kinds import Answering
from ..inference.emmeans import WEIGHTS, grid_weights, marginal_rows, reference_grid
from ..marginal.grid import assemble, check_known, check_model, names_of, response_link, training
from ..marginal.parts import check_type, part_of
from ..marginal.scales import on_own_scale
from ..missing.means import pooled_means
from ..missing.pooled import PooledModel
from ..report.augment import used_rows
from ..report.emmeans import MarginalMeans, on_response
from ..words.answers import answering

__all__ = ["emmeans"]


@answering
def emmeans(
    model: Answering | PooledModel,
    specs: str | Sequence[str],
    *,
    by: str | Sequence[str] | None = None,
    at: Mapping[str, Any] | None = None,
    type: str = "link",
    part: str = "location",
    ddf: str | None = None,
    level: float = 0.95,
    weights: str = "equal",
    data: Any = None,
) -> MarginalMeans:
    """Estimate marginal means over a reference grid.

    Parameters
    ----------
    model : fitted model
        Of :func:`ranef.lmer`, :func:`ranef.glmer`, :func:`ranef.clmm`, :func:`ranef.gls`,
        :func:`ranef.feols` or :func:`ranef.feglm`.
        A fitted model; or a :class:`PooledModel` of such, whose means are pooled by Rubin's rules.
    specs : str or sequence of str
        Variables to compute means for; or a formula such as ``"pairwise ~ a | b"``: contrasts of
        the means of a within the levels of b, which are then in ``contrasts``.
    by : str or sequence of str, optional
        Variables to compute means for as well, within whose levels contrasts are taken.
    at : mapping of str to value or sequence, optional
        Values of variables. By default a categorical variable takes all of its levels and a numeric
        one its mean.
    type : {"link", "response", "prob", "mean"}
        Of a generalised model: means of the linear predictor, or these transformed to means
        of the response, with standard errors by the delta method; comparisons are then
        ratios where the link is a log, odds ratios where it is a logit, and of the linear predictor
        otherwise. Of a model of ``log(y)``: means of the logarithm, or their exponentials, which
        are geometric means of the response. Of an ordinal model: the latent scale, or
        ``"prob"``, probabilities of each category, whose intervals are symmetric on the scale of
        the logit and so stay within 0 and 1. Of one with parts for zeros or dispersion also
        ``"mean"``, means with structural zeros included. ``"prob"`` and ``"mean"`` average
        probabilities and means over the grid, not predictors.
    part : {"location", "zero", "dispersion"}
        Which predictor the means are of, where a model has several.
    ddf : {"satterthwaite", "kenward-roger", "residual", "inf"}, optional
        Degrees of freedom: Satterthwaite's by default, and infinite for a generalised model.
    level : float
        Coverage of the intervals.
    weights : {"equal", "proportional", "outer", "cells"}
        Weights of the levels that means are averaged over: equal ones, as in a balanced experiment;
        by how often each combination occurs; by the product of how often each level occurs; or by
        how often a combination occurs within the cell, which leaves confounding in.
    data : DataFrame, optional
        The data of the fit, for a model that was unpickled.

    Returns
    -------
    MarginalMeans
        ``frame`` has the means; ``pairs()`` and ``contrast()`` compare them.

    Notes
    -----
    The means are averages of the fixed part over all levels of the other categorical variables, by
    default with equal weights whatever the frequencies in the data [1]_. Means of
    a generalised model are averaged on the scale of the link, and belong to a level whose random
    effects are zero.

    References
    ----------
    .. [1] Searle, Speed and Milliken (1980), The American Statistician 34(4), 216-221.

    Examples
    --------
    >>> import ranef
    >>> cake = ranef.datasets.load("cake")
    >>> model = ranef.lmer("angle ~ recipe * temperature + (1 | recipe:replicate)", cake)
    >>> ranef.emmeans(model, "recipe").frame["emmean"].round(3).tolist()
    [33.122, 31.644, 31.6]
    """
    if isinstance(model, PooledModel):
        options: dict[str, Any] = {"by": by, "at": at, "type": type, "part": part, "data": data}
        options |= {"ddf": ddf, "level": level, "weights": weights}
        return pooled_means([emmeans(one, specs, **options) for one in model.models])
    check_model(model, "emmeans")
    check_option("type", type, ("link", "response", "prob", "mean"))
    keep, within, method = names_of(specs, by)
    frame = training(model, data)
    if type in ("prob", "mean"):
        check_type(model, type)
        if weights != "equal":
            raise UnsupportedError(f"means of type={type!r} are averaged with weights='equal'")
        means = on_own_scale(model, keep, within, at or {}, frame, level)
        return means.compared(method)
    design = part_of(model, part).design
    grid = reference_grid(design, frame, at or {})
    check_known([*keep, *within], grid)
    shown = [*keep, *within]
    kind = check_option("weights", weights, WEIGHTS)
    share = grid_weights(kind, grid, shown, used_rows(model.parts.design, frame))
    cells, L, offset = marginal_rows(design, grid, shown, share)
    means = assemble(model, "emmean", cells, within, L, offset, grid, ddf, level, kind, part=part)
    if type == "response":
        check_type(model, type)
        means = on_response(means, response_link(model, part))
    return means.compared(method)
