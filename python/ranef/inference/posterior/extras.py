"""Packages of the extra ``bayes``, imported on first use."""

from __future__ import annotations

import warnings
from importlib import import_module
from typing import Any

__all__ = ["array_stats", "arviz", "nutpie"]


def _wanted(name: str, what: str) -> Any:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # arviz warns about its own future
            return import_module(name)
    except ImportError:
        raise ImportError(
            f"{what} needs {name.partition('.')[0].replace('_', '-')}: pip install 'ranef[bayes]'"
        ) from None


def array_stats() -> Any:
    """Diagnostics of chains, and leave-one-out by Pareto smoothed weights."""
    return _wanted("arviz_stats.base", "the diagnosis of a posterior").array_stats


def nutpie() -> Any:
    """Import the No-U-Turn sampler."""
    _wanted("nutpie.compiled_pyfunc", "sampling this model by NUTS")
    return _wanted("nutpie", "sampling this model by NUTS")


def arviz() -> Any:
    """Import the library of exchange and plots."""
    return _wanted("arviz", "to_arviz()")
