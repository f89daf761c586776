"""Place the fit of one group's own design among the rows of a batch."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from ..._typing import Array
from ...design.design import Design
from .blocks import Progress
from .estimate import COUNTS, SCALARS, BatchEstimate, Contrast, Settings
from .fits import fit_slices

__all__ = ["fit_own", "slices"]


def slices(codes: NDArray[np.intp], n_groups: int) -> tuple[NDArray[np.intp], NDArray[np.int64]]:
    """Sort rows by group, stably, and find where each group begins, shape (n_groups + 1,)."""
    order = np.argsort(codes, kind="stable")
    counts = np.bincount(codes, minlength=n_groups)
    return order, np.concatenate([[0], np.cumsum(counts)])


def fit_own(design: Design, whole: Design, settings: Settings, out: BatchEstimate, at: int) -> None:
    """Fit a separate design and store it as fit ``at`` of a batch on the design ``whole``.

    Coefficients and random effects that the separate design lacks are NaN.
    """
    columns = [whole.fixed_names.index(name) for name in design.fixed_names]
    own_settings = Settings(
        reml=settings.reml,
        satterthwaite=settings.satterthwaite,
        contrasts=tuple(
            Contrast(c.name, np.ascontiguousarray(c.rows[:, columns]), c.values)
            for c in settings.contrasts
        ),
        control=settings.control,
        spec=settings.spec,
    )
    with Progress(1, "fits", shown=False) as line:
        own = fit_slices(design, [0, design.n_obs], own_settings, progress=line)
    if line.interrupted:
        raise KeyboardInterrupt
    for name in ("outcome", *COUNTS, *SCALARS):
        getattr(out, name)[at] = getattr(own, name)[0]
    places = [*columns, *range(out.p, out.p + len(settings.single))]
    for name in ("estimate", "variance", "df"):
        getattr(out, name)[at, places] = getattr(own, name)[0]
    out.F[at] = own.F[0]
    lacking = np.setdiff1d(np.arange(out.p), columns)
    for j, contrast in enumerate(settings.single):
        if contrast.rows[:, lacking].any():
            for name in ("estimate", "variance", "df"):
                getattr(out, name)[at, out.p + j] = np.nan
    for j, contrast in enumerate(settings.joint):
        if contrast.rows[:, lacking].any():
            out.F[at, j] = np.nan
    if np.isfinite(own.sigma[0]):
        place_factors(design, whole, own.factors[0], out.factors[at])


def place_factors(design: Design, whole: Design, values: Array, out: Array) -> None:
    """Write covariance factors of a design into the places of a larger one's."""
    places = dict(elements(whole))
    for (group, row, column), at in places.items():
        names = next((t.names for t in design.random if t.group == group), ())
        out[at] = np.nan if row not in names else 0.0 * (column not in names)
    for key, at in elements(design):
        out[places[key]] = values[at]


def elements(design: Design) -> Iterator[tuple[tuple[str, str, str], int]]:
    """Name the elements of the lower triangles: (group, row, column) and position."""
    at = 0
    for term in design.random:
        for j, column in enumerate(term.names):
            for row in term.names[j:]:
                yield (term.group, row, column), at
                at += 1
