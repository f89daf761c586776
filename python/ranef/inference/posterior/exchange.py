"""Draws as arviz takes them."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from typing import Any

import numpy as np

from ..._typing import Array
from ...design.design import Design
from .draws import Draws
from .extras import arviz

__all__ = ["to_arviz"]


def to_arviz(
    design: Design,
    draws: Draws,
    parameters: Mapping[str, Array],
    effects: tuple[Array, ...],
    log_likelihood: Array | None,
) -> Any:
    """Make InferenceData of parameters (C, N), effects (C, N, l, s) and row densities (S, n)."""
    package = arviz()
    posterior: dict[str, Array] = dict(parameters)
    dims: dict[str, list[str]] = {}
    coords: dict[str, Any] = {}
    for term, b in zip(design.random, effects, strict=True):
        name = f"ranef|{term.group}"
        posterior[name] = b
        dims[name] = [term.group, f"{term.group}_column"]
        coords[term.group] = [str(level) for level in term.levels]
        coords[f"{term.group}_column"] = list(term.names)
    more: dict[str, Any] = {}
    if log_likelihood is not None:
        rows = log_likelihood.reshape(*draws.shape, -1)
        more["log_likelihood"] = {design.response: rows}
        more["observed_data"] = {design.response: np.asarray(design.y)}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return package.from_dict(posterior=posterior, coords=coords, dims=dims, **more)
