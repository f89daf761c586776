"""What all figures share: panels, a theme, quantiles and trends."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from textwrap import fill
from typing import TYPE_CHECKING, Any

import numpy as np
import scipy

from ..._html import Preformatted
from ..._typing import Array

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = [
    "MARKERS",
    "Panels",
    "Theme",
    "finish",
    "legend",
    "one",
    "panels",
    "quantiles",
    "theme",
    "titled",
    "trend",
]

#: The colours of Okabe and Ito (2008) that stand out on white, and those that do on black.
LIGHT = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9")
DARK = ("#56B4E9", "#E69F00", "#009E73", "#CC79A7", "#F0E442", "#D55E00")
#: Markers paired with the colours, so that lines also differ without colour.
MARKERS = ("o", "s", "^", "D", "v", "P", "X", "*")

#: Points above which the best place of a legend is not sought.
CROWDED = 2000


@dataclass(frozen=True)
class Theme:
    """Colours of a figure, taken from the reader's settings of matplotlib.

    Attributes
    ----------
    ink : str
        Text, data.
    grey, faint : str
        Background elements; far background elements.
    palette : tuple of str
        Colours that colour-blind readers can distinguish.
    """

    ink: str
    grey: str
    faint: str
    palette: tuple[str, ...]

    @property
    def accent(self) -> str:
        """The first colour."""
        return self.palette[0]

    @property
    def second(self) -> str:
        """The second colour."""
        return self.palette[1]

    def colour(self, i: int) -> str:
        """Return the colour of the i-th line."""
        return self.palette[i % len(self.palette)]


def theme() -> Theme:
    """Make the theme of the style in use, light or dark."""
    from matplotlib import rcParams
    from matplotlib.colors import to_hex, to_rgba

    paper = to_rgba(rcParams["axes.facecolor"])
    if paper[3] == 0.0:
        paper = to_rgba(rcParams["figure.facecolor"])
    ink = np.array(to_rgba(rcParams["text.color"])[:3])
    ground = np.array(paper[:3]) if paper[3] > 0.0 else 1.0 - np.round(ink)
    grey, faint = (to_hex(tuple(share * ink + (1.0 - share) * ground)) for share in (0.55, 0.28))
    dark = float(ground @ [0.299, 0.587, 0.114]) < 0.5
    palette = (*(DARK if dark else LIGHT), to_hex(tuple(ink)))
    return Theme(to_hex(tuple(ink)), grey, faint, palette)


class Panels(Preformatted):
    """Panels of a figure that belong together.

    Attributes
    ----------
    figure : matplotlib.figure.Figure
        The figure of matplotlib.
    axes : tuple of matplotlib.axes.Axes
        Its panels, row by row; also by position, as in ``panels[0]``.
    """

    def __init__(self, figure: Figure, axes: Sequence[Axes]):
        self.figure, self.axes = figure, tuple(axes)

    def __getitem__(self, i: int) -> Axes:
        return self.axes[i]

    def __len__(self) -> int:
        return len(self.axes)

    def __iter__(self) -> Iterator[Axes]:
        return iter(self.axes)

    def savefig(self, *args: Any, **kwargs: Any) -> None:
        """Write the figure to a file, as matplotlib's ``Figure.savefig`` does."""
        self.figure.savefig(*args, **kwargs)

    def __repr__(self) -> str:
        return f"<figure of {len(self.axes)} panel{'s' if len(self.axes) != 1 else ''}>"


def panels(
    rows: int,
    columns: int,
    width: float,
    height: float,
    *,
    shared: bool = False,
    axes: Any = None,
    used: int | None = None,
) -> tuple[Figure, list[Axes]]:
    """Make a figure and its axes, row by row; or take those that are given.

    Parameters
    ----------
    rows, columns : int
        Panels.
    width, height : float
        Of a panel, in inches.
    shared : bool
        Whether all panels have the same scales.
    axes : Axes or sequence of Axes, optional
        Where to draw.
    used : int, optional
        Panels that are drawn, of the grid; the others are hidden. All by default.

    Raises
    ------
    ValueError
        If there are not as many axes as panels.
    """
    try:
        from matplotlib import pyplot
    except ImportError as error:
        raise ImportError(
            "figures need matplotlib: pip install 'ranef[plot]' or pip install matplotlib"
        ) from error
    count = rows * columns if used is None else used
    if axes is not None:
        given = list(np.ravel(np.asarray(axes, dtype=object)))
        if not all(hasattr(axis, "plot") for axis in given):
            raise TypeError(f"axes must be matplotlib axes, such as pyplot.gca(), not {axes!r}")
        if len(given) != count:
            raise ValueError(
                f"this figure draws {count} panel{'s' if count > 1 else ''} and was given "
                f"{len(given)} axes; make them by pyplot.subplots({rows}, {columns})"
            )
        return given[0].figure, given
    figure, made = pyplot.subplots(
        rows,
        columns,
        figsize=(width * columns, height * rows),
        squeeze=False,
        sharex=shared,
        sharey=shared,
        layout="constrained",
    )
    flat = list(made.ravel())
    for axis in flat:
        axis.spines[["top", "right"]].set_visible(False)
    for axis in flat[count:]:
        axis.set_visible(False)
    return figure, flat[:count]


def one(ax: Axes | None, width: float = 5.4, height: float = 3.8) -> Axes:
    """Return the given axes, or those of a new figure of one panel."""
    return panels(1, 1, width, height, axes=ax)[1][0]


def titled(axis: Axes, title: str) -> Axes:
    """Write the title of a figure of one panel, in as many lines as it needs."""
    width = axis.get_window_extent().width / axis.figure.dpi
    axis.set_title(wrapped(title, width), loc="left", fontsize="medium")
    return axis


def finish(
    figure: Figure, title: str, axes: Sequence[Axes] | None = None, given: Any = None
) -> Panels:
    """Write the title above all panels of a figure of our own, larger than theirs.

    Parameters
    ----------
    figure : Figure
        The figure.
    title : str
        What it shows.
    axes : sequence of Axes, optional
        The panels; all of the figure that are seen by default.
    given : Axes or sequence of Axes, optional
        Axes of the caller's, if any, whose figure has no title from us.
    """
    shown = [axis for axis in figure.axes if axis.get_visible()] if axes is None else list(axes)
    if given is None:
        text = wrapped(title, (figure.get_figwidth() - 0.2) / 1.2)  # large letters
        figure.suptitle(text, x=0.01, ha="left", fontsize="large")
    return Panels(figure, shown)


def legend(axis: Axes, title: str, own: bool) -> Any:
    """Put the legend beside the panel of a figure of our own, into one of the caller's."""
    place: dict[str, Any] = {"loc": "upper left", "bbox_to_anchor": (1.0, 1.0)}
    crowded = sum(np.size(line.get_xdata()) for line in axis.lines) > CROWDED
    return axis.legend(
        title=title or None,
        frameon=not own,
        fontsize="small",
        title_fontsize="small",
        **(place if own else {"loc": "upper left" if crowded else "best"}),
    )


def wrapped(title: str, inches: float) -> str:
    """Break a title into lines that fit a width."""
    from matplotlib import rcParams
    from matplotlib.font_manager import FontProperties

    points = FontProperties(size=rcParams["font.size"]).get_size_in_points()
    return fill(title, max(20, int(72.0 * inches / (0.53 * points))))


def quantiles(
    axis: Axes, values: Array, size: float, colour: str = "", label: str | None = None
) -> None:
    """Draw ordered values against normal quantiles, with the line of equality."""
    look = theme()
    n = len(values)
    normal = scipy.special.ndtri((np.arange(n) + 0.5) / n)
    axis.axline((0.0, 0.0), slope=1.0, color=look.grey, linewidth=1.0)
    axis.plot(
        normal,
        np.sort(values),
        "o",
        color=colour or look.ink,
        markersize=size,
        alpha=0.7,
        label=label,
    )
    axis.set(xlabel="normal quantile", ylabel="residual / sigma")


def trend(axis: Axes, x: Any, y: Any) -> None:
    """Draw medians over tenths of x."""
    edges = np.unique(np.quantile(x, np.linspace(0.0, 1.0, 11)))
    place = np.clip(np.searchsorted(edges, x, side="right") - 1, 0, len(edges) - 2)
    if len(edges) < 4:
        return
    held = [i for i in range(len(edges) - 1) if (place == i).any()]
    middle = [(np.median(x[place == i]), np.median(y[place == i])) for i in held]
    axis.plot(*np.array(middle).T, color=theme().second, linewidth=1.5)
