"""Coefficients of several models in one picture."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from ..report.plots.coefficients import label_of, table_of
from ..report.plots.tables import coefficient_axes
from ..words.answers import answering

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["plot_coefficients"]


@answering
def plot_coefficients(
    models: Any,
    names: Sequence[str] | None = None,
    level: float = 0.95,
    *,
    ax: Axes | None = None,
) -> Axes:
    """Draw the coefficients of models side by side, with intervals.

    Parameters
    ----------
    models : fitted model, sequence of fitted models, or mapping of label to fitted model
        Anything with ``params`` and ``conf_int(level=...)``.
    names : sequence of str, optional
        Coefficients to draw, in this order; all but the intercept by default.
    level : float
        Coverage of the intervals.
    ax : matplotlib Axes, optional
        Where to draw; a new figure by default.

    Returns
    -------
    matplotlib Axes
        Needs matplotlib.

    Raises
    ------
    TypeError
        If an argument is not a fitted model.

    Examples
    --------
    >>> import ranef
    >>> sleep = ranef.datasets.load("sleepstudy")
    >>> slope = ranef.lmer("Reaction ~ Days + (Days | Subject)", sleep)
    >>> level = ranef.lmer("Reaction ~ Days + (1 | Subject)", sleep)
    >>> axes = ranef.plot_coefficients({"slope": slope, "level": level})
    >>> axes.figure.savefig("coefficients.png")  # doctest: +SKIP
    """
    if not isinstance(models, Mapping):
        listed = list(models) if isinstance(models, Sequence) else [models]
        models = {label_of(model, i): model for i, model in enumerate(listed)}
    if not models:
        raise ValueError("there is no model to draw")
    tables = {str(name): table_of(model, level) for name, model in models.items()}
    return coefficient_axes(tables, names, ax, f"Coefficients, {level:.0%} intervals")
