"""Probabilities of the categories of new rows, uncertainty of effects included."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from ..._typing import Array
from ...design.encode import encode
from ...families.links import mean_of
from ...inference.prediction.integrated import averaged

if TYPE_CHECKING:
    from .model import CumulativeLinkModel

__all__ = ["probabilities"]


def probabilities(model: CumulativeLinkModel, data: Any) -> Array:
    """Average probabilities of categories over the error of the location, (m, categories).

    Levels that the fit has not seen have effects of the estimated variance; thresholds are those
    that were estimated.
    """
    parts = model.parts
    eta, cuts, zeta, _ = model._predictors(data, "all", "population")  # noqa: SLF001
    variance = location_variance(model, data)

    def below(cut: Array) -> Array:
        def mean(at: list[Array], rows: slice) -> Array:
            return mean_of(parts.call.link, (cut[rows, None] - at[0]) / np.exp(zeta[rows, None]))

        return averaged(mean, [eta], [variance])

    last = np.where(np.isnan(eta), np.nan, 1.0)
    cumulative = np.column_stack([*(below(cut) for cut in cuts.T), last])
    return np.diff(cumulative, axis=1, prepend=0.0)


def location_variance(model: CumulativeLinkModel, data: Any) -> Array:
    """Variance of the error of the location, new levels included, (m,)."""
    parts = model.parts
    groups = [term.group for term in parts.design.random]
    rows = encode(parts.design, data, random=groups, new_levels="population")
    usable = ~rows.missing
    kept = parts.estimate.block("location").kept
    X = np.asfortranarray(rows.X[usable][:, 1:][:, kept] @ parts.ordinal.location)
    terms: list[tuple[Any, Array]] = []
    for t, new in enumerate(rows.terms):
        assert new is not None
        z = new.z[usable] @ parts.plan.bases[t]
        terms.append((np.ascontiguousarray(new.codes[usable]), np.asfortranarray(z)))
    out = np.full(len(rows.missing), np.nan)
    cov = parts.estimate.standard_cov
    out[usable] = parts.evaluated().prediction_variances(X, cov, terms)
    return out
